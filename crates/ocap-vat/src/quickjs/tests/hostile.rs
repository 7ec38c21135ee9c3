//! Random and damaged input: whatever comes, the vat answers and goes on.

use std::cell::RefCell;

use ocap_types::crank::Resolution;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::engine::ModuleSource;

const BODIES: [&str; 8] = [
    r##"#["echo",[1,"two",{"a":["+3","#NaN","!x"]},"$0.Alleged: it","&1"]]"##,
    r##"#["echo",[{"#tag":"t","payload":{"b":[[],{}]}}]]"##,
    r##"#["echo",[{"#error":"m","name":"TypeError","cause":"$0","errors":["&1"]}]]"##,
    r#"#["store",["k",["$0",{"c":"-77"}]]]"#,
    r##"#["%@@asyncIterator",["%foo","#undefined","#-Infinity"]]"##,
    r##"#["#undefined",[]]"##,
    r#"["echo",[{"@qclass":"slot","index":0},{"@qclass":"bigint","digits":"1"}]]"#,
    r#"["echo",[{"@qclass":"hilbert","original":1,"rest":{"x":{"@qclass":"error"}}}]]"#,
];

const SOURCES: [&str; 3] = [
    "import { E } from '@endo/far'; export const buildRootObject = () => { throw Error(`${E}`); };",
    "var __vatExports__ = (function (e) { e.buildRootObject = () => 1; return e; })({});",
    "class A { #x = 1n; static async *m(...[a, { b = /[x-y]+/u }]) { yield* [a?.b ?? this.#x]; } }",
];

/// A text of the corpus with some places overwritten, cut out or doubled.
fn damaged(corpus: &'static [&'static str]) -> impl Strategy<Value = String> {
    let edit = (any::<prop::sample::Index>(), 0_u8..4, any::<char>());
    (prop::sample::select(corpus), prop::collection::vec(edit, 0..6)).prop_map(|(text, edits)| {
        let mut text: Vec<char> = text.chars().collect();
        for (place, kind, with) in edits {
            if text.is_empty() {
                break;
            }
            let at = place.index(text.len());
            match kind {
                0 => text[at] = with,
                1 => drop(text.remove(at)),
                2 => text.insert(at, "\"[]{},:$&#!+-.0"[..].chars().nth(at % 15).unwrap_or('"')),
                _ => text.extend_from_within(at..),
            }
        }
        text.into_iter().collect()
    })
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() })
}

#[test]
fn damaged_bodies_are_answered() {
    let bench = RefCell::new(Bench::new(with_methods(
        "echo: (...x) => x, ping: () => 1, [Symbol.asyncIterator]: (...x) => x,
         store: (k, v) => { baggage.has(k) ? baggage.set(k, v) : baggage.init(k, v); }",
    )));
    let number = std::cell::Cell::new(100_u64);
    let run = runner(400).run(&damaged(&BODIES), |body| {
        let mut bench = bench.borrow_mut();
        number.set(number.get() + 2);
        let promise = VRef::ImportPromise(number.get());
        let answer = VRef::ImportPromise(number.get() + 1);
        let methargs = CapData { body: body.clone(), slots: vec![vref("o-50"), promise] };
        let message = Delivery::Message { target: VRef::ROOT, methargs, result: Some(answer) };
        let report = bench.deliver(message).unwrap();
        prop_assert_eq!(report.error, None);
        let answered = matches!(report.syscalls.last(), Some(Syscall::Resolve { .. }));
        prop_assert!(answered);
        // The same as the value of a promise.
        let resolution =
            Resolution { promise, rejected: false, data: CapData { body, slots: Vec::new() } };
        let report = bench.deliver(Delivery::Notify { resolutions: vec![resolution] }).unwrap();
        prop_assert_eq!(report.error, None);
        Ok(())
    });
    run.unwrap();
    let mut bench = bench.into_inner();
    assert_eq!(bench.send(r#"["ping",[]]"#, &[], "p-60"), [fulfil("p-60", "1", &[])]);
    assert_eq!(bench.deliver(Delivery::BringOutYourDead).unwrap().error, None);
}

#[test]
fn damaged_code_starts_or_says_why_not() {
    let run = runner(40).run(&(damaged(&SOURCES), any::<bool>()), |(text, is_bundle)| {
        let code = if is_bundle { VatCode::Bundle(text) } else { modules(&text) };
        let limits = Limits { crank_ticks_max: 200, ..LIMITS };
        let mut bench = Bench::unstarted(Rc::default(), code, limits);
        // A loop is a fault.
        if let Ok(report) = bench.deliver(Delivery::Start { parameters: data("1", &[]) }) {
            prop_assert!(report.error.is_some());
        }
        Ok(())
    });
    run.unwrap();
}

#[test]
fn damaged_modules_are_collected_or_refused() {
    struct One(String);
    impl ModuleSource for One {
        fn load(&self, referrer: &str, name: &str) -> Result<Option<(String, String)>, String> {
            Ok(referrer.is_empty().then(|| (name.to_owned(), self.0.clone())))
        }
    }
    let run = runner(40).run(&damaged(&SOURCES), |text| {
        let files = Rc::new(One(text));
        if let Err(error) = Box::new(Prepared::new().unwrap()).collect("main.js", files) {
            prop_assert!(error.contains("main.js"), "{}", error);
        }
        Ok(())
    });
    run.unwrap();
}
