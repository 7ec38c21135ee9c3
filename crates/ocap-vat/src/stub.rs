//! An engine without a language, for tests of what surrounds engines.
//!
//! The method of a message says what to do: `echo`, `get <key>`, `next <key>`, `log <count>`,
//! `panic`, `fault`.

use std::rc::Rc;

use ocap_types::crank::{CrankReport, Delivery, Fault, FaultKind, Usage};

use crate::engine::{
    Bundle, Engine, LogLevel, Module, ModuleGraph, ModuleSource, PreparedEngine, UpCalls,
    WorkerInit,
};

/// A prepared stub.
pub(crate) struct Prepared;

impl PreparedEngine for Prepared {
    fn into_vat(self: Box<Self>, _: WorkerInit, up: Rc<dyn UpCalls>) -> Box<dyn Engine> {
        Box::new(Stub { up, cranks: 0 })
    }

    fn collect(
        self: Box<Self>,
        entry: &str,
        files: Rc<dyn ModuleSource>,
    ) -> Result<ModuleGraph, String> {
        let (name, source) = files.load("", entry)?.ok_or("no such module")?;
        let module = Module { source, ..Module::default() };
        Ok(ModuleGraph { entry: name.clone(), modules: [(name, module)].into() })
    }

    fn bundle(self: Box<Self>, entry: &str, files: Rc<dyn ModuleSource>) -> Result<Bundle, String> {
        let (_, code) = files.load("", entry)?.ok_or("no such module")?;
        Ok(Bundle { code, ..Bundle::default() })
    }

    fn parse(self: Box<Self>, _: &str) -> Result<(), String> {
        Ok(())
    }

    fn link(self: Box<Self>, _: ModuleGraph) -> Result<(), String> {
        Ok(())
    }
}

struct Stub {
    up: Rc<dyn UpCalls>,
    cranks: u64,
}

impl Engine for Stub {
    fn deliver(&mut self, delivery: Delivery) -> Result<CrankReport, Fault> {
        self.cranks += 1;
        let mut answer = None;
        if let Delivery::Message { methargs, .. } = delivery {
            let (act, argument) = methargs.body.split_once(' ').unwrap_or((&methargs.body, ""));
            match act {
                "get" => answer = self.up.vatstore_get(argument),
                "next" => answer = self.up.vatstore_next_key(argument),
                "log" => {
                    for _ in 0..argument.parse().unwrap_or(0) {
                        self.up.log(LogLevel::Info, "line");
                    }
                }
                #[allow(clippy::panic)] // what it is for
                "panic" => panic!("asked to"),
                "fault" => {
                    return Err(Fault { kind: FaultKind::Overrun, detail: "asked to".into() });
                }
                _ => answer = Some(methargs.body.clone()),
            }
        }
        let usage = Usage { ticks: self.cranks, ..Usage::default() };
        Ok(CrankReport { error: answer, usage, ..CrankReport::default() })
    }
}
