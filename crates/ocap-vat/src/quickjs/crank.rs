//! What the crank in progress has done so far: its syscalls and its writes over the vatstore.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use ocap_types::crank::{Resolution, Syscall};
use ocap_types::refs::VRef;

use super::limits::{COMMITTED_BYTES_MAX, ENTRY_BYTES};
use crate::engine::{Limits, UpCalls};

/// Why an act is refused and the crank cannot go on.
pub(super) struct LimitReached(pub(super) String);

/// The effects of one crank.
pub(super) struct Crank {
    up: Option<Rc<dyn UpCalls>>,
    syscalls_max: u64,
    bytes_max: u64,
    bytes: u64,
    syscalls: Vec<Syscall>,
    /// A group of resolutions not yet complete.
    resolutions: Vec<Resolution<VRef>>,
    /// Written in this crank.
    overlay: BTreeMap<String, Option<String>>,
    /// Read in this crank: committed values, the latest of them.
    committed: HashMap<String, Option<String>>,
    committed_bytes: usize,
}

impl Crank {
    pub(super) fn new() -> Self {
        Crank {
            up: None,
            syscalls_max: u64::MAX,
            bytes_max: u64::MAX,
            bytes: 0,
            syscalls: Vec::new(),
            resolutions: Vec::new(),
            overlay: BTreeMap::new(),
            committed: HashMap::new(),
            committed_bytes: 0,
        }
    }

    pub(super) fn connect(&mut self, up: Rc<dyn UpCalls>, limits: &Limits) {
        self.up = Some(up);
        self.syscalls_max = limits.crank_syscalls_max;
        self.bytes_max = limits.crank_bytes_max;
    }

    pub(super) fn up(&self) -> Option<&Rc<dyn UpCalls>> {
        self.up.as_ref()
    }

    pub(super) fn begin(&mut self) {
        self.bytes = 0;
        self.syscalls.clear();
        self.resolutions.clear();
        self.overlay.clear();
        self.forget_committed();
    }

    fn charge(&mut self, bytes: usize) -> Result<(), LimitReached> {
        self.bytes = self.bytes.saturating_add((bytes + ENTRY_BYTES) as u64);
        if self.bytes > self.bytes_max {
            let detail = format!("the crank's effects are more than {} bytes", self.bytes_max);
            return Err(LimitReached(detail));
        }
        Ok(())
    }

    /// Adds a syscall with this much text.
    pub(super) fn push(&mut self, syscall: Syscall, bytes: usize) -> Result<(), LimitReached> {
        self.charge(bytes)?;
        if self.syscalls.len() as u64 >= self.syscalls_max {
            let detail = format!("the crank made more than {} syscalls", self.syscalls_max);
            return Err(LimitReached(detail));
        }
        self.syscalls.push(syscall);
        Ok(())
    }

    /// Adds to the group of resolutions that [`Crank::flush_resolutions`] ends.
    pub(super) fn push_resolution(
        &mut self,
        resolution: Resolution<VRef>,
        bytes: usize,
    ) -> Result<(), LimitReached> {
        self.charge(bytes)?;
        self.resolutions.push(resolution);
        Ok(())
    }

    pub(super) fn flush_resolutions(&mut self) -> Result<(), LimitReached> {
        let resolutions = std::mem::take(&mut self.resolutions);
        self.push(Syscall::Resolve { resolutions }, 0)
    }

    /// A value as this crank sees it.
    pub(super) fn get(&mut self, key: &str) -> Option<String> {
        if let Some(written) = self.overlay.get(key) {
            return written.clone();
        }
        if let Some(read) = self.committed.get(key) {
            return read.clone();
        }
        let value = self.up.as_ref()?.vatstore_get(key);
        let bytes = key.len() + value.as_ref().map_or(0, String::len) + ENTRY_BYTES;
        if self.committed_bytes + bytes > COMMITTED_BYTES_MAX {
            self.forget_committed();
        }
        self.committed_bytes += bytes;
        self.committed.insert(key.to_owned(), value.clone());
        value
    }

    fn forget_committed(&mut self) {
        self.committed.clear();
        self.committed_bytes = 0;
    }

    pub(super) fn set(&mut self, key: String, value: Option<String>) -> Result<(), LimitReached> {
        self.charge(key.len() + value.as_ref().map_or(0, String::len))?;
        self.overlay.insert(key, value);
        Ok(())
    }

    /// The first key greater than `prior` as this crank sees it.
    pub(super) fn next_key(&self, prior: &str) -> Option<String> {
        let mut stored = self.up.as_ref()?.vatstore_next_key(prior);
        // What was deleted in this crank does not count.
        while let Some(key) = &stored
            && matches!(self.overlay.get(key), Some(None))
        {
            stored = self.up.as_ref()?.vatstore_next_key(key);
        }
        let after = (Bound::Excluded(prior), Bound::Unbounded);
        let mut written = self.overlay.range::<str, _>(after).filter(|(_, v)| v.is_some());
        match (stored, written.next().map(|(key, _)| key)) {
            (Some(stored), Some(written)) if *written < stored => Some(written.clone()),
            (None, written) => written.cloned(),
            (stored, _) => stored,
        }
    }

    /// Ends the crank: its syscalls, and its net writes in key order.
    pub(super) fn finish(&mut self) -> (Vec<Syscall>, Vec<(String, Option<String>)>) {
        let committed = std::mem::take(&mut self.committed);
        let delta = std::mem::take(&mut self.overlay)
            .into_iter()
            .filter(|(key, value)| committed.get(key) != Some(value))
            .collect();
        (std::mem::take(&mut self.syscalls), delta)
    }
}
