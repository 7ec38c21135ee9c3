//! The supervisor's scripts and the functions of theirs that deliveries call.

use std::rc::Rc;

use ocap_types::capdata::VCapData;
use ocap_types::crank::Resolution;
use ocap_types::refs::VRef;
use rquickjs::function::{Args, IntoArgs};
use rquickjs::{Array, Ctx, FromJs, Function, Object, Persistent, String as JsString};

use super::bridge;
use super::shared::Shared;
use crate::scripts::{Script, script};

/// In the order they are evaluated. Each is a function of the object they share.
const SCRIPTS: &[Script] = &[
    script!("supervisor/slots.js"),
    script!("supervisor/vatstore.js"),
    script!("supervisor/reachability.js"),
    script!("supervisor/collector.js"),
    script!("supervisor/kinds.js"),
    script!("supervisor/marshal.js"),
    script!("supervisor/capdata.js"),
    script!("supervisor/presences.js"),
    script!("supervisor/state.js"),
    script!("supervisor/definitions.js"),
    script!("supervisor/collection-keys.js"),
    script!("supervisor/collections.js"),
    script!("supervisor/watchers.js"),
    script!("supervisor/weak.js"),
    script!("supervisor/globals.js"),
    script!("supervisor/logger.js"),
    script!("supervisor/requested.js"),
    script!("endowments/asks.js"),
    script!("endowments/timers.js"),
    script!("endowments/text.js"),
    script!("endowments/clock.js"),
    script!("endowments/abort.js"),
    script!("endowments/clone.js"),
    script!("endowments/url.js"),
    script!("endowments/crypto.js"),
    script!("endowments/fetch.js"),
    script!("endowments/files.js"),
    script!("supervisor/dispatch.js"),
];

type Held = Persistent<Function<'static>>;

/// What deliveries call.
pub(super) struct Supervisor {
    pub(super) start: Held,
    pub(super) start_error: Held,
    pub(super) message: Held,
    pub(super) notify: Held,
    pub(super) drop_exports: Held,
    pub(super) retire_exports: Held,
    pub(super) retire_imports: Held,
    pub(super) begin_sweep: Held,
    pub(super) sweep: Held,
    pub(super) report_dead: Held,
    pub(super) flush: Held,
    pub(super) set_vat: Held,
    pub(super) provide_global: Held,
    pub(super) seal_globals: Held,
    pub(super) enable_files: Held,
}

impl Supervisor {
    /// Evaluates the scripts over an installed realm and hides what the realm left for them.
    pub(super) fn install(ctx: &Ctx<'_>, shared: &Rc<Shared>) -> rquickjs::Result<Self> {
        let globals = ctx.globals();
        let ocap: Object<'_> = globals.get("__ocap")?;
        globals.remove("__ocap")?;
        shared.set_builtins(Persistent::save(ctx, ocap.get::<_, Object<'_>>("builtinModules")?));
        let kit = Object::new(ctx.clone())?;
        let native = bridge::make(ctx, shared)?;
        kit.set("native", native)?;
        kit.set("ocap", ocap)?;
        for script in SCRIPTS {
            let part: Function<'_> = script.run(ctx)?;
            part.call::<_, ()>((kit.clone(),))?;
        }
        let entry: Object<'_> = kit.get("entry")?;
        let held = |name: &str| -> rquickjs::Result<Held> {
            Ok(Persistent::save(ctx, entry.get::<_, Function<'_>>(name)?))
        };
        Ok(Supervisor {
            start: held("start")?,
            start_error: held("startError")?,
            message: held("message")?,
            notify: held("notify")?,
            drop_exports: held("dropExports")?,
            retire_exports: held("retireExports")?,
            retire_imports: held("retireImports")?,
            begin_sweep: held("beginSweep")?,
            sweep: held("sweep")?,
            report_dead: held("reportDead")?,
            flush: held("flush")?,
            set_vat: held("setVat")?,
            provide_global: held("provideGlobal")?,
            seal_globals: held("sealGlobals")?,
            enable_files: held("enableFiles")?,
        })
    }
}

/// Calls one of the supervisor's functions.
pub(super) fn call<'js, R: FromJs<'js>>(
    ctx: &Ctx<'js>,
    function: &Held,
    args: impl IntoArgs<'js>,
) -> rquickjs::Result<R> {
    let function = function.clone().restore(ctx)?;
    let mut list = Args::new(ctx.clone(), args.num_args());
    args.into_args(&mut list)?;
    function.call_arg(list)
}

/// References as the scripts know them.
pub(super) fn vrefs<'js>(ctx: &Ctx<'js>, vrefs: &[VRef]) -> rquickjs::Result<Array<'js>> {
    let array = Array::new(ctx.clone())?;
    for (i, vref) in vrefs.iter().enumerate() {
        array.set(i, vref.to_string())?;
    }
    Ok(array)
}

/// A body without a copy.
pub(super) fn body<'js>(ctx: &Ctx<'js>, data: &VCapData) -> rquickjs::Result<JsString<'js>> {
    JsString::from_str(ctx.clone(), &data.body)
}

/// `[vref, rejected, body, slots]` of each.
pub(super) fn resolutions<'js>(
    ctx: &Ctx<'js>,
    resolutions: &[Resolution<VRef>],
) -> rquickjs::Result<Array<'js>> {
    let list = Array::new(ctx.clone())?;
    for (i, resolution) in resolutions.iter().enumerate() {
        let item = Array::new(ctx.clone())?;
        item.set(0, resolution.promise.to_string())?;
        item.set(1, resolution.rejected)?;
        item.set(2, body(ctx, &resolution.data)?)?;
        item.set(3, vrefs(ctx, &resolution.data.slots)?)?;
        list.set(i, item)?;
    }
    Ok(list)
}
