//! The functions the supervisor's script calls. References and bodies pass as text; lists of
//! references joined by commas.

use std::rc::Rc;

use ocap_types::capdata::CapData;
use ocap_types::crank::{FaultKind, HttpRequest, Redirect, Request, Resolution, Syscall};
use ocap_types::refs::VRef;
use rquickjs::{Ctx, Exception, Function, Object, TypedArray};

use super::crank::LimitReached;
use super::endowments;
use super::limits::ENTRY_BYTES;
use super::shared::Shared;
use crate::engine::LogLevel;

/// Parses the reference the supervisor made.
fn vref(ctx: &Ctx<'_>, text: &str) -> rquickjs::Result<VRef> {
    text.parse().map_err(|_| Exception::throw_internal(ctx, "not a reference"))
}

fn vrefs(ctx: &Ctx<'_>, joined: &str) -> rquickjs::Result<Vec<VRef>> {
    if joined.is_empty() {
        return Ok(Vec::new());
    }
    joined.split(',').map(|text| vref(ctx, text)).collect()
}

impl Shared {
    /// A limit ends the crank: vat code may catch the error, but not the fault.
    fn admit<T>(&self, ctx: &Ctx<'_>, result: Result<T, LimitReached>) -> rquickjs::Result<T> {
        result.map_err(|LimitReached(detail)| {
            self.meter.fail(FaultKind::Overrun, || detail.clone());
            Exception::throw_internal(ctx, &detail)
        })
    }

    fn push(&self, ctx: &Ctx<'_>, syscall: Syscall, bytes: usize) -> rquickjs::Result<()> {
        let result = self.crank.borrow_mut().push(syscall, bytes);
        self.admit(ctx, result)
    }

    fn push_list(
        &self,
        ctx: &Ctx<'_>,
        joined: &str,
        make: impl FnOnce(Vec<VRef>) -> Syscall,
    ) -> rquickjs::Result<()> {
        let syscall = make(vrefs(ctx, joined)?);
        self.push(ctx, syscall, joined.len())
    }

    fn set(&self, ctx: &Ctx<'_>, key: String, value: Option<String>) -> rquickjs::Result<()> {
        let result = self.crank.borrow_mut().set(key, value);
        self.admit(ctx, result)
    }
}

/// The supervisor sends whole numbers; anything else is cut to one.
#[allow(clippy::cast_sign_loss, reason = "the cast saturates")]
fn milliseconds(number: f64) -> u64 {
    number as u64
}

fn level(number: u8) -> LogLevel {
    match number {
        0 => LogLevel::Debug,
        1 => LogLevel::Info,
        2 => LogLevel::Warn,
        _ => LogLevel::Error,
    }
}

