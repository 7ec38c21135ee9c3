//! The walk of `harden`, natively: it is on the way of every message, and in JavaScript it would be
//! the most expensive part of it.

use std::collections::HashSet;
use std::ptr;

use rquickjs::{Ctx, Error, Function, Object, Result, Value, qjs};

/// Freezes `root` and everything reachable from it by own properties and prototypes, up to what
/// `hardened` (a `WeakSet` with its methods `has` and `add`) already holds, then adds all of it there.
/// Iterative. If something cannot be frozen it throws and nothing is added.
///
/// A typed array is left to `freeze_typed_array`, which returns an array of what it leads to.
#[allow(clippy::needless_pass_by_value)] // how a native function takes its arguments
pub(super) fn harden_graph<'js>(
    ctx: Ctx<'js>,
    root: Object<'js>,
    hardened: Object<'js>,
    has: Function<'js>,
    add: Function<'js>,
    freeze_typed_array: Function<'js>,
) -> Result<()> {
    let mut graph =
        Graph { hardened: hardened.into_value(), has, seen: HashSet::new(), found: Vec::new() };
    graph.visit(&ctx, root.into_value())?;
    let mut at = 0;
    while let Some(object) = graph.found.get(at).cloned() {
        at += 1;
        // SAFETY: `object` is a live value of this context's runtime, and the call only reads it.
        if unsafe { qjs::JS_GetTypedArrayType(object.as_raw()) } >= 0 {
            let reached: Vec<Value<'js>> = freeze_typed_array.call((object,))?;
            for value in reached {
                graph.visit(&ctx, value)?;
            }
            continue;
        }
        let raw = ctx.as_raw().as_ptr();
        // SAFETY: `object` is a live object of this context. User code (proxy traps) may run.
        if unsafe { qjs::JS_FreezeObject(raw, object.as_raw()) } < 0 {
            return Err(Error::Exception);
        }
        // SAFETY: as above; the result is a new reference, which `owned` takes over.
        let prototype = unsafe { owned(&ctx, qjs::JS_GetPrototype(raw, object.as_raw())) }?;
        graph.visit(&ctx, prototype)?;
        // A proxy may describe its target's properties falsely.
        if let Some(target) = target_of(&ctx, &object)? {
            graph.visit(&ctx, target)?;
        }
        let names = Names::of(&ctx, &object)?;
        for index in 0..names.len {
            for value in names.values(&object, index)? {
                graph.visit(&ctx, value)?;
            }
        }
    }
    let Graph { hardened, found, .. } = graph;
    for object in found {
        call_method(&ctx, &add, &hardened, &object)?;
    }
    Ok(())
}

/// What a proxy stands before; `undefined` if it is none.
#[allow(clippy::needless_pass_by_value)] // how a native function takes its arguments
pub(super) fn proxy_target<'js>(ctx: Ctx<'js>, value: Value<'js>) -> Result<Value<'js>> {
    Ok(target_of(&ctx, &value)?.unwrap_or_else(|| Value::new_undefined(ctx)))
}

fn target_of<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<Option<Value<'js>>> {
    // SAFETY: `value` is a live value of this context's runtime, and the call only reads it.
    if !unsafe { qjs::JS_IsProxy(value.as_raw()) } {
        return Ok(None);
    }
    // SAFETY: as above; the result is a new reference, which `owned` takes over.
    unsafe { owned(ctx, qjs::JS_GetProxyTarget(ctx.as_raw().as_ptr(), value.as_raw())) }.map(Some)
}

/// What was found so far, in order, and by address.
struct Graph<'js> {
    hardened: Value<'js>,
    has: Function<'js>,
    seen: HashSet<usize>,
    found: Vec<Value<'js>>,
}

