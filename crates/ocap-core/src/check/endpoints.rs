//! Tests of queues, vats, subclusters, services and calls.

use std::collections::BTreeSet;

use ocap_types::{KRef, SubclusterId, VRef, VatId};

use super::seen::{CallSeen, Seen};
use crate::api::VatCondition;
use crate::key::Key;
use crate::keys;
use crate::rows::{CallKind, Party};

impl Seen {
    pub(super) fn test_queue(&mut self, party: Party) {
        let Some(seen) = self.queues.get(&party) else { return };
        let work = seen.work.unwrap_or_default();
        let (listed, items, due) = (seen.work.is_some(), seen.items.len() as u64, seen.collections);
        let mut ends = seen.items.keys().next().into_iter().chain(seen.items.keys().next_back());
        let within = ends.all(|n| (work.head..work.tail).contains(n));
        let (own, there) = match party {
            Party::Vat(vat) => (work.gc == due, self.has_vat(vat)),
            Party::Kernel => (!work.start && !work.reap && work.gc == 0, true),
        };
        let gone = matches!(party, Party::Vat(vat) if self.is_gone(vat));
        if gone {
            self.expect(!listed, keys::work(party), "work for a vat that has ended");
        }
        let tests = [
            (work.len == items, "not the number of items"),
            (within, "items outside head and tail"),
            (listed != work.is_none(), "a row for no work"),
            (own, "not the number of collection actions, which the kernel has none of"),
            (there || (!listed && items == 0 && due == 0), "work for no vat"),
        ];
        for (holds, problem) in tests {
            self.expect(holds || gone, keys::work(party), problem);
        }
        if !listed && items == 0 && due == 0 {
            self.queues.remove(&party);
        }
    }

    /// Whether a vat has ended and left something.
    pub(super) fn is_gone(&self, vat: VatId) -> bool {
        self.vats.get(&vat).is_some_and(|seen| seen.gone)
    }

    fn has_vat(&self, vat: VatId) -> bool {
        self.vats.get(&vat).is_some_and(|seen| seen.row.is_some())
    }

    pub(super) fn test_vat(&mut self, vat: VatId) {
        let Some(seen) = self.vats.get(&vat) else { return };
        let Some(row) = &seen.row else {
            if seen.gone {
                return self.test_remains(vat);
            }
            let tests = [
                (!seen.configured, keys::vat_config(vat), "config of no vat"),
                (seen.imports.is_none(), keys::imports(vat), "counters of no vat"),
                (seen.store.is_empty(), keys::vatstore(vat, ""), "store of no vat"),
                (seen.bytes_counted.is_none(), keys::stored(vat), "size of no vat's store"),
                (seen.asks_counted.is_none(), keys::asks(vat), "asks of no vat"),
                (seen.timers_counted.is_none(), keys::timers(vat), "timers of no vat"),
            ];
            let none = seen.entries == 0 && seen.asks == 0 && seen.timers == 0;
            // What it has issued stands without it.
            let (urls, issued) = (seen.urls_counted.unwrap_or(0) == seen.urls, seen.urls);
            let gone = none && tests.iter().all(|(holds, ..)| *holds);
            for (holds, key, problem) in tests {
                self.expect(holds, key, problem);
            }
            self.expect(urls, keys::url_count_of(vat), "not the number of URLs");
            if gone && urls && issued == 0 {
                self.vats.remove(&vat);
            }
            return;
        };
        let counted = seen.imports.is_some_and(|imports| imports.entries == seen.entries);
        let rooted = self.entries.get(&(vat, row.root)).and_then(|seen| seen.row);
        let cluster = self.subclusters.get(&row.subcluster).and_then(|seen| seen.row.as_ref());
        let listed = cluster.is_some_and(|sub| sub.vats.get(&row.name) == Some(&vat));
        let work = self.queues.get(&Party::Vat(vat)).and_then(|seen| seen.work);
        let asks = seen.asks_counted.unwrap_or(0) == seen.asks;
        let timers = seen.timers_counted.unwrap_or(0) == seen.timers;
        let urls = seen.urls_counted.unwrap_or(0) == seen.urls;
        let stored = seen.bytes_counted.unwrap_or(0) == seen.store_bytes;
        let starting = row.condition == VatCondition::Starting;
        let former = cluster.and_then(|cluster| cluster.former.get(&row.name));
        let tests = [
            (!seen.gone, "has ended, and is there"),
            (seen.configured, "no config"),
            (counted, "its c-list has not the number of entries counted"),
            (self.codes.contains(&row.code.0), "its code is not stored"),
            (
                former.is_none_or(|hash| self.codes.contains(&hash.0)),
                "its former code is not stored",
            ),
            (rooted.is_some_and(|entry| entry.vref == VRef::ROOT), "its root is not its root"),
            (listed, "not in its subcluster"),
            (asks, "not the number of asks counted"),
            (timers, "not the number of timers counted"),
            (urls, "not the number of URLs counted"),
            (stored, "its store has not the number of bytes counted"),
            (work.is_some_and(|work| work.start) == starting, "condition and start disagree"),
        ];
        for (holds, problem) in tests {
            self.expect(holds, keys::vat(vat), problem);
        }
    }

