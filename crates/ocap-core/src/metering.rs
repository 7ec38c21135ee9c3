//! What vats cost: their cranks in this run, and what lies in their own stores.
//!
//! Invariant: a vat's `stored.` row says how many bytes its store has, keys and values.

use ocap_types::VatId;
use ocap_types::config::VatConfig;
use ocap_types::crank::{CrankReport, Syscall};
use ocap_types::limits::{STORE_BYTES_DEFAULT, STORE_BYTES_MIN};

use crate::api::{CoreError, VatUsage};
use crate::core::{Core, InFlight, InFlightWork};
use crate::keys;
use crate::limits;
use crate::reap;
use crate::settle::Abort;

impl Core {
    /// What a vat costs.
    pub(crate) fn usage(&self, vat: VatId) -> Result<VatUsage, CoreError> {
        let usage = self.runtime.get(&vat).map(|runtime| runtime.usage).unwrap_or_default();
        let vatstore_bytes = self.space.row(&keys::stored(vat))?.unwrap_or(0);
        let timers = self.space.row(&keys::timers(vat))?.unwrap_or(0);
        Ok(VatUsage { vatstore_bytes, timers, ..usage })
    }

    /// Counts a crank that was carried out, whatever becomes of it. Answers with how many messages
    /// it sends.
    pub(crate) fn count_usage(&mut self, flight: &InFlight, report: &CrankReport) -> u64 {
        let usage = &mut self.runtime.entry(flight.vat).or_default().usage;
        usage.cranks = usage.cranks.saturating_add(1);
        usage.ticks = usage.ticks.saturating_add(report.usage.ticks);
        usage.cpu_us = usage.cpu_us.saturating_add(report.usage.cpu_us);
        usage.heap_bytes = report.usage.heap_bytes;
        if matches!(flight.work, InFlightWork::Message { .. }) {
            usage.messages_in = usage.messages_in.saturating_add(1);
        }
        let sends = report.syscalls.iter();
        sends.filter(|syscall| matches!(syscall, Syscall::Send { .. })).count() as u64
    }

    /// Counts the messages of a crank that is applied.
    pub(crate) fn count_sent(&mut self, vat: VatId, sent: u64) {
        let usage = &mut self.runtime.entry(vat).or_default().usage;
        usage.messages_out = usage.messages_out.saturating_add(sent);
    }

    /// Applies what a crank wrote to the vat's own store.
    pub(crate) fn write_vatstore(
        &mut self,
        vat: VatId,
        writes: Vec<(String, Option<String>)>,
    ) -> Result<(), Abort> {
        if writes.is_empty() {
            return Ok(());
        }
        let before: u64 = self.space.row(&keys::stored(vat))?.unwrap_or(0);
        let mut bytes = before;
        let mut records = 0;
        let mut last: Option<String> = None;
        for (key, value) in writes {
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(Abort::Illegal("vatstore writes are out of order".to_owned()));
            }
            if key.is_empty() || key.len() > limits::VATSTORE_KEY_BYTES_MAX {
                return Err(Abort::Illegal("vatstore key of impossible length".to_owned()));
            }
            let row = keys::vatstore(vat, &key);
            let old = self.space.get(&row)?.map(|old| entry_bytes(&key, &old));
            records += u64::from(reap::is_about_objects(&key, old.is_some() && value.is_some()));
            bytes = bytes.saturating_sub(old.unwrap_or(0));
            if let Some(value) = value {
                bytes = bytes.saturating_add(entry_bytes(&key, &value));
                if old.is_some() {
                    self.space.put(row, value);
                } else {
                    self.space.put_new(row, value);
                }
            } else if old.is_some() {
                self.keep_import(vat, &key)?;
                self.space.delete(row)?;
            }
            last = Some(key);
        }
        if bytes > before && bytes > STORE_BYTES_MIN {
            let max = self.store_bytes_max(vat)?;
            if bytes > max {
                return Err(Abort::Overload(format!(
                    "the vat's store would have {bytes} bytes, of {max} that it may have; it can \
                     store less, or be launched with a larger creationOptions.limits.storeBytes"
                )));
            }
        }
        self.runtime.entry(vat).or_default().records += records;
        if bytes == 0 && before > 0 {
            self.space.delete(keys::stored(vat))?;
        } else if bytes != before {
            self.space.write(keys::stored(vat), &bytes);
        }
        Ok(())
    }

    /// How large a vat's store may be. What takes away from one that is larger is always applied.
    fn store_bytes_max(&mut self, vat: VatId) -> Result<u64, CoreError> {
        let runtime = self.runtime.get(&vat);
        if let Some(max) = runtime.and_then(|runtime| runtime.store_bytes_max) {
            return Ok(max);
        }
        let config: VatConfig = self.space.required(&keys::vat_config(vat))?;
        // A stored config was checked at its launch; should it be damaged, the default holds.
        let wanted = config.limits().ok().and_then(|limits| limits.store_bytes);
        let max = wanted.unwrap_or(STORE_BYTES_DEFAULT);
        self.runtime.entry(vat).or_default().store_bytes_max = Some(max);
        Ok(max)
    }

    /// Counts what lies in the store of a vat that an earlier version has written.
    pub(crate) fn count_vatstore(&mut self, vat: VatId) -> Result<(), CoreError> {
        if self.space.contains(&keys::stored(vat))? {
            return Ok(());
        }
        let prefix = keys::vatstore_prefix(vat);
        let (mut bytes, mut after) = (0u64, prefix.clone());
        while let Some((key, value)) = self.space.next(&prefix, &after)? {
            bytes = bytes.saturating_add(entry_bytes(&key[prefix.len()..], &value));
            after = key;
        }
        if bytes > 0 {
            self.space.write(keys::stored(vat), &bytes);
        }
        Ok(())
    }
}

/// What an entry of a vat's store counts.
pub(crate) fn entry_bytes(key: &str, value: &str) -> u64 {
    (key.len() + value.len()) as u64
}
