//! The engine's own scripts, as the build has compiled them from `js/`.

use rquickjs::{Ctx, Error, FromJs};

use crate::bytecode;

/// One script.
pub(crate) struct Script {
    /// Its bytecode, made by the build with the engine that is linked here.
    bytecode: &'static [u8],
}

impl Script {
    pub(crate) const fn new(bytecode: &'static [u8]) -> Self {
        Script { bytecode }
    }

    /// Runs it: what it evaluates to.
    pub(crate) fn run<'js, T: FromJs<'js>>(&self, ctx: &Ctx<'js>) -> rquickjs::Result<T> {
        let value = bytecode::run(ctx, self.bytecode).unwrap_or(Err(Error::Unknown))?;
        T::from_js(ctx, value)
    }
}

/// The script of this name in `js/`.
macro_rules! script {
    ($name:literal) => {
        $crate::scripts::Script::new(include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
    };
}
pub(crate) use script;
