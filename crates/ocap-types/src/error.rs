//! Error codes: what the kernel tells vats about messages it could not deliver, and the classes the
//! reference's clients know.
//!
//! To a vat a kernel error is an `Error` whose message is `[KERNEL:CODE] detail`, or
//! `[KERNEL:VAT_FATAL:CODE] detail` when it has ended, or undone a crank of, some vat.

use std::fmt;
use std::str::FromStr;

use crate::capdata::CapData;
use crate::crank::FaultKind;
use crate::refs::Reference;
use crate::smallcaps::error_capdata;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, fatal: $fatal:literal;)*) => {
        /// Why the kernel rejected a promise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum KernelErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl KernelErrorCode {
            /// Every code.
            pub const ALL: &[KernelErrorCode] = &[$(KernelErrorCode::$variant),*];

            /// As it is written between the brackets.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(KernelErrorCode::$variant => $text,)*
                }
            }

            /// Whether it is written with `VAT_FATAL:`.
            pub fn is_fatal(self) -> bool {
                match self {
                    $(KernelErrorCode::$variant => $fatal,)*
                }
            }
        }
    };
}

codes! {
    /// The target has been revoked.
    ObjectRevoked = "OBJECT_REVOKED", fatal: false;
    /// The target is gone.
    ObjectDeleted = "OBJECT_DELETED", fatal: false;
    /// The target was a promise that became something that takes no messages.
    BadPromiseResolution = "BAD_PROMISE_RESOLUTION", fatal: false;
    /// The target's vat is gone, or its kernel not connected.
    EndpointUnreachable = "ENDPOINT_UNREACHABLE", fatal: false;
    /// The connection to another kernel was lost.
    ConnectionLost = "CONNECTION_LOST", fatal: false;
    /// Another kernel has forgotten what it knew.
    PeerRestarted = "PEER_RESTARTED", fatal: false;
    /// The vat that was to answer was terminated.
    VatTerminated = "VAT_TERMINATED", fatal: false;
    /// The target's endpoint, or service, could not take the message.
    DeliveryFailed = "DELIVERY_FAILED", fatal: false;
    /// The vat that was to answer was restarted.
    VatRestarted = "VAT_RESTARTED", fatal: false;
    /// The kernel stopped after the call was made and before its answer was known.
    OutcomeUnknown = "OUTCOME_UNKNOWN", fatal: false;
    /// The kernel, or the vat, was restarted while the read waited. Nothing was read.
    ReadCancelled = "READ_CANCELLED", fatal: false;
    /// The OCAP URL was revoked, used up or has expired, or was never issued.
    UrlVoid = "URL_VOID", fatal: false;
    /// A queue or table is full.
    LimitExceeded = "LIMIT_EXCEEDED", fatal: false;
    /// The vat asked for what it must not.
    IllegalSyscall = "ILLEGAL_SYSCALL", fatal: true;
    /// The vat's runtime failed.
    InternalError = "INTERNAL_ERROR", fatal: true;
    /// The vat used up the time it has for one delivery.
    Overrun = "OVERRUN", fatal: true;
    /// The vat used up its memory.
    OutOfMemory = "OUT_OF_MEMORY", fatal: true;
    /// The vat's process ended by itself.
    VatCrashed = "VAT_CRASHED", fatal: true;
    /// The vat's process was stopped for trying what its cage forbids.
    CageViolation = "CAGE_VIOLATION", fatal: true;
}

impl KernelErrorCode {
    /// `[KERNEL:CODE] detail`, or `[KERNEL:VAT_FATAL:CODE] detail`.
    pub fn message(self, detail: impl fmt::Display) -> String {
        let fatal = if self.is_fatal() { "VAT_FATAL:" } else { "" };
        format!("[KERNEL:{fatal}{}] {detail}", self.as_str())
    }

    /// The value a promise is rejected with.
    pub fn rejection<R: Reference>(self, detail: impl fmt::Display) -> CapData<R> {
        error_capdata("Error", &self.message(detail))
    }
}

impl fmt::Display for KernelErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KernelErrorCode {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        KernelErrorCode::ALL.iter().copied().find(|c| c.as_str() == text).ok_or(UnknownCode)
    }
}

/// A text that is no code of this kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown kernel error code")]
pub struct UnknownCode;

impl From<FaultKind> for KernelErrorCode {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Overrun => KernelErrorCode::Overrun,
            FaultKind::OutOfMemory => KernelErrorCode::OutOfMemory,
            FaultKind::Crash => KernelErrorCode::VatCrashed,
            FaultKind::CageViolation => KernelErrorCode::CageViolation,
            FaultKind::Protocol => KernelErrorCode::InternalError,
        }
    }
}

