//! Messages, promises and pipelining.

use super::*;

#[test]
fn a_message_is_answered() {
    let mut bench = Bench::new(with_methods("ping: () => 'pong'"));
    assert_eq!(bench.send(r#"["ping",[]]"#, &[], "p-60"), [fulfil("p-60", "\"pong\"", &[])]);
}

#[test]
fn nobody_waits_for_a_message_without_result() {
    let mut bench =
        Bench::new(with_methods("ping: () => 'pong', boom: () => { throw Error('x'); }"));
    assert_eq!(bench.send(r#"["ping",[]]"#, &[], ""), []);
    assert_eq!(bench.send(r#"["boom",[]]"#, &[], ""), []);
    let log = bench.kernel.log.borrow();
    assert!(log.iter().any(|(_, line)| line.starts_with("unhandled rejection: x")), "{log:?}");
}

#[test]
fn exceptions_become_rejections() {
    let mut bench = Bench::new(with_methods(
        "boom: () => { throw TypeError('no'); }, later: async () => { await null; throw Error('late'); }",
    ));
    let body = r##"{"#error":"no","errorId":"error:liveSlots:v1#70001","name":"TypeError"}"##;
    assert_eq!(bench.send(r#"["boom",[]]"#, &[], "p-60"), [reject("p-60", body, &[])]);
    let body = r##"{"#error":"late","errorId":"error:liveSlots:v1#70002","name":"Error"}"##;
    assert_eq!(bench.send(r#"["later",[]]"#, &[], "p-61"), [reject("p-61", body, &[])]);
    let log = bench.kernel.log.borrow();
    assert!(log.iter().any(|(_, line)| line.contains("70001: TypeError: no")), "{log:?}");
}

#[test]
fn an_unknown_method_names_the_known_ones() {
    let mut bench = Bench::new(with_methods("b() {}, a() {}"));
    let calls = [
        ("nope", r#"target has no method \"nope\", has [\"__getMethodNames__\",\"a\",\"b\"]"#),
        (
            "hasOwnProperty",
            r#"target has no method \"hasOwnProperty\", has [\"__getMethodNames__\",\"a\",\"b\"]"#,
        ),
        (
            "constructor",
            r#"target has no method \"constructor\", has [\"__getMethodNames__\",\"a\",\"b\"]"#,
        ),
    ];
    for (i, (method, text)) in calls.iter().enumerate() {
        let id = 70001 + i;
        let body = format!(
            r##"{{"#error":"{text}","errorId":"error:liveSlots:v1#{id}","name":"TypeError"}}"##
        );
        let methargs = format!(r#"["{method}",[]]"#);
        assert_eq!(bench.send(&methargs, &[], "p-60"), [reject("p-60", &body, &[])]);
    }
}

#[test]
fn symbols_name_methods() {
    let mut bench = Bench::new(with_methods("[Symbol.asyncIterator]: () => 'iterated'"));
    let answer = bench.send(r#"["%@@asyncIterator",[]]"#, &[], "p-60");
    assert_eq!(answer, [fulfil("p-60", "\"iterated\"", &[])]);
}

#[test]
fn malformed_messages_reject_their_result_only() {
    let mut bench = Bench::new(with_methods("ping: () => 'pong'"));
    let deep = format!("[\"ping\",[{}{}]]", "[".repeat(100_000), "]".repeat(100_000));
    let hostile = [
        "",
        "{",
        "null",
        "[]",
        "[1,[]]",
        "[\"ping\"]",
        "[\"ping\",{}]",
        "[\"ping\",[\"$0\"]]",
        "[\"ping\",[\"&7\"]]",
        "[\"ping\",[\"#what\"]]",
        "[\"ping\",[\"+1x\"]]",
        "[\"ping\",[{\"#x\":1}]]",
        "[\"ping\",[\"'\"]]",
        "[\"ping\",[{\"#tag\":1,\"payload\":1}]]",
        "[\"ping\",[{\"#error\":1}]]",
        "[\"ping\",[\"%@@nope\"]]",
        "[\"ping\",[\"$-1\"]]",
        &deep,
    ];
    for methargs in hostile {
        let answer = bench.send(methargs, &[], "p-60");
        let [Syscall::Resolve { resolutions }] = &answer[..] else {
            panic!("{methargs}: {answer:?}")
        };
        assert!(resolutions[0].rejected, "{methargs}: {resolutions:?}");
    }
    assert_eq!(bench.send(r#"["ping",[]]"#, &[], "p-61"), [fulfil("p-61", "\"pong\"", &[])]);
}

#[test]
fn an_unknown_target_fails_the_delivery() {
    let mut bench = Bench::new(with_methods("ping: () => 'pong'"));
    let delivery = Delivery::Message {
        target: vref("o+77"),
        methargs: data(r#"["ping",[]]"#, &[]),
        result: None,
    };
    let report = bench.deliver(delivery).unwrap();
    assert_eq!(report.error.as_deref(), Some("I don't remember allocating o+77"));
}

#[test]
fn presences_send_and_wait_for_the_answer() {
    let mut bench = Bench::new(with_methods("ask: x => E(x).what(1)"));
    let sent = bench.send(r#"["ask",["$0.Alleged: it"]]"#, &["o-50"], "p-60");
    assert_eq!(sent, [send("o-50", r#"["what",[1]]"#, &[], "p+5"), subscribe("p+5")]);
    let answered = bench.notify(vec![resolution("p+5", false, "\"42\"", &[])]);
    assert_eq!(answered, [fulfil("p-60", "\"42\"", &[])]);
}

#[test]
fn rejections_travel_back() {
    let mut bench =
        Bench::new(with_methods("ask: x => E(x).what().catch(e => `${e.name}|${e.message}`)"));
    bench.send(r#"["ask",["$0"]]"#, &["o-50"], "p-60");
    let error = r##"{"#error":"oh","errorId":"error:liveSlots:v9#70003","name":"RangeError"}"##;
    let answered = bench.notify(vec![resolution("p+5", true, error, &[])]);
    assert_eq!(answered, [fulfil("p-60", "\"RangeError|oh\"", &[])]);
}

#[test]
fn messages_to_answers_are_pipelined() {
    let mut bench = Bench::new(with_methods("ask: x => E(E(E(x).a()).b()).c()"));
    let sent = bench.send(r#"["ask",["$0"]]"#, &["o-50"], "p-60");
    let expected = [
        send("o-50", r#"["a",[]]"#, &[], "p+5"),
        subscribe("p+5"),
        send("p+5", r#"["b",[]]"#, &[], "p+6"),
        subscribe("p+6"),
        send("p+6", r#"["c",[]]"#, &[], "p+7"),
        subscribe("p+7"),
    ];
    assert_eq!(sent, expected);
    let answered = bench.notify(vec![resolution("p+7", false, "7", &[])]);
    assert_eq!(answered, [fulfil("p-60", "7", &[])]);
}

#[test]
fn messages_without_answer_have_no_result() {
    let mut bench = Bench::new(with_methods("tell: x => { E.sendOnly(x).note('hi'); }"));
    let sent = bench.send(r#"["tell",["$0"]]"#, &["o-50"], "p-60");
    let expected =
        [send("o-50", r#"["note",["hi"]]"#, &[], ""), fulfil("p-60", "\"#undefined\"", &[])];
    assert_eq!(sent, expected);
}

#[test]
fn messages_go_to_imported_promises_until_they_settle() {
    let mut bench = Bench::new(with_methods(
        "keep: p => { kept = p; E(p).early(); }, use: () => { E(kept).late(); }",
    ));
    let sent = bench.send(r#"["keep",["&0"]]"#, &["p-70"], "");
    let expected =
        [subscribe("p-70"), send("p-70", r#"["early",[]]"#, &[], "p+5"), subscribe("p+5")];
    assert_eq!(sent, expected);
    assert_eq!(bench.notify(vec![resolution("p-70", false, "\"$0.Alleged: it\"", &["o-51"])]), []);
    let sent = bench.send(r#"["use",[]]"#, &[], "");
    assert_eq!(sent, [send("o-51", r#"["late",[]]"#, &[], "p+6"), subscribe("p+6")]);
}

#[test]
fn a_promise_for_a_local_object_stays_local() {
    let mut bench = Bench::new(with_methods(
        "make: () => (kept = Far('it', { hello: n => `hello ${n}` })), ask: p => E(p).hello('you')",
    ));
    let made = bench.send(r#"["make",[]]"#, &[], "p-60");
    assert_eq!(made, [fulfil("p-60", "\"$0.Alleged: it\"", &["o+10"])]);
    // The message goes out, comes back to us, and its answer is ours to give.
    let sent = bench.send(r#"["ask",["&0"]]"#, &["p-70"], "p-61");
    let expected =
        [subscribe("p-70"), send("p-70", r#"["hello",["you"]]"#, &[], "p+5"), subscribe("p+5")];
    assert_eq!(sent, expected);
    assert_eq!(bench.notify(vec![resolution("p-70", false, "\"$0.Alleged: it\"", &["o+10"])]), []);
    let delivery = Delivery::Message {
        target: vref("o+10"),
        methargs: data(r#"["hello",["you"]]"#, &[]),
        result: Some(vref("p+5")),
    };
    let report = bench.deliver(delivery).unwrap();
    let expected = [fulfil("p+5", "\"hello you\"", &[]), fulfil("p-61", "\"hello you\"", &[])];
    assert_eq!(report.syscalls, expected);
}

#[test]
fn exported_promises_settle_later() {
    let mut bench = Bench::new(with_methods(
        "open: () => { let r; const p = new Promise(res => { r = res; }); kept = r; return [p, p]; },
         close: v => { kept(v); }",
    ));
    let opened = bench.send(r#"["open",[]]"#, &[], "p-60");
    assert_eq!(opened, [fulfil("p-60", r#"["&0","&0"]"#, &["p+5"])]);
    let closed = bench.send(r#"["close",[3]]"#, &[], "p-61");
    assert_eq!(closed.len(), 2);
    assert!(closed.contains(&fulfil("p+5", "3", &[])), "{closed:?}");
}

#[test]
fn a_settled_promise_that_is_sent_again_tells_at_once() {
    let mut bench = Bench::new(with_methods(
        "open: () => { kept = Promise.resolve(4); return [kept]; }, again: () => [kept]",
    ));
    let opened = bench.send(r#"["open",[]]"#, &[], "p-60");
    assert_eq!(opened, [fulfil("p-60", r#"["&0"]"#, &["p+5"]), fulfil("p+5", "4", &[])]);
    let again = bench.send(r#"["again",[]]"#, &[], "p-61");
    let expected = Syscall::Resolve {
        resolutions: vec![
            resolution("p-61", false, r#"["&0"]"#, &["p+6"]),
            resolution("p+6", false, "4", &[]),
        ],
    };
    assert_eq!(again, [expected]);
}

#[test]
fn promises_that_mention_each_other_settle_together() {
    let mut bench = Bench::new(with_methods(
        "hold: (p, q) => { kept = [p, q]; }, look: async () => {
           const [p, q] = kept; const [a, b] = [await p, await q]; return [a[0] === q, b[0] === p]; }",
    ));
    let held = bench.send(r#"["hold",["&0","&1"]]"#, &["p-70", "p-71"], "");
    assert_eq!(held, [subscribe("p-70"), subscribe("p-71")]);
    let after = bench.notify(vec![
        resolution("p-70", false, r#"["&0"]"#, &["p-71"]),
        resolution("p-71", false, r#"["&0"]"#, &["p-70"]),
    ]);
    assert_eq!(after, []);
    let looked = bench.send(r#"["look",[]]"#, &[], "p-60");
    assert_eq!(looked, [fulfil("p-60", "[true,true]", &[])]);
}

#[test]
fn new_promises_of_a_notify_are_subscribed() {
    let mut bench = Bench::new(with_methods("hold: p => { kept = p; }"));
    bench.send(r#"["hold",["&0"]]"#, &["p-70"], "");
    let after = bench.notify(vec![resolution("p-70", false, r#"["&0"]"#, &["p-72"])]);
    assert_eq!(after, [subscribe("p-72")]);
    // Of promises nobody asked about, nothing follows.
    assert_eq!(bench.notify(vec![resolution("p-99", false, "1", &[])]), []);
    // What cannot be understood is a rejection.
    assert_eq!(bench.notify(vec![resolution("p-72", false, "nonsense", &[])]), []);
}

#[test]
fn an_answer_that_is_a_promise_waits_for_it() {
    let mut bench = Bench::new(with_methods("wait: p => p"));
    assert_eq!(bench.send(r#"["wait",["&0"]]"#, &["p-70"], "p-60"), [subscribe("p-70")]);
    let after = bench.notify(vec![resolution("p-70", false, "9", &[])]);
    assert_eq!(after, [fulfil("p-60", "9", &[])]);
}

#[test]
fn our_own_undecided_result_can_be_passed_on() {
    let mut bench = Bench::new(with_methods(
        "slow: () => new Promise(r => { kept = r; }), pass: (x, p) => { E(x).take(p); }, go: () => { kept(1); }",
    ));
    assert_eq!(bench.send(r#"["slow",[]]"#, &[], "p-60"), []);
    let sent = bench.send(r#"["pass",["$0","&1"]]"#, &["o-50", "p-60"], "");
    assert_eq!(sent, [send("o-50", r#"["take",["&0"]]"#, &["p-60"], "p+5"), subscribe("p+5")]);
    assert_eq!(bench.send(r#"["go",[]]"#, &[], ""), [fulfil("p-60", "1", &[])]);
}

#[test]
fn exit_is_a_syscall() {
    let code = modules(
        "import { Far } from '@endo/far';
         export const buildRootObject = ({ exitVat, exitVatWithFailure }) => Far('root', {
           done: v => exitVat(v), fail: v => exitVatWithFailure(v) });",
    );
    let mut bench = Bench::new(code);
    let exit = |failure, body| Syscall::Exit { failure, info: data(body, &[]) };
    assert_eq!(bench.send(r#"["done",[1]]"#, &[], ""), [exit(false, "1")]);
    assert_eq!(bench.send(r#"["fail",["why"]]"#, &[], ""), [exit(true, "\"why\"")]);
}

#[test]
fn oversize_sends_throw_to_the_caller() {
    let mut bench = Bench::new(with_methods(
        "big: async x => { try { await E(x).take('x'.repeat(10_000_001)); } catch (e) { return e.name; } }",
    ));
    let sent = bench.send(r#"["big",["$0"]]"#, &["o-50"], "p-60");
    assert_eq!(sent, [fulfil("p-60", "\"RangeError\"", &[])]);
}

#[test]
fn messages_for_an_answer_go_where_the_answer_comes_from() {
    let mut bench = Bench::new(with_methods("echo: p => p, use: p => { E(p).go(); }"));
    let syscalls = bench.send(r#"["echo",["&0"]]"#, &["p-50"], "p-60");
    assert_eq!(syscalls, [Syscall::Subscribe { promise: vref("p-50") }]);
    let syscalls = bench.send(r#"["use",["&0"]]"#, &["p-60"], "p-61");
    match &syscalls[0] {
        Syscall::Send { target, .. } => assert_eq!(*target, vref("p-50")),
        other => panic!("{other:?}"),
    }
}
