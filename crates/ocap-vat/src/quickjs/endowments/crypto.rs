//! The algorithms of Web Crypto that vats have. Keys come and go as bytes; the script knows whose
//! they are and what for.

use std::rc::Rc;

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm, KeyInit, Nonce};
use ed25519_dalek::{
    Signature as EdSignature, Signer, SigningKey as EdSecret, VerifyingKey as EdPoint,
};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::ecdsa::{Signature as EcSignature, SigningKey as EcSecret, VerifyingKey as EcPoint};
use rquickjs::{Ctx, Exception, Function, Object, TypedArray};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::bytes;
use crate::quickjs::shared::Shared;

/// Rounds of PBKDF2 for one tick of the crank's budget; each is two compressions.
const ROUNDS_PER_TICK: u64 = 500;

/// What a signature, or the check of one, costs in ticks.
const SIGNATURE_TICKS: u64 = 1;

type Bytes<'js> = TypedArray<'js, u8>;

/// Calls a generic function with the hash that a name means.
macro_rules! with_hash {
    ($ctx:expr, $name:expr, $hash:ident => $call:expr) => {
        match $name {
            "SHA-1" => {
                type $hash = Sha1;
                $call
            }
            "SHA-256" => {
                type $hash = Sha256;
                $call
            }
            "SHA-384" => {
                type $hash = Sha384;
                $call
            }
            "SHA-512" => {
                type $hash = Sha512;
                $call
            }
            _ => return Err(Exception::throw_internal($ctx, "no such hash")),
        }
    };
}

/// Puts the functions on the supervisor's object `native`.
pub(super) fn add<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Rc<Shared>,
) -> rquickjs::Result<()> {
    hashes(ctx, native, shared)?;
    derivations(ctx, native, shared)?;
    signatures(ctx, native, shared)?;
    let s = shared.clone();
    let aes_gcm = move |ctx: Ctx<'js>,
                        seal: bool,
                        key: Bytes<'js>,
                        iv: Bytes<'js>,
                        data: Bytes<'js>,
                        more: Bytes<'js>| {
        s.charge_bytes(&ctx, bytes(&ctx, &data)?.len() + bytes(&ctx, &more)?.len())?;
        let (key, iv) = (bytes(&ctx, &key)?, bytes(&ctx, &iv)?);
        let payload = Payload { msg: bytes(&ctx, &data)?, aad: bytes(&ctx, &more)? };
        let result = match key.len() {
            16 => crypt::<Aes128Gcm>(seal, key, iv, payload),
            24 => crypt::<AesGcm<Aes192, U12>>(seal, key, iv, payload),
            _ => crypt::<Aes256Gcm>(seal, key, iv, payload),
        };
        result.map(|result| TypedArray::new(ctx, result)).transpose()
    };
    native.set("aesGcm", Function::new(ctx.clone(), aes_gcm)?)
}

fn crypt<C>(seal: bool, key: &[u8], iv: &[u8], payload: Payload<'_, '_>) -> Option<Vec<u8>>
where
    C: KeyInit + Aead<NonceSize = U12>,
{
    let cipher = C::new_from_slice(key).ok()?;
    let nonce = Nonce::<U12>::try_from(iv).ok()?;
    let result =
        if seal { cipher.encrypt(&nonce, payload) } else { cipher.decrypt(&nonce, payload) };
    result.ok()
}