    /// What a vat left that has ended.
    fn test_remains(&mut self, vat: VatId) {
        let Some(seen) = self.vats.get(&vat) else { return };
        let tests = [
            (!seen.configured, "a config of a vat that has ended"),
            (seen.bytes_counted.is_none(), "a store's size of a vat that has ended"),
            (
                seen.imports.is_some_and(|imports| imports.entries == seen.entries),
                "its c-list has not the number of entries counted",
            ),
            (seen.asks_counted.unwrap_or(0) == seen.asks, "not the number of asks counted"),
            (seen.timers_counted.unwrap_or(0) == seen.timers, "not the number of timers counted"),
            (seen.urls_counted.unwrap_or(0) == seen.urls, "not the number of URLs counted"),
        ];
        for (holds, problem) in tests {
            self.expect(holds, keys::gone(vat), problem);
        }
    }

    pub(super) fn test_subcluster(&mut self, id: SubclusterId) {
        let Some(seen) = self.subclusters.get(&id) else { return };
        // Those of vats that have ended are counted until they are gone.
        let timers = seen.timers_counted.unwrap_or(0) == seen.timers;
        let Some(row) = &seen.row else {
            let (configured, none) = (seen.channels.is_some(), seen.timers_counted.is_none());
            self.expect(timers, keys::timers(id), "not the number of timers");
            self.expect(!configured, keys::config(id), "config of no subcluster");
            if !configured && none && timers {
                self.subclusters.remove(&id);
            }
            return;
        };
        let own = |vat: &VatId| {
            let row = self.vats.get(vat).and_then(|seen| seen.row.as_ref());
            row.is_some_and(|row| row.subcluster == id)
        };
        let named =
            |name: &String| self.subcluster_names.get(&(row.system, name.clone())) == Some(&id);
        let configured = seen.channels.as_ref();
        let once = row.launching.as_ref().and_then(|launching| launching.once.as_ref());
        let received = once.is_none_or(|once| {
            let receipt = self.receipts.get(once).and_then(|seen| seen.row.as_ref());
            receipt.and_then(|row| row.launch).is_some_and(|launch| launch.subcluster == id)
        });
        let registered = |(name, kref): (&String, &KRef)| {
            self.services.get(&format!("io:{id}:{name}")) == Some(kref)
        };
        let tests = [
            (!row.vats.is_empty() || row.launching.is_some(), "has no vats"),
            (row.vats.values().all(own), "lists a vat that is not its own"),
            (row.name.as_ref().is_none_or(named), "cannot be found by its name"),
            (configured.is_some(), "no config"),
            (timers, "not the number of timers counted"),
            (
                configured.is_none_or(|names| names.iter().eq(row.channels.keys())),
                "channels are not those configured",
            ),
            (row.channels.iter().all(registered), "a channel is not registered"),
            (received, "its launch has a receipt that is not of it"),
        ];
        for (holds, problem) in tests {
            self.expect(holds, keys::subcluster(id), problem);
        }
    }

    pub(super) fn test_subcluster_names(&mut self) {
        let strays: Vec<Key> = self
            .subcluster_names
            .iter()
            .filter(|((system, name), id)| {
                let row = self.subclusters.get(id).and_then(|seen| seen.row.as_ref());
                row.is_none_or(|row| row.system != *system || row.name.as_ref() != Some(name))
            })
            .map(|((system, name), _)| keys::subcluster_name(*system, name))
            .collect();
        for key in strays {
            self.find(key, "name of no subcluster");
        }
    }

