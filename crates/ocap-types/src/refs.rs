//! References and identifiers (kernel.md section 1). All parse from and print as the exact text
//! forms clients know; leading zeros, signs and anything else are refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What marshalled data can refer to by slot.
pub trait Reference: Clone + Ord {
    /// Whether it names a promise rather than an object.
    fn is_promise(&self) -> bool;
}

macro_rules! reference {
    ($($t:ty),*) => {$(
        impl Reference for $t {
            fn is_promise(&self) -> bool {
                <$t>::is_promise(*self)
            }
        }
    )*};
}
reference!(KRef, VRef, RRef, ERef);

/// A text that is not a reference of the wanted form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {wanted}")]
pub struct ParseRefError {
    /// What was expected, e.g. "kernel reference (ko or kp and a number)".
    pub wanted: &'static str,
    /// What was found, cut to a printable length.
    pub text: String,
}

impl ParseRefError {
    fn new(wanted: &'static str, text: &str) -> Self {
        ParseRefError { wanted, text: text.chars().take(64).collect() }
    }
}

/// Decimal without sign or leading zeros.
fn parse_number(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

macro_rules! text_serde {
    ($t:ty) => {
        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(
            /// The number after the prefix.
            pub u64,
        );
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = ParseRefError;
            fn from_str(text: &str) -> Result<Self, ParseRefError> {
                text.strip_prefix($prefix)
                    .and_then(parse_number)
                    .map($name)
                    .ok_or_else(|| ParseRefError::new($wanted, text))
            }
        }
        text_serde!($name);
    };
}

numbered_id!(
    /// A vat, `v1`.
    VatId, "v", "vat id (v and a number)"
);
numbered_id!(
    /// A remote kernel, `r1`.
    RemoteId, "r", "remote id (r and a number)"
);
numbered_id!(
    /// A subcluster, `s1`.
    SubclusterId, "s", "subcluster id (s and a number)"
);

/// Whoever can hold and export references: a vat or a remote kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointId {
    /// A vat.
    Vat(VatId),
    /// A remote kernel.
    Remote(RemoteId),
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EndpointId::Vat(v) => v.fmt(f),
            EndpointId::Remote(r) => r.fmt(f),
        }
    }
}

impl FromStr for EndpointId {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let vat = text.parse().map(EndpointId::Vat);
        vat.or_else(|_| text.parse().map(EndpointId::Remote))
            .map_err(|_| ParseRefError::new("endpoint id (v or r and a number)", text))
    }
}
text_serde!(EndpointId);

/// A kernel reference: `ko5`, `kp7`. Never seen by a vat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KRef {
    /// An object.
    Object(u64),
    /// A promise.
    Promise(u64),
}

impl KRef {
    /// Whether it names a promise.
    pub fn is_promise(self) -> bool {
        matches!(self, KRef::Promise(_))
    }
}

impl fmt::Display for KRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KRef::Object(n) => write!(f, "ko{n}"),
            KRef::Promise(n) => write!(f, "kp{n}"),
        }
    }
}

impl FromStr for KRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let object = text.strip_prefix("ko").and_then(parse_number).map(KRef::Object);
        object
            .or_else(|| text.strip_prefix("kp").and_then(parse_number).map(KRef::Promise))
            .ok_or_else(|| ParseRefError::new("kernel reference (ko or kp and a number)", text))
    }
}
text_serde!(KRef);

/// A reference in one vat's space. `+` was allocated by the vat (an export), `-` by the kernel
/// (an import).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VRef {
    /// `o+N`: an ephemeral export; `o+0` is the root.
    Export(u64),
    /// `o+dK/I` or `o+vK/I`, optionally `:F`.
    Kinded {
        /// Whether it is durable (`d`) rather than merely virtual (`v`).
        durable: bool,
        /// The kind.
        kind: u64,
        /// The instance.
        instance: u64,
        /// The facet, if the kind has several.
        facet: Option<u64>,
    },
    /// `o-N`: an object of somebody else.
    Import(u64),
    /// `p+N`: a promise of the vat's.
    ExportPromise(u64),
    /// `p-N`: a promise the vat was given.
    ImportPromise(u64),
}

impl VRef {
    /// The root object of every vat.
    pub const ROOT: VRef = VRef::Export(0);

    /// Whether it names a promise.
    pub fn is_promise(self) -> bool {
        matches!(self, VRef::ExportPromise(_) | VRef::ImportPromise(_))
    }

    /// Whether the vat allocated it.
    pub fn is_export(self) -> bool {
        !matches!(self, VRef::Import(_) | VRef::ImportPromise(_))
    }

    /// Whether it keeps its meaning in the vat's later incarnations: the root, and what is durable.
    /// (Imports last as long as durable data holds them, which the reference does not tell.)
    pub fn is_durable_export(self) -> bool {
        matches!(self, VRef::ROOT | VRef::Kinded { durable: true, .. })
    }
}