fn hashes<'js>(ctx: &Ctx<'js>, native: &Object<'js>, shared: &Rc<Shared>) -> rquickjs::Result<()> {
    let s = shared.clone();
    let digest = move |ctx: Ctx<'js>, hash: String, data: Bytes<'js>| {
        let data = bytes(&ctx, &data)?;
        s.charge_bytes(&ctx, data.len())?;
        let digest = digest_of(&ctx, &hash, data)?;
        TypedArray::new(ctx, digest)
    };
    native.set("digest", Function::new(ctx.clone(), digest)?)?;

    let s = shared.clone();
    let hmac = move |ctx: Ctx<'js>, hash: String, key: Bytes<'js>, data: Bytes<'js>| {
        let (key, data) = (bytes(&ctx, &key)?, bytes(&ctx, &data)?);
        s.charge_bytes(&ctx, data.len())?;
        let tag = with_hash!(&ctx, hash.as_str(), H => {
            hmac_of::<Hmac<H>>(key, data).map(|mac| mac.finalize().into_bytes().to_vec())
        });
        TypedArray::new(ctx.clone(), tag.ok_or_else(|| no_key(&ctx))?)
    };
    native.set("hmac", Function::new(ctx.clone(), hmac)?)?;

    let s = shared.clone();
    let verify =
        move |ctx: Ctx<'js>, hash: String, key: Bytes<'js>, data: Bytes<'js>, tag: Bytes<'js>| {
            let (key, data, tag) = (bytes(&ctx, &key)?, bytes(&ctx, &data)?, bytes(&ctx, &tag)?);
            s.charge_bytes(&ctx, data.len())?;
            let holds = with_hash!(&ctx, hash.as_str(), H => {
                hmac_of::<Hmac<H>>(key, data).map(|mac| mac.verify_slice(tag).is_ok())
            });
            holds.ok_or_else(|| no_key(&ctx))
        };
    native.set("hmacVerify", Function::new(ctx.clone(), verify)?)
}

fn no_key(ctx: &Ctx<'_>) -> rquickjs::Error {
    Exception::throw_internal(ctx, "not a key")
}

fn digest_of(ctx: &Ctx<'_>, hash: &str, data: &[u8]) -> rquickjs::Result<Vec<u8>> {
    Ok(with_hash!(ctx, hash, H => H::digest(data).to_vec()))
}

fn hmac_of<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac)
}

fn derivations<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Rc<Shared>,
) -> rquickjs::Result<()> {
    let s = shared.clone();
    let hkdf = move |ctx: Ctx<'js>,
                     hash: String,
                     key: Bytes<'js>,
                     salt: Bytes<'js>,
                     info: Bytes<'js>,
                     length: usize| {
        let (key, salt, info) = (bytes(&ctx, &key)?, bytes(&ctx, &salt)?, bytes(&ctx, &info)?);
        s.charge_bytes(&ctx, key.len() + salt.len() + info.len() + length)?;
        let mut derived = vec![0; length];
        let done = with_hash!(&ctx, hash.as_str(), H => {
            Hkdf::<H>::new(Some(salt), key).expand(info, &mut derived).is_ok()
        });
        done.then(|| TypedArray::new(ctx, derived)).transpose()
    };
    native.set("hkdf", Function::new(ctx.clone(), hkdf)?)?;

    let s = shared.clone();
    let pbkdf2 = move |ctx: Ctx<'js>,
                       hash: String,
                       key: Bytes<'js>,
                       salt: Bytes<'js>,
                       rounds: u32,
                       length: usize| {
        let (key, salt) = (bytes(&ctx, &key)?, bytes(&ctx, &salt)?);
        s.charge_bytes(&ctx, key.len() + salt.len())?;
        let blocks =
            with_hash!(&ctx, hash.as_str(), H => length.div_ceil(<H as Digest>::output_size()));
        // Before the work is done: nothing interrupts it.
        s.charge(&ctx, (u64::from(rounds) / ROUNDS_PER_TICK).saturating_mul(blocks as u64))?;
        let mut derived = vec![0; length];
        with_hash!(&ctx, hash.as_str(), H => {
            pbkdf2::pbkdf2_hmac::<H>(key, salt, rounds, &mut derived);
        });
        TypedArray::new(ctx, derived).map(Some)
    };
    native.set("pbkdf2", Function::new(ctx.clone(), pbkdf2)?)
}

