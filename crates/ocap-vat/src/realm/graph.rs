//! The walk of `harden`, natively: it is on the way of every message, and in JavaScript it would be
//! the most expensive part of it.

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};
use std::ptr;

use rquickjs::{Array, Ctx, Error, Function, Result, Value, qjs};

/// Addresses of hardened objects that stay as long as the context.
type Lasting = RefCell<HashSet<usize, BuildHasherDefault<AddressHasher>>>;

/// Of addresses that nobody chooses.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize((*byte).into());
        }
    }

    fn write_usize(&mut self, address: usize) {
        let mixed = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A function that freezes `root` and everything reachable from it by own properties and prototypes, up to
/// what `hardened` (a `WeakSet` with its methods `has` and `add`) already holds, then adds all of it there.
/// Iterative. If something cannot be frozen it throws and nothing is added.
///
/// A typed array is left to `freeze_typed_array`, which returns an array of what it leads to. With an
/// array `keep`, what is found is put there instead, which is never to lose it again.
pub(super) fn hardener<'js>(ctx: &Ctx<'js>) -> Result<Function<'js>> {
    let lasting = Lasting::default();
    let harden = move |ctx: Ctx<'js>,
                       root: Value<'js>,
                       hardened: Value<'js>,
                       has: Function<'js>,
                       add: Function<'js>,
                       freeze_typed_array: Function<'js>,
                       keep: Option<Array<'js>>| {
        let graph =
            Graph { lasting: &lasting, hardened, has, seen: HashSet::new(), found: Vec::new() };
        harden_graph(&ctx, graph, root, &add, &freeze_typed_array, keep)
    };
    Function::new(ctx.clone(), harden)
}

fn harden_graph<'js>(
    ctx: &Ctx<'js>,
    mut graph: Graph<'_, 'js>,
    root: Value<'js>,
    add: &Function<'js>,
    freeze_typed_array: &Function<'js>,
    keep: Option<Array<'js>>,
) -> Result<()> {
    graph.visit(ctx, root)?;
    let mut at = 0;
    while let Some(object) = graph.found.get(at).cloned() {
        at += 1;
        // SAFETY: `object` is a live value of this context's runtime, and the call only reads it.
        if unsafe { qjs::JS_GetTypedArrayType(object.as_raw()) } >= 0 {
            let reached: Vec<Value<'js>> = freeze_typed_array.call((object,))?;
            for value in reached {
                graph.visit(ctx, value)?;
            }
            continue;
        }
        let raw = ctx.as_raw().as_ptr();
        // SAFETY: `object` is a live object of this context. User code (proxy traps) may run.
        if unsafe { qjs::JS_FreezeObject(raw, object.as_raw()) } < 0 {
            return Err(Error::Exception);
        }
        // SAFETY: as above; the result is a new reference, which `owned` takes over.
        let prototype = unsafe { owned(ctx, qjs::JS_GetPrototype(raw, object.as_raw())) }?;
        graph.visit(ctx, prototype)?;
        // A proxy may describe its target's properties falsely.
        if let Some(target) = target_of(ctx, &object)? {
            graph.visit(ctx, target)?;
        }
        let names = Names::of(ctx, &object)?;
        for index in 0..names.len {
            for value in names.values(&object, index)? {
                graph.visit(ctx, value)?;
            }
        }
    }
    let Graph { lasting, hardened, found, .. } = graph;
    if let Some(keep) = keep {
        for object in found {
            lasting.borrow_mut().insert(address_of(&object));
            keep.set(keep.len(), object)?;
        }
        return Ok(());
    }
    for object in found {
        call_method(ctx, add, &hardened, &object)?;
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
struct Graph<'a, 'js> {
    lasting: &'a Lasting,
    hardened: Value<'js>,
    has: Function<'js>,
    seen: HashSet<usize>,
    found: Vec<Value<'js>>,
}

impl<'js> Graph<'_, 'js> {
    /// Adds `value` if it is an object that is neither hardened nor found yet.
    fn visit(&mut self, ctx: &Ctx<'js>, value: Value<'js>) -> Result<()> {
        if !value.is_object() {
            return Ok(());
        }
        // `found` keeps the object alive, so no other one can take its address during the walk.
        let address = address_of(&value);
        if self.seen.contains(&address) || self.lasting.borrow().contains(&address) {
            return Ok(());
        }
        if is_extensible(ctx, &value)
            || call_method(ctx, &self.has, &self.hardened, &value)?.as_bool() != Some(true)
        {
            self.seen.insert(address);
            self.found.push(value);
        }
        Ok(())
    }
}

/// Only to be compared.
fn address_of(object: &Value<'_>) -> usize {
    // SAFETY: the value is an object, so it holds a pointer, which is not followed.
    unsafe { qjs::JS_VALUE_GET_PTR(object.as_raw()) as usize }
}

/// Whether an object could get properties, which one that is hardened cannot. A proxy is not asked, as
/// that would run code of its.
fn is_extensible<'js>(ctx: &Ctx<'js>, object: &Value<'js>) -> bool {
    // SAFETY: `object` is a live object of this context, and no proxy when its kind is asked for, so the
    // calls only read it.
    unsafe {
        !qjs::JS_IsProxy(object.as_raw())
            && qjs::JS_IsExtensible(ctx.as_raw().as_ptr(), object.as_raw()) == 1
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
