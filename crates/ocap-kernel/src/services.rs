//! The kernel services every kernel has: the OCAP URL issuer and redeemer, and the kernel facet.

use ocap_core::api::{CallId, ServiceDeclaration};
use ocap_types::{KCapData, VatId};

use crate::inbox::{Inbox, Input};

/// Answers calls of kernel services. Calls are released after the commit that holds them, so each
/// happens at most once.
pub(crate) struct Services;

impl Services {
    /// In the order that gives them ko1, ko2 and ko3 on a fresh store.
    pub(crate) fn declarations() -> Vec<ServiceDeclaration> {
        let declare =
            |name: &str, system_only| ServiceDeclaration { name: name.into(), system_only };
        vec![
            declare("ocapURLIssuerService", false),
            declare("ocapURLRedemptionService", false),
            declare("kernelFacet", true),
        ]
    }

    /// Carries out a call; its answer goes to the inbox.
    pub(crate) fn call(
        call: CallId,
        service: &str,
        methargs: &KCapData,
        caller: Option<VatId>,
        inbox: &Inbox,
    ) {
        let method = method_of(methargs);
        tracing::debug!(service, method, ?caller, "service call");
        let result = match (service, method.as_deref()) {
            ("kernelFacet", Some("ping")) => Ok(KCapData::without_slots("#\"pong\"")),
            (_, Some(method)) => {
                Err(format!("service {service} does not offer {method:?} in this version"))
            }
            (_, None) => Err(format!("service {service} was sent something that is no message")),
        };
        // If the driver is gone there is nobody left to answer.
        let _ = inbox.put(Input::ServiceDone(call, result));
    }
}

/// The method of an encoded message.
fn method_of(methargs: &KCapData) -> Option<String> {
    let json = methargs.body.strip_prefix('#')?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.get(0)?.as_str().map(str::to_owned)
}
