//! Opening a store: the boot turn.
//!
//! What was committed is the state. What the last run left under way is ended with codes that say
//! so, and every vat goes through the new-incarnation procedure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ocap_store::Reader;
use ocap_types::config::ClusterConfig;
use ocap_types::{KRef, SubclusterId, VatId};

use crate::api::{BootOptions, CoreError, Finding};
use crate::core::Core;
use crate::errors::Code;
use crate::keys;
use crate::rows::{
    Call, CallKind, Party, Promise, Row, ServiceKind, Subcluster, Vat, Waiters, corrupt,
};
use crate::space::Space;
use crate::timer;

/// The format this version writes and reads.
const FORMAT_VERSION: u64 = 1;

impl Core {
    /// Opens a store whose last batch is `last_seq` (0 if it is fresh) and does the whole boot in
    /// the open batch.
    pub fn open(
        reader: Arc<dyn Reader>,
        last_seq: u64,
        options: BootOptions,
    ) -> Result<Core, CoreError> {
        let BootOptions { services, io, identity, chance } = options;
        let mut registered = BTreeMap::from([(timer::NAME.to_owned(), false)]);
        for service in &services {
            if registered.insert(service.name.clone(), service.system_only).is_some() {
                let text = format!("kernel service '{}' is declared twice", service.name);
                return Err(CoreError::Invalid(text));
            }
        }
        let mut core = Core::empty(Space::new(reader, last_seq), registered, io);
        core.service_order = services.iter().map(|service| service.name.clone()).collect();
        core.chance = chance;
        core.turn(|core| {
            core.prepare_rows()?;
            core.take_identity(identity.as_ref())?;
            core.find_remains()?;
            // Before anything ends, for that may make some void.
            core.find_urls()?;
            for service in &services {
                core.register(&service.name)?;
            }
            core.find_connections()?;
            core.end_waits()?;
            core.undo_launches()?;
            core.end_calls()?;
            core.reopen_channels()?;
            core.restart_all()?;
            core.untangle()?;
            core.find_first_due()?;
            core.find_receipt_due()?;
            for (key, _) in core.space.scan(keys::WORK)? {
                let party = key.strip_prefix(keys::WORK).and_then(|party| party.parse().ok());
                core.ready.insert(party.ok_or_else(|| corrupt(&key, "no endpoint"))?);
            }
            Ok(())
        })?;
        // No worker of an earlier run is there to be stopped.
        core.commands.clear();
        Ok(core)
    }

    /// Whether a kernel of this version can read a format that is there.
    pub(crate) fn check_format(&self) -> Result<Option<Finding>, CoreError> {
        let format = self.space.get(keys::FORMAT)?.and_then(|text| text.parse::<u64>().ok());
        let unknown = format.filter(|format| *format != FORMAT_VERSION);
        Ok(unknown.map(|format| Finding {
            key: keys::FORMAT.text().into_owned(),
            problem: format!("{format}, which this version cannot read"),
        }))
    }

    pub(crate) fn prepare_rows(&mut self) -> Result<(), CoreError> {
        match self.space.row::<u64>(keys::FORMAT)? {
            Some(FORMAT_VERSION) => return Ok(()),
            Some(other) => {
                let text = format!("this store has format {other}, which this version cannot read");
                return Err(CoreError::Invalid(text));
            }
            None => {}
        }
        if let Some((key, _)) = self.space.next("", "")? {
            return Err(corrupt(&key, "a row in a store without a format"));
        }
        self.space.put_new(keys::FORMAT.to_owned(), FORMAT_VERSION.to_string());
        self.prepare_counters()
    }

    /// Counters that are not there begin anew.
    pub(crate) fn prepare_counters(&mut self) -> Result<(), CoreError> {
        let counters = [
            (keys::NEXT_OBJECT, "1"),
            (keys::NEXT_PROMISE, "1"),
            (keys::NEXT_VAT, "1"),
            (keys::NEXT_SUBCLUSTER, "1"),
            (keys::NEXT_CALL, "1"),
            (keys::CALLS, "0"),
            (keys::HOSTS, "0"),
        ];
        for (counter, begin) in counters {
            if !self.space.contains(counter)? {
                self.space.put_new(counter.to_owned(), begin.to_owned());
            }
        }
        Ok(())
    }

    /// Gives a service a reference, unless it has one.
    pub(crate) fn register(&mut self, name: &str) -> Result<(), CoreError> {
        let key = keys::service(name);
        if self.space.contains(&key)? {
            return Ok(());
        }
        let number = self.new_object(Party::Kernel)?;
        self.space.put_new(key, KRef::Object(number).to_string());
        let kind = ServiceKind::Service { name: name.to_owned() };
        self.space.put_new(keys::service_of(number), kind.write());
        self.pin(number)
    }

