//! The engine's bytecode. Its own scripts are compiled when it is built, bundles when they are first
//! launched. A bundle is always run from bytecode, be it made a moment ago or in an earlier life, so that
//! what a program can see of itself is the same in both.
//!
//! The build includes this file too (`build.rs`).

use std::ffi::{CStr, CString};

use rquickjs::{Ctx, Error, Value, qjs};

/// Whether functions keep their text, for `toString`. Each has its own copy, so that nested ones make the
/// bytecode of a bundle four times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Those of the house, which show so that they are not the engine's own.
    #[allow(dead_code, reason = "only the build compiles what is ours")]
    Kept,
    /// Those of bundles.
    Dropped,
}

/// Compiles a script, in strict mode, without running any of it.
pub(crate) fn compile(
    ctx: &Ctx<'_>,
    name: &CStr,
    script: String,
    texts: Texts,
) -> rquickjs::Result<Vec<u8>> {
    let write = qjs::JS_WRITE_OBJ_BYTECODE
        | match texts {
            Texts::Kept => 0,
            Texts::Dropped => qjs::JS_WRITE_OBJ_STRIP_SOURCE,
        };
    let length = script.len();
    let script = CString::new(script)?;
    let flags =
        qjs::JS_EVAL_TYPE_GLOBAL | qjs::JS_EVAL_FLAG_STRICT | qjs::JS_EVAL_FLAG_COMPILE_ONLY;
    // SAFETY: the context is alive; the script is `length` bytes and a zero, which the engine wants
    // there.
    let function = unsafe {
        let raw = ctx.as_raw().as_ptr();
        let length = length as qjs::size_t;
        let value = qjs::JS_Eval(raw, script.as_ptr(), length, name.as_ptr(), flags.cast_signed());
        owned(ctx, value)?
    };
    let mut length: qjs::size_t = 0;
    // SAFETY: the context is alive and so is the function, which `function` keeps.
    let buffer = unsafe {
        let raw = ctx.as_raw().as_ptr();
        qjs::JS_WriteObject(raw, &raw mut length, function.as_raw(), write.cast_signed())
    };
    if buffer.is_null() {
        return Err(Error::Exception);
    }
    // SAFETY: the engine gave this many bytes, and they are ours to free, once.
    unsafe {
        let bytes = std::slice::from_raw_parts(buffer, length as usize).to_vec();
        qjs::js_free(ctx.as_raw().as_ptr(), buffer.cast());
        Ok(bytes)
    }
}

/// Runs what [`compile`] has made of a script: what the script evaluates to. `None` if these bytes
/// are not of this build of the engine.
///
/// The engine does not examine bytecode. Bytes of any other origin may do to this process whatever
/// its cage allows.
pub(crate) fn run<'js>(ctx: &Ctx<'js>, bytecode: &[u8]) -> Option<rquickjs::Result<Value<'js>>> {
    let flags = qjs::JS_READ_OBJ_BYTECODE.cast_signed();
    // SAFETY: the context is alive, the bytes are there for the length of the call.
    let function = unsafe {
        let raw = ctx.as_raw().as_ptr();
        let length = bytecode.len() as qjs::size_t;
        owned(ctx, qjs::JS_ReadObject(raw, bytecode.as_ptr(), length, flags))
    };
    let Ok(function) = function else {
        ctx.catch();
        return None;
    };
    // SAFETY: the context is alive; evaluating takes over a hold on the function, which is made
    // for it.
    Some(unsafe {
        let raw = ctx.as_raw().as_ptr();
        owned(ctx, qjs::JS_EvalFunction(raw, qjs::JS_DupValue(raw, function.as_raw())))
    })
}

/// A value of the engine's that is ours to free; an error if it stands for an exception.
///
/// # Safety
/// The value must be one of this context's, held once for the caller.
unsafe fn owned<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> rquickjs::Result<Value<'js>> {
    // SAFETY: as promised.
    unsafe {
        if qjs::JS_IsException(value) {
            return Err(Error::Exception);
        }
        Ok(Value::from_raw(ctx.clone(), value))
    }
}

/// What distinguishes builds of the engine whose bytecode differs.
pub(crate) fn build() -> String {
    // SAFETY: a constant text of the engine's.
    let version = unsafe { CStr::from_ptr(qjs::JS_GetVersion()) };
    let (ours, target) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let debug = if cfg!(debug_assertions) { "-debug" } else { "" };
    format!("{}-{ours}-{target}{debug}", version.to_string_lossy())
}
