//! The engine: QuickJS-ng with the hardened realm and our supervisor.
//!
//! [`Prepared`] is everything but a vat. A crank is one call into the supervisor's scripts, then
//! promise jobs until there are none; what it did is gathered in Rust as the scripts do it.

mod bridge;
mod code;
mod crank;
mod endowments;
mod errors;
mod house;
mod limits;
mod machine;
mod memory;
mod meter;
mod modules;
mod shared;
mod supervisor;
#[cfg(test)]
mod tests;
mod vat;

use std::rc::Rc;

use crate::bytecode;
use crate::engine::{
    Bundle, Engine, ModuleGraph, ModuleSource, PreparedEngine, UpCalls, WorkerInit,
};
use machine::Machine;
use vat::Vat;

/// An engine with realm and supervisor, ready to become a vat's.
pub struct Prepared {
    machine: Machine,
}

impl Prepared {
    /// Starts the engine and evaluates realm and supervisor. Fails only if memory does, or if our
    /// own scripts are wrong; the text tells.
    pub fn new() -> Result<Self, String> {
        Machine::new().map(|machine| Prepared { machine })
    }
}

/// Which build of the engine this is: bytecode of another is of no use to it. Fit for a file's name.
pub fn engine_build() -> String {
    bytecode::build()
}

impl PreparedEngine for Prepared {
    fn into_vat(self: Box<Self>, init: WorkerInit, up: Rc<dyn UpCalls>) -> Box<dyn Engine> {
        Box::new(Vat::new(self.machine, init, up))
    }

    fn collect(
        self: Box<Self>,
        entry: &str,
        files: Rc<dyn ModuleSource>,
    ) -> Result<ModuleGraph, String> {
        self.machine.collect(entry, files.as_ref())
    }

    fn bundle(self: Box<Self>, entry: &str, files: Rc<dyn ModuleSource>) -> Result<Bundle, String> {
        self.machine.bundle(entry, files.as_ref())
    }

    fn parse(self: Box<Self>, code: &str) -> Result<(), String> {
        self.machine.parse(code)
    }

    fn link(self: Box<Self>, graph: ModuleGraph) -> Result<(), String> {
        self.machine.link(graph)
    }
}
