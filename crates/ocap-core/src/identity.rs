//! Who this kernel is to others: three rows that outlast everything else in the store.
//!
//! The core only keeps them. What a seed means, and how a peer id follows from it, the driver knows.

use ocap_store::Reader;
use ocap_types::Secret;

use crate::api::{CoreError, Identity};
use crate::core::Core;
use crate::keys;
use crate::rows::corrupt;
use crate::space::Space;

/// The identity a store holds, if it holds one. For before a core is opened.
///
/// # Errors
/// [`CoreError::Corrupt`] if it holds only part of one, [`CoreError::Store`] if it cannot be read.
pub fn stored_identity(reader: &dyn Reader) -> Result<Option<Identity>, CoreError> {
    let row = |key: &'static str| reader.get(key).map_err(CoreError::from);
    let secret = |key: &'static str| match row(key)? {
        Some(text) => match Secret::from_hex(&text) {
            Some(secret) => Ok(Some(secret)),
            None => Err(corrupt(key, "no bytes")),
        },
        None => Ok(None),
    };
    let (seed, entropy) = (secret(keys::KEY_SEED)?, secret(keys::ENTROPY)?);
    match (row(keys::PEER_ID)?, seed) {
        (Some(peer_id), Some(seed)) => Ok(Some(Identity { peer_id, seed, entropy })),
        (None, None) => Ok(None),
        _ => Err(corrupt(keys::PEER_ID, "a peer id without a seed, or a seed without a peer id")),
    }
}

/// The batch that gives a store without one an identity.
///
/// # Errors
/// [`CoreError::Invalid`] if it has one, or is of a format this version does not know.
pub fn identity_batch(
    reader: std::sync::Arc<dyn Reader>,
    last_seq: u64,
    identity: &Identity,
) -> Result<std::sync::Arc<ocap_store::Batch>, CoreError> {
    let mut core =
        Core::empty(Space::new(reader, last_seq), std::collections::BTreeMap::new(), false);
    core.turn(|core| {
        core.prepare_rows()?;
        if core.space.contains(&keys::PEER_ID.into())? {
            return Err(CoreError::Invalid("there is an identity already".to_owned()));
        }
        core.keep_identity(identity);
        Ok(())
    })?;
    Ok(core.space.seal())
}

impl Core {
    /// At boot: the store's own identity, or else this one from now on.
    pub(crate) fn take_identity(&mut self, identity: Option<&Identity>) -> Result<(), CoreError> {
        let stored = self.space.get(&keys::PEER_ID.into())?.map(std::borrow::Cow::into_owned);
        self.peer_id = match (stored, identity) {
            (Some(peer_id), _) => Some(peer_id),
            (None, Some(identity)) => {
                self.keep_identity(identity);
                Some(identity.peer_id.clone())
            }
            (None, None) => None,
        };
        Ok(())
    }

    fn keep_identity(&mut self, identity: &Identity) {
        let Identity { peer_id, seed, entropy } = identity;
        self.space.put_new(keys::PEER_ID, peer_id.clone());
        self.space.put_new(keys::KEY_SEED, seed.expose_hex().to_string());
        if let Some(entropy) = entropy {
            self.space.put_new(keys::ENTROPY, entropy.expose_hex().to_string());
        }
    }

    /// This kernel's peer id, if it has an identity.
    pub fn peer_id(&self) -> Option<&str> {
        self.peer_id.as_deref()
    }
}
