//! Tests of counters, objects, promises and c-list entries.

use std::collections::BTreeSet;

use ocap_types::{KRef, VRef, VatId};

use super::seen::Seen;
use crate::key::Key;
use crate::keys;
use crate::rows::{Party, ServiceKind, State};

impl Seen {
    pub(super) fn test_counters(&mut self) {
        let above = |last: Option<u64>| last.map_or(0, |last| last + 1).max(1);
        let object = self.objects.iter().rev().find(|(_, seen)| seen.row.is_some());
        let promise = self.promises.iter().rev().find(|(_, seen)| seen.row.is_some());
        let vat = self.vats.iter().rev().find(|(_, seen)| seen.row.is_some() || seen.gone);
        let subcluster = self.subclusters.iter().rev().find(|(_, seen)| seen.row.is_some());
        let call = self.calls.iter().rev().find(|(_, seen)| seen.row.is_some());
        let timer = self.timers.iter().rev().find(|(_, seen)| !seen.rows.is_empty());
        let numbered = call.map(|(id, _)| *id).max(timer.map(|(id, _)| *id));
        let needed = [
            (keys::FORMAT, 1),
            (keys::NEXT_OBJECT, above(object.map(|(number, _)| *number))),
            (keys::NEXT_PROMISE, above(promise.map(|(number, _)| *number))),
            (keys::NEXT_VAT, above(vat.map(|(id, _)| id.0))),
            (keys::NEXT_SUBCLUSTER, above(subcluster.map(|(id, _)| id.0))),
            (keys::NEXT_CALL, above(numbered)),
        ];
        for (key, least) in needed {
            let enough = self.numbers.get(&*key.text()).is_some_and(|&number| number >= least);
            self.expect(enough, key, "missing, or not above every number in use");
        }
        let calls = self.calls.values().filter(|seen| seen.row.is_some()).count() as u64;
        let counted = self.numbers.get(&*keys::CALLS.text()) == Some(&calls);
        self.expect(counted, keys::CALLS, "not the number of calls");
        let whole = self.identity.contains(keys::PEER_ID) == self.identity.contains(keys::KEY_SEED);
        let whole = whole && (self.identity.len() != 1 || !self.identity.contains(keys::ENTROPY));
        self.expect(whole, keys::PEER_ID, "part of an identity is missing");
        let counted = self.numbers.get(&*keys::HOSTS.text()) == Some(&(self.hosts.len() as u64));
        self.expect(counted, keys::HOSTS, "not the number of host references");
        let receipts = self.receipts.values().filter(|seen| seen.row.is_some()).count() as u64;
        let counted = self.numbers.get(&*keys::ONCES.text()).copied().unwrap_or(0) == receipts;
        self.expect(counted, keys::ONCES, "not the number of receipts");
    }

    pub(super) fn test_object(&mut self, number: u64) {
        let Some(seen) = self.objects.get(&number) else { return };
        let kref = KRef::Object(number);
        let (held, pinned, roots, row) = (seen.held, seen.pinned, seen.roots, seen.row);
        let kind = seen.kind.clone();
        let (urls, urls_end) = (seen.urls, seen.urls_end);
        let connection = matches!(kind, Some(ServiceKind::Connection { .. }));
        let needed = (kind.is_some() && !connection) || roots > 0;
        if !connection && self.connections.contains_key(&number) {
            self.find(kref.to_string(), "listed as a connection, but is none");
        }
        // The last of them takes its object along, and then the mark goes.
        let owned = row.is_some_and(|row| row.owner.is_some());
        self.expect(!(urls_end && owned), keys::url_end(number), "URLs to go of what is there");
        let ended = row.is_some_and(|row| row.owner.is_none());
        let problem = "URLs of an object that is gone, which nobody removes";
        self.expect(!ended || urls == 0 || urls_end, keys::url_end(number), problem);
        self.expect(!pinned || needed, keys::pin(number), "pinned for no reason");
        self.expect(pinned || !needed, keys::pin(number), "a root or a service, but not pinned");
        if let Some(kind) = &kind {
            self.test_kind(number, kind, row.and_then(|row| row.owner));
        }
        let Some(row) = row else {
            self.expect(held == (0, 0), kref.to_string(), "is held but does not exist");
            let none = held == (0, 0) && urls == 0 && !urls_end;
            if none && kind.is_none() && !needed && !pinned {
                self.objects.remove(&number);
            }
            return;
        };
        let key = || keys::object(number);
        if held != (row.reachable, row.recognizable) {
            let problem = format!(
                "counts {} {}, held by {} {}",
                row.reachable, row.recognizable, held.0, held.1
            );
            self.find(key(), problem);
        }
        if connection && row.reachable == 0 {
            self.find(key(), "a connection nobody holds");
        }
        let problem = match row.owner {
            None => (row.recognizable == 0).then_some("no owner and no holder"),
            Some(Party::Kernel) => kind.is_none().then_some("kernel-owned but no service"),
            Some(Party::Vat(vat)) => {
                let entry = self.entries.get(&(vat, kref)).and_then(|seen| seen.row);
                match entry.filter(|entry| entry.vref.is_export()) {
                    None => Some("its owner does not export it"),
                    // Cleared when the owner was told that nobody can reach it.
                    Some(entry) if row.reachable > 0 && !entry.reachable && !self.is_gone(vat) => {
                        Some("reachable, but its owner was told otherwise")
                    }
                    Some(_) => None,
                }
            }
        };
        if let Some(problem) = problem {
            self.find(key(), problem);
        }
    }

