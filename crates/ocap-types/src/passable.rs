//! Values that can pass between vats, as the kernel's own services, the CLI and tests see them.
//!
//! [`Passable`] is the value, over any kind of reference `R`; [`crate::smallcaps`] is how it is
//! written. A value is made by decoding (bounded in depth and size) or by trusted code; nothing
//! else limits its depth, and dropping one recurses once per level.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::limits::BIGINT_DIGITS_MAX;
use crate::quote::quoted;

/// What every vat root is called.
pub const VAT_ROOT_IFACE: &str = "Alleged: vatRoot";

/// A value that can pass between vats.
///
/// Equality is that of the parts, so a value with a NaN in it equals nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Passable<R> {
    /// `undefined`.
    Undefined,
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number. Negative zero arrives as zero.
    Number(f64),
    /// A bigint.
    BigInt(BigInt),
    /// A string.
    String(String),
    /// A registered symbol by its name, or a well-known one as `@@name`. (A registered symbol
    /// whose own name begins with `@@` has two more in front.)
    Symbol(String),
    /// An array.
    Array(Vec<Passable<R>>),
    /// A record.
    Record(BTreeMap<String, Passable<R>>),
    /// A payload marked with a tag.
    Tagged {
        /// The tag, e.g. `copySet`.
        tag: String,
        /// What it marks.
        payload: Box<Passable<R>>,
    },
    /// An error. Stack and cause do not travel.
    Error {
        /// The name, e.g. `TypeError`.
        name: String,
        /// The message.
        message: String,
        /// Where its sender logged it; errors of the kernel have none.
        error_id: Option<String>,
    },
    /// An object.
    Remotable {
        /// What it is a reference to.
        slot: R,
        /// What it says it is, e.g. `Alleged: Counter`. Nobody vouches for it.
        iface: Option<String>,
    },
    /// A promise.
    Promise(R),
}

impl<R> Passable<R> {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Passable::String(text.into())
    }

    /// An object that says it is a `name`; the prefix `Alleged: ` is added.
    pub fn remotable(slot: R, name: &str) -> Self {
        Passable::Remotable { slot, iface: Some(format!("Alleged: {name}")) }
    }

    /// A plain `Error` with this message, as the kernel makes them.
    pub fn error(message: impl Into<String>) -> Self {
        Passable::Error { name: "Error".to_owned(), message: message.into(), error_id: None }
    }

    /// A record of these entries; of entries with the same key the last one counts.
    pub fn record<K: Into<String>>(entries: impl IntoIterator<Item = (K, Passable<R>)>) -> Self {
        Passable::Record(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// Plain JSON data as it is: no string in it has a special meaning, nothing becomes a
    /// reference.
    pub fn from_json(value: Value) -> Self {
        match value {
            Value::Null => Passable::Null,
            Value::Bool(b) => Passable::Bool(b),
            Value::Number(n) => Passable::Number(n.as_f64().unwrap_or(f64::NAN)),
            Value::String(s) => Passable::String(s),
            Value::Array(items) => {
                Passable::Array(items.into_iter().map(Passable::from_json).collect())
            }
            Value::Object(entries) => Passable::Record(
                entries.into_iter().map(|(key, value)| (key, Passable::from_json(value))).collect(),
            ),
        }
    }

    /// The value as plain JSON, if that can hold all of it: nothing but null, booleans, finite
    /// numbers, strings, arrays and records.
    pub fn to_json(&self) -> Option<Value> {
        Some(match self {
            Passable::Null => Value::Null,
            Passable::Bool(b) => Value::Bool(*b),
            Passable::Number(n) => Value::Number(json_number(*n)?),
            Passable::String(s) => Value::String(s.clone()),
            Passable::Array(items) => {
                Value::Array(items.iter().map(Passable::to_json).collect::<Option<_>>()?)
            }
            Passable::Record(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| Some((key.clone(), value.to_json()?)))
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Passable::String(text) => Some(text),
            _ => None,
        }
    }
}

impl<R> From<Value> for Passable<R> {
    fn from(value: Value) -> Self {
        Passable::from_json(value)
    }
}

/// Whole numbers without a fraction point, as JavaScript prints them.
#[allow(clippy::cast_precision_loss, reason = "the limit is exact in both types")]
fn json_number(n: f64) -> Option<serde_json::Number> {
    const EXACT_MAX: f64 = (1_u64 << 53) as f64;
    if n.fract() == 0.0 && n.abs() <= EXACT_MAX {
        return Some((n as i64).into());
    }
    serde_json::Number::from_f64(n)
}

/// An integer of any size, as decimal digits with a minus sign if negative. Always canonical: no
/// leading zeros, no negative zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BigInt(String);

/// A text that is not an integer, or too long a one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not an integer of at most {BIGINT_DIGITS_MAX} digits")]
pub struct ParseBigIntError(String);

impl BigInt {
    /// The decimal digits, with a minus sign if negative.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }
}

impl fmt::Display for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for BigInt {
    type Err = ParseBigIntError;

    /// An optional sign and decimal digits; leading zeros are dropped.
    fn from_str(text: &str) -> Result<Self, ParseBigIntError> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let digits_ok = (1..=BIGINT_DIGITS_MAX).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit());
        if !digits_ok {
            return Err(ParseBigIntError(quoted(text)));
        }
        let digits = digits.trim_start_matches('0');
        Ok(BigInt(match digits {
            "" => "0".to_owned(),
            _ if text.starts_with('-') => format!("-{digits}"),
            _ => digits.to_owned(),
        }))
    }
}

