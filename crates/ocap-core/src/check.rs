//! The walk over the whole key space: recomputes every count from its holders and tests every
//! invariant that the modules state. What `ocap doctor` and the tests rest on; shares no
//! bookkeeping with the code it checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ocap_store::Reader;
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::{KCapData, KRef, SubclusterId, VRef, VatId};

use crate::api::{CoreError, Finding, VatCondition};
use crate::core::Core;
use crate::gc::{DROP_EXPORT, RETIRE_EXPORT, RETIRE_IMPORT, SENT, Sent};
use crate::keys;
use crate::limits;
use crate::rows::{
    Call, CallKind, ClistEntry, Imports, Item, Message, Object, Party, Promise, Registration, Row,
    ServiceKind, State, Subcluster, Vat, Waiter, Work,
};
use crate::space::Space;

/// Everything the walk has seen.
#[derive(Default)]
struct Seen {
    numbers: BTreeMap<String, u64>,
    objects: BTreeMap<u64, Object>,
    promises: BTreeMap<u64, Promise>,
    /// Holders found: reachable and recognizable of objects, count of promises (first number).
    held: BTreeMap<KRef, (u64, u64)>,
    /// Values, and whether they mention promises.
    values: BTreeMap<u64, bool>,
    parked: BTreeMap<u64, BTreeSet<u64>>,
    /// Results of parked messages, and the promise each waits for.
    behind: BTreeMap<u64, u64>,
    entries: BTreeMap<(VatId, KRef), ClistEntry>,
    names: BTreeMap<(VatId, VRef), KRef>,
    importers: BTreeSet<(u64, VatId)>,
    imports: BTreeMap<VatId, Imports>,
    works: BTreeMap<Party, Work>,
    queues: BTreeMap<Party, BTreeSet<u64>>,
    notifies: BTreeSet<(VatId, KRef)>,
    collections: BTreeMap<VatId, u64>,
    vats: BTreeMap<VatId, Vat>,
    vat_configs: BTreeSet<VatId>,
    stores: BTreeSet<VatId>,
    subclusters: BTreeMap<SubclusterId, Subcluster>,
    configs: BTreeMap<SubclusterId, ClusterConfig>,
    subcluster_names: BTreeMap<(bool, String), SubclusterId>,
    codes: BTreeSet<String>,
    services: BTreeMap<String, KRef>,
    kinds: BTreeMap<u64, ServiceKind>,
    pins: BTreeSet<u64>,
    calls: BTreeMap<u64, Call>,
    calls_of: BTreeSet<(VatId, u64)>,
    asks: BTreeMap<(VatId, KRef), u64>,
    asks_counted: BTreeMap<VatId, u64>,
    reads: BTreeSet<(u64, u64)>,
    readies: BTreeSet<(u64, u64)>,
    waits: BTreeMap<u64, Waiter>,
    hosts: BTreeSet<KRef>,
    /// Results that a message or a call is to settle.
    results: BTreeMap<KRef, u64>,
    kernel_results: BTreeSet<KRef>,
    findings: Vec<Finding>,
}

/// Walks over a store nobody has open, as it was last committed.
pub fn check_store(reader: Arc<dyn Reader>) -> Result<Vec<Finding>, CoreError> {
    Core::empty(Space::new(reader, 0), BTreeMap::new(), false).check()
}

impl Core {
    /// Recomputes every count and invariant from the key space. Empty if all is well. Reads every
    /// row; changes nothing.
    pub fn check(&self) -> Result<Vec<Finding>, CoreError> {
        let mut seen = Seen::default();
        let mut after = String::new();
        while let Some((key, value)) = self.space.next("", &after)? {
            if seen.row(&key, &value).is_none() {
                seen.find(&key, "not a row of any kind, or not a value of its type");
            }
            after = key;
            if seen.findings.len() >= limits::FINDINGS_MAX {
                return Ok(seen.findings);
            }
        }
        seen.counters();
        seen.objects();
        seen.promises();
        seen.clists();
        seen.queues();
        seen.vats();
        seen.subclusters();
        seen.services();
        seen.calls();
        seen.findings.truncate(limits::FINDINGS_MAX);
        Ok(seen.findings)
    }
}