    /// A kernel-owned object.
    fn test_kind(&mut self, number: u64, kind: &ServiceKind, owner: Option<Party>) {
        let (key, kref) = (keys::service_of(number), KRef::Object(number));
        self.expect(owner == Some(Party::Kernel), &key, "not owned by the kernel");
        let channel = |subcluster, name| {
            let row = self.subclusters.get(subcluster).and_then(|seen| seen.row.as_ref());
            row.and_then(|row| row.channels.get(name)).copied()
        };
        let named = registered_name(kind);
        let named = named.is_none_or(|name| self.services.get(&name) == Some(&kref));
        let (there, problem) = match kind {
            ServiceKind::Service { .. } => (true, ""),
            ServiceKind::Channel { subcluster, name } => {
                (channel(subcluster, name) == Some(kref), "channel of no subcluster")
            }
            ServiceKind::Connection { subcluster, name } => {
                let listed = self.connections.get(&number).into_iter().flatten();
                let own = channel(subcluster, name);
                let once = listed.map(|&number| Some(KRef::Object(number))).eq([own]);
                (once, "connection of no channel, or not among its connections")
            }
        };
        self.expect(there, &key, problem);
        self.expect(named, key, "cannot be found by its name");
    }

    pub(super) fn test_services(&mut self) {
        let strays: Vec<Key> = self
            .services
            .iter()
            .filter(|(name, kref)| {
                let KRef::Object(number) = kref else { return true };
                let kind = self.objects.get(number).and_then(|seen| seen.kind.as_ref());
                kind.is_none_or(|kind| registered_name(kind).as_ref() != Some(*name))
            })
            .map(|(name, _)| keys::service(name))
            .collect();
        for key in strays {
            self.find(key, "names no service");
        }
    }

