//! What a walk has seen, gathered by what it is about, and which of it is to be tested.

use std::collections::{BTreeMap, BTreeSet};

use ocap_types::{KCapData, KRef, SubclusterId, VRef, VatId};

use crate::api::Finding;
use crate::once::Receipt;
use crate::rows::{
    Call, ClistEntry, Imports, Message, Object, Party, Promise, ServiceKind, Subcluster, Vat,
    Waiters, Work,
};
use crate::timer::Timer;
use crate::url::Url;

/// What is tested as one. A row that changes touches every subject whose test reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Counters,
    Object(u64),
    Promise(u64),
    Knots,
    Entry(VatId, KRef),
    Queue(Party),
    Vat(VatId),
    Subcluster(SubclusterId),
    SubclusterNames,
    Codes,
    Services,
    Call(u64),
    Timer(u64),
    Receipt(String),
    Url(String),
    UrlCount,
}

/// References a row holds.
#[derive(Default)]
pub(super) struct Held {
    pub krefs: Vec<KRef>,
    /// The one among them that the row's message is to settle.
    pub result: Option<KRef>,
    /// The one among them that is to be told of.
    pub notify: Option<KRef>,
}

#[derive(Default)]
pub(super) struct ObjectSeen {
    pub row: Option<Object>,
    /// Holders found: reachable and recognizable.
    pub held: (u64, u64),
    pub pinned: bool,
    pub kind: Option<ServiceKind>,
    /// Vats whose root it is.
    pub roots: u64,
    /// The vat that owned it last.
    pub last_owner: Option<VatId>,
    /// URLs that list it as what they stand for.
    pub urls: u64,
    /// Its URLs are to go.
    pub urls_end: bool,
}

#[derive(Default)]
pub(super) struct PromiseSeen {
    pub row: Option<Promise>,
    /// Holders found.
    pub held: u64,
    /// What its value mentions.
    pub value: Option<Held>,
    pub parked: BTreeMap<u64, Held>,
    pub waiter: Option<Waiters>,
    /// Messages and calls that are to settle it.
    pub results: u64,
    /// Calls among them.
    pub calls: u64,
    /// Notifies under way.
    pub notifies: u64,
}

/// One kernel reference in one vat's c-list.
#[derive(Default)]
pub(super) struct EntrySeen {
    pub row: Option<ClistEntry>,
    /// Vat references that stand for it.
    pub names: u64,
    /// Whether the object lists the vat among its importers.
    pub importer: bool,
}

#[derive(Default)]
pub(super) struct QueueSeen {
    pub work: Option<Work>,
    pub items: BTreeMap<u64, Held>,
    /// Collection actions due.
    pub collections: u64,
}

#[derive(Default)]
pub(super) struct VatSeen {
    pub row: Option<Vat>,
    /// It has ended, and what it left is being removed.
    pub gone: bool,
    pub configured: bool,
    pub imports: Option<Imports>,
    /// Entries of its c-list.
    pub entries: u64,
    /// Rows of its own store, and the bytes of each.
    pub store: BTreeMap<String, u64>,
    /// The sum of these.
    pub store_bytes: u64,
    pub bytes_counted: Option<u64>,
    /// Calls by which it asked its host for something.
    pub asks: u64,
    pub asks_counted: Option<u64>,
    /// Timers it has set.
    pub timers: u64,
    pub timers_counted: Option<u64>,
    /// URLs it has issued.
    pub urls: u64,
    pub urls_counted: Option<u64>,
}

#[derive(Default)]
pub(super) struct SubclusterSeen {
    pub row: Option<Subcluster>,
    /// Names of its channels in its config.
    pub channels: Option<Vec<String>>,
    /// Timers its vats have set.
    pub timers: u64,
    pub timers_counted: Option<u64>,
}

#[derive(Default)]
pub(super) struct TimerSeen {
    /// When it is looked at, and what it is.
    pub rows: BTreeMap<u64, Timer>,
    /// Vats that list it among theirs, and when they say it is looked at.
    pub listed: BTreeSet<(VatId, u64)>,
}

#[derive(Default)]
pub(super) struct UrlSeen {
    pub row: Option<Url>,
    /// Objects that list it among their URLs.
    pub listed: BTreeSet<u64>,
    /// When it is listed to expire.
    pub expires: BTreeSet<u64>,
}

#[derive(Default)]
pub(super) struct CallSeen {
    pub row: Option<Call>,
    /// What its row holds.
    pub held: Held,
    /// Vats that list it among their calls.
    pub callers: BTreeSet<VatId>,
    /// Channels it waits at, to read.
    pub reads: BTreeSet<u64>,
    /// Channels it waits at, for them to serve.
    pub readies: BTreeSet<u64>,
    /// Vats that list it among their asks, and for which results.
    pub asked: BTreeSet<(VatId, KRef)>,
}

#[derive(Default)]
pub(super) struct ReceiptSeen {
    pub row: Option<Receipt>,
    /// Moments at which it is listed.
    pub listed: BTreeSet<u64>,
}

