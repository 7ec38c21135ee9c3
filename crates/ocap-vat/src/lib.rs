//! Vats: the JavaScript engine, its hardened realm, our supervisor, and the processes they run in.
//!
//! [`Zygote`] starts worker processes, [`thread::spawn_worker`] worker threads; both give a
//! [`WorkerHandle`], whose stream speaks [`frame`]s cut by [`codec`]. What runs in a worker is an
//! [`engine`].

mod bytecode;
pub mod cage;
pub mod codec;
mod control;
pub mod engine;
pub mod exit;
mod fork;
pub mod frame;
pub mod limits;
mod memory;
mod nursery;
pub mod quickjs;
pub mod realm;
mod scripts;
mod serve;
#[cfg(test)]
mod stub;
pub mod thread;
mod worker;
mod zygote;

pub use exit::{ExitReason, fault_of_exit};
pub use memory::ExitingAllocator;
pub use worker::{WorkerControl, WorkerHandle};
pub use zygote::{StartingZygote, ZYGOTE_ARGUMENT, Zygote};

use engine::PreparedEngine;

/// To be called first in `main` of every program that [`Zygote::start`] may execute. If it was
/// started as a zygote, it becomes one and does not return.
pub fn run_worker_if_asked() {
    zygote::run_if_asked(prepare);
}

/// The engine that workers run.
fn prepare() -> Result<Box<dyn PreparedEngine>, String> {
    Ok(Box::new(quickjs::Prepared::new()?))
}
