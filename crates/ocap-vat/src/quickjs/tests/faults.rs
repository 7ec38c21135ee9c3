//! What ends a crank from outside, and cannot be caught.

use ocap_types::crank::FaultKind;

use super::*;

const SMALL: Limits = Limits {
    crank_ticks_max: 500,
    crank_cpu_ms_max: 60_000,
    heap_bytes_max: 16 << 20,
    stack_bytes_max: 512 << 10,
    crank_syscalls_max: 50,
    crank_bytes_max: 1 << 20,
};

fn fault(methods: &str, limits: Limits) -> Fault {
    let mut bench = Bench::unstarted(Rc::default(), with_methods(methods), limits);
    let report = bench.deliver(Delivery::Start { parameters: data("1", &[]) }).unwrap();
    assert_eq!(report.error, None);
    let delivery = || Delivery::Message {
        target: VRef::ROOT,
        methargs: data(r#"["m",["$0"]]"#, &["o-50"]),
        result: Some(vref("p-60")),
    };
    let fault = bench.deliver(delivery()).unwrap_err();
    // A fault is final.
    assert_eq!(bench.deliver(delivery()).unwrap_err(), fault);
    fault
}

#[test]
fn endless_loops_overrun() {
    for method in [
        "m: () => { for (;;) {} }",
        "m: () => { for (;;) { try { for (;;) {} } catch {} finally {} } }",
        "m: async () => { for (;;) await null; }",
        "m: () => { const f = () => { Promise.resolve().then(f); }; f(); }",
        "m: () => { [].concat(...Array(1e3)); const a = []; a.length = 1e9; for (const x of a) {} }",
        "m: () => /^(a+)+$/.test('a'.repeat(40) + 'b')",
    ] {
        let fault = fault(method, SMALL);
        assert_eq!(fault.kind, FaultKind::Overrun, "{method}: {fault:?}");
        assert!(fault.detail.contains("ticks"), "{method}: {fault:?}");
    }
}

#[test]
fn cpu_time_overruns() {
    let limits = Limits { crank_ticks_max: u64::MAX, crank_cpu_ms_max: 20, ..SMALL };
    let fault = fault("m: () => { for (;;) {} }", limits);
    assert_eq!(fault.kind, FaultKind::Overrun);
    assert!(fault.detail.contains("CPU"), "{fault:?}");
}

#[test]
fn an_exhausted_heap_cannot_be_hidden() {
    for method in [
        "m: () => { const a = []; for (;;) a.push([1, 2, 3]); }",
        "m: () => { try { 'x'.repeat(1e8); } catch (e) { return 'caught'; } }",
        "m: () => { try { new Uint8Array(1e9); } catch (e) { return 'caught'; } }",
        "m: () => { const a = []; for (;;) { try { a.push('x'.repeat(1000) + a.length); } catch {} } }",
        "m: () => { const m = new Map(); for (let i = 0; ; i++) m.set(i, {}); }",
    ] {
        let fault = fault(method, SMALL);
        assert_eq!(fault.kind, FaultKind::OutOfMemory, "{method}: {fault:?}");
    }
}

#[test]
fn garbage_does_not_exhaust_the_heap() {
    let mut bench = Bench::unstarted(
        Rc::default(),
        with_methods(
            "m: () => { kept = []; for (let i = 0; i < 40000; i++) kept.push([i, [i]]);
               for (let i = 0; i < 50000; i++) { const a = { x: [i, i, i, i] }; a.a = a; } return 'ok'; }",
        ),
        Limits { crank_ticks_max: 1_000_000, ..SMALL },
    );
    bench.deliver(Delivery::Start { parameters: data("1", &[]) }).unwrap();
    assert_eq!(bench.send(r#"["m",[]]"#, &[], "p-60"), [fulfil("p-60", "\"ok\"", &[])]);
}

#[test]
fn syscalls_and_their_bytes_are_limited() {
    let many = fault("m: x => { for (let i = 0; i < 100; i++) E(x).n(); }", SMALL);
    assert_eq!(many.kind, FaultKind::Overrun);
    assert!(many.detail.contains("50 syscalls"), "{many:?}");
    let big = fault("m: () => 'x'.repeat(2 << 20)", SMALL);
    assert!(big.detail.contains("bytes"), "{big:?}");
    let stored =
        fault("m: () => { for (let i = 0; ; i++) baggage.init(`k${i}`, 'v'.repeat(1e4)); }", SMALL);
    assert!(stored.detail.contains("bytes"), "{stored:?}");
}

#[test]
fn deep_recursion_is_an_error_of_the_vat() {
    let mut bench = Bench::new(with_methods(
        "m: () => { const f = n => f(n + 1) + 1; try { return f(0); } catch (e) { return e.name; } },
         j: () => { let s = '['.repeat(100000); try { JSON.parse(s); } catch (e) { return e.name; } },
         t: () => { let a = []; for (let i = 0; i < 100000; i++) a = [a]; try { return JSON.stringify(a).length; } catch (e) { return e.name; } },
         s: () => { let a = ''; for (let i = 0; i < 100000; i++) a = [a]; try { return `${a}`.length; } catch (e) { return e.name; } }",
    ));
    for method in ["m", "j", "t", "s"] {
        let answer = bench.send(&format!("[\"{method}\",[]]"), &[], "p-60");
        let [Syscall::Resolve { resolutions }] = &answer[..] else { panic!("{answer:?}") };
        assert!(
            !resolutions[0].rejected && resolutions[0].data.body.contains("Error"),
            "{answer:?}"
        );
    }
}

#[test]
fn ticks_are_the_same_every_time() {
    let ticks = || {
        let mut bench = Bench::new(with_methods(
            "m: () => { let n = 0; for (let i = 0; i < 300000; i++) n += i; return n; }",
        ));
        let delivery = Delivery::Message {
            target: VRef::ROOT,
            methargs: data(r#"["m",[]]"#, &[]),
            result: Some(vref("p-60")),
        };
        bench.deliver(delivery).unwrap().usage.ticks
    };
    let first = ticks();
    assert!(first >= 10, "{first}");
    assert_eq!(first, ticks());
}

#[test]
fn unlimited_vats_are_still_measured() {
    let mut bench = Bench::new(with_methods("m: () => 1"));
    let delivery =
        Delivery::Message { target: VRef::ROOT, methargs: data(r#"["m",[]]"#, &[]), result: None };
    let usage = bench.deliver(delivery).unwrap().usage;
    assert!(usage.heap_bytes > 100_000 && usage.heap_bytes < 16 << 20, "{usage:?}");
}
