//! Committing batches, and releasing what they hold once they are durable (invariant 3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use ocap_core::api::{ChannelId, CoreError, Effect, Sealed};
use ocap_io::ChannelKey;
use ocap_store::{Opened, StoreError};

use crate::api::{ErrorKind, KernelError};
use crate::committer::Committer;
use crate::driver::{AfterCommit, Driver, fatal};
use crate::failpoint::Point;
use crate::inbox::Input;
use crate::limits;

impl Driver {
    /// One batch is on its way to the disk at a time; the next is taken when somebody waits for it,
    /// or when nothing else is left to do.
    pub(crate) fn commit_if_due(&mut self) -> Result<(), KernelError> {
        if self.committing.is_some() {
            return self.commit_again();
        }
        if self.core.has_unsealed_effects() || !self.after_commit.is_empty() {
            return if self.gathers() { Ok(()) } else { self.commit() };
        }
        self.gathered = 0;
        let quiet = || self.last_commit.elapsed() >= Duration::from_millis(limits::QUIET_COMMIT_MS);
        if self.core.has_unsealed() && quiet() { self.commit() } else { Ok(()) }
    }

    /// Whether what is awaited waits a little longer for company. Where a commit takes no time,
    /// nothing gathers while one is under way, and each answer would be a batch of its own: so it
    /// is put off while there is news to be had at once.
    fn gathers(&mut self) -> bool {
        let company = self.committer.is_at_once() && self.eventful && self.workers.busy();
        if company && self.gathered < limits::GATHER_TURNS_MAX {
            self.gathered += 1;
            return true;
        }
        self.gathered = 0;
        false
    }

    fn commit(&mut self) -> Result<(), KernelError> {
        self.last_commit = Instant::now();
        self.gathered = 0;
        let after = std::mem::take(&mut self.after_commit);
        let Some(sealed) = self.core.seal() else {
            for tell in after {
                tell(Ok(()));
            }
            return Ok(());
        };
        self.committing = Some((sealed, after));
        self.commit_sealed()
    }

    fn commit_sealed(&mut self) -> Result<(), KernelError> {
        let Some((sealed, _)) = &self.committing else { return Ok(()) };
        let batch = Arc::clone(&sealed.batch);
        match self.committer.commit(&batch) {
            Some(result) => self.committed(batch.seq, result),
            None => Ok(()),
        }
    }

    /// While the disk is full nothing is taken on; the batch is tried again until there is room.
    fn commit_again(&mut self) -> Result<(), KernelError> {
        let wait = Duration::from_millis(limits::FULL_RETRY_MS);
        if self.full_since.is_none_or(|since| since.elapsed() < wait) {
            return Ok(());
        }
        self.full_since = Some(Instant::now());
        self.commit_sealed()
    }

    pub(crate) fn committed(
        &mut self,
        seq: u64,
        result: Result<(), StoreError>,
    ) -> Result<(), KernelError> {
        let Some((sealed, after)) = self.committing.take() else { return Ok(()) };
        match result {
            Ok(()) => {
                debug_assert_eq!(seq, sealed.batch.seq, "commits end in the order they began");
                self.store.works();
                if self.full_since.take().is_some() {
                    tracing::info!("the disk has room again");
                }
                self.core.committed(seq);
                self.release(sealed, after);
                Ok(())
            }
            // Nothing was written, and nothing of it has left: it waits.
            Err(StoreError::Full(detail)) => {
                if self.full_since.is_none() {
                    tracing::error!(%detail, "the disk is full: nothing is taken on until it has room");
                    self.full_since = Some(Instant::now());
                }
                self.committing = Some((sealed, after));
                Ok(())
            }
            Err(error) => {
                let kept = match &error {
                    // Somebody else goes on from here.
                    StoreError::Fenced { .. } => Err(fatal(CoreError::Store(error))),
                    _ => self.find_out(sealed.batch.seq, &error),
                };
                match kept {
                    Ok(true) => {
                        self.full_since = None;
                        self.core.committed(seq);
                        self.release(sealed, after);
                        Ok(())
                    }
                    Ok(false) => {
                        self.committing = Some((sealed, after));
                        self.commit_sealed()
                    }
                    // Nothing of it leaves. The next boot goes on from whatever is on the disk.
                    Err(error) => {
                        for tell in after {
                            tell(Err(error.clone()));
                        }
                        Err(error)
                    }
                }
            }
        }
    }