impl Seen {
    fn find(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.findings.push(Finding { key: key.into(), problem: problem.into() });
    }

    fn expect(&mut self, holds: bool, key: impl Into<String>, problem: &str) {
        if !holds {
            self.find(key, problem);
        }
    }

    fn hold(&mut self, kref: KRef) {
        let counts = self.held.entry(kref).or_default();
        counts.0 += 1;
        counts.1 += 1;
    }

    fn hold_all(&mut self, data: &KCapData) {
        data.slots.iter().for_each(|&slot| self.hold(slot));
    }

    fn message(&mut self, message: &Message) {
        self.hold(message.target);
        self.hold_all(&message.methargs);
        if let Some(result) = message.result {
            self.hold(result);
            *self.results.entry(result).or_default() += 1;
        }
    }

    /// Notes one row; `None` if it makes no sense.
    fn row(&mut self, key: &str, value: &str) -> Option<()> {
        let (kind, rest) = key.split_once('.').unwrap_or((key, ""));
        match kind {
            "format" | "next" | "calls" | "hosts" => {
                self.numbers.insert(key.to_owned(), u64::read(value)?);
            }
            "o" => {
                self.objects.insert(object(rest)?, Object::read(value)?);
            }
            "i" => {
                let (number, vat) = rest.split_once('.')?;
                self.importers.insert((object(number)?, vat.parse().ok()?));
            }
            "p" => {
                self.promises.insert(promise(rest)?, Promise::read(value)?);
            }
            "pv" => {
                let data = KCapData::read(value)?;
                let nested = data.slots.iter().any(|slot| slot.is_promise());
                self.values.insert(promise(rest)?, nested);
                self.hold_all(&data);
            }
            "pq" => {
                let (number, n) = rest.split_once('.')?;
                self.parked.entry(promise(number)?).or_default().insert(n.parse().ok()?);
                let message = Message::read(value)?;
                if message.target != KRef::Promise(promise(number)?) {
                    self.find(key, "parked on another promise than its target");
                }
                if let Some(KRef::Promise(result)) = message.result {
                    self.behind.insert(result, promise(number)?);
                }
                self.message(&message);
            }
            "c" => self.clist_row(rest, value)?,
            "imports" => {
                self.imports.insert(rest.parse().ok()?, Imports::read(value)?);
            }
            "w" => {
                self.works.insert(rest.parse().ok()?, Work::read(value)?);
            }
            "q" => {
                let (to, n) = rest.split_once('.')?;
                let to: Party = to.parse().ok()?;
                self.queues.entry(to).or_default().insert(n.parse().ok()?);
                match (Item::read(value)?, to) {
                    (Item::Send(message), _) => self.message(&message),
                    (Item::Notify(kref), Party::Vat(vat)) => {
                        self.hold(kref);
                        self.notifies.insert((vat, kref));
                    }
                    (Item::Notify(_), Party::Kernel) => return None,
                }
            }
            "gc" => {
                let mut parts = rest.split('.');
                let vat: VatId = parts.next()?.parse().ok()?;
                match parts.next()? {
                    SENT => {
                        Sent::read(value)?;
                    }
                    DROP_EXPORT | RETIRE_EXPORT | RETIRE_IMPORT => {
                        object(parts.next()?)?;
                    }
                    _ => return None,
                }
                *self.collections.entry(vat).or_default() += 1;
            }
            "vat" => {
                self.vats.insert(rest.parse().ok()?, Vat::read(value)?);
            }
            "vatconfig" => {
                VatConfig::read(value)?;
                self.vat_configs.insert(rest.parse().ok()?);
            }
            "vs" => {
                self.stores.insert(rest.split_once('.')?.0.parse().ok()?);
            }
            _ => self.other_row(kind, rest, value)?,
        }
        Some(())
    }

