//! A walk over a store that no kernel runs on: what is wrong with it, without changing a byte.

use std::path::Path;
use std::sync::Arc;

use ocap_core::api::Finding;
use ocap_store::{StoreError, sqlite};

use crate::api::{ErrorKind, KernelError};
use crate::identity;

/// What a store was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// Whatever is wrong; empty if the store is sound. What is wrong with the file itself has the
    /// key `(file)`.
    pub findings: Vec<Finding>,
    /// The number of the last batch the store holds.
    pub last_batch: u64,
}

/// Walks over the store at `path`: the file, then every row, count and rule of the core.
///
/// # Errors
/// `Busy` if a kernel runs on it, `Failed` if it cannot be read or is no store.
pub fn examine(path: &Path) -> Result<Examination, KernelError> {
    let seen = sqlite::inspect(path).map_err(|error| match error {
        StoreError::Busy(message) => KernelError::new(ErrorKind::Busy, message),
        other => KernelError::new(ErrorKind::Failed, other.to_string()),
    })?;
    let damaged = |problem| Finding { key: "(file)".to_owned(), problem };
    let mut findings: Vec<Finding> = seen.damage.into_iter().map(damaged).collect();
    match ocap_core::check_store(Arc::clone(&seen.reader)) {
        Ok(found) => {
            findings.extend(found);
            findings.extend(identity::finding(&*seen.reader));
        }
        // A file known to be damaged may well be unreadable too.
        Err(error) if !findings.is_empty() => findings.push(damaged(error.to_string())),
        Err(error) => return Err(KernelError::new(ErrorKind::Failed, error.to_string())),
    }
    Ok(Examination { findings, last_batch: seen.last_seq })
}
