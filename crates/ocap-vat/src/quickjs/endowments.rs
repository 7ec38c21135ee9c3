//! What the scripts in `js/endowments` call: randomness, URLs, cryptography. All of it is pure
//! but for the randomness.

#[cfg(feature = "crypto")]
mod crypto;
#[cfg(feature = "url")]
mod urls;

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rquickjs::{Ctx, Exception, Function, Object, TypedArray};

use super::shared::Shared;

/// Bytes that builtin code goes through for one tick of the crank's budget: about as long as the
/// engine takes for one.
#[cfg(feature = "crypto")]
const BYTES_PER_TICK: usize = 256 << 10;

/// Puts the functions on the supervisor's object `native`.
pub(super) fn add<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Rc<Shared>,
) -> rquickjs::Result<()> {
    #[cfg(feature = "crypto")]
    crypto::add(ctx, native, shared)?;
    #[cfg(not(feature = "crypto"))]
    let _ = shared;
    #[cfg(feature = "url")]
    urls::add(ctx, native)?;
    let to_base64 = |ctx: Ctx<'js>, data: TypedArray<'js, u8>| {
        Ok::<_, rquickjs::Error>(STANDARD.encode(bytes(&ctx, &data)?))
    };
    native.set("toBase64", Function::new(ctx.clone(), to_base64)?)?;
    let from_base64 = |ctx: Ctx<'js>, text: String| {
        let bytes = STANDARD.decode(text);
        let bytes = bytes.map_err(|_| Exception::throw_internal(&ctx, "not base64"))?;
        TypedArray::new(ctx, bytes)
    };
    native.set("fromBase64", Function::new(ctx.clone(), from_base64)?)?;
    native.set("randomFill", Function::new(ctx.clone(), random_fill)?)
}

/// Fills an array with random bytes.
#[allow(clippy::needless_pass_by_value, reason = "arguments come from the engine")]
fn random_fill<'js>(ctx: Ctx<'js>, array: TypedArray<'js, u8>) -> rquickjs::Result<()> {
    let failed = || Exception::throw_internal(&ctx, "there is no randomness");
    let raw = array.as_raw().ok_or_else(failed)?;
    let mut random = vec![0; raw.len()];
    let mut filled = 0;
    while filled < random.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut random[filled..], flags) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return Err(failed()),
        }
    }
    // SAFETY: the array has as many bytes, belongs to the engine, which runs no code meanwhile, and
    // does not overlap ours.
    unsafe { std::ptr::copy_nonoverlapping(random.as_ptr(), raw.cast().as_ptr(), random.len()) };
    Ok(())
}

/// The bytes of an array.
fn bytes<'a>(ctx: &Ctx<'_>, array: &'a TypedArray<'_, u8>) -> rquickjs::Result<&'a [u8]> {
    // SAFETY: no code of the vat runs, and so nothing changes them, while they are read.
    unsafe { array.as_bytes() }.ok_or_else(|| Exception::throw_type(ctx, "the buffer is detached"))
}

#[cfg(feature = "crypto")]
impl Shared {
    /// Charges the crank for work of builtin code.
    fn charge(&self, ctx: &Ctx<'_>, ticks: u64) -> rquickjs::Result<()> {
        if self.meter.charge(ticks) {
            return Err(Exception::throw_internal(ctx, "the crank used up its ticks"));
        }
        Ok(())
    }

    fn charge_bytes(&self, ctx: &Ctx<'_>, bytes: usize) -> rquickjs::Result<()> {
        self.charge(ctx, (bytes / BYTES_PER_TICK) as u64)
    }
}