    fn other_row(&mut self, kind: &str, rest: &str, value: &str) -> Option<()> {
        match kind {
            "sub" => {
                self.subclusters.insert(rest.parse().ok()?, Subcluster::read(value)?);
            }
            "config" => {
                self.configs.insert(rest.parse().ok()?, ClusterConfig::read(value)?);
            }
            "subname" | "sysname" => {
                let name = (kind == "sysname", rest.to_owned());
                self.subcluster_names.insert(name, value.parse().ok()?);
            }
            "code" => {
                self.codes.insert(rest.to_owned());
            }
            "svc" => {
                self.services.insert(rest.to_owned(), value.parse().ok()?);
            }
            "objsvc" => {
                let KRef::Object(number) = Registration::read(value)?.kref else { return None };
                self.hold(KRef::Object(number));
            }
            "svck" => {
                self.kinds.insert(object(rest)?, ServiceKind::read(value)?);
            }
            "pin" => {
                self.pins.insert(object(rest)?);
                self.hold(KRef::Object(object(rest)?));
            }
            "call" => {
                let call = Call::read(value)?;
                if let Some(target) = call.target {
                    self.hold(target);
                }
                call.slots.iter().for_each(|&slot| self.hold(slot));
                if let Some(result) = call.result {
                    self.hold(result);
                    *self.results.entry(result).or_default() += 1;
                    self.kernel_results.insert(result);
                }
                self.calls.insert(rest.parse().ok()?, call);
            }
            "callof" => {
                let (vat, id) = rest.split_once('.')?;
                self.calls_of.insert((vat.parse().ok()?, id.parse().ok()?));
            }
            "ask" => {
                let (vat, result) = rest.split_once('.')?;
                let result: KRef = result.parse().ok()?;
                self.asks.insert((vat.parse().ok()?, result), u64::read(value)?);
            }
            "asks" => {
                self.asks_counted.insert(rest.parse().ok()?, u64::read(value)?);
            }
            "read" | "ready" => {
                let (number, id) = rest.split_once('.')?;
                let pair = (object(number)?, id.parse().ok()?);
                if kind == "read" { &mut self.reads } else { &mut self.readies }.insert(pair);
            }
            "wait" => {
                self.waits.insert(promise(rest)?, Waiter::read(value)?);
                self.hold(KRef::Promise(promise(rest)?));
            }
            "h" => {
                let kref: KRef = rest.parse().ok()?;
                self.hosts.insert(kref);
                self.hold(kref);
            }
            _ => return None,
        }
        Some(())
    }

    fn clist_row(&mut self, rest: &str, value: &str) -> Option<()> {
        let (vat, rest) = rest.split_once('.')?;
        let vat: VatId = vat.parse().ok()?;
        if let Some(kref) = rest.strip_prefix("k.") {
            let kref: KRef = kref.parse().ok()?;
            let entry = ClistEntry::read(value)?;
            match kref {
                KRef::Promise(_) => self.hold(kref),
                KRef::Object(_) if !entry.vref.is_export() => {
                    let counts = self.held.entry(kref).or_default();
                    counts.0 += u64::from(entry.reachable);
                    counts.1 += 1;
                }
                KRef::Object(_) => {}
            }
            self.entries.insert((vat, kref), entry);
        } else {
            let vref: VRef = rest.strip_prefix("v.")?.parse().ok()?;
            self.names.insert((vat, vref), value.parse().ok()?);
        }
        Some(())
    }

