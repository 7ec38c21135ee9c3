//! Copies of a kernel's store, and their way back.
//!
//! The main items in this module are [`Kernel::backup`] for a kernel that runs, [`backup`] for a
//! store that none runs on, and [`restore`]. A copy holds all that was committed at one moment, and
//! is a store like any other: `examine` looks at it, and a kernel can run on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ocap_store::StoreError;
use ocap_store::sqlite::{Draft, Place, Progress, Source};

use crate::api::{ErrorKind, KernelError};
use crate::doctor::{Examination, examine};
use crate::kernel::Kernel;

pub use ocap_store::sqlite::Progress as CopyProgress;

/// A copy that has been made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its size.
    pub bytes: u64,
    /// The number of the last batch it holds.
    pub last_batch: u64,
}

/// What a kernel says about backups of it.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    /// Whether one is being made.
    busy: AtomicBool,
    /// Whether the kernel is about to stop, so that none is to go on.
    ending: AtomicBool,
}

impl Backups {
    /// Has the one under way end, and no other begin.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    fn go_on(&self) -> bool {
        !self.ending.load(Ordering::Relaxed)
    }

    fn begin(self: Arc<Self>) -> Result<Turn, KernelError> {
        if !self.go_on() {
            return Err(of_store(StoreError::Stopped));
        }
        if self.busy.swap(true, Ordering::Acquire) {
            let message = "a backup of this kernel is being made; wait for it";
            return Err(KernelError::new(ErrorKind::Busy, message));
        }
        Ok(Turn(self))
    }
}

/// The one backup under way, also when nobody waits for it any more.
struct Turn(Arc<Backups>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

impl Kernel {
    /// Copies what has been committed to a file, while the kernel goes on. The file is there once it
    /// is complete. One at a time; it ends when the kernel is asked to stop.
    ///
    /// # Errors
    /// `Invalid` if this kernel's state is not in a file, or something is at the target (other than
    /// an earlier backup, if it may be replaced); `Busy` if one is being made; `Stopped`; else
    /// `Failed`.
    pub async fn backup(&self, target: &Path, replace: bool) -> Result<Backup, KernelError> {
        let (store, backups) = self.backups();
        let Some(store) = store else {
            let message = "only a kernel whose state is in a file can be backed up";
            return Err(KernelError::new(ErrorKind::Invalid, message));
        };
        let turn = backups.begin()?;
        let target = target.to_path_buf();
        let copy = move || {
            let place = Place::Backup { replace };
            let source = Source::Open(&store);
            place_copy(Draft::copy(source, &target, place, |_| turn.0.go_on()))
        };
        let gone =
            |error: tokio::task::JoinError| KernelError::new(ErrorKind::Failed, error.to_string());
        tokio::task::spawn_blocking(copy).await.map_err(gone)?
    }
}

/// Copies a store that no kernel has open; kernels are kept out meanwhile.
///
/// # Errors
/// `Busy` if a kernel runs on it, `Invalid` if it is no store or something is at the target that
/// must stay, `Stopped` if `goes_on` said `false`, else `Failed`.
pub fn backup(
    store: &Path,
    target: &Path,
    replace: bool,
    goes_on: impl FnMut(Progress) -> bool,
) -> Result<Backup, KernelError> {
    let place = Place::Backup { replace };
    place_copy(Draft::copy(Source::Closed(store), target, place, goes_on))
}

/// Makes a copy the store of a kernel that has none: copies it, examines the copy, and puts it in
/// its place only if there is no finding. To a kernel that then runs on it, it is as if it had been
/// killed when the copy was made.
///
/// # Errors
/// `Busy` if a kernel runs on either, `Invalid` if the copy is no store, or there is a store
/// already; `Stopped` if `goes_on` said `false`, else `Failed`.
pub fn restore(
    file: &Path,
    store: &Path,
    goes_on: impl FnMut(Progress) -> bool,
) -> Result<Examination, KernelError> {
    let draft = Draft::copy(Source::Closed(file), store, Place::Store, goes_on);
    place_if_sound(draft.map_err(of_store)?)
}

/// Puts a draft in its place if there is nothing wrong with it.
pub(crate) fn place_if_sound(draft: Draft) -> Result<Examination, KernelError> {
    let examined = examine(draft.path())?;
    if examined.findings.is_empty() {
        draft.place().map_err(of_store)?;
    }
    Ok(examined)
}

fn place_copy(draft: Result<Draft, StoreError>) -> Result<Backup, KernelError> {
    let draft = draft.map_err(of_store)?;
    let last_batch = draft.last_seq();
    let bytes = draft.place().map_err(of_store)?;
    Ok(Backup { bytes, last_batch })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
pub(crate) fn of_store(error: StoreError) -> KernelError {
    let kind = match &error {
        StoreError::Busy(_) => ErrorKind::Busy,
        StoreError::Format(_) => ErrorKind::Invalid,
        StoreError::Full(_) => ErrorKind::Limit,
        StoreError::Stopped => ErrorKind::Stopped,
        _ => ErrorKind::Failed,
    };
    KernelError::new(kind, error.to_string())
}