impl<'js> Graph<'js> {
    /// Adds `value` if it is an object that is neither hardened nor found yet.
    fn visit(&mut self, ctx: &Ctx<'js>, value: Value<'js>) -> Result<()> {
        if !value.is_object() {
            return Ok(());
        }
        // SAFETY: the value is an object, so it holds a pointer. It is only compared; `found` keeps the
        // object alive, so no other one can take its address during the walk.
        let address = unsafe { qjs::JS_VALUE_GET_PTR(value.as_raw()) } as usize;
        if self.seen.contains(&address) {
            return Ok(());
        }
        if call_method(ctx, &self.has, &self.hardened, &value)?.as_bool() != Some(true) {
            self.seen.insert(address);
            self.found.push(value);
        }
        Ok(())
    }
}

/// The own property names of an object, symbols too.
struct Names<'js> {
    ctx: Ctx<'js>,
    table: *mut qjs::JSPropertyEnum,
    len: u32,
}

impl<'js> Names<'js> {
    fn of(ctx: &Ctx<'js>, object: &Value<'js>) -> Result<Self> {
        let mut names = Names { ctx: ctx.clone(), table: ptr::null_mut(), len: 0 };
        // SAFETY: `object` is a live object of this context; on success the engine has written a table
        // of `len` entries, which `drop` gives back.
        let status = unsafe {
            qjs::JS_GetOwnPropertyNames(
                ctx.as_raw().as_ptr(),
                &raw mut names.table,
                &raw mut names.len,
                object.as_raw(),
                (qjs::JS_GPN_STRING_MASK | qjs::JS_GPN_SYMBOL_MASK).cast_signed(),
            )
        };
        if status < 0 {
            names.table = ptr::null_mut();
            return Err(Error::Exception);
        }
        Ok(names)
    }

    /// The value, getter and setter of a property, each `undefined` where there is none.
    fn values(&self, object: &Value<'js>, index: u32) -> Result<[Value<'js>; 3]> {
        let ctx = self.ctx.as_raw().as_ptr();
        let mut descriptor = qjs::JSPropertyDescriptor {
            flags: 0,
            value: qjs::JS_UNDEFINED,
            getter: qjs::JS_UNDEFINED,
            setter: qjs::JS_UNDEFINED,
        };
        // SAFETY: `index` is below `len`, so the entry exists; `object` is a live object of this context.
        // A property that is gone leaves the descriptor as it is.
        let status = unsafe {
            let name = (*self.table.add(index as usize)).atom;
            qjs::JS_GetOwnProperty(ctx, &raw mut descriptor, object.as_raw(), name)
        };
        if status < 0 {
            return Err(Error::Exception);
        }
        let qjs::JSPropertyDescriptor { value, getter, setter, .. } = descriptor;
        // SAFETY: the engine hands over one reference to each of the three.
        Ok([value, getter, setter].map(|part| unsafe { Value::from_raw(self.ctx.clone(), part) }))
    }
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        if !self.table.is_null() {
            // SAFETY: the table came from `JS_GetOwnPropertyNames` with this length, and is given back
            // once.
            unsafe {
                qjs::JS_FreePropertyEnum(self.ctx.as_raw().as_ptr(), self.table, self.len);
            }
        }
    }
}

/// Takes over the reference that the engine returned.
///
/// # Safety
///
/// `value` must be a reference of `ctx`'s runtime that nobody else will free.
unsafe fn owned<'js>(ctx: &Ctx<'js>, value: qjs::JSValue) -> Result<Value<'js>> {
    // SAFETY: promised by the caller.
    let value = unsafe { Value::from_raw(ctx.clone(), value) };
    if value.is_exception() { Err(Error::Exception) } else { Ok(value) }
}

/// `method.call(this, argument)`, without the cost of argument lists.
fn call_method<'js>(
    ctx: &Ctx<'js>,
    method: &Function<'js>,
    this: &Value<'js>,
    argument: &Value<'js>,
) -> Result<Value<'js>> {
    let mut arguments = [argument.as_raw()];
    // SAFETY: all four are live values of this context, which the call borrows; its result is a new
    // reference.
    unsafe {
        owned(
            ctx,
            qjs::JS_Call(
                ctx.as_raw().as_ptr(),
                method.as_raw(),
                this.as_raw(),
                1,
                arguments.as_mut_ptr(),
            ),
        )
    }
}