fn signatures<'js>(
    ctx: &Ctx<'js>,
    native: &Object<'js>,
    shared: &Rc<Shared>,
) -> rquickjs::Result<()> {
    let s = shared.clone();
    let cost = move |ctx: &Ctx<'js>, data: &Bytes<'js>| {
        s.charge_bytes(ctx, bytes(ctx, data)?.len())?;
        s.charge(ctx, SIGNATURE_TICKS)
    };
    let array = |ctx: Ctx<'js>, found: Option<Vec<u8>>| {
        found.map(|found| TypedArray::new(ctx, found)).transpose()
    };

    let public = move |ctx: Ctx<'js>, secret: Bytes<'js>| {
        let secret = EcSecret::from_slice(bytes(&ctx, &secret)?).ok();
        array(ctx, secret.map(|secret| uncompressed(secret.verifying_key())))
    };
    native.set("ecPublic", Function::new(ctx.clone(), public)?)?;
    let point = move |ctx: Ctx<'js>, point: Bytes<'js>| {
        let point = EcPoint::from_sec1_bytes(bytes(&ctx, &point)?).ok();
        array(ctx, point.as_ref().map(uncompressed))
    };
    native.set("ecPoint", Function::new(ctx.clone(), point)?)?;
    let charge = cost.clone();
    let sign = move |ctx: Ctx<'js>, hash: String, secret: Bytes<'js>, data: Bytes<'js>| {
        charge(&ctx, &data)?;
        let digest = digest_of(&ctx, &hash, bytes(&ctx, &data)?)?;
        let secret = EcSecret::from_slice(bytes(&ctx, &secret)?).map_err(|_| no_key(&ctx))?;
        let signature: Result<EcSignature, _> = secret.sign_prehash(&digest);
        let signature = signature.map_err(|_| no_key(&ctx))?;
        TypedArray::new(ctx, signature.to_bytes().to_vec())
    };
    native.set("ecSign", Function::new(ctx.clone(), sign)?)?;
    let charge = cost.clone();
    let verify = move |ctx: Ctx<'js>,
                       hash: String,
                       point: Bytes<'js>,
                       data: Bytes<'js>,
                       signature: Bytes<'js>|
          -> rquickjs::Result<bool> {
        charge(&ctx, &data)?;
        let digest = digest_of(&ctx, &hash, bytes(&ctx, &data)?)?;
        let point = EcPoint::from_sec1_bytes(bytes(&ctx, &point)?).map_err(|_| no_key(&ctx))?;
        let signature = EcSignature::from_slice(bytes(&ctx, &signature)?);
        Ok(signature.is_ok_and(|signature| point.verify_prehash(&digest, &signature).is_ok()))
    };
    native.set("ecVerify", Function::new(ctx.clone(), verify)?)?;

    let public = move |ctx: Ctx<'js>, secret: Bytes<'js>| {
        let secret = EdSecret::try_from(bytes(&ctx, &secret)?).ok();
        array(ctx, secret.map(|secret| secret.verifying_key().to_bytes().to_vec()))
    };
    native.set("edPublic", Function::new(ctx.clone(), public)?)?;
    let point = move |ctx: Ctx<'js>, point: Bytes<'js>| {
        let point = EdPoint::try_from(bytes(&ctx, &point)?).ok();
        array(ctx, point.map(|point| point.to_bytes().to_vec()))
    };
    native.set("edPoint", Function::new(ctx.clone(), point)?)?;
    let charge = cost.clone();
    let sign = move |ctx: Ctx<'js>, secret: Bytes<'js>, data: Bytes<'js>| {
        charge(&ctx, &data)?;
        let secret = EdSecret::try_from(bytes(&ctx, &secret)?).map_err(|_| no_key(&ctx))?;
        let signature = secret.sign(bytes(&ctx, &data)?);
        TypedArray::new(ctx, signature.to_bytes().to_vec())
    };
    native.set("edSign", Function::new(ctx.clone(), sign)?)?;
    let verify = move |ctx: Ctx<'js>,
                       point: Bytes<'js>,
                       data: Bytes<'js>,
                       signature: Bytes<'js>|
          -> rquickjs::Result<bool> {
        cost(&ctx, &data)?;
        let point = EdPoint::try_from(bytes(&ctx, &point)?).map_err(|_| no_key(&ctx))?;
        let signature = EdSignature::from_slice(bytes(&ctx, &signature)?);
        let data = bytes(&ctx, &data)?;
        Ok(signature.is_ok_and(|signature| point.verify_strict(data, &signature).is_ok()))
    };
    native.set("edVerify", Function::new(ctx.clone(), verify)?)
}

fn uncompressed(point: &EcPoint) -> Vec<u8> {
    point.to_sec1_point(false).as_bytes().to_vec()
}
