//! Who holds what, and what the kernel is told when it is gone.

use super::*;

fn dead(bench: &mut Bench) -> Vec<Syscall> {
    let report = bench.deliver(Delivery::BringOutYourDead).unwrap();
    assert_eq!(report.error, None);
    report.syscalls
}

#[test]
fn imports_that_are_gone_are_dropped_and_retired() {
    let mut bench = Bench::new(with_methods(
        "keep: x => { kept = x; }, see: x => {}, forget: () => { kept = 0; }",
    ));
    bench.send(r#"["keep",["$0"]]"#, &["o-50"], "");
    bench.send(r#"["see",[["$0","$1"]]]"#, &["o-60", "o-7"], "");
    let gone = |list: &[&str]| {
        let vrefs: Vec<VRef> = list.iter().map(|v| vref(v)).collect();
        vec![Syscall::DropImports { vrefs: vrefs.clone() }, Syscall::RetireImports { vrefs }]
    };
    assert_eq!(dead(&mut bench), gone(&["o-60", "o-7"]));
    assert_eq!(dead(&mut bench), []);
    bench.send(r#"["forget",[]]"#, &[], "");
    assert_eq!(dead(&mut bench), gone(&["o-50"]));
}

#[test]
fn what_a_body_does_not_mention_is_let_go() {
    let mut bench = Bench::new(with_methods("see: x => {}"));
    let answer = bench.send(r#"["see",["$7"]]"#, &["o-50", "p-50"], "p-60");
    let [Syscall::Subscribe { .. }, Syscall::Resolve { resolutions }] = &answer[..] else {
        panic!("{answer:?}")
    };
    assert!(resolutions[0].rejected);
    let vrefs = vec![vref("o-50")];
    let gone = [Syscall::DropImports { vrefs: vrefs.clone() }, Syscall::RetireImports { vrefs }];
    assert_eq!(dead(&mut bench), gone);
}

#[test]
fn cycles_do_not_keep_imports() {
    let mut bench =
        Bench::new(with_methods("loop: x => { const a = { x }; const b = { a }; a.b = b; }"));
    bench.send(r#"["loop",["$0"]]"#, &["o-50"], "");
    assert_eq!(dead(&mut bench).len(), 2);
}

#[test]
fn an_import_seen_again_is_the_same_object_while_it_lives() {
    let mut bench = Bench::new(with_methods("keep: x => { kept = x; }, same: x => kept === x"));
    bench.send(r#"["keep",["$0"]]"#, &["o-50"], "");
    let same = bench.send(r#"["same",["$0"]]"#, &["o-50"], "p-60");
    assert_eq!(same, [fulfil("p-60", "true", &[])]);
    let other = bench.send(r#"["same",["$0"]]"#, &["o-51"], "p-61");
    assert_eq!(other, [fulfil("p-61", "false", &[])]);
}

#[test]
fn imports_go_back_under_their_own_name() {
    let mut bench = Bench::new(with_methods("echo: x => x"));
    let back = bench.send(r#"["echo",[["$0.Alleged: it","$0","$1"]]]"#, &["o-50", "o-51"], "p-60");
    let body = r#"["$0.Alleged: it","$0","$1.Alleged: presence"]"#;
    assert_eq!(back, [fulfil("p-60", body, &["o-50", "o-51"])]);
}

#[test]
fn exports_live_until_dropped_and_are_retired_when_gone() {
    let mut bench = Bench::new(with_methods(
        "make: () => Far('it', { hi: () => 'hi' }), keep: () => (kept = Far('kept', {}))",
    ));
    assert_eq!(
        bench.send(r#"["make",[]]"#, &[], "p-60"),
        [fulfil("p-60", "\"$0.Alleged: it\"", &["o+10"])]
    );
    bench.send(r#"["keep",[]]"#, &[], "p-61");
    assert_eq!(dead(&mut bench), []);
    let delivery = Delivery::Message {
        target: vref("o+10"),
        methargs: data(r#"["hi",[]]"#, &[]),
        result: Some(vref("p-62")),
    };
    assert_eq!(bench.deliver(delivery).unwrap().syscalls, [fulfil("p-62", "\"hi\"", &[])]);
    bench.deliver(Delivery::DropExports { vrefs: vec![vref("o+10"), vref("o+11")] }).unwrap();
    assert_eq!(dead(&mut bench), [Syscall::RetireExports { vrefs: vec![vref("o+10")] }]);
    // What the kernel has retired gets a new reference when it is sent again.
    bench.deliver(Delivery::RetireExports { vrefs: vec![vref("o+11")] }).unwrap();
    assert_eq!(dead(&mut bench), []);
}

#[test]
fn the_root_is_never_let_go() {
    let mut bench = Bench::new(with_methods("me: () => 'here'"));
    bench.deliver(Delivery::DropExports { vrefs: vec![VRef::ROOT] }).unwrap();
    bench.deliver(Delivery::RetireExports { vrefs: vec![VRef::ROOT] }).unwrap();
    assert_eq!(dead(&mut bench), []);
    assert_eq!(bench.send(r#"["me",[]]"#, &[], "p-60"), [fulfil("p-60", "\"here\"", &[])]);
}

#[test]
fn retired_imports_are_forgotten() {
    let mut bench = Bench::new(with_methods(
        "see: x => {}, keep: x => { kept = x; }, use: () => E(kept).hi(), give: () => kept",
    ));
    bench.send(r#"["see",["$0"]]"#, &["o-50"], "");
    bench.send(r#"["keep",["$0"]]"#, &["o-51"], "");
    let vrefs = vec![vref("o-50"), vref("o-51")];
    let report = bench.deliver(Delivery::RetireImports { vrefs }).unwrap();
    assert_eq!(report.syscalls, []);
    assert_eq!(dead(&mut bench), []);
    // A presence that outlives its object leads nowhere.
    for method in ["use", "give"] {
        let answer = bench.send(&format!("[\"{method}\",[]]"), &[], "p-60");
        let [Syscall::Resolve { resolutions }] = &answer[..] else { panic!("{answer:?}") };
        assert!(resolutions[0].data.body.contains("no longer exists"), "{resolutions:?}");
    }
}

#[test]
fn numbers_are_not_used_again_by_the_next_incarnation() {
    let code = || with_methods("make: () => [Far('it', {}), new Promise(() => {})]");
    let mut bench = Bench::new(code());
    let made = bench.send(r#"["make",[]]"#, &[], "p-60");
    assert_eq!(made, [fulfil("p-60", r#"["$0.Alleged: it","&1"]"#, &["o+10", "p+5"])]);
    let kernel = bench.kernel.clone();
    drop(bench);
    let (mut bench, report) = Bench::start_with(kernel, code(), data("\"#undefined\"", &[]));
    assert_eq!((report.error, report.vatstore), (None, vec![]));
    let made = bench.send(r#"["make",[]]"#, &[], "p-60");
    assert_eq!(made, [fulfil("p-60", r#"["$0.Alleged: it","&1"]"#, &["o+11", "p+6"])]);
}
