//! Marshalled data: a body of text and the references it mentions by index.

use serde::{Deserialize, Serialize};

use crate::refs::{KRef, VRef};

/// A marshalled value: `body` is `#` followed by smallcaps JSON, and the n-th slot is what `$n` or
/// `&n` in it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapData<R> {
    /// The encoded value.
    pub body: String,
    /// The references, each once, in order of first appearance.
    pub slots: Vec<R>,
}

/// CapData in the kernel's references.
pub type KCapData = CapData<KRef>;
/// CapData in one vat's references.
pub type VCapData = CapData<VRef>;

impl<R> CapData<R> {
    /// A body without references.
    pub fn without_slots(body: impl Into<String>) -> Self {
        CapData { body: body.into(), slots: Vec::new() }
    }

    /// The same body with every slot translated.
    pub fn try_map<S, E>(&self, f: impl FnMut(&R) -> Result<S, E>) -> Result<CapData<S>, E> {
        let slots = self.slots.iter().map(f).collect::<Result<_, _>>()?;
        Ok(CapData { body: self.body.clone(), slots })
    }
}