    /// The outcome of a commit is unknown: opens the store again and says whether it holds the
    /// batch. If it does not, the batch is there to be committed again.
    fn find_out(&mut self, seq: u64, failure: &StoreError) -> Result<bool, KernelError> {
        tracing::error!(batch = seq, %failure, "a commit failed: the store is opened again");
        // Everything that has it open is to close it: a store with a log looks at that only then.
        self.committer = Committer::Closed;
        let store = &mut self.store;
        let mut found = None;
        self.core.reopen(|| {
            let Opened { reader, writer, last_seq, .. } = store.reopen(failure)?;
            found = Some((writer, last_seq));
            Ok(reader)
        })?;
        let Some((writer, last)) = found else { return Ok(false) };
        if last != seq && last.checked_add(1) != Some(seq) {
            let message = format!(
                "a commit failed ({failure}), and the store, opened again, holds batch {last} \
                 where {seq} or the one before it should be: it is another store"
            );
            return Err(KernelError::new(ErrorKind::Failed, message));
        }
        let committer = self.store.committer(writer);
        self.committer =
            committer.map_err(|error| KernelError::new(ErrorKind::Failed, error.to_string()))?;
        let kept = last == seq;
        tracing::warn!(batch = seq, kept, "the store is open again");
        Ok(kept)
    }

    /// The batch is durable: what it holds may leave.
    fn release(&mut self, sealed: Sealed, after: Vec<AfterCommit>) {
        self.publish();
        self.asks.begin();
        for effect in sealed.effects {
            self.effect(effect);
        }
        for tell in after {
            tell(Ok(()));
        }
        self.failpoint.pass(Point::AfterRelease);
    }

    fn effect(&mut self, effect: Effect) {
        let key = |channel: ChannelId| {
            let ChannelId { subcluster, name, connection } = channel;
            ChannelKey { subcluster, name, connection }
        };
        match effect {
            Effect::Answer { ticket, answer } => {
                if let Some(reply) = self.answers.remove(&ticket) {
                    let _ = reply.send(Ok(answer));
                }
            }
            Effect::ServiceCall { call, service, methargs, caller, subcluster } => {
                self.services.call(call, &service, &methargs, caller, subcluster);
            }
            Effect::Ask { call, vat, request } => {
                // Without a worker the vat's life is over, and what it asked for withdrawn.
                if let Some(reach) = self.workers.reach(vat) {
                    self.asks.ask(call, vat, request, &reach);
                }
            }
            Effect::Withdraw { call } => self.asks.withdraw(call),
            Effect::OpenChannel { channel, config } => {
                if let Some(io) = &self.io {
                    io.open(key(channel), &config);
                }
            }
            Effect::AcceptConnection { channel, arrival } => {
                if let Some(io) = &self.io {
                    io.accept(key(channel), arrival);
                }
            }
            Effect::WriteChannel { call, channel, units } => {
                if let Some(io) = &self.io {
                    io.write(&key(channel), call.0, units);
                }
            }
            Effect::ChannelConsumed { channel, units, bytes } => {
                if let Some(io) = &self.io {
                    io.consumed(&key(channel), units, bytes);
                }
            }
            Effect::CloseChannel { channel } => {
                if let Some(io) = &self.io {
                    io.close(&key(channel));
                }
            }
        }
    }

    /// At the end: writes what is left and releases it.
    pub(crate) fn drain_commits(&mut self) -> Result<(), KernelError> {
        loop {
            while self.committing.is_some() {
                if self.full_since.is_some() {
                    // As after a crash: what nobody has been told of has not happened.
                    let message = "the disk is full; what had not been answered was not kept";
                    return Err(KernelError::new(ErrorKind::Failed, message));
                }
                match self.mailbox.wait() {
                    Some(Input::Committed(seq, result)) => self.committed(seq, result)?,
                    // Dropping a request tells who asked that the kernel has stopped.
                    Some(_) => {}
                    None => {
                        let message = "the commit thread is gone";
                        return Err(KernelError::new(ErrorKind::Failed, message));
                    }
                }
            }
            if !self.core.has_unsealed()
                && !self.core.has_unsealed_effects()
                && self.after_commit.is_empty()
            {
                return Ok(());
            }
            self.commit()?;
        }
    }
}
