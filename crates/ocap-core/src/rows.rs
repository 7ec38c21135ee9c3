//! The rows of the key space as typed values. Frequent ones are short texts, the others JSON.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_types::refs::ParseRefError;
use ocap_types::{KCapData, KRef, SubclusterId, VRef, VatId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::api::{ChannelId, CodeHash, CoreError, Incarnation, Ticket, VatCondition};
use crate::text::Text;
use crate::timer::Wake;
use crate::value::Value;

/// Who owns an object, decides a promise or has a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Kernel,
    Vat(VatId),
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Party::Kernel => f.write_str("kernel"),
            Party::Vat(vat) => vat.fmt(f),
        }
    }
}

impl FromStr for Party {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        if text == "kernel" { Ok(Party::Kernel) } else { text.parse().map(Party::Vat) }
    }
}

/// Somebody, or `-` for nobody.
fn party(text: &str) -> Result<Option<Party>, ParseRefError> {
    if text == "-" { Ok(None) } else { text.parse().map(Some) }
}

/// A row that is no value of its type.
pub(crate) fn corrupt(key: &(impl fmt::Display + ?Sized), problem: impl Into<String>) -> CoreError {
    CoreError::Corrupt { key: key.to_string(), problem: problem.into() }
}

/// Rows of one type.
pub(crate) trait Row: Sized {
    fn read(text: &str) -> Option<Self>;
    fn write(&self) -> String;

    /// What a value is as a row of this type.
    fn of(value: &Value) -> Option<Self> {
        Self::read(&value.text())
    }

    /// The row as a value.
    fn value(&self) -> Value {
        Value::Text(self.write())
    }
}

/// How rows of a type that have a form of their own among values become values, and back.
macro_rules! typed {
    ($kind:ident) => {
        fn of(value: &Value) -> Option<Self> {
            match value {
                Value::$kind(row) => Some(row.clone()),
                other => Self::read(&other.text()),
            }
        }
        fn value(&self) -> Value {
            Value::$kind(self.clone())
        }
    };
    (shared $kind:ident) => {
        fn of(value: &Value) -> Option<Self> {
            <Arc<Self>>::of(value).map(Arc::unwrap_or_clone)
        }
        fn value(&self) -> Value {
            Value::$kind(Arc::new(self.clone()))
        }
    };
}

/// Rows that are read without being copied.
macro_rules! shared_row {
    ($($t:ident as $kind:ident),*) => {$(
        impl Row for Arc<$t> {
            fn read(text: &str) -> Option<Self> {
                read_json(text).map(Arc::new)
            }
            fn write(&self) -> String {
                write_json(&**self)
            }
            typed!($kind);
        }
        impl Row for $t {
            fn read(text: &str) -> Option<Self> {
                read_json(text)
            }
            fn write(&self) -> String {
                write_json(self)
            }
            typed!(shared $kind);
        }
    )*};
}
shared_row!(Item as Item, KCapData as Data, Vat as Vat);

/// An object. Counts are numbers of holders, see [`crate::refcount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub owner: Option<Party>,
    pub reachable: u64,
    pub recognizable: u64,
    pub revoked: bool,
}

impl Row for Object {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let owner = party(words.next()?).ok()?;
        let reachable = words.next()?.parse().ok()?;
        let recognizable = words.next()?.parse().ok()?;
        let revoked = match words.next() {
            None => false,
            Some("revoked") => true,
            Some(_) => return None,
        };
        words.next().is_none().then_some(Object { owner, reachable, recognizable, revoked })
    }

    fn write(&self) -> String {
        let Object { owner, reachable, recognizable, revoked } = *self;
        let flag = if revoked { " revoked" } else { "" };
        let text = Text::new("").owner(owner).char(' ').number(reachable);
        text.char(' ').number(recognizable).str(flag).done()
    }

    typed!(Object);
}

/// Whether a promise has settled, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unresolved,
    Fulfilled,
    Rejected,
}

