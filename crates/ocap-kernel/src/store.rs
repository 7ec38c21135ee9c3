//! The store of a running kernel: how it is opened, and opened again after a commit whose outcome
//! is unknown.

use std::sync::Arc;

use ocap_store::memory::MemoryStore;
use ocap_store::{Opened, StoreError, Writer, sqlite};

use crate::api::{ErrorKind, KernelError, StoreLocation, StoreOpener};
use crate::committer::Committer;
use crate::inbox::{Inbox, Input};
use crate::limits;

/// See the module.
pub(crate) struct Store {
    opener: StoreOpener,
    /// Whether commits wait for nothing.
    in_memory: bool,
    inbox: Inbox,
    /// This kernel's writer epoch.
    epoch: u64,
    /// How often it was opened again since a commit went well.
    reopened: u32,
}

impl Store {
    /// Opens the store for the first time.
    pub(crate) fn open(
        location: &StoreLocation,
        inbox: Inbox,
    ) -> Result<(Store, Opened), KernelError> {
        let (opener, in_memory) = match location {
            StoreLocation::Memory => {
                let store = MemoryStore::new();
                (StoreOpener::new(move || Ok(store.open())), true)
            }
            StoreLocation::File(path) => {
                let path = path.clone();
                (StoreOpener::new(move || sqlite::open(&path)), false)
            }
            StoreLocation::Opener(opener) => (opener.clone(), false),
        };
        let opened = opener.open().map_err(|error| {
            let kind = match &error {
                StoreError::Busy(_) => ErrorKind::Busy,
                _ => ErrorKind::Failed,
            };
            KernelError::new(kind, error.to_string())
        })?;
        let epoch = opened.epoch;
        Ok((Store { opener, in_memory, inbox, epoch, reopened: 0 }, opened))
    }

    /// What commits with a writer of this store.
    pub(crate) fn committer(&self, writer: Box<dyn Writer>) -> std::io::Result<Committer> {
        if self.in_memory {
            return Ok(Committer::at_once(writer));
        }
        let inbox = self.inbox.clone();
        let told = move |seq, result| {
            let _ = inbox.put(Input::Committed(seq, result));
        };
        Committer::behind(writer, Box::new(told))
    }

    /// A commit went well.
    pub(crate) fn works(&mut self) {
        self.reopened = 0;
    }

    /// Opens the store again, because a commit failed. Whoever had it open has closed it. Nobody
    /// else may have written to it meanwhile.
    pub(crate) fn reopen(&mut self, failure: &StoreError) -> Result<Opened, KernelError> {
        let failed = |text: String| Err(KernelError::new(ErrorKind::Failed, text));
        if self.reopened >= limits::REOPENS_MAX {
            let times = limits::REOPENS_MAX;
            return failed(format!(
                "commits go on failing after the store was opened again {times} times; look at \
                 the disk, then start again: {failure}"
            ));
        }
        self.reopened += 1;
        let opened = match self.opener.open() {
            Ok(opened) => opened,
            Err(error) => {
                return failed(format!(
                    "a commit failed ({failure}), and the store cannot be opened again; what has \
                     been answered is kept, start again once this is mended: {error}"
                ));
            }
        };
        let ours = self.epoch;
        if ours.checked_add(1) != Some(opened.epoch) {
            let theirs = opened.epoch.saturating_sub(1);
            return failed(StoreError::Fenced { ours, theirs }.to_string());
        }
        self.epoch = opened.epoch;
        Ok(opened)
    }
}

impl StoreOpener {
    /// An opener that calls this.
    pub fn new(open: impl Fn() -> Result<Opened, StoreError> + Send + Sync + 'static) -> Self {
        StoreOpener(Arc::new(open))
    }

    fn open(&self) -> Result<Opened, StoreError> {
        (self.0)()
    }
}
