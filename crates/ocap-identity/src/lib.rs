//! Who a kernel is to others.
//!
//! A kernel has an Ed25519 key, made from a seed of 32 bytes; its peer id is the key's public half
//! as libp2p writes it. The seed comes from words that a person can write down ([`Words`]), which
//! are the only way to have the same identity again on another machine. All of it equals what the
//! reference makes of the same seed or words.
//!
//! The main items are [`Key`], [`Words`], and [`legacy`], the OCAP URLs of the reference. No
//! networking, no files: where an identity is kept, the kernel knows.

#![forbid(unsafe_code)]

mod key;
pub mod legacy;
mod words;

pub use key::Key;
pub use words::{Words, WordsError};

use ocap_types::Secret;

/// Bytes of a key's seed.
pub const SEED_BYTES: usize = 32;

/// The operating system gives no chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoChance(getrandom::Error);

/// Bytes that nobody can guess.
///
/// # Errors
/// [`NoChance`] if the operating system has none.
pub fn random(bytes: usize) -> Result<Secret, NoChance> {
    let mut buffer = vec![0; bytes];
    getrandom::fill(&mut buffer).map_err(NoChance)?;
    Ok(Secret::new(buffer))
}
