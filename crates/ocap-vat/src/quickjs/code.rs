//! Evaluating a vat's code.

use std::ffi::CStr;

use rquickjs::{Ctx, Error, Function, Module as JsModule, Object, Value};

use super::errors::{caught, describe, stack, syntax_error};
use super::modules;
use super::shared::Shared;
use super::supervisor::{Supervisor, call};
use crate::bytecode::{self, Texts};
use crate::engine::{Bytecode, Compiled, FileOperations, LogLevel, ModuleGraph, Platform, VatCode};

/// What a vat is to find on its global besides the realm's own names.
pub(super) struct Endowments {
    pub(super) globals: Vec<String>,
    pub(super) allowed: Option<Vec<String>>,
    pub(super) platform: Platform,
}

/// Gives the vat the globals it asked for, if it may have them.
pub(super) fn provide_globals(
    ctx: &Ctx<'_>,
    supervisor: &Supervisor,
    vat: &str,
    endowments: &Endowments,
) -> Result<(), String> {
    let Endowments { globals, allowed, platform } = endowments;
    for name in globals {
        let known = if allowed.as_ref().is_none_or(|allowed| allowed.contains(name)) {
            let provided = call::<bool>(ctx, &supervisor.provide_global, (name.as_str(),));
            provided.map_err(|error| caught(ctx, &error))?
        } else {
            false
        };
        if !known {
            return Err(format!("Vat \"{vat}\" requested unknown global \"{name}\""));
        }
        if name == "fetch" && !platform.network {
            let problem = "but no network.allowedHosts was specified";
            return Err(format!("Vat \"{vat}\" requested \"fetch\" {problem}"));
        }
    }
    if let Some(FileOperations { exists, read, access }) = platform.files {
        call::<()>(ctx, &supervisor.enable_files, (exists, read, access))
            .and_then(|()| call::<bool>(ctx, &supervisor.provide_global, ("fs",)))
            .map_err(|error| caught(ctx, &error))?;
    }
    call::<()>(ctx, &supervisor.seal_globals, ()).map_err(|error| caught(ctx, &error))
}

/// Evaluates the code; its `buildRootObject`.
pub(super) fn load<'js>(
    ctx: &Ctx<'js>,
    shared: &Shared,
    code: VatCode,
    compiled: &Compiled,
) -> Result<Function<'js>, String> {
    match code {
        VatCode::Bundle(text) => {
            let exports = match eval_bundle(ctx, shared, &text, compiled) {
                Ok(exports) => exports,
                Err(error) => return Err(logged(ctx, shared, &error)),
            };
            let build = exports.as_object().and_then(|e| e.get("buildRootObject").ok());
            build.ok_or_else(|| "vat source bundle lacks buildRootObject() function".into())
        }
        VatCode::Modules(graph) => {
            let entry = graph.entry.clone();
            modules::provide(shared, graph);
            match eval_modules(ctx, shared, &entry) {
                Ok(Some(namespace)) => namespace
                    .get("buildRootObject")
                    .map_err(|_| format!("{entry} does not export a buildRootObject() function")),
                Ok(None) => Err(format!("{entry}: top-level await never settles")),
                Err(error) => Err(logged(ctx, shared, &error)),
            }
        }
    }
}

/// What was thrown, with its stack in the log.
fn logged(ctx: &Ctx<'_>, shared: &Shared, error: &rquickjs::Error) -> String {
    if !error.is_exception() {
        return caught(ctx, error);
    }
    let thrown = ctx.catch();
    let what = describe(ctx, &thrown);
    let stack = stack(ctx, &thrown);
    shared.log(LogLevel::Error, &format!("the vat's code failed: {what}\n{stack}"));
    what
}

/// A script that declares `__vatExports__`, evaluated as the body of a function so that its
/// declarations stay its own.
fn eval_bundle<'js>(
    ctx: &Ctx<'js>,
    shared: &Shared,
    text: &str,
    compiled: &Compiled,
) -> rquickjs::Result<Value<'js>> {
    if let Compiled::Known(Bytecode(bytes)) = compiled
        && let Some(result) = bytecode::run(ctx, bytes)
    {
        return result;
    }
    let bytes = bytecode::compile(ctx, BUNDLE, script_of(text), Texts::Dropped)?;
    if *compiled == Compiled::Wanted {
        // Before any of it runs: what runs could have it say anything.
        shared.compiled(Bytecode(bytes.as_slice().into()));
    }
    bytecode::run(ctx, &bytes).unwrap_or(Err(rquickjs::Error::Unknown))
}

/// A bundle's name in stack traces.
const BUNDLE: &CStr = c"bundle.js";

/// On the first line, so that line numbers are the bundle's own.
fn script_of(text: &str) -> String {
    format!("(function () {{{text}\n;return __vatExports__; }})()")
}

/// Whether a bundle's script can be parsed; what is wrong if not.
pub(super) fn parse(ctx: &Ctx<'_>, text: &str) -> Result<(), String> {
    match bytecode::compile(ctx, BUNDLE, script_of(text), Texts::Dropped) {
        Ok(_) => Ok(()),
        Err(Error::Exception) => Err(syntax_error(ctx, "bundle.js")),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether the modules of a graph fit together; what is wrong if not. None of them runs.
pub(super) fn link(ctx: &Ctx<'_>, shared: &Shared, graph: ModuleGraph) -> Result<(), String> {
    let entry = graph.entry.clone();
    modules::provide(shared, graph);
    match declare_modules(ctx, shared, &entry).and_then(|()| modules::try_link(ctx)) {
        Ok(linked) => linked,
        Err(error) => Err(caught(ctx, &error)),
    }
}

/// `None` if a module waits for something that does not come.
fn eval_modules<'js>(
    ctx: &Ctx<'js>,
    shared: &Shared,
    entry: &str,
) -> rquickjs::Result<Option<Object<'js>>> {
    declare_modules(ctx, shared, entry)?;
    let (module, done) = modules::declare_start(ctx)?.eval()?;
    while !shared.meter.is_faulted() && ctx.execute_pending_job() {}
    match done.result::<Value<'_>>() {
        None => Ok(None),
        Some(Err(error)) => Err(error),
        Some(Ok(_)) => module.get(modules::ENTRY).map(Some),
    }
}

fn declare_modules(ctx: &Ctx<'_>, shared: &Shared, entry: &str) -> rquickjs::Result<()> {
    let order = shared.modules.borrow().order(entry);
    for name in order {
        // One in a cycle may have been loaded on behalf of another.
        let source = shared.modules.borrow_mut().take_source(&name);
        if let Some(source) = source {
            JsModule::declare(ctx.clone(), name, source)?;
        }
    }
    Ok(())
}
