//! The key of a kernel, and the name that follows from it.

use std::fmt;

use ed25519_dalek::SigningKey;
use ocap_types::Secret;

use crate::SEED_BYTES;

/// What precedes the public key in a peer id: the identity "hash" of 36 bytes, which are a protobuf
/// message of key type 1 (Ed25519) and 32 bytes of data.
const PEER_ID_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// An Ed25519 key. Wiped when it is dropped.
pub struct Key(SigningKey);

impl Key {
    /// The key of a seed; `None` if that has not [`SEED_BYTES`] bytes.
    pub fn from_seed(seed: &Secret) -> Option<Key> {
        let seed: &[u8; SEED_BYTES] = seed.expose().try_into().ok()?;
        Some(Key(SigningKey::from_bytes(seed)))
    }

    /// The public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// What other kernels call whoever has this key: base58 as libp2p writes it, `12D3KooW...`.
    pub fn peer_id(&self) -> String {
        let mut bytes = PEER_ID_PREFIX.to_vec();
        bytes.extend(self.public());
        bs58::encode(bytes).into_string()
    }
}

/// The public part.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.peer_id())
    }
}