    pub(super) fn test_promise(&mut self, number: u64) {
        let kref = KRef::Promise(number);
        let Some(seen) = self.promises.get(&number) else { return };
        let mut problems: Vec<&'static str> = Vec::new();
        let mut expect = |holds: bool, problem: &'static str| {
            if !holds {
                problems.push(problem);
            }
        };
        let mut counts = None;
        let mut gone = false;
        if let Some(row) = &seen.row {
            counts = (seen.held != row.refs).then_some((row.refs, seen.held));
            let settled = row.state != State::Unresolved;
            expect(row.refs > 0, "held by nobody");
            expect(seen.value.is_some() == settled, "value and state disagree");
            let numbered = seen.parked.keys().copied().eq(0..row.parked);
            expect(numbered, "parked messages are not those counted");
            expect(seen.waiter.is_some() == row.waited || settled, "waiter and flag disagree");
            let behind = if settled { None } else { self.behind.get(&number).copied() };
            expect(behind == row.behind, "not behind what its message waits for");
            let nested = seen.value.as_ref().is_some_and(super::seen::Held::has_promises);
            expect(nested == row.nested, "value and mark disagree");
            let bare = row.decider.is_none()
                && row.subscribers.is_empty()
                && row.parked == 0
                && !row.waited;
            expect(!settled || bare, "settled, but somebody decides or waits");
            let known =
                |vat: VatId| self.entries.get(&(vat, kref)).is_some_and(|e| e.row.is_some());
            let kernels = row.decider == Some(Party::Kernel);
            expect(seen.calls == 0 || kernels, "a call's result is not the kernel's to decide");
            match row.decider {
                Some(Party::Vat(vat)) => {
                    expect(known(vat), "its decider does not know it");
                    expect(seen.results == 0, "decided by a vat and a message's result");
                }
                Some(Party::Kernel) => {
                    let called = seen.calls == 1 && seen.results == 1;
                    expect(called, "decided by the kernel without a call");
                }
                None if !settled => expect(seen.results == 1, "nobody can ever settle it"),
                None => expect(seen.results == 0, "settled, but to be settled"),
            }
            let subscribed = row.subscribers.iter().all(|&vat| known(vat));
            expect(subscribed, "a subscriber does not know it");
            let sorted = row.subscribers.is_sorted_by(|a, b| a < b);
            expect(sorted, "subscribers are not in order");
            expect(seen.notifies == 0 || settled, "notify of an unsettled promise");
        } else {
            let bare = seen.value.is_none() && seen.parked.is_empty() && seen.waiter.is_none();
            expect(seen.held == 0, "is held but does not exist");
            expect(bare, "a value, messages or a waiter of no promise");
            gone = bare && seen.held == 0;
        }
        if let Some((counted, held)) = counts {
            self.find(keys::promise(number), format!("counts {counted}, held by {held}"));
        }
        for problem in problems {
            self.find(keys::promise(number), problem);
        }
        if gone {
            self.promises.remove(&number);
        }
    }

    /// Results that wait for themselves: nobody can ever settle them.
    pub(super) fn test_knots(&mut self) {
        let mut free = BTreeSet::new();
        let mut knots = Vec::new();
        for &start in self.behind.keys() {
            let mut path = BTreeSet::new();
            let mut next = start;
            while !free.contains(&next) && path.insert(next) {
                let Some(&further) = self.behind.get(&next) else { break };
                next = further;
            }
            if free.contains(&next) || !self.behind.contains_key(&next) {
                free.extend(path);
            } else {
                knots.push(keys::promise(start));
            }
        }
        for key in knots {
            self.find(key, "waits for itself");
        }
    }

    pub(super) fn test_entry(&mut self, vat: VatId, kref: KRef) {
        let Some(seen) = self.entries.get(&(vat, kref)) else { return };
        let (names, importer) = (seen.names, seen.importer);
        let key = || keys::by_kref(vat, kref);
        let Some(entry) = seen.row else {
            self.expect(names == 0, key(), "no row for the other direction");
            self.expect(!importer, key(), "importer without c-list entry");
            if names == 0 && !importer {
                self.entries.remove(&(vat, kref));
            }
            return;
        };
        let named = names == 1 && self.names.get(&(vat, entry.vref)) == Some(&kref);
        let owned = |number: u64| {
            let row = self.objects.get(&number).and_then(|seen| seen.row);
            row.is_some_and(|row| row.owner == Some(Party::Vat(vat)))
        };
        let export = entry.vref.is_export();
        let import_of_object = !kref.is_promise() && !export;
        let there = self.vats.get(&vat);
        let numbered = there.and_then(|seen| seen.imports).is_some_and(|next| match entry.vref {
            VRef::Import(n) => n < next.object,
            VRef::ImportPromise(n) => n < next.promise,
            _ => true,
        });
        let tests = [
            (named, "no row for the other direction"),
            (kref.is_promise() == entry.vref.is_promise(), "a promise and an object"),
            (there.is_some_and(|seen| seen.row.is_some() || seen.gone), "c-list of no vat"),
            (!matches!(kref, KRef::Object(n) if export && !owned(n)), "exported but not owned"),
            (importer || !import_of_object, "not among the object's importers"),
            (import_of_object || !importer, "among the object's importers, but imports it not"),
            (numbered, "numbered above the vat's counter"),
        ];
        for (holds, problem) in tests {
            self.expect(holds, key(), problem);
        }
    }
}

/// The name a kernel-owned object is registered under, if it is one of those that are.
fn registered_name(kind: &ServiceKind) -> Option<String> {
    match kind {
        ServiceKind::Service { name } => Some(name.clone()),
        ServiceKind::Channel { subcluster, name } => Some(format!("io:{subcluster}:{name}")),
        ServiceKind::Connection { .. } => None,
    }
}
