//! How each kind of row is taken up: what it adds to what the walk has seen, what it replaces, and
//! whom it touches.

use std::collections::{BTreeMap, BTreeSet};

use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::{KRef, VRef, VatId};

use super::seen::{Held, Seen, Subject, VatSeen};
use crate::gc::{DROP_EXPORT, RETIRE_EXPORT, RETIRE_IMPORT, SENT, Sent};
use crate::metering::entry_bytes;
use crate::once::Receipt;
use crate::rows::{
    Call, CallKind, ClistEntry, Imports, Item, Message, Object, Party, Registration, Row,
    Subcluster, Vat, Waiters,
};
use crate::timer::Timer;

/// Puts a value in its place or takes it away; gives the one before.
pub(super) fn replace<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

pub(super) fn replace_in<T: Ord>(set: &mut BTreeSet<T>, item: T, there: bool) -> bool {
    if there { set.insert(item) } else { set.remove(&item) }
}

/// A value of its type, if there is one; `None` if it is not of its type.
#[allow(clippy::option_option, reason = "absent and senseless are two things")]
pub(super) fn read<T: Row>(value: Option<&str>) -> Option<Option<T>> {
    value.map_or(Some(None), |text| T::read(text).map(Some))
}

pub(super) fn object(text: &str) -> Option<u64> {
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

impl Seen {
    /// Takes up a row as it is now, if it is; `before` says whether it was there when it was last
    /// taken up.
    pub(super) fn take_up(&mut self, key: &str, before: bool, value: Option<&str>) {
        let (kind, rest) = key.split_once('.').unwrap_or((key, ""));
        let known = self
            .reference_row(kind, key, rest, before, value)
            .or_else(|| self.endpoint_row(kind, rest, before, value));
        if known.is_none() {
            self.find(key, "not a row of any kind, or not a value of its type");
        }
    }

    /// Rows about objects, promises and c-lists; `None` if it is none, or makes no sense.
    fn reference_row(
        &mut self,
        kind: &str,
        key: &str,
        rest: &str,
        before: bool,
        value: Option<&str>,
    ) -> Option<()> {
        match kind {
            "o" => {
                let number = object(rest)?;
                let row: Option<Object> = read(value)?;
                let seen = self.objects.entry(number).or_default();
                let was = std::mem::replace(&mut seen.row, row);
                if let Some(Party::Vat(vat)) = row.and_then(|row| row.owner) {
                    seen.last_owner = Some(vat);
                }
                for owner in [was, row].into_iter().flatten().filter_map(|row| row.owner) {
                    if let Party::Vat(vat) = owner {
                        self.touch(Subject::Entry(vat, KRef::Object(number)));
                    }
                }
                self.touch(Subject::Object(number));
                self.touch_counters(before, value);
            }
            "i" => {
                let (number, vat) = rest.split_once('.')?;
                let at = (vat.parse().ok()?, KRef::Object(object(number)?));
                self.entries.entry(at).or_default().importer = value.is_some();
                self.touch(Subject::Entry(at.0, at.1));
            }
            "p" => {
                let number = promise(rest)?;
                self.promises.entry(number).or_default().row = read(value)?;
                self.touch(Subject::Promise(number));
                self.touch_counters(before, value);
            }
            "pv" => {
                let number = promise(rest)?;
                let held = read(value)?.map(Held::data);
                self.recount(None, held.as_ref());
                let seen = self.promises.entry(number).or_default();
                let was = std::mem::replace(&mut seen.value, held);
                self.recount(was.as_ref(), None);
                self.touch(Subject::Promise(number));
            }
            "pq" => {
                let (text, n) = rest.split_once('.')?;
                let (number, n) = (promise(text)?, n.parse().ok()?);
                let message: Option<Message> = read(value)?;
                if message.as_ref().is_some_and(|one| one.target != KRef::Promise(number)) {
                    self.find(key, "parked on another promise than its target");
                }
                let held = message.map(Held::message);
                self.recount(None, held.as_ref());
                let seen = self.promises.entry(number).or_default();
                let result = held.as_ref().and_then(|held| held.result);
                let was = replace(&mut seen.parked, n, held);
                self.recount(was.as_ref(), None);
                if let Some(KRef::Promise(was)) = was.and_then(|held| held.result)
                    && self.behind.get(&was) == Some(&number)
                {
                    self.behind.remove(&was);
                }
                if let Some(KRef::Promise(result)) = result {
                    self.behind.insert(result, number);
                }
                self.touch(Subject::Knots);
                self.touch(Subject::Promise(number));
            }
            "wait" => {
                let number = promise(rest)?;
                let waiter: Option<Waiters> = read(value)?;
                let waited = waiter.is_some();
                let seen = self.promises.entry(number).or_default();
                let was = std::mem::replace(&mut seen.waiter, waiter);
                self.recheck_holder(KRef::Promise(number), was.is_some(), waited);
            }
            "h" => {
                let kref: KRef = rest.parse().ok()?;
                replace_in(&mut self.hosts, kref, value.is_some());
                self.recheck_holder(kref, before, value.is_some());
                self.touch(Subject::Counters);
            }
            "pin" => {
                let number = object(rest)?;
                self.objects.entry(number).or_default().pinned = value.is_some();
                self.recheck_holder(KRef::Object(number), before, value.is_some());
            }
            "c" => self.clist_row(rest, value)?,
            _ => return None,
        }
        Some(())
    }

    /// A row that holds one reference by being there.
    fn recheck_holder(&mut self, kref: KRef, before: bool, now: bool) {
        if before != now {
            self.held(kref, true, now);
        }
        self.touch_kref(kref);
    }

    /// What the counters are about has come or gone.
    fn touch_counters(&mut self, before: bool, value: Option<&str>) {
        if before != value.is_some() {
            self.touch(Subject::Counters);
        }
    }

    fn clist_row(&mut self, rest: &str, value: Option<&str>) -> Option<()> {
        let (vat, rest) = rest.split_once('.')?;
        let vat: VatId = vat.parse().ok()?;
        if let Some(kref) = rest.strip_prefix("k.") {
            let kref: KRef = kref.parse().ok()?;
            let row: Option<ClistEntry> = read(value)?;
            let was = std::mem::replace(&mut self.entries.entry((vat, kref)).or_default().row, row);
            for (row, more) in [(row, true), (was, false)] {
                if let Some(row) = row
                    && (kref.is_promise() || !row.vref.is_export())
                {
                    self.held(kref, row.reachable, more);
                }
            }
            let entries = &mut self.vats.entry(vat).or_default().entries;
            *entries = (*entries + u64::from(row.is_some())) - u64::from(was.is_some());
            self.touch(Subject::Entry(vat, kref));
            self.touch_kref(kref);
            self.touch(Subject::Vat(vat));
        } else {
            let vref: VRef = rest.strip_prefix("v.")?.parse().ok()?;
            let kref = read(value)?;
            let was = replace(&mut self.names, (vat, vref), kref);
            if let Some(kref) = kref {
                self.entries.entry((vat, kref)).or_default().names += 1;
            }
            if let Some(was) = was {
                self.entries.entry((vat, was)).or_default().names -= 1;
            }
            for kref in was.into_iter().chain(kref) {
                self.touch(Subject::Entry(vat, kref));
            }
        }
        Some(())
    }

    /// Rows about whoever holds references, other than c-lists.
    fn endpoint_row(
        &mut self,
        kind: &str,
        rest: &str,
        before: bool,
        value: Option<&str>,
    ) -> Option<()> {
        match kind {
            "format" | "next" | "calls" | "hosts" | "onces" => {
                let key = if rest.is_empty() { kind.to_owned() } else { format!("{kind}.{rest}") };
                replace(&mut self.numbers, key, read(value)?);
                self.touch(Subject::Counters);
            }
            "w" => {
                let party: Party = rest.parse().ok()?;
                self.queues.entry(party).or_default().work = read(value)?;
                self.touch(Subject::Queue(party));
                if let Party::Vat(vat) = party {
                    self.touch(Subject::Vat(vat));
                }
            }
            "q" => {
                let (to, n) = rest.split_once('.')?;
                let (party, n) = (to.parse::<Party>().ok()?, n.parse().ok()?);
                let held = match (read::<Item>(value)?, party) {
                    (None, _) => None,
                    (Some(Item::Send(message)), _) => Some(Held::message(message)),
                    (Some(Item::Notify(kref)), Party::Vat(_)) if kref.is_promise() => {
                        Some(Held { notify: Some(kref), ..Held::one(kref) })
                    }
                    (Some(Item::Notify(_)), _) => return None,
                };
                self.recount(None, held.as_ref());
                let was = replace(&mut self.queues.entry(party).or_default().items, n, held);
                self.recount(was.as_ref(), None);
                self.touch(Subject::Queue(party));
            }
            "gc" => {
                let mut parts = rest.split('.');
                let vat: VatId = parts.next()?.parse().ok()?;
                match parts.next()? {
                    SENT => {
                        read::<Sent>(value)?;
                    }
                    DROP_EXPORT | RETIRE_EXPORT | RETIRE_IMPORT => {
                        object(parts.next()?)?;
                    }
                    _ => return None,
                }
                let due = &mut self.queues.entry(Party::Vat(vat)).or_default().collections;
                *due = (*due + u64::from(value.is_some())).saturating_sub(u64::from(before));
                self.touch(Subject::Queue(Party::Vat(vat)));
            }
            "imports" => {
                let vat: VatId = rest.parse().ok()?;
                let imports: Option<Imports> = read(value)?;
                let seen = self.vats.entry(vat).or_default();
                let was = std::mem::replace(&mut seen.imports, imports);
                self.touch(Subject::Vat(vat));
                let fewer = was.is_some_and(|was| {
                    imports.is_none_or(|now| now.object < was.object || now.promise < was.promise)
                });
                if fewer || was.is_none() {
                    self.touch_entries(vat);
                }
            }
            "vat" => self.vat_row(rest.parse().ok()?, before, value)?,
            "gone" => {
                let vat = rest.parse().ok()?;
                self.vats.entry(vat).or_default().gone = value.is_some();
                self.touch(Subject::Counters);
                self.touch_holdings(vat);
            }
            "vatconfig" => {
                let vat = rest.parse().ok()?;
                let config: Option<VatConfig> = read(value)?;
                self.vats.entry(vat).or_default().configured = config.is_some();
                self.touch(Subject::Vat(vat));
            }
            "vs" => {
                let (vat, key) = rest.split_once('.')?;
                let vat = vat.parse().ok()?;
                let bytes = value.map(|value| entry_bytes(key, value));
                let seen = self.vats.entry(vat).or_default();
                let was = replace(&mut seen.store, key.to_owned(), bytes);
                let bytes = bytes.unwrap_or(0).saturating_add(seen.store_bytes);
                seen.store_bytes = bytes.saturating_sub(was.unwrap_or(0));
                self.touch(Subject::Vat(vat));
            }
            "stored" => {
                let vat = rest.parse().ok()?;
                self.vats.entry(vat).or_default().bytes_counted = read(value)?;
                self.touch(Subject::Vat(vat));
            }
            _ => self.cluster_row(kind, rest, before, value)?,
        }
        Some(())
    }

    fn touch_entries(&mut self, vat: VatId) {
        let all = self.entries.range((vat, KRef::Object(0))..(VatId(vat.0 + 1), KRef::Object(0)));
        let all: Vec<KRef> = all.map(|((_, kref), _)| *kref).collect();
        for kref in all {
            self.touch(Subject::Entry(vat, kref));
        }
    }

    fn vat_row(&mut self, vat: VatId, before: bool, value: Option<&str>) -> Option<()> {
        let row: Option<Vat> = read(value)?;
        let place = |row: &Vat| (row.root, row.subcluster);
        let now = row.as_ref().map(place);
        let was = std::mem::replace(&mut self.vats.entry(vat).or_default().row, row);
        let was = was.as_ref().map(place);
        for (place, more) in [(now, true), (was, false)] {
            let Some((root, subcluster)) = place else { continue };
            if let KRef::Object(number) = root {
                let roots = &mut self.objects.entry(number).or_default().roots;
                *roots = if more { *roots + 1 } else { *roots - 1 };
            }
            self.touch_kref(root);
            self.touch(Subject::Subcluster(subcluster));
        }
        self.touch(Subject::Vat(vat));
        self.touch(Subject::Queue(Party::Vat(vat)));
        if before != value.is_some() {
            self.touch(Subject::Counters);
            self.touch_entries(vat);
        }
        self.touch_calls(vat);
        Some(())
    }

    fn touch_calls(&mut self, vat: VatId) {
        let calls = self.calls_of.range((vat, 0)..=(vat, u64::MAX));
        let calls: Vec<u64> = calls.map(|(_, id)| *id).collect();
        for id in calls {
            self.touch(Subject::Call(id));
        }
    }

    /// A vat has ended, or all that it left is gone.
    fn touch_holdings(&mut self, vat: VatId) {
        self.touch(Subject::Vat(vat));
        self.touch(Subject::Queue(Party::Vat(vat)));
        self.touch_entries(vat);
        let all = self.entries.range((vat, KRef::Object(0))..(VatId(vat.0 + 1), KRef::Object(0)));
        let all: Vec<KRef> = all.map(|((_, kref), _)| *kref).collect();
        for kref in all {
            self.touch_kref(kref);
        }
        self.touch_calls(vat);
    }

    fn cluster_row(
        &mut self,
        kind: &str,
        rest: &str,
        before: bool,
        value: Option<&str>,
    ) -> Option<()> {
        match kind {
            "sub" => {
                let id = rest.parse().ok()?;
                let row: Option<Subcluster> = read(value)?;
                let was = std::mem::replace(
                    &mut self.subclusters.entry(id).or_default().row,
                    row.clone(),
                );
                for row in was.into_iter().chain(row) {
                    row.vats.values().for_each(|&vat| self.touch(Subject::Vat(vat)));
                    row.channels.values().for_each(|&kref| self.touch_kref(kref));
                    self.touch_connections(&row);
                    if let Some(once) = row.launching.and_then(|launching| launching.once) {
                        self.touch(Subject::Receipt(once));
                    }
                }
                self.touch(Subject::Subcluster(id));
                self.touch(Subject::SubclusterNames);
                self.touch(Subject::Codes);
                self.touch_counters(before, value);
            }
            "config" => {
                let id = rest.parse().ok()?;
                let config: Option<ClusterConfig> = read(value)?;
                let names = |config: ClusterConfig| {
                    config.io.map(|io| io.into_keys().collect()).unwrap_or_default()
                };
                self.subclusters.entry(id).or_default().channels = config.map(names);
                self.touch(Subject::Subcluster(id));
            }
            "subname" | "sysname" => {
                let name = (kind == "sysname", rest.to_owned());
                let id = read(value)?;
                let was = replace(&mut self.subcluster_names, name, id);
                for id in was.into_iter().chain(id) {
                    self.touch(Subject::Subcluster(id));
                }
                self.touch(Subject::SubclusterNames);
            }
            "code" => {
                replace_in(&mut self.codes, rest.to_owned(), value.is_some());
                self.touch(Subject::Codes);
                let using = |seen: &VatSeen| seen.row.as_ref().is_some_and(|r| r.code.0 == rest);
                let vats = self.vats.iter().filter(|(_, seen)| using(seen));
                let vats: Vec<VatId> = vats.map(|(&vat, _)| vat).collect();
                for vat in vats {
                    self.touch(Subject::Vat(vat));
                }
            }
            "svc" => {
                let kref = read(value)?;
                let was = replace(&mut self.services, rest.to_owned(), kref);
                was.into_iter().chain(kref).for_each(|kref| self.touch_kref(kref));
                self.touch(Subject::Services);
                let channel = rest.strip_prefix("io:").and_then(|rest| rest.split_once(':'));
                if let Some(Ok(id)) = channel.map(|(id, _)| id.parse()) {
                    self.touch(Subject::Subcluster(id));
                }
            }
            "objsvc" => {
                let row: Option<Registration> = read(value)?;
                if row.is_some_and(|row| row.kref.is_promise()) {
                    return None;
                }
                let kref = row.map(|row| row.kref);
                let was = replace(&mut self.registrations, rest.to_owned(), kref);
                self.recount(was.map(Held::one).as_ref(), kref.map(Held::one).as_ref());
            }
            "svck" => {
                let number = object(rest)?;
                self.objects.entry(number).or_default().kind = read(value)?;
                self.touch(Subject::Object(number));
                self.touch(Subject::Services);
            }
            "conn" => {
                let (channel, number) = rest.split_once('.')?;
                let (channel, number) = (object(channel)?, object(number)?);
                let listed = self.connections.entry(number).or_default();
                replace_in(listed, channel, value.is_some());
                if listed.is_empty() {
                    self.connections.remove(&number);
                }
                self.touch(Subject::Object(number));
            }
            "timer" => {
                let (at, id) = rest.split_once('.')?;
                self.taken_timer(at.parse().ok()?, id.parse().ok()?, read(value)?);
                self.touch_counters(before, value);
            }
            "timerof" => {
                let (vat, id) = rest.split_once('.')?;
                let (vat, id): (VatId, u64) = (vat.parse().ok()?, id.parse().ok()?);
                let at: Option<u64> = read(value)?;
                let was = replace(&mut self.timers_of, (vat, id), at);
                let listed = &mut self.timers.entry(id).or_default().listed;
                if let Some(at) = was {
                    listed.remove(&(vat, at));
                }
                listed.extend(at.map(|at| (vat, at)));
                self.touch(Subject::Timer(id));
            }
            "timers" => {
                let counted = read(value)?;
                if let Ok(vat) = rest.parse() {
                    self.vats.entry(vat).or_default().timers_counted = counted;
                    self.touch(Subject::Vat(vat));
                } else {
                    let id = rest.parse().ok()?;
                    self.subclusters.entry(id).or_default().timers_counted = counted;
                    self.touch(Subject::Subcluster(id));
                }
            }
            "once" => {
                let row: Option<Receipt> = read(value)?;
                if row.as_ref().is_some_and(|row| row.launch.is_none() && row.outcome.is_none()) {
                    return None;
                }
                let held =
                    |row: &Option<Receipt>| row.as_ref().and_then(|row| row.outcome).map(Held::one);
                let now = held(&row);
                let launch = |row: &Option<Receipt>| row.as_ref().and_then(|row| row.launch);
                let launched = launch(&row);
                let seen = self.receipts.entry(rest.to_owned()).or_default();
                let was = std::mem::replace(&mut seen.row, row);
                self.recount(held(&was).as_ref(), now.as_ref());
                for launch in launched.into_iter().chain(launch(&was)) {
                    self.touch(Subject::Subcluster(launch.subcluster));
                }
                self.touch(Subject::Receipt(rest.to_owned()));
                self.touch(Subject::Counters);
            }
            "onceat" => {
                let (at, key) = rest.split_once('.')?;
                let listed = &mut self.receipts.entry(key.to_owned()).or_default().listed;
                replace_in(listed, at.parse().ok()?, value.is_some());
                self.touch(Subject::Receipt(key.to_owned()));
            }
            "url" | "urlof" | "urlexp" | "urlend" | "urls" => {
                self.url_row(kind, rest, before, value)?;
            }
            "peerId" | "secret" => self.identity_row(kind, rest, value)?,
            _ => self.call_row(kind, rest, before, value)?,
        }
        Some(())
    }

    /// Connections of a subcluster's channels.
    fn touch_connections(&mut self, row: &Subcluster) {
        let own = |channel: &u64| row.channels.values().any(|&kref| kref == KRef::Object(*channel));
        let connections = self.connections.iter();
        let those = connections.filter(|(_, channels)| channels.iter().any(own));
        let those: Vec<u64> = those.map(|(&number, _)| number).collect();
        for number in those {
            self.touch(Subject::Object(number));
        }
    }

    fn taken_timer(&mut self, at: u64, id: u64, row: Option<Timer>) {
        let held = |row: &Option<Timer>| row.as_ref().map(|timer| Held::one(timer.handler));
        let owners = |row: &Option<Timer>| row.as_ref().map(|row| (row.vat, row.subcluster));
        let (now, now_held) = (owners(&row), held(&row));
        let was = replace(&mut self.timers.entry(id).or_default().rows, at, row);
        self.recount(held(&was).as_ref(), now_held.as_ref());
        for (owners, more) in [(now, true), (owners(&was), false)] {
            let Some((vat, subcluster)) = owners else { continue };
            for timers in [
                &mut self.vats.entry(vat).or_default().timers,
                &mut self.subclusters.entry(subcluster).or_default().timers,
            ] {
                *timers = if more { *timers + 1 } else { *timers - 1 };
            }
            self.touch(Subject::Vat(vat));
            self.touch(Subject::Subcluster(subcluster));
        }
        self.touch(Subject::Timer(id));
    }

    fn call_row(
        &mut self,
        kind: &str,
        rest: &str,
        before: bool,
        value: Option<&str>,
    ) -> Option<()> {
        let id = match kind {
            "call" => {
                let id = rest.parse().ok()?;
                self.taken_call(id, read(value)?);
                self.touch_counters(before, value);
                id
            }
            "ask" => {
                let (vat, result) = rest.split_once('.')?;
                let at: (VatId, KRef) = (vat.parse().ok()?, result.parse().ok()?);
                let id: Option<u64> = read(value)?;
                let was = replace(&mut self.asks, at, id);
                for (id, there) in [(was, false), (id, true)] {
                    if let Some(id) = id {
                        replace_in(&mut self.calls.entry(id).or_default().asked, at, there);
                        self.touch(Subject::Call(id));
                    }
                }
                return Some(());
            }
            "asks" => {
                let vat = rest.parse().ok()?;
                self.vats.entry(vat).or_default().asks_counted = read(value)?;
                self.touch(Subject::Vat(vat));
                return Some(());
            }
            "callof" => {
                let (vat, id) = rest.split_once('.')?;
                let (vat, id) = (vat.parse().ok()?, id.parse().ok()?);
                replace_in(&mut self.calls_of, (vat, id), value.is_some());
                let callers = &mut self.calls.entry(id).or_default().callers;
                replace_in(callers, vat, value.is_some());
                id
            }
            "read" | "ready" => {
                let (number, id) = rest.split_once('.')?;
                let (number, id) = (object(number)?, id.parse().ok()?);
                let seen = self.calls.entry(id).or_default();
                let set = if kind == "read" { &mut seen.reads } else { &mut seen.readies };
                replace_in(set, number, value.is_some());
                id
            }
            _ => return None,
        };
        self.touch(Subject::Call(id));
        Some(())
    }

    fn taken_call(&mut self, id: u64, row: Option<Call>) {
        let held = row.as_ref().map(|call| {
            let krefs = call.slots.iter().chain(&call.result).chain(&call.target);
            Held { krefs: krefs.copied().collect(), result: call.result, notify: None }
        });
        let asker = |row: &Option<Call>| {
            let call = row.as_ref().filter(|call| call.kind == CallKind::Asked);
            call.and_then(|call| call.from).map(|from| from.vat)
        };
        let (now, held) = (asker(&row), held.unwrap_or_default());
        self.count(&held, true);
        let seen = self.calls.entry(id).or_default();
        let was = std::mem::replace(&mut seen.row, row);
        let was = asker(&was);
        let before = std::mem::replace(&mut seen.held, held);
        let result = seen.held.result;
        self.count(&before, false);
        for (result, more) in [(result, true), (before.result, false)] {
            if let Some(KRef::Promise(number)) = result {
                let calls = &mut self.promises.entry(number).or_default().calls;
                *calls = if more { *calls + 1 } else { *calls - 1 };
            }
        }
        for (vat, more) in [(now, true), (was, false)] {
            if let Some(vat) = vat {
                let asks = &mut self.vats.entry(vat).or_default().asks;
                *asks = if more { *asks + 1 } else { *asks - 1 };
                self.touch(Subject::Vat(vat));
            }
        }
    }
}
