//! What the engine's callbacks share. Holds nothing that would keep the engine's objects alive past
//! [`Shared::clear`].

use std::cell::RefCell;

use rquickjs::{Ctx, Object, Persistent, Value};

use super::crank::Crank;
use super::limits::REJECTIONS_MAX;
use super::meter::Meter;
use super::modules::ModuleTable;
use crate::engine::{Bytecode, LogLevel};

type Held = Persistent<Value<'static>>;

/// State of one engine.
pub(super) struct Shared {
    pub(super) meter: Meter,
    pub(super) crank: RefCell<Crank>,
    pub(super) modules: RefCell<ModuleTable>,
    /// Built-in modules: an object of namespaces by name.
    builtins: RefCell<Option<Persistent<Object<'static>>>>,
    /// Rejected promises nobody handles yet, and their reasons.
    rejections: RefCell<Vec<(Held, Held)>>,
}

impl Shared {
    pub(super) fn new(meter: Meter) -> Self {
        Shared {
            meter,
            crank: RefCell::new(Crank::new()),
            modules: RefCell::default(),
            builtins: RefCell::new(None),
            rejections: RefCell::default(),
        }
    }

    /// Lets go of the engine's objects; before the engine is freed.
    pub(super) fn clear(&self) {
        self.builtins.take();
        self.rejections.take();
    }

    pub(super) fn log(&self, level: LogLevel, message: &str) {
        let up = self.crank.borrow().up().cloned();
        if let Some(up) = up {
            up.log(level, message);
        }
    }

    pub(super) fn compiled(&self, bytecode: Bytecode) {
        let up = self.crank.borrow().up().cloned();
        if let Some(up) = up {
            up.compiled(bytecode);
        }
    }

    pub(super) fn set_builtins(&self, builtins: Persistent<Object<'static>>) {
        *self.builtins.borrow_mut() = Some(builtins);
    }

    /// The object of built-in modules.
    pub(super) fn builtins<'js>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
        let builtins = self.builtins.borrow().clone();
        builtins.ok_or(rquickjs::Error::Unknown)?.restore(ctx)
    }

    /// Called by the engine when a promise is rejected unhandled, or is handled after all.
    pub(super) fn track_rejection<'js>(
        &self,
        ctx: &Ctx<'js>,
        promise: Value<'js>,
        reason: Value<'js>,
        is_handled: bool,
    ) {
        let promise = Persistent::save(ctx, promise);
        let mut rejections = self.rejections.borrow_mut();
        if is_handled {
            rejections.retain(|(known, _)| *known != promise);
        } else if rejections.len() < REJECTIONS_MAX {
            rejections.push((promise, Persistent::save(ctx, reason)));
        }
    }

    /// The reasons of the rejections that nobody handled.
    pub(super) fn take_rejections(&self) -> Vec<Held> {
        let rejections = std::mem::take(&mut *self.rejections.borrow_mut());
        rejections.into_iter().map(|(_, reason)| reason).collect()
    }
}