impl fmt::Display for VRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            VRef::Export(n) => write!(f, "o+{n}"),
            VRef::Import(n) => write!(f, "o-{n}"),
            VRef::ExportPromise(n) => write!(f, "p+{n}"),
            VRef::ImportPromise(n) => write!(f, "p-{n}"),
            VRef::Kinded { durable, kind, instance, facet } => {
                let letter = if durable { 'd' } else { 'v' };
                write!(f, "o+{letter}{kind}/{instance}")?;
                facet.map_or(Ok(()), |n| write!(f, ":{n}"))
            }
        }
    }
}

impl FromStr for VRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        parse_vref(text).ok_or_else(|| ParseRefError::new("vat reference", text))
    }
}
text_serde!(VRef);

fn parse_vref(text: &str) -> Option<VRef> {
    if let Some(rest) = text.strip_prefix("o+") {
        let durable = match rest.as_bytes().first()? {
            b'd' => true,
            b'v' => false,
            _ => return parse_number(rest).map(VRef::Export),
        };
        let (kind, rest) = rest[1..].split_once('/')?;
        let (instance, facet) = match rest.split_once(':') {
            Some((instance, facet)) => (instance, Some(parse_number(facet)?)),
            None => (rest, None),
        };
        let (kind, instance) = (parse_number(kind)?, parse_number(instance)?);
        return Some(VRef::Kinded { durable, kind, instance, facet });
    }
    let number = |prefix| text.strip_prefix(prefix).and_then(parse_number);
    number("o-")
        .map(VRef::Import)
        .or_else(|| number("p+").map(VRef::ExportPromise))
        .or_else(|| number("p-").map(VRef::ImportPromise))
}

/// A reference in the space shared with one remote kernel. As with [`VRef`], `+` was allocated by
/// the endpoint and `-` by the kernel; the sign is flipped when a reference is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RRef {
    /// `ro+N`: an object of the remote kernel's.
    Export(u64),
    /// `ro-N`: an object of somebody here.
    Import(u64),
    /// `rp+N`: a promise the remote kernel allocated.
    ExportPromise(u64),
    /// `rp-N`: a promise allocated here.
    ImportPromise(u64),
}

impl RRef {
    /// Whether it names a promise.
    pub fn is_promise(self) -> bool {
        matches!(self, RRef::ExportPromise(_) | RRef::ImportPromise(_))
    }

    /// Whether the remote kernel allocated it.
    pub fn is_export(self) -> bool {
        matches!(self, RRef::Export(_) | RRef::ExportPromise(_))
    }

    /// The same reference as the other side sees it.
    #[must_use]
    pub fn flipped(self) -> RRef {
        match self {
            RRef::Export(n) => RRef::Import(n),
            RRef::Import(n) => RRef::Export(n),
            RRef::ExportPromise(n) => RRef::ImportPromise(n),
            RRef::ImportPromise(n) => RRef::ExportPromise(n),
        }
    }
}

impl fmt::Display for RRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RRef::Export(n) => write!(f, "ro+{n}"),
            RRef::Import(n) => write!(f, "ro-{n}"),
            RRef::ExportPromise(n) => write!(f, "rp+{n}"),
            RRef::ImportPromise(n) => write!(f, "rp-{n}"),
        }
    }
}

impl FromStr for RRef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let number = |prefix| text.strip_prefix(prefix).and_then(parse_number);
        number("ro+")
            .map(RRef::Export)
            .or_else(|| number("ro-").map(RRef::Import))
            .or_else(|| number("rp+").map(RRef::ExportPromise))
            .or_else(|| number("rp-").map(RRef::ImportPromise))
            .ok_or_else(|| ParseRefError::new("remote reference", text))
    }
}
text_serde!(RRef);

/// A reference in some endpoint's space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ERef {
    /// A vat's.
    Vat(VRef),
    /// A remote kernel's.
    Remote(RRef),
}

impl ERef {
    /// Whether it names a promise.
    pub fn is_promise(self) -> bool {
        match self {
            ERef::Vat(v) => v.is_promise(),
            ERef::Remote(r) => r.is_promise(),
        }
    }

    /// Whether the endpoint allocated it.
    pub fn is_export(self) -> bool {
        match self {
            ERef::Vat(v) => v.is_export(),
            ERef::Remote(r) => r.is_export(),
        }
    }
}

impl From<VRef> for ERef {
    fn from(vref: VRef) -> Self {
        ERef::Vat(vref)
    }
}

impl From<RRef> for ERef {
    fn from(rref: RRef) -> Self {
        ERef::Remote(rref)
    }
}

impl fmt::Display for ERef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ERef::Vat(v) => v.fmt(f),
            ERef::Remote(r) => r.fmt(f),
        }
    }
}