/// A promise: `state refs decider subscribers parked mark`, where the decider is `-` if the
/// message whose result it is has not been delivered yet, or `kp4` if that message is parked on
/// `kp4`, subscribers are joined by commas or
/// `-`, and the mark is `w` if somebody outside waits for it, `n` if it has settled with a value
/// that mentions promises, else `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Promise {
    pub state: State,
    pub refs: u64,
    pub decider: Option<Party>,
    /// The promise that the message whose result this is waits for.
    pub behind: Option<u64>,
    pub subscribers: Vec<VatId>,
    /// Messages parked, numbered from 0.
    pub parked: u64,
    pub waited: bool,
    /// Its value mentions promises: it may be part of a cycle.
    pub nested: bool,
}

impl Promise {
    pub(crate) fn unresolved(decider: Option<Party>) -> Promise {
        Promise {
            state: State::Unresolved,
            refs: 0,
            decider,
            behind: None,
            subscribers: Vec::new(),
            parked: 0,
            waited: false,
            nested: false,
        }
    }
}

impl Row for Promise {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let state = match words.next()? {
            "unresolved" => State::Unresolved,
            "fulfilled" => State::Fulfilled,
            "rejected" => State::Rejected,
            _ => return None,
        };
        let refs = words.next()?.parse().ok()?;
        let (decider, behind) = match words.next()? {
            word if word.starts_with("kp") => match word.parse().ok()? {
                KRef::Promise(number) => (None, Some(number)),
                KRef::Object(_) => return None,
            },
            word => (party(word).ok()?, None),
        };
        let subscribers = match words.next()? {
            "-" => Vec::new(),
            list => list.split(',').map(|v| v.parse().ok()).collect::<Option<_>>()?,
        };
        let parked = words.next()?.parse().ok()?;
        let (waited, nested) = match words.next()? {
            "-" => (false, false),
            "w" => (true, false),
            "n" => (false, true),
            _ => return None,
        };
        let end = words.next().is_none();
        end.then_some(Promise { state, refs, decider, behind, subscribers, parked, waited, nested })
    }

    fn write(&self) -> String {
        let state = match self.state {
            State::Unresolved => "unresolved",
            State::Fulfilled => "fulfilled",
            State::Rejected => "rejected",
        };
        let mark = match (self.waited, self.nested) {
            (true, _) => 'w',
            (false, true) => 'n',
            (false, false) => '-',
        };
        let text = Text::new(state).char(' ').number(self.refs).char(' ');
        let mut text = match self.behind {
            Some(number) => text.kref(KRef::Promise(number)),
            None => text.owner(self.decider),
        };
        if self.subscribers.is_empty() {
            text = text.str(" -");
        }
        for (place, &vat) in self.subscribers.iter().enumerate() {
            text = text.char(if place == 0 { ' ' } else { ',' }).vat(vat);
        }
        text.char(' ').number(self.parked).char(' ').char(mark).done()
    }

    typed!(Promise);
}

/// What waits for an endpoint: `start gc reap head tail len`. Queue items have numbers from
/// `head` to below `tail`, with holes; `len` of them exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    /// The vat is to be started first.
    pub start: bool,
    /// Number of collection actions due.
    pub gc: u64,
    /// `bringOutYourDead` is due.
    pub reap: bool,
    pub head: u64,
    pub tail: u64,
    pub len: u64,
}

impl Work {
    pub(crate) fn is_none(&self) -> bool {
        !self.start && self.gc == 0 && !self.reap && self.len == 0
    }
}

impl Row for Work {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(|word| word.parse::<u64>().ok());
        let mut number = || words.next()?;
        let flag = |n| (n < 2).then_some(n == 1);
        let start = flag(number()?)?;
        let gc = number()?;
        let reap = flag(number()?)?;
        let work = Work { start, gc, reap, head: number()?, tail: number()?, len: number()? };
        words.next().is_none().then_some(work)
    }

    fn write(&self) -> String {
        let Work { start, gc, reap, head, tail, len } = *self;
        let text = Text::new(if start { "1 " } else { "0 " }).number(gc);
        let text = text.str(if reap { " 1 " } else { " 0 " }).number(head);
        text.char(' ').number(tail).char(' ').number(len).done()
    }

    typed!(Work);
}

/// A c-list entry, found by its kernel reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClistEntry {
    /// Cleared when the importer dropped it, or the exporter was told that nobody reaches it.
    pub reachable: bool,
    pub vref: VRef,
}

