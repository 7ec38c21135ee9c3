//! A key of the key space. Those of rows that come and go with every message are two numbers, which
//! are cheap to make, to keep and to compare; they become text when a batch is sealed. All others
//! are text from the beginning.
//!
//! Invariant: one key has one form. What a text stands for is decided by [`Key::from`] alone.

use std::borrow::Cow;
use std::fmt;

use ocap_types::{KRef, VRef, VatId};

use crate::rows::Party;
use crate::text::Text;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Short(Short),
    Long(String),
}

/// A key made of numbers. Its order is not that of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Short {
    /// The kind in the first byte, a vat or a place in the others.
    scope: u64,
    number: u64,
}

/// What a row is about. The first two have no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// One of [`FIXED`], by place.
    Fixed,
    /// The kernel's own queue.
    KernelItem,
    KernelWork,
    Object,
    Importer,
    Promise,
    PromiseValue,
    Parked,
    ByObject,
    ByPromise,
    ByExport,
    ByImport,
    ByExportPromise,
    ByImportPromise,
    Imports,
    VatWork,
    VatItem,
    Vat,
    Wait,
    HostObject,
    HostPromise,
}

/// In the order of their numbers.
const KINDS: [Kind; 21] = [
    Kind::Fixed,
    Kind::KernelItem,
    Kind::KernelWork,
    Kind::Object,
    Kind::Importer,
    Kind::Promise,
    Kind::PromiseValue,
    Kind::Parked,
    Kind::ByObject,
    Kind::ByPromise,
    Kind::ByExport,
    Kind::ByImport,
    Kind::ByExportPromise,
    Kind::ByImportPromise,
    Kind::Imports,
    Kind::VatWork,
    Kind::VatItem,
    Kind::Vat,
    Kind::Wait,
    Kind::HostObject,
    Kind::HostPromise,
];

/// Keys without a number in them.
const FIXED: [&str; 9] = [
    "format",
    "next.object",
    "next.promise",
    "next.vat",
    "next.subcluster",
    "next.call",
    "calls",
    "hosts",
    "onces",
];

/// Scopes from here on do not fit beside a kind.
const SCOPE_END: u64 = 1 << 56;

impl Short {
    const fn new(kind: Kind, scope: u64, number: u64) -> Short {
        Short { scope: (kind as u64) << 56 | scope, number }
    }

    /// What kind of row it is the key of.
    pub(crate) fn kind(self) -> Kind {
        let [kind, ..] = self.scope.to_be_bytes();
        KINDS.get(usize::from(kind)).copied().unwrap_or(Kind::Fixed)
    }

    /// The endpoint whose work it is the key of.
    pub(crate) fn party_of_work(self) -> Option<Party> {
        match self.kind() {
            Kind::KernelWork => Some(Party::Kernel),
            Kind::VatWork => Some(Party::Vat(VatId(self.place()))),
            _ => None,
        }
    }

    fn place(self) -> u64 {
        self.scope % SCOPE_END
    }

    pub(crate) fn text(self) -> String {
        text_of(self.kind(), self.place(), self.number)
    }
}

fn text_of(kind: Kind, scope: u64, number: u64) -> String {
    let vat = VatId(scope);
    let new = Text::new;
    let text = match kind {
        Kind::Fixed => {
            let name = usize::try_from(number).ok().and_then(|place| FIXED.get(place));
            new(name.copied().unwrap_or_default())
        }
        Kind::KernelItem => new("q.kernel.").padded(number, 16),
        Kind::KernelWork => new("w.kernel"),
        Kind::Object => new("o.ko").number(number),
        Kind::Importer => new("i.ko").number(number).char('.').vat(vat),
        Kind::Promise => new("p.kp").number(number),
        Kind::PromiseValue => new("pv.kp").number(number),
        Kind::Parked => new("pq.kp").number(number).char('.').padded(scope, 16),
        Kind::ByObject => new("c.").vat(vat).str(".k.ko").number(number),
        Kind::ByPromise => new("c.").vat(vat).str(".k.kp").number(number),
        Kind::ByExport => new("c.").vat(vat).str(".v.o+").number(number),
        Kind::ByImport => new("c.").vat(vat).str(".v.o-").number(number),
        Kind::ByExportPromise => new("c.").vat(vat).str(".v.p+").number(number),
        Kind::ByImportPromise => new("c.").vat(vat).str(".v.p-").number(number),
        Kind::Imports => new("imports.").vat(vat),
        Kind::VatWork => new("w.").vat(vat),
        Kind::VatItem => new("q.").vat(vat).char('.').padded(number, 16),
        Kind::Vat => new("vat.").vat(vat),
        Kind::Wait => new("wait.kp").number(number),
        Kind::HostObject => new("h.ko").number(number),
        Kind::HostPromise => new("h.kp").number(number),
    };
    text.done()
}

impl Key {
    /// A key of [`FIXED`].
    pub(crate) const fn fixed(place: u64) -> Key {
        Key::Short(Short::new(Kind::Fixed, 0, place))
    }

