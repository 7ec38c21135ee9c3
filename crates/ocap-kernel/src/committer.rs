//! Committing batches. A store on disk commits on a thread of its own, so that the next batch can run
//! while one is on its way; the driver hands over the next when it hears of the last. A store in
//! memory commits at once: there is nothing to wait for, and a thread would cost two wake-ups.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use ocap_store::{Batch, StoreError, Writer};

use crate::failpoint::{Failpoint, Point};

/// Told on the committer's thread when a commit has ended.
pub(crate) type OnCommitted = Box<dyn Fn(u64, Result<(), StoreError>) + Send>;

/// Commits one batch at a time.
pub(crate) enum Committer {
    /// On the caller's thread.
    AtOnce(Commits),
    /// On its own. The thread ends, and closes the store, when this is dropped.
    Behind {
        /// Where batches go; gone once the thread is to end.
        batches: Option<mpsc::Sender<Arc<Batch>>>,
        /// The thread.
        thread: Option<JoinHandle<()>>,
    },
    /// The store is being opened again, or could not be.
    Closed,
}

/// A writer, and the failpoints around its commits.
pub(crate) struct Commits {
    writer: Box<dyn Writer>,
    failpoint: Failpoint,
}

impl Commits {
    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.failpoint.pass(Point::BeforeCommit);
        let result = self.writer.commit(batch);
        self.failpoint.pass(Point::AfterCommit);
        result
    }
}

impl Committer {
    /// One that commits while its caller waits.
    pub(crate) fn at_once(writer: Box<dyn Writer>) -> Self {
        Committer::AtOnce(Commits { writer, failpoint: Failpoint::from_env() })
    }

    /// One with a thread of its own.
    pub(crate) fn behind(
        writer: Box<dyn Writer>,
        on_committed: OnCommitted,
    ) -> std::io::Result<Self> {
        let (batches, queue) = mpsc::channel::<Arc<Batch>>();
        let mut commits = Commits { writer, failpoint: Failpoint::from_env() };
        let thread = std::thread::Builder::new().name("ocap-commit".into()).spawn(move || {
            while let Ok(batch) = queue.recv() {
                let result = commits.commit(&batch);
                let seq = batch.seq;
                drop(batch);
                on_committed(seq, result);
            }
        })?;
        Ok(Committer::Behind { batches: Some(batches), thread: Some(thread) })
    }

    /// Whether a batch is committed when it has been handed over.
    pub(crate) fn is_at_once(&self) -> bool {
        matches!(self, Committer::AtOnce(_))
    }

    /// Commits a batch, or hands it to the thread that will (`None`). If that thread is gone the
    /// batch is lost, and the driver, which hears of no commit, releases nothing.
    pub(crate) fn commit(&mut self, batch: &Arc<Batch>) -> Option<Result<(), StoreError>> {
        match self {
            Committer::AtOnce(commits) => Some(commits.commit(batch)),
            Committer::Behind { batches, .. } => {
                if let Some(batches) = batches {
                    let _ = batches.send(Arc::clone(batch));
                }
                None
            }
            Committer::Closed => None,
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if let Committer::Behind { batches, thread } = self {
            *batches = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}