/// The object `native` of the supervisor.
pub(super) fn make<'js>(ctx: &Ctx<'js>, shared: &Rc<Shared>) -> rquickjs::Result<Object<'js>> {
    let native = Object::new(ctx.clone())?;

    let s = shared.clone();
    let send = move |ctx: Ctx<'js>, target: String, body: String, slots: String, result: String| {
        let result = if result.is_empty() { None } else { Some(vref(&ctx, &result)?) };
        let bytes = body.len() + slots.len();
        let methargs = CapData { body, slots: vrefs(&ctx, &slots)? };
        let target = vref(&ctx, &target)?;
        s.push(&ctx, Syscall::Send { target, methargs, result }, bytes)
    };
    native.set("send", Function::new(ctx.clone(), send)?)?;

    let s = shared.clone();
    let subscribe = move |ctx: Ctx<'js>, promise: String| {
        let promise = vref(&ctx, &promise)?;
        s.push(&ctx, Syscall::Subscribe { promise }, 0)
    };
    native.set("subscribe", Function::new(ctx.clone(), subscribe)?)?;

    let s = shared.clone();
    let resolve_push =
        move |ctx: Ctx<'js>, promise: String, rejected: bool, body: String, slots: String| {
            let bytes = body.len() + slots.len();
            let data = CapData { body, slots: vrefs(&ctx, &slots)? };
            let resolution = Resolution { promise: vref(&ctx, &promise)?, rejected, data };
            let result = s.crank.borrow_mut().push_resolution(resolution, bytes);
            s.admit(&ctx, result)
        };
    native.set("resolvePush", Function::new(ctx.clone(), resolve_push)?)?;

    let s = shared.clone();
    let resolve_flush = move |ctx: Ctx<'js>| {
        let result = s.crank.borrow_mut().flush_resolutions();
        s.admit(&ctx, result)
    };
    native.set("resolveFlush", Function::new(ctx.clone(), resolve_flush)?)?;

    let s = shared.clone();
    let exit = move |ctx: Ctx<'js>, failure: bool, body: String, slots: String| {
        let bytes = body.len() + slots.len();
        let info = CapData { body, slots: vrefs(&ctx, &slots)? };
        s.push(&ctx, Syscall::Exit { failure, info }, bytes)
    };
    native.set("exit", Function::new(ctx.clone(), exit)?)?;

    let s = shared.clone();
    let drop_imports = move |ctx: Ctx<'js>, joined: String| {
        s.push_list(&ctx, &joined, |vrefs| Syscall::DropImports { vrefs })
    };
    native.set("dropImports", Function::new(ctx.clone(), drop_imports)?)?;

    let s = shared.clone();
    let retire_imports = move |ctx: Ctx<'js>, joined: String| {
        s.push_list(&ctx, &joined, |vrefs| Syscall::RetireImports { vrefs })
    };
    native.set("retireImports", Function::new(ctx.clone(), retire_imports)?)?;

    let s = shared.clone();
    let retire_exports = move |ctx: Ctx<'js>, joined: String| {
        s.push_list(&ctx, &joined, |vrefs| Syscall::RetireExports { vrefs })
    };
    native.set("retireExports", Function::new(ctx.clone(), retire_exports)?)?;

    let s = shared.clone();
    let ask_timer = move |ctx: Ctx<'js>, result: String, delay_ms: f64, since_ms: f64| {
        let since_ms = (since_ms >= 0.0).then(|| milliseconds(since_ms));
        let request = Request::Timer { delay_ms: milliseconds(delay_ms), since_ms };
        s.push(&ctx, Syscall::Ask { request, result: vref(&ctx, &result)? }, 0)
    };
    native.set("askTimer", Function::new(ctx.clone(), ask_timer)?)?;

    let s = shared.clone();
    let ask_fetch = move |ctx: Ctx<'js>,
                          result: String,
                          target: Vec<String>,
                          flat: Vec<String>,
                          body: Option<String>| {
        let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        let [method, url, redirect] = <[String; 3]>::try_from(target)
            .map_err(|_| Exception::throw_internal(&ctx, "not a request"))?;
        let redirect = match redirect.as_str() {
            "error" => Redirect::Error,
            "manual" => Redirect::Manual,
            _ => Redirect::Follow,
        };
        let bytes = body.as_ref().map_or(0, String::len)
            + url.len()
            + flat.iter().map(|text| text.len() + ENTRY_BYTES).sum::<usize>();
        let request = HttpRequest { method, url, headers: pairs.collect(), body, redirect };
        let request = Request::Fetch(Box::new(request));
        s.push(&ctx, Syscall::Ask { request, result: vref(&ctx, &result)? }, bytes)
    };
    native.set("askFetch", Function::new(ctx.clone(), ask_fetch)?)?;

    let s = shared.clone();
    let read_file = move |ctx: Ctx<'js>, result: String, path: String| {
        let bytes = path.len();
        let request = Request::ReadFile { path };
        s.push(&ctx, Syscall::Ask { request, result: vref(&ctx, &result)? }, bytes)
    };
    native.set("askReadFile", Function::new(ctx.clone(), read_file)?)?;

    let s = shared.clone();
    let access = move |ctx: Ctx<'js>, result: String, path: String, mode: u32| {
        let bytes = path.len();
        let request = Request::Access { path, mode };
        s.push(&ctx, Syscall::Ask { request, result: vref(&ctx, &result)? }, bytes)
    };
    native.set("askAccess", Function::new(ctx.clone(), access)?)?;

    let s = shared.clone();
    let exists = move |path: String| {
        let up = s.crank.borrow().up().cloned();
        up.is_some_and(|up| up.exists(&path))
    };
    native.set("fileExists", Function::new(ctx.clone(), exists)?)?;

    let s = shared.clone();
    let withdraw = move |ctx: Ctx<'js>, result: String| {
        s.push(&ctx, Syscall::Withdraw { result: vref(&ctx, &result)? }, 0)
    };
    native.set("withdraw", Function::new(ctx.clone(), withdraw)?)?;

    let s = shared.clone();
    let get = move |key: String| s.crank.borrow_mut().get(&key);
    native.set("vatstoreGet", Function::new(ctx.clone(), get)?)?;

    let s = shared.clone();
    let set = move |ctx: Ctx<'js>, key: String, value: String| s.set(&ctx, key, Some(value));
    native.set("vatstoreSet", Function::new(ctx.clone(), set)?)?;

    let s = shared.clone();
    let delete = move |ctx: Ctx<'js>, key: String| s.set(&ctx, key, None);
    native.set("vatstoreDelete", Function::new(ctx.clone(), delete)?)?;

    let s = shared.clone();
    let next_key = move |prior: String| s.crank.borrow().next_key(&prior);
    native.set("vatstoreNextKey", Function::new(ctx.clone(), next_key)?)?;

    let s = shared.clone();
    let log = move |number: u8, message: String| s.log(level(number), &message);
    native.set("log", Function::new(ctx.clone(), log)?)?;

    let encode = |ctx: Ctx<'js>, text: String| TypedArray::<u8>::new_copy(ctx, text);
    native.set("utf8Encode", Function::new(ctx.clone(), encode)?)?;

    let decode = |bytes: TypedArray<'js, u8>, fatal: bool| {
        // SAFETY: no code of the vat runs, and so nothing changes them, while they are read.
        let bytes = unsafe { bytes.as_bytes() }.unwrap_or_default();
        match str::from_utf8(bytes) {
            Ok(text) => Some(text.to_owned()),
            Err(_) if fatal => None,
            Err(_) => Some(String::from_utf8_lossy(bytes).into_owned()),
        }
    };
    native.set("utf8Decode", Function::new(ctx.clone(), decode)?)?;

    endowments::add(ctx, &native, shared)?;
    Ok(native)
}
