//! A bundle's file, and its code in an engine with little to spend.
#![no_main]

use std::rc::Rc;

use libfuzzer_sys::fuzz_target;
use ocap_types::capdata::CapData;
use ocap_types::crank::Delivery;
use ocap_vat::engine::{
    Bytecode, Compiled, Limits, LogLevel, Platform, PreparedEngine, UpCalls, VatCode, WorkerInit,
};
use ocap_vat::quickjs::Prepared;

const LIMITS: Limits = Limits {
    crank_ticks_max: 20,
    crank_cpu_ms_max: 500,
    heap_bytes_max: 16 << 20,
    stack_bytes_max: 512 << 10,
    crank_syscalls_max: 100,
    crank_bytes_max: 1 << 20,
};

struct Nothing;

impl UpCalls for Nothing {
    fn vatstore_get(&self, _: &str) -> Option<String> {
        None
    }

    fn vatstore_next_key(&self, _: &str) -> Option<String> {
        None
    }

    fn exists(&self, _: &str) -> bool {
        false
    }

    fn log(&self, _: LogLevel, _: &str) {}

    fn compiled(&self, _: Bytecode) {}
}

fuzz_target!(|text: &str| {
    let _ = ocap_kernel::fuzzing::bundle(text);
    let init = WorkerInit {
        vat: "v1".into(),
        name: "fuzz".into(),
        code: VatCode::Bundle(text.to_owned()),
        compiled: Compiled::Wanted,
        globals: Vec::new(),
        allowed_globals: None,
        platform: Platform::default(),
        limits: LIMITS,
    };
    let mut engine = Box::new(Prepared::new().unwrap()).into_vat(init, Rc::new(Nothing));
    let parameters = CapData { body: "#\"#undefined\"".into(), slots: Vec::new() };
    let _ = engine.deliver(Delivery::Start { parameters });
});
