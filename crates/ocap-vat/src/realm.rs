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

use rquickjs::context::EvalOptions;
use rquickjs::function::Func;
use rquickjs::{Ctx, Object, Result, Value};

/// Finds and tames the intrinsics; makes `__ocap`.
const INTRINSICS: (&str, &str) = ("realm/intrinsics.js", include_str!("../js/realm/intrinsics.js"));

/// The rest, in order of evaluation.
const SCRIPTS: &[(&str, &str)] = &[
    ("realm/harden.js", include_str!("../js/realm/harden.js")),
    ("realm/lockdown.js", include_str!("../js/realm/lockdown.js")),
    ("realm/assert.js", include_str!("../js/realm/assert.js")),
    ("realm/eventual-send.js", include_str!("../js/realm/eventual-send.js")),
    ("realm/pass-style.js", include_str!("../js/realm/pass-style.js")),
    ("realm/console.js", include_str!("../js/realm/console.js")),
    ("realm/keys.js", include_str!("../js/realm/keys.js")),
    ("realm/patterns.js", include_str!("../js/realm/patterns.js")),
    ("realm/matchers.js", include_str!("../js/realm/matchers.js")),
    ("realm/guards.js", include_str!("../js/realm/guards.js")),
    ("realm/exo.js", include_str!("../js/realm/exo.js")),
    ("realm/modules.js", include_str!("../js/realm/modules.js")),
    ("realm/seal.js", include_str!("../js/realm/seal.js")),
];

/// Makes the realm of `ctx` a hardened one. The context must be fresh and have every intrinsic.
pub fn install(ctx: &Ctx<'_>) -> Result<()> {
    evaluate(ctx, INTRINSICS)?;
    let ocap: Object<'_> = ctx.globals().get("__ocap")?;
    // JavaScript has no way to ask this without running the code of what it asks about.
    ocap.set("isPromise", Func::from(|value: Value<'_>| value.is_promise()))?;
    ocap.set("proxyTarget", Func::from(graph::proxy_target))?;
    ocap.set("hardenGraph", Func::from(graph::harden_graph))?;
    for &script in SCRIPTS {
        evaluate(ctx, script)?;
    }
    Ok(())
}

fn evaluate(ctx: &Ctx<'_>, (name, source): (&str, &str)) -> Result<()> {
    let mut options = EvalOptions::default();
    options.filename = Some(name.to_owned());
    ctx.eval_with_options(source, options)
}