    pub(super) fn test_codes(&mut self) {
        let rows = self.subclusters.values().filter_map(|seen| seen.row.as_ref());
        let used: BTreeSet<&String> =
            rows.flat_map(|row| row.codes().map(|hash| &hash.0)).collect();
        let strays = self.codes.iter().filter(|hash| !used.contains(hash));
        let strays: Vec<Key> = strays.map(|hash| keys::code(hash)).collect();
        for key in strays {
            self.find(key, "code of no subcluster");
        }
    }

    pub(super) fn test_receipt(&mut self, key: &str) {
        let Some(seen) = self.receipts.get(key) else { return };
        let Some(row) = &seen.row else {
            let listed = !seen.listed.is_empty();
            self.expect(!listed, keys::once(key), "listed, but not there");
            if !listed {
                self.receipts.remove(key);
            }
            return;
        };
        let listed = seen.listed.iter().eq([&row.at]);
        let names = |id| {
            let row = self.subclusters.get(id).and_then(|seen| seen.row.as_ref());
            let launching = row.and_then(|row| row.launching.as_ref());
            launching.is_some_and(|launching| launching.once.as_deref() == Some(key))
        };
        let launch = row.launch.map(|launch| launch.subcluster);
        let named = row.outcome.is_some() || launch.as_ref().is_some_and(names);
        let promise = row.outcome.is_none_or(KRef::is_promise);
        self.expect(listed, keys::once(key), "not listed by its age once");
        self.expect(named, keys::once(key), "of a launch that is not under its key");
        self.expect(promise, keys::once(key), "an object as an outcome");
    }

    pub(super) fn test_timer(&mut self, id: u64) {
        let Some(seen) = self.timers.get(&id) else { return };
        let listed = seen.listed.iter().copied().eq(seen.rows.iter().map(|(&at, t)| (t.vat, at)));
        let object = seen.rows.values().all(|timer| !timer.handler.is_promise());
        let (once, gone) = (seen.rows.len() <= 1, seen.rows.is_empty() && seen.listed.is_empty());
        let key = || format!("{}{id}", keys::TIMERS);
        self.expect(listed, key(), "not among its vat's timers, or among another's");
        self.expect(object, key(), "its handler is no object");
        self.expect(once, key(), "stands twice");
        if gone {
            self.timers.remove(&id);
        }
    }

    pub(super) fn test_call(&mut self, id: u64) {
        let Some(seen) = self.calls.get(&id) else { return };
        let CallSeen { row, callers, reads, readies, asked: asked_by, .. } = seen;
        let Some(call) = row else {
            let waits = !reads.is_empty() || !readies.is_empty() || !asked_by.is_empty();
            let gone = callers.is_empty() && !waits;
            self.expect(gone, keys::call(id), "somebody waits for it, but there is no such call");
            if gone {
                self.calls.remove(&id);
            }
            return;
        };
        let caller = call.from.map(|from| from.vat);
        let current = call.from.is_none_or(|from| {
            let row = self.vats.get(&from.vat).and_then(|seen| seen.row.as_ref());
            row.map_or(self.is_gone(from.vat), |row| row.incarnation == from.incarnation)
        });
        let (mut read, mut ready, mut asked) = (None, None, None);
        let targeted = match (call.kind, call.target) {
            (CallKind::Released, Some(KRef::Object(_))) => true,
            (
                CallKind::Read | CallKind::ReadMany | CallKind::Accept,
                Some(KRef::Object(number)),
            ) => {
                read = Some(number);
                true
            }
            (CallKind::Ready, Some(KRef::Object(number))) => {
                ready = Some(number);
                true
            }
            (CallKind::Asked, None) => {
                asked = caller.zip(call.result);
                asked.is_some()
            }
            _ => false,
        };
        let waits = reads.iter().eq(&read) && readies.iter().eq(&ready);
        let tests = [
            (callers.iter().eq(&caller), "not among its caller's calls, or among another's"),
            (current, "its caller's incarnation is gone"),
            (targeted, "a call of a promise, or of nothing"),
            (call.result.is_none_or(KRef::is_promise), "its result is no promise"),
            (waits && asked.iter().eq(asked_by), "does not wait where calls of its kind do"),
        ];
        for (holds, problem) in tests {
            self.expect(holds, keys::call(id), problem);
        }
    }
}
