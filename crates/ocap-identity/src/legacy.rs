//! The OCAP URLs of the reference, whose oid *is* the reference, encrypted under a key of its kernel:
//! `salt ‖ nonce ‖ AES-128-GCM(kref padded with spaces) ‖ tag`, with a key derived from the kernel's
//! and the salt.
//!
//! Deriving takes tens of milliseconds: not for a thread that others wait for. Such a URL cannot be
//! revoked, does not hold what it stands for, and means nothing outside the database it was issued
//! from; this kernel issues none.

use aes_gcm::aead::Aead;
use aes_gcm::aead::consts::U12;
use aes_gcm::{Aes128Gcm, KeyInit, Nonce};
use ocap_types::url::{bytes_of_oid, oid_of_bytes};
use ocap_types::{KRef, OcapUrl, Secret};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{NoChance, random};

const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const KEY_BYTES: usize = 16;

/// Rounds of PBKDF2-HMAC-SHA256, as the reference has them.
const ROUNDS: u32 = 32_767;

/// What a reference is padded to.
const PADDED_CHARS: usize = 16;

/// Bytes of the shortest oid.
pub const OID_BYTES_MIN: usize = SALT_BYTES + NONCE_BYTES + PADDED_CHARS + TAG_BYTES;

/// Why a URL cannot be redeemed, in the reference's words where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LegacyError {
    /// Another kernel issued it.
    #[error("ocapURL from a host that's not me")]
    OtherHost,
    /// It was not issued under this key, or somebody has changed it.
    #[error("ocapURL has bad object reference")]
    Bad,
    /// It says something else than a reference.
    #[error("not a valid KRef")]
    NoReference,
}

/// A URL for a reference, different at each call.
///
/// # Errors
/// [`NoChance`] if the operating system has no random numbers.
pub fn issue(key: &Secret, kref: KRef, host: &str, hints: &[String]) -> Result<OcapUrl, NoChance> {
    let chance = random(SALT_BYTES + NONCE_BYTES)?;
    let (salt, nonce) = chance.expose().split_at(SALT_BYTES);
    let oid = oid_of_bytes(&seal(key, &kref.to_string(), salt, nonce));
    Ok(OcapUrl { oid, host: host.to_owned(), hints: hints.to_vec() })
}

/// The bytes of an oid. Salt and nonce are as long as they have to be.
fn seal(key: &Secret, kref: &str, salt: &[u8], nonce: &[u8]) -> Vec<u8> {
    let text = format!("{kref:>PADDED_CHARS$}");
    let nonce_array = Nonce::<U12>::try_from(nonce).unwrap_or_default();
    // A text this short can always be encrypted.
    let sealed = cipher(key, salt).encrypt(&nonce_array, text.as_bytes()).unwrap_or_default();
    [salt, nonce, &sealed].concat()
}

/// What a URL stands for in the kernel that has this peer id and key.
///
/// # Errors
/// [`LegacyError`] says why it stands for nothing.
pub fn redeem(key: &Secret, peer_id: &str, url: &OcapUrl) -> Result<KRef, LegacyError> {
    if url.host != peer_id {
        return Err(LegacyError::OtherHost);
    }
    let oid = bytes_of_oid(&url.oid).ok_or(LegacyError::Bad)?;
    if oid.len() < OID_BYTES_MIN {
        return Err(LegacyError::Bad);
    }
    let (salt, rest) = oid.split_at(SALT_BYTES);
    let (nonce, sealed) = rest.split_at(NONCE_BYTES);
    let nonce = Nonce::<U12>::try_from(nonce).map_err(|_| LegacyError::Bad)?;
    let text = cipher(key, salt).decrypt(&nonce, sealed).map_err(|_| LegacyError::Bad)?;
    let text = std::str::from_utf8(&text).map_err(|_| LegacyError::NoReference)?;
    text.trim().parse().map_err(|_| LegacyError::NoReference)
}

fn cipher(key: &Secret, salt: &[u8]) -> Aes128Gcm {
    let mut derived = Zeroizing::new([0; KEY_BYTES]);
    pbkdf2::pbkdf2_hmac::<Sha256>(key.expose(), salt, ROUNDS, &mut *derived);
    Aes128Gcm::new(&(*derived).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealing_is_that_of_the_reference() {
        let vectors = include_str!("../tests/data/urls.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap();
        assert!(!vectors.is_empty());
        for vector in vectors {
            let bytes = |name: &str| Secret::from_hex(vector[name].as_str().unwrap()).unwrap();
            let kref = vector["kref"].as_str().unwrap();
            let (salt, nonce) = (bytes("salt_hex"), bytes("nonce_hex"));
            let sealed = seal(&bytes("ocap_url_key_hex"), kref, salt.expose(), nonce.expose());
            assert_eq!(sealed, bytes("raw_oid_hex").expose(), "{vector}");
            assert_eq!(oid_of_bytes(&sealed), vector["oid"].as_str().unwrap());
        }
    }
}