/// A message that has the form of a kernel error. The form proves nothing: any vat can throw an
/// error with such a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelErrorMessage<'a> {
    /// Whether it says `VAT_FATAL:`.
    pub fatal: bool,
    /// The code; `code.parse::<KernelErrorCode>()` tells whether this kernel knows it.
    pub code: &'a str,
    /// What follows the bracket, without the space between.
    pub detail: &'a str,
}

impl<'a> KernelErrorMessage<'a> {
    /// Takes a message apart, if it begins as a kernel error does.
    pub fn parse(message: &'a str) -> Option<Self> {
        let (inside, detail) = message.strip_prefix("[KERNEL:")?.split_once(']')?;
        let fatal_code = inside.strip_prefix("VAT_FATAL:");
        let code = fatal_code.unwrap_or(inside);
        let well_formed =
            !code.is_empty() && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
        well_formed.then(|| KernelErrorMessage {
            fatal: fatal_code.is_some(),
            code,
            detail: detail.strip_prefix(' ').unwrap_or(detail),
        })
    }
}

/// A class of errors that clients of the reference know (kernel.md section 20).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorClass {
    /// The class, which is also the error's name.
    pub name: &'static str,
    /// The code.
    pub code: &'static str,
    /// The message, where it is always the same.
    pub message: Option<&'static str>,
}

/// The classes that clients of the reference know.
pub const ERROR_CLASSES: [ErrorClass; 13] = [
    class("AbortError", "ABORT_ERROR", Some("Operation aborted.")),
    class("DuplicateEndowmentError", "DUPLICATE_ENDOWMENT", Some("Duplicate endowment.")),
    class("StreamReadError", "STREAM_READ_ERROR", Some("Unexpected stream read error.")),
    class("VatAlreadyExistsError", "VAT_ALREADY_EXISTS", Some("Vat already exists.")),
    class("VatDeletedError", "VAT_DELETED", Some("Vat was deleted.")),
    class("VatNotFoundError", "VAT_NOT_FOUND", Some("Vat does not exist.")),
    class("SubclusterNotFoundError", "SUBCLUSTER_NOT_FOUND", Some("Subcluster does not exist.")),
    class(
        "SampleGenerationError",
        "SAMPLE_GENERATION_ERROR",
        Some("LLM generated invalid response."),
    ),
    class("EvaluatorError", "INTERNAL_ERROR", None),
    class("ResourceLimitError", "RESOURCE_LIMIT_ERROR", None),
    class("PeerRestartedError", "PEER_RESTARTED_ERROR", None),
    class(
        "IntentionalCloseError",
        "INTENTIONAL_CLOSE_ERROR",
        Some("Message delivery failed after intentional close"),
    ),
    class("NetworkStoppedError", "NETWORK_STOPPED_ERROR", Some("Network stopped")),
];

const fn class(
    name: &'static str,
    code: &'static str,
    message: Option<&'static str>,
) -> ErrorClass {
    ErrorClass { name, code, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capdata::KCapData;
    use crate::smallcaps::error_message;

    #[test]
    fn messages_have_the_form_clients_look_for() {
        assert_eq!(
            KernelErrorCode::ObjectRevoked.message("Target object has been revoked"),
            "[KERNEL:OBJECT_REVOKED] Target object has been revoked",
        );
        assert_eq!(
            KernelErrorCode::IllegalSyscall.message("x"),
            "[KERNEL:VAT_FATAL:ILLEGAL_SYSCALL] x"
        );
    }

    #[test]
    fn every_code_comes_back() {
        for &code in KernelErrorCode::ALL {
            let message = code.message("some detail: [a] b");
            let parsed = KernelErrorMessage::parse(&message).unwrap();
            assert_eq!(parsed.code.parse(), Ok(code));
            assert_eq!(parsed.fatal, code.is_fatal());
            assert_eq!(parsed.detail, "some detail: [a] b");
            let rejection: KCapData = code.rejection("d");
            assert_eq!(error_message(&rejection), Some(code.message("d")));
        }
    }

    #[test]
    fn unknown_codes_are_recognised_and_other_texts_are_not() {
        let parsed = KernelErrorMessage::parse("[KERNEL:NEW_CODE]").unwrap();
        assert_eq!(parsed, KernelErrorMessage { fatal: false, code: "NEW_CODE", detail: "" });
        assert_eq!(parsed.code.parse::<KernelErrorCode>(), Err(UnknownCode));
        for text in [
            "",
            "x [KERNEL:OVERRUN]",
            "[KERNEL:]",
            "[KERNEL:VAT_FATAL:]",
            "[KERNEL:lower]",
            "[KERNEL:A1]",
            "[KERNEL:A:B] x",
            "[KERNEL:OVERRUN",
            "[kernel:OVERRUN] x",
        ] {
            assert_eq!(KernelErrorMessage::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn classes_are_distinct() {
        for (i, a) in ERROR_CLASSES.iter().enumerate() {
            for b in &ERROR_CLASSES[..i] {
                assert!(a.name != b.name && a.code != b.code);
            }
        }
    }
}
