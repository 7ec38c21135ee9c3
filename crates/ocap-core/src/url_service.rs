//! The services `ocapURLIssuerService` and `ocapURLRedemptionService`: what vats do with URLs. Calls
//! are answered in the turn that takes them, so no crash can leave one half done.

use std::collections::BTreeMap;

use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, VatId, smallcaps};

use crate::api::{CoreError, UrlTerms};
use crate::core::Core;
use crate::errors::Code;
use crate::limits;
use crate::rows::Message;
use crate::url::Refusal;

/// The name clusters ask for the issuer by.
pub const ISSUER: &str = "ocapURLIssuerService";

/// The name clusters ask for the redeemer by.
pub const REDEEMER: &str = "ocapURLRedemptionService";

/// What a call comes to: a value, and the URL it has used.
type Answered = (Passable<KRef>, Option<(String, crate::url::Url)>);

impl Core {
    /// Whether a service is one of these and this kernel offers it.
    pub(crate) fn is_url_service(&self, name: &str) -> bool {
        self.peer_id.is_some() && (name == ISSUER || name == REDEEMER)
    }

    /// A message for one of the services, answered in this turn. `gone` if whoever sent it is.
    pub(crate) fn invoke_urls(
        &mut self,
        service: &str,
        message: &Message,
        caller: Option<VatId>,
        gone: bool,
    ) -> Result<(), CoreError> {
        let outcome = if gone {
            // The answer would reach nobody, and a URL stand for ever.
            wrong("whoever asked for this is gone")
        } else {
            self.url_call(service, caller, &message.methargs)
        };
        let (rejected, value, used) = match outcome {
            Ok((value, used)) => (false, smallcaps::encode(&value), used),
            Err(Refusal::Wrong(text)) => (true, Code::DeliveryFailed.rejection(text), None),
            Err(Refusal::Coded(code, text)) => (true, code.rejection(text), None),
            Err(Refusal::Core(error)) => return Err(error),
        };
        self.answer(message, rejected, &value)?;
        // Not before the answer holds what the URL stands for.
        match used {
            Some((hash, row)) => self.use_url(&hash, &row),
            None => Ok(()),
        }
    }

    fn url_call(
        &mut self,
        service: &str,
        caller: Option<VatId>,
        methargs: &KCapData,
    ) -> Result<Answered, Refusal> {
        let Ok((method, args)) = smallcaps::decode_message(methargs) else {
            return wrong("it was called with what is no method and arguments");
        };
        let mut args = args.into_iter();
        let mut next = || args.next().unwrap_or(Passable::Undefined);
        match (service, method.as_str()) {
            (ISSUER, "issue") => {
                let (Passable::Remotable { slot, .. } | Passable::Promise(slot)) = next() else {
                    return wrong("Argument must be a remotable");
                };
                let url = self.new_url(slot, terms(next())?, caller)?;
                Ok((Passable::String(url), None))
            }
            (ISSUER, "revoke") => {
                let revoked = self.end_url_for(&text(next())?, caller)?;
                Ok((Passable::Bool(revoked), None))
            }
            (REDEEMER, "redeem") => {
                let (hash, row) = self.valid_url(&text(next())?)?;
                let value = match row.target {
                    target @ KRef::Promise(_) => Passable::Promise(target),
                    target @ KRef::Object(_) => Passable::Remotable { slot: target, iface: None },
                };
                Ok((value, Some((hash, row))))
            }
            (_, other) => {
                let other: String = other.chars().take(100).collect();
                let known = if service == ISSUER { "issue and revoke" } else { "redeem" };
                wrong(format!("{service} has no method {other:?}, only {known}"))
            }
        }
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Wrong(text.into()))
}

fn text(value: Passable<KRef>) -> Result<String, Refusal> {
    match value {
        Passable::String(text) => Ok(text),
        _ => wrong("a URL has to be a string"),
    }
}

/// The terms a vat asks for; those left out do not limit anything.
fn terms(value: Passable<KRef>) -> Result<UrlTerms, Refusal> {
    let mut options = match value {
        Passable::Undefined => BTreeMap::new(),
        Passable::Record(options) => options,
        _ => return wrong("the terms of a URL have to be a record"),
    };
    let mut next = |name| options.remove(name).unwrap_or(Passable::Undefined);
    let terms = UrlTerms {
        lifetime_ms: number(&next("expiresMs"), "expiresMs")?,
        uses: number(&next("uses"), "uses")?,
        label: match next("label") {
            Passable::Undefined => None,
            Passable::String(label) => Some(label),
            _ => return wrong("label has to be a string"),
        },
    };
    match options.keys().next() {
        None => Ok(terms),
        Some(_) => wrong("the terms of a URL are expiresMs, uses and label, and no others"),
    }
}

/// A count, or a span of milliseconds.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range"
)]
fn number(value: &Passable<KRef>, what: &str) -> Result<Option<u64>, Refusal> {
    match value {
        Passable::Undefined => Ok(None),
        Passable::Number(number)
            if number.fract() == 0.0 && (1.0..=limits::MOMENT_MS_MAX as f64).contains(number) =>
        {
            Ok(Some(*number as u64))
        }
        _ => wrong(format!("{what} has to be a whole number, and at least 1")),
    }
}