    /// `scope` is a vat's number or, of what is parked, its place.
    pub(crate) fn numbered(kind: Kind, scope: u64, number: u64) -> Key {
        if scope < SCOPE_END {
            Key::Short(Short::new(kind, scope, number))
        } else {
            Key::Long(text_of(kind, scope, number))
        }
    }

    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Key::Short(short) => Cow::Owned(short.text()),
            Key::Long(text) => Cow::Borrowed(text),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl From<Key> for String {
    fn from(key: Key) -> String {
        match key {
            Key::Short(short) => short.text(),
            Key::Long(text) => text,
        }
    }
}

impl From<&Key> for String {
    fn from(key: &Key) -> String {
        key.text().into_owned()
    }
}

impl From<String> for Key {
    fn from(text: String) -> Key {
        // Only what has the very text it would be given is short.
        match parse(&text).filter(|key| key.text() == text) {
            Some(key) => key,
            None => Key::Long(text),
        }
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Key {
        text.to_owned().into()
    }
}

/// What a text looks like.
fn parse(text: &str) -> Option<Key> {
    use crate::keys;

    if let Some(place) = FIXED.iter().position(|name| *name == text) {
        return Some(Key::fixed(place as u64));
    }
    let (head, rest) = text.split_once('.')?;
    let kref = || rest.parse::<KRef>().ok();
    let vat = || rest.parse::<VatId>().ok();
    let object = || match kref()? {
        KRef::Object(number) => Some(number),
        KRef::Promise(_) => None,
    };
    let promise = |text: &str| match text.parse().ok()? {
        KRef::Promise(number) => Some(number),
        KRef::Object(_) => None,
    };
    Some(match head {
        "o" => keys::object(object()?),
        "p" => keys::promise(promise(rest)?),
        "pv" => keys::promise_value(promise(rest)?),
        "wait" => keys::wait(promise(rest)?),
        "h" => keys::host(kref()?),
        "imports" => keys::imports(vat()?),
        "vat" => keys::vat(vat()?),
        "w" => keys::work(rest.parse().ok()?),
        "i" => {
            let (kref, vat) = rest.split_once('.')?;
            let KRef::Object(number) = kref.parse().ok()? else { return None };
            keys::importer(number, vat.parse().ok()?)
        }
        "pq" => {
            let (kref, place) = rest.split_once('.')?;
            keys::parked(promise(kref)?, place.parse().ok()?)
        }
        "q" => {
            let (party, seq) = rest.split_once('.')?;
            keys::queued(party.parse().ok()?, seq.parse().ok()?)
        }
        "c" => {
            let (vat, reference) = rest.split_once('.')?;
            let vat = vat.parse().ok()?;
            match reference.split_once('.')? {
                ("k", kref) => keys::by_kref(vat, kref.parse().ok()?),
                ("v", vref) => match vref.parse().ok()? {
                    VRef::Kinded { .. } => return None,
                    vref => keys::by_vref(vat, vref),
                },
                _ => return None,
            }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_in_order() {
        for (place, kind) in KINDS.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn a_short_key_and_its_text_are_the_same_key() {
        for number in [0, 7, 10, SCOPE_END - 1, SCOPE_END, u64::MAX] {
            for kind in KINDS {
                let (scope, number) = match kind {
                    Kind::Fixed => (0, number % FIXED.len() as u64),
                    Kind::KernelWork => (0, 0),
                    Kind::Imports | Kind::VatWork | Kind::Vat => (number, 0),
                    Kind::Importer
                    | Kind::Parked
                    | Kind::ByObject
                    | Kind::ByPromise
                    | Kind::ByExport
                    | Kind::ByImport
                    | Kind::ByExportPromise
                    | Kind::ByImportPromise
                    | Kind::VatItem => (number, 3),
                    _ => (0, number),
                };
                let key = Key::numbered(kind, scope, number);
                assert_eq!(matches!(key, Key::Short(_)), scope < SCOPE_END, "{key}");
                assert_eq!(Key::from(key.to_string()), key, "{key}");
            }
        }
    }

    #[test]
    fn a_text_that_only_resembles_a_short_key_stays_text() {
        for text in [
            "",
            "o",
            "o.ko01",
            "o.ko+1",
            "o.kp1",
            "p.ko1",
            "p.kp1.",
            "i.ko1",
            "i.ko1.v01",
            "w.v",
            "w.kernel.",
            "q.v1.1",
            "q.v1.00000000000000010",
            "c.v1.k.o+1",
            "c.v1.v.ko1",
            "c.v1.v.o+d1/1",
            "c.v1.x.ko1",
            "next.",
            "next.objects",
            "h.v1",
            "vat.v1.",
            "vs.v1.o.ko1",
            "wait.ko1",
            "pq.kp1.1",
        ] {
            assert_eq!(Key::from(text), Key::Long(text.to_owned()));
        }
    }
}
