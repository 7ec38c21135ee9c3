//! Errors the kernel itself gives to vats and callers, and the few bodies it writes or reads.

use ocap_types::crank::FaultKind;
use ocap_types::{KCapData, KRef};
use serde::Deserialize;

use crate::limits;

/// The code in `[KERNEL:CODE]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    ObjectRevoked,
    ObjectDeleted,
    BadPromiseResolution,
    EndpointUnreachable,
    VatTerminated,
    VatRestarted,
    DeliveryFailed,
    OutcomeUnknown,
    ReadCancelled,
    LimitExceeded,
    IllegalSyscall,
    InternalError,
    Overrun,
    OutOfMemory,
    VatCrashed,
    CageViolation,
    WorkerProtocol,
    SyscallLimit,
}

impl Code {
    fn text(self) -> &'static str {
        match self {
            Code::ObjectRevoked => "OBJECT_REVOKED",
            Code::ObjectDeleted => "OBJECT_DELETED",
            Code::BadPromiseResolution => "BAD_PROMISE_RESOLUTION",
            Code::EndpointUnreachable => "ENDPOINT_UNREACHABLE",
            Code::VatTerminated => "VAT_TERMINATED",
            Code::VatRestarted => "VAT_RESTARTED",
            Code::DeliveryFailed => "DELIVERY_FAILED",
            Code::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Code::ReadCancelled => "READ_CANCELLED",
            Code::LimitExceeded => "LIMIT_EXCEEDED",
            Code::IllegalSyscall => "VAT_FATAL:ILLEGAL_SYSCALL",
            Code::InternalError => "VAT_FATAL:INTERNAL_ERROR",
            Code::Overrun => "VAT_FATAL:OVERRUN",
            Code::OutOfMemory => "VAT_FATAL:OUT_OF_MEMORY",
            Code::VatCrashed => "VAT_FATAL:VAT_CRASHED",
            Code::CageViolation => "VAT_FATAL:CAGE_VIOLATION",
            Code::WorkerProtocol => "VAT_FATAL:WORKER_PROTOCOL",
            Code::SyscallLimit => "VAT_FATAL:LIMIT_EXCEEDED",
        }
    }

    /// The code of a fault.
    pub(crate) fn of_fault(kind: FaultKind) -> Code {
        match kind {
            FaultKind::Overrun => Code::Overrun,
            FaultKind::OutOfMemory => Code::OutOfMemory,
            FaultKind::Crash => Code::VatCrashed,
            FaultKind::CageViolation => Code::CageViolation,
            FaultKind::Protocol => Code::WorkerProtocol,
        }
    }

    /// `[KERNEL:CODE] detail`.
    pub(crate) fn message(self, detail: &str) -> String {
        let detail = clipped(detail);
        format!("[KERNEL:{}] {detail}", self.text())
    }

    /// An Error value with that message.
    pub(crate) fn error(self, detail: &str) -> KCapData {
        let message = json_string(&self.message(detail));
        KCapData::without_slots(format!("#{{\"#error\":{message},\"name\":\"Error\"}}"))
    }
}

/// A text cut to what is kept of details.
pub(crate) fn clipped(text: &str) -> String {
    text.chars().take(limits::DETAIL_CHARS_MAX).collect()
}

/// A JSON string literal.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Smallcaps body of a string.
pub(crate) fn string_body(text: &str) -> String {
    if text.starts_with(|c: char| ('!'..='-').contains(&c)) {
        format!("#{}", json_string(&format!("!{text}")))
    } else {
        format!("#{}", json_string(text))
    }
}

/// Smallcaps body of `null`.
pub(crate) fn null() -> KCapData {
    KCapData::without_slots("#null")
}

/// Smallcaps body of `undefined`.
pub(crate) fn undefined() -> KCapData {
    KCapData::without_slots("#\"#undefined\"")
}

/// The reference a value consists of, if it is nothing but one.
pub(crate) fn single_reference(data: &KCapData) -> Option<KRef> {
    let json = data.body.strip_prefix('#')?;
    if !json.starts_with('"') || json.len() > limits::REFERENCE_BODY_BYTES_MAX {
        return None;
    }
    let text: String = serde_json::from_str(json).ok()?;
    let rest = text.strip_prefix(['$', '&'])?;
    let digits = rest.split('.').next()?;
    let canonical = digits == "0" || !digits.starts_with('0');
    if !canonical || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    data.slots.get(digits.parse::<usize>().ok()?).copied()
}

/// The message of a value that is an Error.
pub(crate) fn error_message(data: &KCapData) -> Option<String> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(rename = "#error")]
        message: String,
    }
    let json = data.body.strip_prefix('#')?;
    if !json.starts_with('{') {
        return None;
    }
    let shape: Shape = serde_json::from_str(json).ok()?;
    Some(unescaped(&shape.message).to_owned())
}

/// A rejection's reason for a person: an Error's message, a string's text, else the body.
pub(crate) fn reason_text(data: &KCapData) -> String {
    let text = || {
        let json = data.body.strip_prefix('#')?;
        let text: String = serde_json::from_str(json).ok()?;
        Some(unescaped(&text).to_owned())
    };
    clipped(&error_message(data).or_else(text).unwrap_or_else(|| data.body.clone()))
}

/// A smallcaps string without its escape.
pub(crate) fn unescaped(text: &str) -> &str {
    text.strip_prefix('!').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(body: &str, slots: &[KRef]) -> KCapData {
        KCapData { body: body.to_owned(), slots: slots.to_vec() }
    }

    #[test]
    fn a_single_reference_is_recognised_and_nothing_else_is() {
        let slots = [KRef::Object(4), KRef::Promise(5)];
        assert_eq!(single_reference(&data("#\"$0.Alleged: x\"", &slots)), Some(KRef::Object(4)));
        assert_eq!(single_reference(&data("#\"&1\"", &slots)), Some(KRef::Promise(5)));
        for body in
            ["#\"$2\"", "#\"$00\"", "#\"$\"", "#[\"$0\"]", "#\"!$0\"", "$0", "#\"$0\" 1", ""]
        {
            assert_eq!(single_reference(&data(body, &slots)), None, "{body}");
        }
    }

    #[test]
    fn errors_are_read_and_written() {
        let error = Code::Overrun.error("a \"quoted\" detail");
        assert_eq!(
            error_message(&error).unwrap(),
            "[KERNEL:VAT_FATAL:OVERRUN] a \"quoted\" detail"
        );
        assert_eq!(
            error_message(&data("#{\"#error\":\"!#x\",\"name\":\"Error\"}", &[])).unwrap(),
            "#x"
        );
        assert_eq!(error_message(&data("#{\"error\":\"x\"}", &[])), None);
        let deep = format!("#{{\"#error\":\"x\",\"y\":{}}}", "[".repeat(1_000_000));
        assert_eq!(error_message(&data(&deep, &[])), None);
        assert_eq!(string_body("+5"), "#\"!+5\"");
        assert_eq!(string_body("hi"), "#\"hi\"");
        assert_eq!(string_body(""), "#\"\"");
    }
}
