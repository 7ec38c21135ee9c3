//! References and identifiers (kernel.md section 1). All parse from and print as the exact text
//! forms clients know; leading zeros, signs and anything else are refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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
