//! Our supervisor against Liveslots.
//!
//! [`generate`] makes a sequence of deliveries from a seed, one at a time, while our engine
//! ([`here`]) runs it: the [`model`] of the kernel's side knows what may be delivered next. The
//! same deliveries go to Liveslots under Node ([`node`], `fixtures/oracle/oracle.js`), and
//! [`compare`] tells where the two differ. The vat is the same on both sides
//! (`fixtures/oracle/vat.js`) and does what its messages say ([`program`]).
//!
//! What a vat allocates is renumbered by first mention ([`numbers`]), so that only the order
//! counts. Differences that are ours on purpose are in [`differences`], with the reasons in
//! `fixtures/oracle/DIFFERENCES.md`.

pub mod compare;
pub mod differences;
pub mod error_ids;
pub mod generate;
pub mod here;
pub mod limits;
pub mod model;
pub mod node;
pub mod numbers;
pub mod program;
pub mod renaming;
pub mod rng;
pub mod script;
pub mod shrink;

use std::collections::BTreeMap;

use ocap_types::crank::Syscall;
use ocap_types::refs::VRef;
use serde::{Deserialize, Serialize};

/// What one delivery led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crank {
    /// In the order they were made, renumbered.
    pub syscalls: Vec<Syscall>,
    /// Set if the delivery itself failed.
    pub error: Option<String>,
}

/// What a sequence led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// One per delivery, up to the first that failed.
    pub cranks: Vec<Crank>,
    /// The vatstore at the end, in the vat's own numbers.
    pub store: BTreeMap<String, String>,
    /// The vat's own references and what stands for them in `cranks`.
    pub numbers: BTreeMap<VRef, VRef>,
}
