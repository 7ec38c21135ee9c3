//! Deliveries by hand, and what the engine makes of them.

mod baggage;
mod bundles;
mod code;
mod collect;
mod collections;
mod faults;
mod hostile;
mod kinds;
mod marshal;
mod messages;
mod references;
mod values;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use ocap_types::capdata::{CapData, VCapData};
use ocap_types::crank::{CrankReport, Delivery, Fault, Resolution, Syscall};
use ocap_types::refs::VRef;

use super::Prepared;
use crate::engine::{
    Bytecode, Compiled, Engine, Limits, LogLevel, Module, ModuleGraph, Platform, PreparedEngine,
    UpCalls, VatCode, WorkerInit,
};

/// The kernel's side: the committed vatstore and the log.
#[derive(Default)]
struct Kernel {
    store: RefCell<BTreeMap<String, String>>,
    log: RefCell<Vec<(LogLevel, String)>>,
    compiled: RefCell<Vec<Bytecode>>,
}

impl UpCalls for Kernel {
    fn vatstore_get(&self, key: &str) -> Option<String> {
        self.store.borrow().get(key).cloned()
    }

    fn vatstore_next_key(&self, prior: &str) -> Option<String> {
        let after = (Bound::Excluded(prior), Bound::Unbounded);
        self.store.borrow().range::<str, _>(after).next().map(|(key, _)| key.clone())
    }

    fn exists(&self, _path: &str) -> bool {
        false
    }

    fn log(&self, level: LogLevel, message: &str) {
        self.log.borrow_mut().push((level, message.to_owned()));
    }

    fn compiled(&self, bytecode: Bytecode) {
        self.compiled.borrow_mut().push(bytecode);
    }
}

const LIMITS: Limits = Limits {
    crank_ticks_max: 10_000,
    crank_cpu_ms_max: 20_000,
    heap_bytes_max: 64 << 20,
    stack_bytes_max: 512 << 10,
    crank_syscalls_max: 20_000,
    crank_bytes_max: 32 << 20,
};

/// One vat and the kernel it talks to.
struct Bench {
    kernel: Rc<Kernel>,
    engine: Box<dyn Engine>,
}

fn vref(text: &str) -> VRef {
    text.parse().unwrap()
}

fn data(body: &str, slots: &[&str]) -> VCapData {
    CapData { body: format!("#{body}"), slots: slots.iter().map(|s| vref(s)).collect() }
}

fn modules(source: &str) -> VatCode {
    let module = Module { source: source.into(), imports: BTreeMap::new() };
    VatCode::Modules(ModuleGraph {
        entry: "main.js".into(),
        modules: [("main.js".into(), module)].into(),
    })
}

/// A module whose root has these methods.
fn with_methods(methods: &str) -> VatCode {
    modules(&format!(
        "import {{ E, Far }} from '@endo/far';
         export const buildRootObject = (vatPowers, parameters, baggage) => {{
           let kept;
           return Far('root', {{ {methods} }});
         }};"
    ))
}

impl Bench {
    /// An engine whose vat has not started.
    fn unstarted(kernel: Rc<Kernel>, code: VatCode, limits: Limits) -> Bench {
        let init = WorkerInit {
            vat: "v1".into(),
            name: "test".into(),
            code,
            compiled: Compiled::Unknown,
            globals: Vec::new(),
            allowed_globals: None,
            platform: Platform::default(),
            limits,
        };
        let engine = Box::new(Prepared::new().unwrap()).into_vat(init, kernel.clone());
        Bench { kernel, engine }
    }

    fn start_with(kernel: Rc<Kernel>, code: VatCode, parameters: VCapData) -> (Bench, CrankReport) {
        let mut bench = Bench::unstarted(kernel, code, LIMITS);
        let report = bench.deliver(Delivery::Start { parameters }).unwrap();
        (bench, report)
    }

    /// A started vat.
    fn new(code: VatCode) -> Bench {
        let (bench, report) = Bench::start_with(Rc::default(), code, data("\"#undefined\"", &[]));
        assert_eq!(report.error, None);
        bench
    }

    /// Delivers, and commits what the crank wrote.
    fn deliver(&mut self, delivery: Delivery) -> Result<CrankReport, Fault> {
        let report = self.engine.deliver(delivery)?;
        let mut store = self.kernel.store.borrow_mut();
        for (key, value) in &report.vatstore {
            match value {
                Some(value) => store.insert(key.clone(), value.clone()),
                None => store.remove(key),
            };
        }
        Ok(report)
    }

    /// Sends a message to the root; its syscalls.
    fn send(&mut self, methargs: &str, slots: &[&str], result: &str) -> Vec<Syscall> {
        let delivery = Delivery::Message {
            target: VRef::ROOT,
            methargs: data(methargs, slots),
            result: (!result.is_empty()).then(|| vref(result)),
        };
        let report = self.deliver(delivery).unwrap();
        assert_eq!(report.error, None);
        report.syscalls
    }

    fn notify(&mut self, resolutions: Vec<Resolution<VRef>>) -> Vec<Syscall> {
        let report = self.deliver(Delivery::Notify { resolutions }).unwrap();
        assert_eq!(report.error, None);
        report.syscalls
    }
}

fn resolution(promise: &str, rejected: bool, body: &str, slots: &[&str]) -> Resolution<VRef> {
    Resolution { promise: vref(promise), rejected, data: data(body, slots) }
}

fn fulfil(promise: &str, body: &str, slots: &[&str]) -> Syscall {
    Syscall::Resolve { resolutions: vec![resolution(promise, false, body, slots)] }
}

fn reject(promise: &str, body: &str, slots: &[&str]) -> Syscall {
    Syscall::Resolve { resolutions: vec![resolution(promise, true, body, slots)] }
}

fn send(target: &str, methargs: &str, slots: &[&str], result: &str) -> Syscall {
    Syscall::Send {
        target: vref(target),
        methargs: data(methargs, slots),
        result: (!result.is_empty()).then(|| vref(result)),
    }
}

fn subscribe(promise: &str) -> Syscall {
    Syscall::Subscribe { promise: vref(promise) }
}