macro_rules! bigint_from {
    ($($t:ty),*) => {$(
        impl From<$t> for BigInt {
            fn from(n: $t) -> Self {
                BigInt(n.to_string())
            }
        }
    )*};
}
bigint_from!(i32, u32, i64, u64, i128, u128);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::refs::KRef;

    type P = Passable<KRef>;

    #[test]
    fn plain_data_goes_to_json_and_back() {
        let value = json!({"a": [1, -2.5, null, true, "#x"], "b": {"": "!"}});
        assert_eq!(P::from_json(value.clone()).to_json(), Some(value));
        assert_eq!(P::Number(3.0).to_json(), Some(json!(3)));
        assert_eq!(P::Number(-0.0).to_json(), Some(json!(0)));
        assert_eq!(P::Number(1e300).to_json(), Some(json!(1e300)));
    }

    #[test]
    fn what_json_cannot_hold_is_refused() {
        let strange = [
            P::Undefined,
            P::Number(f64::NAN),
            P::Number(f64::INFINITY),
            P::BigInt(1.into()),
            P::Symbol("x".into()),
            P::error("x"),
            P::remotable(KRef::Object(1), "X"),
            P::Promise(KRef::Promise(1)),
            P::Tagged { tag: "t".into(), payload: Box::new(P::Null) },
        ];
        for value in strange {
            assert_eq!(P::Array(vec![P::Null, value.clone()]).to_json(), None, "{value:?}");
            assert_eq!(P::record([("k", value)]).to_json(), None);
        }
    }

    #[test]
    fn bigints_are_canonical() {
        for (text, canonical) in
            [("0", "0"), ("-0", "0"), ("+0", "0"), ("007", "7"), ("+12", "12"), ("-0012", "-12")]
        {
            assert_eq!(text.parse::<BigInt>().unwrap().as_str(), canonical);
        }
        assert_eq!(BigInt::from(i128::MIN).to_string(), i128::MIN.to_string());
        let longest = "9".repeat(BIGINT_DIGITS_MAX);
        assert!(longest.parse::<BigInt>().is_ok());
        let too_long = format!("{longest}9");
        for text in ["", "+", "-", "+-1", "1.0", "0x1", " 1", "1 ", "٣", "1n", &too_long] {
            assert!(text.parse::<BigInt>().is_err(), "{text:?}");
        }
    }
}
