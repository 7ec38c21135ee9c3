//! The hardened realm: what JavaScript a vat finds around itself.
//!
//! [`install`] turns a fresh context into one, by evaluating the scripts of `js/realm` in order; each
//! begins with its purpose. It is done once, before any vat code exists (a zygote then forks). What the
//! supervisor needs is left in the global `__ocap`, which it must take and delete before vat code runs:
//!
//! * `harden`, `assert`, `E`, `HandledPromise`, `makePromiseKit`, `isPromise`, `console`;
//! * `passStyleOf`, `Far`, `Remotable`, `getInterfaceOf`, `makeTagged`, `getTag`, `getMethodNames`,
//!   `toPassableError`, `nameForPassableSymbol`, `passableSymbolForName` and the rest of `passStyle`;
//! * `makeExo`, `makeDefaultExo`, `exo`, `patterns`;
//! * `applyMethod(target, name, args)`, `applyFunction(target, args)`: how `E` calls local targets;
//! * `builtinModules`: module name to exports, `default` being the default export;
//! * `originals`: what was taken from the global (`WeakRef`, `FinalizationRegistry`, `queueMicrotask`,
//!   the real `Date`, `dateNow`, `mathRandom`, `performance`, `atob`, `btoa`, ...);
//! * `defineGlobal(name, value)` for more globals, and `sealGlobal(except)` or `sealGlobals(names)`
//!   to make them read-only;
//! * `log(level, text)`: to be set; where `console` writes. It is read at each call.

mod graph;

use rquickjs::function::Func;
use rquickjs::{Ctx, Object, Result, Value};

use crate::scripts::{Script, script};

/// Finds and tames the intrinsics; makes `__ocap`.
const INTRINSICS: Script = script!("realm/intrinsics.js");

/// The rest, in order of evaluation.
const SCRIPTS: &[Script] = &[
    script!("realm/harden.js"),
    script!("realm/lockdown.js"),
    script!("realm/assert.js"),
    script!("realm/eventual-send.js"),
    script!("realm/pass-style.js"),
    script!("realm/console.js"),
    script!("realm/keys.js"),
    script!("realm/patterns.js"),
    script!("realm/matchers.js"),
    script!("realm/guards.js"),
    script!("realm/exo.js"),
    script!("realm/modules.js"),
    script!("realm/seal.js"),
];

/// Makes the realm of `ctx` a hardened one. The context must be fresh and have every intrinsic.
pub fn install(ctx: &Ctx<'_>) -> Result<()> {
    INTRINSICS.run::<()>(ctx)?;
    let ocap: Object<'_> = ctx.globals().get("__ocap")?;
    // JavaScript has no way to ask this without running the code of what it asks about.
    ocap.set("isPromise", Func::from(|value: Value<'_>| value.is_promise()))?;
    ocap.set("proxyTarget", Func::from(graph::proxy_target))?;
    ocap.set("hardenGraph", graph::hardener(ctx)?)?;
    for script in SCRIPTS {
        script.run::<()>(ctx)?;
    }
    Ok(())
}