impl FromStr for ERef {
    type Err = ParseRefError;
    fn from_str(text: &str) -> Result<Self, ParseRefError> {
        let vat = text.parse().map(ERef::Vat);
        vat.or_else(|_| text.parse().map(ERef::Remote))
            .map_err(|_| ParseRefError::new("vat or remote reference", text))
    }
}
text_serde!(ERef);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Every accepted text prints as itself, also as JSON; no refused text is accepted as JSON.
    fn check<T>(accepted: &[(&str, T)], refused: &[&str])
    where
        T: Copy + Debug + PartialEq + fmt::Display + FromStr<Err = ParseRefError>,
        T: Serialize + de::DeserializeOwned,
    {
        for (text, expected) in accepted {
            assert_eq!(text.parse(), Ok(*expected));
            assert_eq!(expected.to_string(), *text);
            let json = serde_json::to_string(expected).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *expected);
        }
        for text in refused {
            assert!(text.parse::<T>().is_err(), "{text:?}");
            assert!(serde_json::from_str::<T>(&format!("{text:?}")).is_err());
        }
    }

    const MAX: u64 = u64::MAX;
    const OVER: &str = "18446744073709551616";

    #[test]
    fn ids() {
        let bad = ["", "v", "v01", "v+1", "v-1", " v1", "v1 ", "V1", "v1x", "v٣", "1", "vv1"];
        check(&[("v0", VatId(0)), ("v18446744073709551615", VatId(MAX))], &bad);
        check(&[("r0", RemoteId(0)), ("r12", RemoteId(12))], &["r", "v1", "r00", "ro+1"]);
        check(&[("s1", SubclusterId(1))], &["s", "s-1", &format!("s{OVER}")]);
        check(
            &[("v1", EndpointId::Vat(VatId(1))), ("r2", EndpointId::Remote(RemoteId(2)))],
            &["", "kernel", "s1", "v", "r01"],
        );
    }

    #[test]
    fn krefs() {
        check(
            &[("ko1", KRef::Object(1)), ("kp0", KRef::Promise(0)), ("ko10", KRef::Object(10))],
            &["", "k", "ko", "ko01", "ko+1", "kp-1", "kd1", "o+1", "ko1:2", &format!("ko{OVER}")],
        );
        assert!(KRef::Promise(1).is_promise() && !KRef::Object(1).is_promise());
    }

    #[test]
    fn vrefs() {
        let kinded =
            |durable, kind, instance, facet| VRef::Kinded { durable, kind, instance, facet };
        check(
            &[
                ("o+0", VRef::ROOT),
                ("o+11", VRef::Export(11)),
                ("o-3", VRef::Import(3)),
                ("p+4", VRef::ExportPromise(4)),
                ("p-5", VRef::ImportPromise(5)),
                ("o+d6/1", kinded(true, 6, 1, None)),
                ("o+v10/22:0", kinded(false, 10, 22, Some(0))),
            ],
            &[
                "",
                "o",
                "o+",
                "o-",
                "o+01",
                "o+-1",
                "o-d1/2",
                "o-v1/2",
                "p+d1/2",
                "p+1/2",
                "o+d1",
                "o+d1/",
                "o+d/1",
                "o+d1/2:",
                "o+d1/2:3:4",
                "o+d01/2",
                "o+d1/02",
                "o+d1/2:03",
                "o+x1/2",
                "o-1:2",
                "o+1|2",
                "o+1,2",
                "o+dé/1",
                "ko1",
                "ro+1",
                "o+ 1",
            ],
        );
        assert!(kinded(true, 1, 1, None).is_durable_export());
        assert!(!kinded(false, 1, 1, None).is_durable_export());
        assert!(VRef::ROOT.is_durable_export() && !VRef::Export(1).is_durable_export());
        assert!(VRef::ExportPromise(1).is_export() && !VRef::ImportPromise(1).is_export());
    }

    #[test]
    fn rrefs() {
        check(
            &[
                ("ro+1", RRef::Export(1)),
                ("ro-2", RRef::Import(2)),
                ("rp+3", RRef::ExportPromise(3)),
                ("rp-4", RRef::ImportPromise(4)),
            ],
            &["", "ro", "ro1", "ro+", "ro+01", "rp+d1/2", "r+1", "o+1", "rd-1"],
        );
        for text in ["ro+1", "ro-2", "rp+3", "rp-4"] {
            let rref: RRef = text.parse().unwrap();
            assert_eq!(rref.flipped().flipped(), rref);
            assert_ne!(rref.flipped().is_export(), rref.is_export());
            assert_eq!(rref.flipped().is_promise(), rref.is_promise());
        }
    }

    #[test]
    fn erefs() {
        check(
            &[("o-1", VRef::Import(1).into()), ("rp+3", ERef::Remote(RRef::ExportPromise(3)))],
            &["", "ko1", "r1", "v1"],
        );
        assert!(ERef::from(VRef::ExportPromise(1)).is_promise());
        assert!(!ERef::from(RRef::Import(1)).is_export());
    }

    #[test]
    fn errors_quote_a_bounded_part() {
        let error = "x".repeat(10_000).parse::<KRef>().unwrap_err();
        assert!(error.to_string().len() < 200);
    }
}