    fn counters(&mut self) {
        let last = |map: Option<u64>| map.map_or(0, |last| last + 1).max(1);
        let needed = [
            (keys::FORMAT, 1),
            (keys::NEXT_OBJECT, last(self.objects.keys().next_back().copied())),
            (keys::NEXT_PROMISE, last(self.promises.keys().next_back().copied())),
            (keys::NEXT_VAT, last(self.vats.keys().next_back().map(|vat| vat.0))),
            (keys::NEXT_SUBCLUSTER, last(self.subclusters.keys().next_back().map(|id| id.0))),
            (keys::NEXT_CALL, last(self.calls.keys().next_back().copied())),
        ];
        for (key, least) in needed {
            let enough = self.numbers.get(&*key.text()).is_some_and(|&number| number >= least);
            self.expect(enough, key, "missing, or not above every number in use");
        }
        let calls = self.numbers.get(&*keys::CALLS.text()) == Some(&(self.calls.len() as u64));
        self.expect(calls, keys::CALLS, "not the number of calls");
        let hosts = self.numbers.get(&*keys::HOSTS.text()) == Some(&(self.hosts.len() as u64));
        self.expect(hosts, keys::HOSTS, "not the number of host references");
    }

    fn objects(&mut self) {
        for kref in self.held.keys().copied().collect::<Vec<_>>() {
            let there = match kref {
                KRef::Object(number) => self.objects.contains_key(&number),
                KRef::Promise(number) => self.promises.contains_key(&number),
            };
            self.expect(there, kref.to_string(), "is held but does not exist");
        }
        for (number, row) in self.objects.clone() {
            let key = keys::object(number);
            let held = self.held.get(&KRef::Object(number)).copied().unwrap_or_default();
            if held != (row.reachable, row.recognizable) {
                let problem = format!(
                    "counts {} {}, held by {} {}",
                    row.reachable, row.recognizable, held.0, held.1
                );
                self.find(&key, problem);
            }
            match row.owner {
                None => self.expect(row.recognizable > 0, key, "no owner and no holder"),
                Some(Party::Kernel) => {
                    let known = self.kinds.contains_key(&number);
                    self.expect(known, key, "kernel-owned but no service");
                }
                Some(Party::Vat(vat)) => {
                    let entry = self.entries.get(&(vat, KRef::Object(number)));
                    let exported = entry.is_some_and(|entry| entry.vref.is_export());
                    self.expect(exported, &key, "its owner does not export it");
                    let told = entry_told(self.entries.get(&(vat, KRef::Object(number))));
                    self.expect(
                        row.reachable == 0 || !told,
                        key,
                        "reachable, but its owner was told otherwise",
                    );
                }
            }
        }
    }

    fn promises(&mut self) {
        for (number, row) in self.promises.clone() {
            let (key, kref) = (keys::promise(number), KRef::Promise(number));
            let held = self.held.get(&kref).map_or(0, |held| held.0);
            if held != row.refs {
                self.find(&key, format!("counts {}, held by {held}", row.refs));
            }
            self.expect(row.refs > 0, &key, "held by nobody");
            let settled = row.state != State::Unresolved;
            self.expect(
                self.values.contains_key(&number) == settled,
                &key,
                "value and state disagree",
            );
            let parked = self.parked.remove(&number).unwrap_or_default();
            let numbered = parked.iter().copied().eq(0..row.parked);
            self.expect(numbered, &key, "parked messages are not those counted");
            self.expect(
                self.waits.contains_key(&number) == row.waited || settled,
                &key,
                "waiter and flag disagree",
            );
            let behind = if settled { None } else { self.behind.get(&number).copied() };
            self.expect(behind == row.behind, &key, "not behind what its message waits for");
            let nested = self.values.get(&number).copied().unwrap_or(false);
            self.expect(nested == row.nested, &key, "value and mark disagree");
            let results = self.results.get(&kref).copied().unwrap_or(0);
            if settled {
                let bare = row.decider.is_none()
                    && row.subscribers.is_empty()
                    && row.parked == 0
                    && !row.waited;
                self.expect(bare, &key, "settled, but somebody decides or waits");
            }
            match row.decider {
                Some(Party::Vat(vat)) => {
                    let known = self.entries.contains_key(&(vat, kref));
                    self.expect(known, &key, "its decider does not know it");
                    self.expect(results == 0, &key, "decided by a vat and a message's result");
                }
                Some(Party::Kernel) => {
                    let called = self.kernel_results.contains(&kref) && results == 1;
                    self.expect(called, &key, "decided by the kernel without a call");
                }
                None if !settled => {
                    self.expect(results == 1, &key, "nobody can ever settle it");
                }
                None => self.expect(results == 0, &key, "settled, but to be settled"),
            }
            for vat in &row.subscribers {
                let known = self.entries.contains_key(&(*vat, kref));
                self.expect(known, &key, "a subscriber does not know it");
            }
            let sorted = row.subscribers.is_sorted_by(|a, b| a < b);
            self.expect(sorted, key, "subscribers are not in order");
        }
        self.knots();
        for number in self.values.keys().copied().collect::<Vec<_>>() {
            let there = self.promises.contains_key(&number);
            self.expect(there, keys::promise_value(number), "value of no promise");
        }
        for number in self.parked.keys().copied().collect::<Vec<_>>() {
            self.find(keys::parked(number, 0), "parked on no promise");
        }
        for number in self.waits.keys().copied().collect::<Vec<_>>() {
            let there = self.promises.contains_key(&number);
            self.expect(there, keys::wait(number), "waits for no promise");
        }
        for (vat, kref) in self.notifies.clone() {
            let KRef::Promise(number) = kref else {
                self.find(keys::queue(Party::Vat(vat)), "notify of an object");
                continue;
            };
            let settled = self.values.contains_key(&number);
            self.expect(settled, keys::queue(Party::Vat(vat)), "notify of an unsettled promise");
        }
    }