impl Row for ClistEntry {
    fn read(text: &str) -> Option<Self> {
        let (flag, vref) = text.split_once(' ')?;
        let reachable = match flag {
            "R" => true,
            "_" => false,
            _ => return None,
        };
        Some(ClistEntry { reachable, vref: vref.parse().ok()? })
    }

    fn write(&self) -> String {
        Text::new(if self.reachable { "R " } else { "_ " }).vref(self.vref).done()
    }

    typed!(Entry);
}

/// A vat's c-list as a whole: next `o-` number, next `p-` number, number of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Imports {
    pub object: u64,
    pub promise: u64,
    pub entries: u64,
}

impl Row for Imports {
    fn read(text: &str) -> Option<Self> {
        let mut words = text.split(' ').map(|word| word.parse::<u64>().ok());
        let mut number = || words.next()?;
        let imports = Imports { object: number()?, promise: number()?, entries: number()? };
        words.next().is_none().then_some(imports)
    }

    fn write(&self) -> String {
        let text = Text::new("").number(self.object).char(' ').number(self.promise);
        text.char(' ').number(self.entries).done()
    }

    typed!(Imports);
}

impl Row for u64 {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        Text::new("").number(*self).done()
    }

    typed!(Number);
}

impl Row for KRef {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        Text::new("").kref(*self).done()
    }

    typed!(Reference);
}

impl Row for SubclusterId {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// Who outside waits for a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    Ticket(Ticket),
    Launch(SubclusterId),
}

/// Everybody outside who waits for one promise, joined by commas; not empty. Together they hold it
/// once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiters(pub Vec<Waiter>);

impl Row for Waiters {
    fn read(text: &str) -> Option<Self> {
        let one = |text: &str| match text.strip_prefix('t') {
            Some(number) => Some(Waiter::Ticket(Ticket(number.parse().ok()?))),
            None => Some(Waiter::Launch(text.parse().ok()?)),
        };
        text.split(',').map(one).collect::<Option<_>>().map(Waiters)
    }

    fn write(&self) -> String {
        let mut text = Text::new("");
        for (place, waiter) in self.0.iter().enumerate() {
            if place > 0 {
                text = text.char(',');
            }
            text = match waiter {
                Waiter::Ticket(Ticket(number)) => text.char('t').number(*number),
                Waiter::Launch(id) => text.str(&id.to_string()),
            };
        }
        text.done()
    }

    typed!(Waiters);
}

/// A life of a vat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sender {
    pub vat: VatId,
    pub incarnation: Incarnation,
}

/// A message on its way. Holds its target, its result and its slots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub target: KRef,
    pub methargs: KCapData,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<KRef>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Sender>,
    /// The timer that sent it, if one did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wake: Option<Wake>,
}

/// A queued item. A notify holds its promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Item {
    Send(Message),
    Notify(KRef),
}

/// What a kernel-owned object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ServiceKind {
    Service {
        name: String,
    },
    Channel {
        subcluster: SubclusterId,
        name: String,
    },
    /// One connection of a channel with many clients. Nothing pins it: it ends when nobody holds it.
    Connection {
        subcluster: SubclusterId,
        name: String,
    },
}

/// A vat's object that is registered as a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    pub kref: KRef,
    /// Only for system subclusters.
    pub system_only: bool,
}

impl Row for Registration {
    fn read(text: &str) -> Option<Self> {
        let (kref, system_only) = match text.strip_suffix(" system") {
            Some(kref) => (kref, true),
            None => (text, false),
        };
        Some(Registration { kref: kref.parse().ok()?, system_only })
    }

    fn write(&self) -> String {
        let Registration { kref, system_only } = self;
        format!("{kref}{}", if *system_only { " system" } else { "" })
    }
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum CallKind {
    /// A service's answer, or a channel's report of a write.
    Released,
    /// A unit of the target channel.
    Read,
    /// Units of the target channel, in an array.
    ReadMany,
    /// A client of the target channel, as a connection.
    Accept,
    /// The target channel to serve.
    Ready,
    /// The host to do what a vat asked for; there is no target.
    Asked,
}

/// A call under way. Holds its target, its result and the slots of its arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    pub kind: CallKind,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub target: Option<KRef>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<KRef>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub slots: Vec<KRef>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<Sender>,
}