    /// Nobody of the last run waits any more.
    fn end_waits(&mut self) -> Result<(), CoreError> {
        for (key, text) in self.space.scan(keys::WAITS)? {
            let kref = key.strip_prefix(keys::WAITS).and_then(|kref| kref.parse().ok());
            let (Some(KRef::Promise(number)), Some(_)) = (kref, Waiters::read(&text)) else {
                return Err(corrupt(&key, "no waiter"));
            };
            self.space.delete(key)?;
            let mut row: Promise = self.promise(number)?;
            row.waited = false;
            self.write_promise(number, &row);
            self.release(KRef::Promise(number))?;
        }
        Ok(())
    }

    fn undo_launches(&mut self) -> Result<(), CoreError> {
        for (key, text) in self.space.scan(keys::SUBCLUSTERS)? {
            let row = Subcluster::read(&text).ok_or_else(|| corrupt(&key, "no subcluster"))?;
            if row.launching.is_some() {
                self.erase_subcluster(subcluster_id(&key)?)?;
            }
        }
        Ok(())
    }

    /// Ends every call of the last run, telling those that may have happened from those that did
    /// not.
    fn end_calls(&mut self) -> Result<(), CoreError> {
        let unknown =
            "the kernel stopped while this was under way; it may or may not have happened";
        let unknown = Code::OutcomeUnknown.rejection(unknown);
        let cancelled = "the kernel was restarted while this was pending; nothing was consumed";
        let cancelled = Code::ReadCancelled.rejection(cancelled);
        for (key, text) in self.space.scan(keys::CALL)? {
            let call = Call::read(&text).ok_or_else(|| corrupt(&key, "no call"))?;
            let id = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
            let reason = match call.kind {
                CallKind::Released | CallKind::Asked => &unknown,
                CallKind::Read | CallKind::ReadMany | CallKind::Accept | CallKind::Ready => {
                    &cancelled
                }
            };
            self.end_call(id, true, reason)?;
        }
        Ok(())
    }

    fn reopen_channels(&mut self) -> Result<(), CoreError> {
        if !self.io {
            return Ok(());
        }
        for (key, text) in self.space.scan(keys::SUBCLUSTERS)? {
            let row = Subcluster::read(&text).ok_or_else(|| corrupt(&key, "no subcluster"))?;
            if row.channels.is_empty() {
                continue;
            }
            let id = subcluster_id(&key)?;
            let config: ClusterConfig = self.space.required(&keys::config(id))?;
            for (name, &kref) in &row.channels {
                let io = config.io.as_ref().and_then(|io| io.get(name));
                let io = io.ok_or_else(|| corrupt(&key, "a channel without config"))?;
                self.open_channel(id, name, kref, io);
            }
        }
        Ok(())
    }

    /// Deletes promises that only hold each other, in knots of any size.
    fn untangle(&mut self) -> Result<(), CoreError> {
        let mut nested = BTreeSet::new();
        for (key, text) in self.space.scan(keys::PROMISES)? {
            let row = Promise::read(&text).ok_or_else(|| corrupt(&key, "no promise"))?;
            let kref = key.strip_prefix(keys::PROMISES).and_then(|kref| kref.parse().ok());
            if let (true, Some(KRef::Promise(number))) = (row.nested, kref) {
                nested.insert(number);
            }
        }
        self.collect_knots(nested, usize::MAX)
    }

    fn restart_all(&mut self) -> Result<(), CoreError> {
        let mut vats = Vec::new();
        for (key, text) in self.space.scan(keys::VATS)? {
            let id = key.strip_prefix(keys::VATS).and_then(|id| id.parse().ok());
            let id: VatId = id.ok_or_else(|| corrupt(&key, "no vat id"))?;
            let row = Vat::read(&text).ok_or_else(|| corrupt(&key, "no vat"))?;
            vats.push((id, row));
        }
        vats.sort_unstable_by_key(|&(id, _)| id);
        for (id, mut row) in vats {
            self.count_vatstore(id)?;
            if row.restart.take().is_some() {
                self.space.write(keys::vat(id), &row);
            }
            let suspended = match row.condition {
                crate::api::VatCondition::Suspended { reason } => Some(reason),
                _ => None,
            };
            self.new_incarnation(id, "the kernel was restarted", suspended)?;
        }
        Ok(())
    }
}

fn subcluster_id(key: &str) -> Result<SubclusterId, CoreError> {
    let id = key.strip_prefix(keys::SUBCLUSTERS).and_then(|id| id.parse().ok());
    id.ok_or_else(|| corrupt(key, "no subcluster id"))
}
