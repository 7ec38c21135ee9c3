//! Commits run on a thread of their own, so that the next batch can run while one is on its way to
//! the disk. One commit at a time; the driver hands over the next when it hears of the last.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use ocap_store::{Batch, StoreError, Writer};

use crate::failpoint::{Failpoint, Point};

/// Told on the committer's thread when a commit has ended.
pub(crate) type OnCommitted = Box<dyn Fn(u64, Result<(), StoreError>) + Send>;

/// The commit thread.
pub(crate) struct Committer {
    batches: Option<mpsc::Sender<Arc<Batch>>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. It ends, and closes the store, when the committer is dropped.
    pub(crate) fn start(
        mut writer: Box<dyn Writer>,
        on_committed: OnCommitted,
    ) -> std::io::Result<Self> {
        let (batches, queue) = mpsc::channel::<Arc<Batch>>();
        let mut failpoint = Failpoint::from_env();
        let thread = std::thread::Builder::new().name("ocap-commit".into()).spawn(move || {
            while let Ok(batch) = queue.recv() {
                failpoint.pass(Point::BeforeCommit);
                let result = writer.commit(&batch);
                failpoint.pass(Point::AfterCommit);
                let seq = batch.seq;
                drop(batch);
                on_committed(seq, result);
            }
        })?;
        Ok(Committer { batches: Some(batches), thread: Some(thread) })
    }

    /// Hands over a batch. If the thread is gone the batch is lost, and the driver, which hears of
    /// no commit, releases nothing.
    pub(crate) fn commit(&self, batch: Arc<Batch>) {
        if let Some(batches) = &self.batches {
            let _ = batches.send(batch);
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