    /// Results that wait for themselves: nobody can ever settle them.
    fn knots(&mut self) {
        let behind = std::mem::take(&mut self.behind);
        let mut free = BTreeSet::new();
        for &start in behind.keys() {
            let mut path = BTreeSet::new();
            let mut next = start;
            while !free.contains(&next) && path.insert(next) {
                let Some(&further) = behind.get(&next) else { break };
                next = further;
            }
            if free.contains(&next) || !behind.contains_key(&next) {
                free.extend(path);
            } else {
                self.find(keys::promise(start), "waits for itself");
            }
        }
    }

    fn clists(&mut self) {
        let entries: Vec<_> = self.entries.iter().map(|(&at, &entry)| (at, entry)).collect();
        for ((vat, kref), entry) in entries {
            let key = keys::by_kref(vat, kref);
            let named = self.names.remove(&(vat, entry.vref)) == Some(kref);
            self.expect(named, &key, "no row for the other direction");
            self.expect(
                kref.is_promise() == entry.vref.is_promise(),
                &key,
                "a promise and an object",
            );
            self.expect(self.vats.contains_key(&vat), &key, "c-list of no vat");
            let KRef::Object(number) = kref else { continue };
            if entry.vref.is_export() {
                let owner = self.objects.get(&number).and_then(|row| row.owner);
                self.expect(owner == Some(Party::Vat(vat)), &key, "exported but not owned");
            } else {
                let indexed = self.importers.remove(&(number, vat));
                self.expect(indexed, &key, "not among the object's importers");
            }
            let next = self.imports.get(&vat).copied();
            let below = next.is_some_and(|next| match entry.vref {
                VRef::Import(n) => n < next.object,
                VRef::ImportPromise(n) => n < next.promise,
                _ => true,
            });
            self.expect(below, key, "numbered above the vat's counter");
        }
        for (vat, vref) in self.names.keys().copied().collect::<Vec<_>>() {
            self.find(keys::by_vref(vat, vref), "no row for the other direction");
        }
        for (number, vat) in self.importers.clone() {
            self.find(keys::importer(number, vat), "importer without c-list entry");
        }
    }