/// Everything the walk has seen.
#[derive(Default)]
pub(super) struct Seen {
    pub numbers: BTreeMap<String, u64>,
    pub objects: BTreeMap<u64, ObjectSeen>,
    pub promises: BTreeMap<u64, PromiseSeen>,
    /// Results of parked messages, and the promise each waits for.
    pub behind: BTreeMap<u64, u64>,
    pub entries: BTreeMap<(VatId, KRef), EntrySeen>,
    pub names: BTreeMap<(VatId, VRef), KRef>,
    pub queues: BTreeMap<Party, QueueSeen>,
    pub vats: BTreeMap<VatId, VatSeen>,
    pub subclusters: BTreeMap<SubclusterId, SubclusterSeen>,
    pub subcluster_names: BTreeMap<(bool, String), SubclusterId>,
    pub codes: BTreeSet<String>,
    pub services: BTreeMap<String, KRef>,
    pub registrations: BTreeMap<String, KRef>,
    pub calls: BTreeMap<u64, CallSeen>,
    pub calls_of: BTreeSet<(VatId, u64)>,
    pub asks: BTreeMap<(VatId, KRef), u64>,
    pub timers: BTreeMap<u64, TimerSeen>,
    /// Which timer a vat lists, and when it says that is looked at.
    pub timers_of: BTreeMap<(VatId, u64), u64>,
    /// Channels that list an object among their connections.
    pub connections: BTreeMap<u64, BTreeSet<u64>>,
    pub hosts: BTreeSet<KRef>,
    pub receipts: BTreeMap<String, ReceiptSeen>,
    /// URLs by the hash of their secret.
    pub urls: BTreeMap<String, UrlSeen>,
    /// How many have a row.
    pub urls_there: u64,
    pub urls_counted: Option<u64>,
    /// Rows of an identity.
    pub identity: BTreeSet<String>,
    /// To be tested; may name one several times.
    touched: Vec<Subject>,
    /// How many different ones there were when that was last looked at.
    touched_once: usize,
    pub findings: Vec<Finding>,
}

/// Duplicates in the list of touched subjects that are not worth looking for.
const TOUCHED_SLACK: usize = 4096;

impl Held {
    pub(super) fn data(data: KCapData) -> Held {
        Held { krefs: data.slots, ..Held::default() }
    }

    pub(super) fn message(message: Message) -> Held {
        let Message { target, methargs, result, .. } = message;
        let mut krefs = methargs.slots;
        krefs.push(target);
        krefs.extend(result);
        Held { krefs, result, notify: None }
    }

    pub(super) fn one(kref: KRef) -> Held {
        Held { krefs: vec![kref], ..Held::default() }
    }

    /// Whether promises are among them.
    pub(super) fn has_promises(&self) -> bool {
        self.krefs.iter().any(|kref| kref.is_promise())
    }
}

impl Seen {
    pub(super) fn find(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.findings.push(Finding { key: key.into(), problem: problem.into() });
    }

    pub(super) fn expect(&mut self, holds: bool, key: impl Into<String>, problem: &str) {
        if !holds {
            self.find(key, problem);
        }
    }

    pub(super) fn touch(&mut self, subject: Subject) {
        if self.touched.last() != Some(&subject) {
            self.touched.push(subject);
        }
        if self.touched.len() > 2 * self.touched_once + TOUCHED_SLACK {
            self.touched.sort_unstable();
            self.touched.dedup();
            self.touched_once = self.touched.len();
        }
    }

    pub(super) fn touch_kref(&mut self, kref: KRef) {
        self.touch(match kref {
            KRef::Object(number) => Subject::Object(number),
            KRef::Promise(number) => Subject::Promise(number),
        });
    }

    /// Tests every subject that rows have touched.
    pub(super) fn test(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for subject in touched.drain(..) {
            match subject {
                Subject::Counters => self.test_counters(),
                Subject::Object(number) => self.test_object(number),
                Subject::Promise(number) => self.test_promise(number),
                Subject::Knots => self.test_knots(),
                Subject::Entry(vat, kref) => self.test_entry(vat, kref),
                Subject::Queue(party) => self.test_queue(party),
                Subject::Vat(vat) => self.test_vat(vat),
                Subject::Subcluster(id) => self.test_subcluster(id),
                Subject::SubclusterNames => self.test_subcluster_names(),
                Subject::Codes => self.test_codes(),
                Subject::Services => self.test_services(),
                Subject::Call(id) => self.test_call(id),
                Subject::Timer(id) => self.test_timer(id),
                Subject::Receipt(key) => self.test_receipt(&key),
                Subject::Url(hash) => self.test_url(&hash),
                Subject::UrlCount => self.test_url_count(),
            }
        }
        self.touched = touched;
        self.touched_once = 0;
    }

    pub(super) fn held(&mut self, kref: KRef, reachable: bool, more: bool) {
        let step = |count: &mut u64| {
            // What is taken away has been added.
            *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
        };
        match kref {
            KRef::Object(number) => {
                let seen = self.objects.entry(number).or_default();
                if reachable {
                    step(&mut seen.held.0);
                }
                step(&mut seen.held.1);
            }
            KRef::Promise(number) => step(&mut self.promises.entry(number).or_default().held),
        }
        self.touch_kref(kref);
    }

    pub(super) fn count(&mut self, held: &Held, more: bool) {
        for &kref in &held.krefs {
            self.held(kref, true, more);
        }
        let change = |count: u64| if more { count + 1 } else { count.saturating_sub(1) };
        if let Some(KRef::Promise(number)) = held.result {
            let seen = self.promises.entry(number).or_default();
            seen.results = change(seen.results);
        }
        if let Some(KRef::Promise(number)) = held.notify {
            let seen = self.promises.entry(number).or_default();
            seen.notifies = change(seen.notifies);
        }
    }

    /// One row holds this now, and held that before.
    pub(super) fn recount(&mut self, before: Option<&Held>, now: Option<&Held>) {
        if let Some(held) = now {
            self.count(held, true);
        }
        if let Some(held) = before {
            self.count(held, false);
        }
    }
}
