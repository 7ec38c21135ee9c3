//! The kernel's identity: made when a store is first used, kept in it, and for good.
//!
//! The main items are [`identity_of`] and [`adopt_identity`], for a store that no kernel runs on.

use std::path::Path;

use ocap_core::api::{CoreError, Finding, Identity};
use ocap_identity::{Key, Words};
use ocap_store::{Opened, Reader, StoreError, sqlite};
use ocap_types::Secret;

use crate::api::{ErrorKind, KernelError};

/// The identity that these words make.
pub fn identity_of_words(words: &Words) -> Identity {
    let (seed, entropy) = (words.seed(), words.entropy());
    let peer_id = Key::from_seed(&seed).map(|key| key.peer_id()).unwrap_or_default();
    Identity { peer_id, seed, entropy: Some(entropy) }
}

/// The identity that a seed makes, such as one of the reference's; it cannot be written as words.
///
/// # Errors
/// `Invalid` if it has another length.
pub fn identity_of_seed(seed: Secret) -> Result<Identity, KernelError> {
    let Some(key) = Key::from_seed(&seed) else {
        let message = "the seed of an identity has 32 bytes: 64 hexadecimal digits";
        return Err(KernelError::new(ErrorKind::Invalid, message));
    };
    Ok(Identity { peer_id: key.peer_id(), seed, entropy: None })
}

/// The identity in the store at `path`, if it holds one.
///
/// # Errors
/// `Busy` if a kernel runs on it, `Failed` if it cannot be read, is no store, or is damaged.
pub fn identity_of(path: &Path) -> Result<Option<Identity>, KernelError> {
    let seen = sqlite::inspect(path).map_err(of_store)?;
    stored(&*seen.reader)
}

/// Gives the store at `path` an identity, and makes the store if it is not there.
///
/// # Errors
/// `Busy` if a kernel runs on it, `Invalid` if it has an identity already, `Failed` if it cannot be
/// read or written.
pub fn adopt_identity(path: &Path, identity: &Identity) -> Result<(), KernelError> {
    let Opened { reader, mut writer, last_seq, .. } = sqlite::open(path).map_err(of_store)?;
    let batch = ocap_core::identity_batch(reader, last_seq, identity).map_err(of_core)?;
    writer.commit(&batch).map_err(of_store)
}

/// The identity of an opened store, or one for a store that has none.
pub(crate) fn identity_for(reader: &dyn Reader) -> Result<Identity, KernelError> {
    if let Some(identity) = stored(reader)? {
        return Ok(identity);
    }
    let words = Words::new();
    let words = words.map_err(|error| KernelError::new(ErrorKind::Failed, error.to_string()))?;
    Ok(identity_of_words(&words))
}

/// What is wrong with the identity of a store, if anything: a kernel would not start on it.
pub(crate) fn finding(reader: &dyn Reader) -> Option<Finding> {
    let error = stored(reader).err()?;
    Some(Finding { key: "peerId".to_owned(), problem: error.message })
}

fn stored(reader: &dyn Reader) -> Result<Option<Identity>, KernelError> {
    let Some(identity) = ocap_core::stored_identity(reader).map_err(of_core)? else {
        return Ok(None);
    };
    let key = Key::from_seed(&identity.seed);
    if key.is_none_or(|key| key.peer_id() != identity.peer_id) {
        let message = "the store is damaged: its peer id is not that of its key";
        return Err(KernelError::new(ErrorKind::Failed, message));
    }
    Ok(Some(identity))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn of_store(error: StoreError) -> KernelError {
    let kind = match &error {
        StoreError::Busy(_) => ErrorKind::Busy,
        _ => ErrorKind::Failed,
    };
    KernelError::new(kind, error.to_string())
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn of_core(error: CoreError) -> KernelError {
    let kind = match &error {
        CoreError::Invalid(_) => ErrorKind::Invalid,
        _ => ErrorKind::Failed,
    };
    KernelError::new(kind, error.to_string())
}