    fn queues(&mut self) {
        let parties: BTreeSet<Party> = self
            .works
            .keys()
            .chain(self.queues.keys())
            .copied()
            .chain(self.collections.keys().map(|&vat| Party::Vat(vat)))
            .collect();
        for party in parties {
            let key = keys::work(party);
            let work = self.works.get(&party).copied().unwrap_or_default();
            let items = self.queues.get(&party).cloned().unwrap_or_default();
            self.expect(work.len == items.len() as u64, &key, "not the number of items");
            let within = items.iter().all(|n| (work.head..work.tail).contains(n));
            self.expect(within, &key, "items outside head and tail");
            let listed = self.works.contains_key(&party);
            self.expect(listed != work.is_none(), &key, "a row for no work");
            if let Party::Vat(vat) = party {
                let due = self.collections.get(&vat).copied().unwrap_or(0);
                self.expect(work.gc == due, &key, "not the number of collection actions");
                self.expect(self.vats.contains_key(&vat), key, "work for no vat");
            } else {
                let own = !work.start && !work.reap && work.gc == 0;
                self.expect(own, key, "the kernel has queue items only");
            }
        }
    }

    fn vats(&mut self) {
        for (vat, row) in self.vats.clone() {
            let key = keys::vat(vat);
            let configured = self.vat_configs.remove(&vat);
            self.expect(configured, &key, "no config");
            let entries =
                self.entries.range((vat, KRef::Object(0))..(VatId(vat.0 + 1), KRef::Object(0)));
            let entries = entries.count() as u64;
            let counted = self.imports.remove(&vat).is_some_and(|row| row.entries == entries);
            self.expect(counted, &key, "its c-list has not the number of entries counted");
            self.expect(self.codes.contains(&row.code.0), &key, "its code is not stored");
            let rooted = self.entries.get(&(vat, row.root)).map(|entry| entry.vref);
            self.expect(rooted == Some(VRef::ROOT), &key, "its root is not its root");
            let pinned = matches!(row.root, KRef::Object(root) if self.pins.remove(&root));
            self.expect(pinned, &key, "its root is not pinned");
            let listed = self.subclusters.get(&row.subcluster);
            let listed = listed.is_some_and(|sub| sub.vats.get(&row.name) == Some(&vat));
            self.expect(listed, &key, "not in its subcluster");
            let start = self.works.get(&Party::Vat(vat)).is_some_and(|work| work.start);
            let starting = row.condition == VatCondition::Starting;
            self.expect(start == starting, key, "condition and pending start disagree");
        }
        for vat in self.vat_configs.clone() {
            self.find(keys::vat_config(vat), "config of no vat");
        }
        for vat in self.imports.keys().copied().collect::<Vec<_>>() {
            self.find(keys::imports(vat), "counters of no vat");
        }
        for vat in self.stores.clone() {
            let there = self.vats.contains_key(&vat);
            self.expect(there, keys::vatstore(vat, ""), "store of no vat");
        }
    }

    fn subclusters(&mut self) {
        let mut used = BTreeSet::new();
        for (id, row) in self.subclusters.clone() {
            let key = keys::subcluster(id);
            used.extend(row.code.values().map(|hash| hash.0.clone()));
            let alive = !row.vats.is_empty() || row.launching.is_some();
            self.expect(alive, &key, "has no vats");
            for vat in row.vats.values() {
                let there = self.vats.get(vat).is_some_and(|row| row.subcluster == id);
                self.expect(there, &key, "lists a vat that is not its own");
            }
            if let Some(name) = &row.name {
                let named = self.subcluster_names.remove(&(row.system, name.clone())) == Some(id);
                self.expect(named, &key, "cannot be found by its name");
            }
            let io = self.configs.remove(&id).map(|config| config.io.unwrap_or_default());
            let Some(io) = io else {
                self.find(key, "no config");
                continue;
            };
            self.expect(
                io.keys().eq(row.channels.keys()),
                &key,
                "channels are not those configured",
            );
            for (channel, kref) in row.channel_ids(id) {
                let listed = self.services.get(&channel.to_string()) == Some(&kref);
                self.expect(listed, &key, "a channel is not registered");
            }
        }
        for id in self.configs.keys().copied().collect::<Vec<_>>() {
            self.find(keys::config(id), "config of no subcluster");
        }
        for (system, name) in self.subcluster_names.keys().cloned().collect::<Vec<_>>() {
            self.find(keys::subcluster_name(system, &name), "name of no subcluster");
        }
        for hash in self.codes.clone() {
            self.expect(used.contains(&hash), keys::code(&hash), "code of no subcluster");
        }
    }