/// A vat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Vat {
    pub name: String,
    pub subcluster: SubclusterId,
    pub root: KRef,
    pub code: CodeHash,
    pub incarnation: Incarnation,
    pub condition: VatCondition,
    /// Faults since it was launched.
    pub faults: u64,
    /// Faults in a row, see [`crate::limits::FAULTS_MAX`].
    pub faults_in_row: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_fault: Option<String>,
    /// Who waits for it to have restarted; means nothing after a boot.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restart: Option<Ticket>,
}

/// A launch under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Launching {
    pub ticket: Ticket,
    /// Those who asked for the same, see [`crate::once`].
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub joined: Vec<Ticket>,
    /// The key of the receipt that is of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub once: Option<String>,
    /// Vats that have started.
    pub started: BTreeSet<VatId>,
    /// Whether the bootstrap message has been sent.
    pub bootstrapping: bool,
}

/// A subcluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subcluster {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Declared by the host at each start, not launched by a client.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub system: bool,
    pub vats: IndexMap<String, VatId>,
    pub root: KRef,
    pub code: IndexMap<String, CodeHash>,
    /// Of vats whose code has been replaced and has not started yet: the code they had.
    #[serde(skip_serializing_if = "IndexMap::is_empty", default)]
    pub former: IndexMap<String, CodeHash>,
    /// Channel objects by name, in config order.
    pub channels: IndexMap<String, KRef>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub launching: Option<Launching>,
}

impl Subcluster {
    /// Every code it needs.
    pub(crate) fn codes(&self) -> impl Iterator<Item = &CodeHash> {
        self.code.values().chain(self.former.values())
    }

    pub(crate) fn channel_ids(&self, id: SubclusterId) -> Vec<(ChannelId, KRef)> {
        let ids = self.channels.iter();
        ids.map(|(name, &kref)| (ChannelId::new(id, name.clone()), kref)).collect()
    }
}

fn read_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// Values of our own types always have a JSON form: string keys only, no failing serialisers.
#[allow(clippy::expect_used)]
pub(crate) fn write_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a row type has a JSON form")
}

macro_rules! json_row {
    ($($t:ty),*) => {$(
        impl Row for $t {
            fn read(text: &str) -> Option<Self> {
                read_json(text)
            }
            fn write(&self) -> String {
                write_json(self)
            }
        }
    )*};
}
json_row!(Message, ServiceKind, Call, Subcluster);
json_row!(crate::timer::Timer, crate::once::Receipt, crate::url::Url);
json_row!(ocap_types::config::ClusterConfig, ocap_types::config::VatConfig);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_rows_round_trip_and_refuse_anything_else() {
        for text in ["v1 1 2", "kernel 0 0 revoked", "- 3 4"] {
            assert_eq!(Object::read(text).unwrap().write(), text);
        }
        for text in [
            "unresolved 2 - - 0 -",
            "fulfilled 1 - - 0 n",
            "unresolved 1 - - 0 w",
            "unresolved 1 kp4 - 0 -",
            "unresolved 1 v3 v1,v2 4 -",
        ] {
            assert_eq!(Promise::read(text).unwrap().write(), text);
        }
        for text in ["1 0 1 3 5 2", "0 7 0 0 0 0"] {
            assert_eq!(Work::read(text).unwrap().write(), text);
        }
        for text in ["", "v1", "v1 1 2 x", "v1 -1 2", "x 1 1", "v1 1 2 revoked x"] {
            assert_eq!(Object::read(text), None, "{text}");
            assert_eq!(Promise::read(text), None, "{text}");
            assert_eq!(Work::read(text), None, "{text}");
        }
        assert_eq!(Work::read("2 0 0 0 0 0"), None);
        let both = Waiters(vec![Waiter::Launch(SubclusterId(5)), Waiter::Ticket(Ticket(7))]);
        assert_eq!(both.write(), "s5,t7");
        assert_eq!(Waiters::read("s5,t7"), Some(both));
        for text in ["", "x5", "t5,", "t"] {
            assert_eq!(Waiters::read(text), None, "{text}");
        }
    }
}
