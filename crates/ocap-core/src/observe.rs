//! What the core tells whoever watches it: which message came from which, and what became of it.
//!
//! Nothing here is state. A driver that asks for observations takes them after each turn; what a
//! turn that was undone had to say goes with it.

use ocap_types::{KCapData, KRef, VatId};

use crate::api::CrankId;
use crate::core::{Core, InFlightWork};

/// Something that happened in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A message was sent.
    Sent {
        /// Where to, as the sender named it.
        target: KRef,
        /// The promise for its result.
        result: Option<KRef>,
        /// The beginning of its method's name.
        method: MethodName,
    },
    /// A promise has settled.
    Settled {
        /// Which.
        promise: KRef,
        /// How.
        rejected: bool,
    },
}

/// What a delivery in flight is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The vat starts.
    Start,
    /// A message.
    Message {
        /// Its target.
        target: KRef,
        /// The promise for its result.
        result: Option<KRef>,
    },
    /// Promises have settled, this one first.
    Notify {
        /// Which.
        promise: KRef,
    },
    /// References are collected.
    Collection,
}

/// The beginning of a method's name, of a fixed size so that noting it costs next to nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MethodName {
    bytes: [u8; MethodName::BYTES_MAX],
    length: u8,
}

impl MethodName {
    /// Bytes of a name that are kept.
    pub const BYTES_MAX: usize = 31;

    /// Of a message's body, `#["method",[...]]`. A name that is written with escapes ends before the
    /// first; one in another form of body is empty.
    pub fn of(methargs: &KCapData) -> MethodName {
        let mut name = MethodName { bytes: [0; MethodName::BYTES_MAX], length: 0 };
        let Some(rest) = methargs.body.strip_prefix("#[\"") else { return name };
        let end = rest.bytes().take(MethodName::BYTES_MAX).position(|b| b == b'"' || b == b'\\');
        let mut end = end.unwrap_or(rest.len().min(MethodName::BYTES_MAX));
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        name.bytes[..end].copy_from_slice(&rest.as_bytes()[..end]);
        name.length = u8::try_from(end).unwrap_or(0);
        name
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl serde::Serialize for MethodName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl std::fmt::Debug for MethodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_str().fmt(f)
    }
}

impl Core {
    /// From now on notes what happens, or does not any more.
    pub fn set_observed(&mut self, observed: bool) {
        self.observed = observed;
        self.observations.clear();
    }

    /// Whether something has happened since [`Core::take_observations`].
    pub fn has_observations(&self) -> bool {
        !self.observations.is_empty()
    }

    /// What has happened since this was called last.
    pub fn take_observations(&mut self) -> std::vec::Drain<'_, Observation> {
        self.observations.drain(..)
    }

    /// What a delivery that is in flight is about. It must be the one handed out last.
    pub fn subject(&self, vat: VatId, crank: CrankId) -> Option<Subject> {
        let flight = self.in_flight.get(&vat)?.back().filter(|flight| flight.crank == crank)?;
        Some(match &flight.work {
            InFlightWork::Start => Subject::Start,
            InFlightWork::Message { target, result, .. } => {
                Subject::Message { target: *target, result: *result }
            }
            InFlightWork::Notify { promise, .. } => Subject::Notify { promise: *promise },
            InFlightWork::Gc | InFlightWork::Reap => Subject::Collection,
        })
    }

    pub(crate) fn note_sent(&mut self, target: KRef, result: Option<KRef>, methargs: &KCapData) {
        if self.observed {
            let method = MethodName::of(methargs);
            self.observations.push(Observation::Sent { target, result, method });
        }
    }

    pub(crate) fn note_settled(&mut self, number: u64, rejected: bool) {
        if self.observed {
            let promise = KRef::Promise(number);
            self.observations.push(Observation::Settled { promise, rejected });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_methods_are_cut_where_they_may_be() {
        let name = |body: &str| MethodName::of(&KCapData::without_slots(body)).as_str().to_owned();
        assert_eq!(name("#[\"greet\",[\"you\"]]"), "greet");
        assert_eq!(name("#[\"a\\\"b\",[]]"), "a");
        assert_eq!(name("[\"greet\",[]]"), "");
        assert_eq!(name("#[\"#undefined\",[]]"), "#undefined");
        assert_eq!(name("#[\""), "");
        let long = format!("#[\"{}\",[]]", "é".repeat(40));
        assert_eq!(name(&long), "é".repeat(15));
    }
}