    fn services(&mut self) {
        for (number, kind) in self.kinds.clone() {
            let key = keys::service_of(number);
            let owner = self.objects.get(&number).and_then(|row| row.owner);
            self.expect(owner == Some(Party::Kernel), &key, "not owned by the kernel");
            let pinned = self.pins.remove(&number);
            self.expect(pinned, &key, "not pinned");
            let name = match kind {
                ServiceKind::Service { name } => name,
                ServiceKind::Channel { subcluster, name } => {
                    let row = self.subclusters.get(&subcluster);
                    let kref = row.and_then(|row| row.channels.get(&name)).copied();
                    self.expect(
                        kref == Some(KRef::Object(number)),
                        &key,
                        "channel of no subcluster",
                    );
                    format!("io:{subcluster}:{name}")
                }
            };
            let listed = self.services.remove(&name) == Some(KRef::Object(number));
            self.expect(listed, key, "cannot be found by its name");
        }
        for name in self.services.keys().cloned().collect::<Vec<_>>() {
            self.find(keys::service(&name), "names no service");
        }
        for number in self.pins.clone() {
            self.find(keys::pin(number), "pinned for no reason");
        }
    }

    fn calls(&mut self) {
        for (id, call) in self.calls.clone() {
            let key = keys::call(id);
            if let Some(from) = call.from {
                let listed = self.calls_of.remove(&(from.vat, id));
                self.expect(listed, &key, "not among its caller's calls");
                let current = self.vats.get(&from.vat);
                let current = current.is_some_and(|vat| vat.incarnation == from.incarnation);
                self.expect(current, &key, "its caller's incarnation is gone");
            }
            let waits = match (call.kind, call.target) {
                (CallKind::Released, Some(KRef::Object(_))) => true,
                (CallKind::Read, Some(KRef::Object(number))) => self.reads.remove(&(number, id)),
                (CallKind::Ready, Some(KRef::Object(number))) => self.readies.remove(&(number, id)),
                (CallKind::Asked, None) => {
                    call.from.zip(call.result).is_some_and(|(from, result)| {
                        let counted = self.asks_counted.get_mut(&from.vat);
                        if let Some(counted) = counted {
                            *counted = counted.wrapping_sub(1);
                        }
                        self.asks.remove(&(from.vat, result)) == Some(id)
                    })
                }
                _ => false,
            };
            self.expect(waits, &key, "does not wait where calls of its kind do");
            if let Some(KRef::Promise(result)) = call.result {
                let decided = self.promises.get(&result).map(|row| row.decider);
                let decided = decided == Some(Some(Party::Kernel));
                self.expect(decided, key, "its result is not the kernel's to decide");
            }
        }
        for (vat, id) in self.calls_of.clone() {
            self.find(keys::call_of(vat, id), "no such call");
        }
        for (vat, result) in self.asks.keys().copied().collect::<Vec<_>>() {
            self.find(keys::ask(vat, result), "no such call");
        }
        for (vat, left) in self.asks_counted.clone() {
            self.expect(left == 0, keys::asks(vat), "not the number of asks");
        }
        for (number, id) in self.reads.union(&self.readies).copied().collect::<Vec<_>>() {
            self.find(format!("{}{id:016}", keys::reads(number)), "no such call");
        }
    }
}

/// Whether an exporter has been told that nobody can reach its object.
fn entry_told(entry: Option<&ClistEntry>) -> bool {
    entry.is_some_and(|entry| !entry.reachable)
}

fn object(text: &str) -> Option<u64> {
    match text.parse().ok()? {
        KRef::Object(number) => Some(number),
        KRef::Promise(_) => None,
    }
}

fn promise(text: &str) -> Option<u64> {
    match text.parse().ok()? {
        KRef::Promise(number) => Some(number),
        KRef::Object(_) => None,
    }
}
