//! Every service of a kernel: its own three, and the host's.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};

use ocap_core::api::{CallId, ServiceDeclaration};
use ocap_types::{KCapData, SubclusterId, VatId, smallcaps};
use tokio::runtime::Handle;

use crate::api::{ErrorKind, KernelError, ServiceRegistration};
use crate::facet::KernelFacet;
use crate::inbox::Inbox;
use crate::kernel::Kernel;
use crate::limits;
use crate::service::{KernelService, ServiceCall, ServiceReply};

/// The name of the service that controls the kernel.
const FACET: &str = "kernelFacet";

/// Hands calls to services. Calls are released after the commit that holds them, so each happens at
/// most once.
pub(crate) struct Services {
    kernel: Kernel,
    inbox: Inbox,
    facet: KernelFacet,
    /// Where the calls of the host's services go. A thread ends when its sender is dropped.
    hosted: BTreeMap<String, mpsc::Sender<(ServiceCall, ServiceReply)>>,
}

impl Services {
    /// Every service there will be; the kernel's own come first, which gives them ko1, ko2 and ko3
    /// on a fresh store.
    pub(crate) fn declarations(
        hosted: &[ServiceRegistration],
    ) -> Result<Vec<ServiceDeclaration>, KernelError> {
        let own =
            [("ocapURLIssuerService", false), ("ocapURLRedemptionService", false), (FACET, true)];
        let own = own.map(|(name, system_only)| (name.to_owned(), system_only));
        let hosted = hosted.iter().map(|service| (service.name.clone(), service.system_only));
        let mut declared: Vec<ServiceDeclaration> = Vec::new();
        for (name, system_only) in own.into_iter().chain(hosted) {
            if name.is_empty() || name.len() > limits::NAME_BYTES_MAX || name.starts_with("io:") {
                return Err(invalid(format!("{name:?} cannot be the name of a kernel service")));
            }
            let own = name == ocap_core::TIMER_SERVICE;
            if own || declared.iter().any(|other| other.name == name) {
                return Err(invalid(format!("kernel service '{name}' is already registered")));
            }
            declared.push(ServiceDeclaration { name, system_only });
        }
        Ok(declared)
    }

    /// Ready for calls.
    pub(crate) fn start(
        hosted: &[ServiceRegistration],
        kernel: Kernel,
        inbox: Inbox,
        runtime: &Handle,
    ) -> std::io::Result<Services> {
        let mut threads = BTreeMap::new();
        for ServiceRegistration { name, service, .. } in hosted {
            let (sender, calls) = mpsc::channel();
            let (service, runtime) = (Arc::clone(service), runtime.clone());
            std::thread::Builder::new()
                .name("ocap-service".into())
                .spawn(move || serve(&*service, &calls, &runtime))?;
            threads.insert(name.clone(), sender);
        }
        let facet = KernelFacet::new(runtime.clone());
        Ok(Services { kernel, inbox, facet, hosted: threads })
    }

    /// Carries out a call; its answer goes to the inbox.
    pub(crate) fn call(
        &self,
        call: CallId,
        service: &str,
        methargs: &KCapData,
        caller: Option<VatId>,
        subcluster: Option<SubclusterId>,
    ) {
        let reply = ServiceReply::new(call, service, self.inbox.clone());
        let Ok((method, args)) = smallcaps::decode_message(methargs) else {
            return reply.reject(format!("service {service} was sent what is no message"));
        };
        tracing::debug!(service, method = clipped(&method), ?caller, "service call");
        let kernel = self.kernel.clone();
        let call = ServiceCall { method, args, caller, subcluster, kernel };
        match self.hosted.get(service) {
            // A thread that is gone drops the reply, which rejects the call.
            Some(thread) => drop(thread.send((call, reply))),
            None if service == FACET => self.facet.call(call, reply),
            None => {
                let method = clipped(&call.method);
                let reason = format!("service {service} does not offer {method:?} in this version");
                reply.reject(reason);
            }
        }
    }
}

/// What of a method's name belongs into an error.
pub(crate) fn clipped(method: &str) -> String {
    method.chars().take(limits::NAME_BYTES_MAX).collect()
}

fn serve(
    service: &dyn KernelService,
    calls: &mpsc::Receiver<(ServiceCall, ServiceReply)>,
    runtime: &Handle,
) {
    let _inside = runtime.enter();
    while let Ok((call, reply)) = calls.recv() {
        // A call that panics is rejected by its reply; it must not end those after it.
        let _ = catch_unwind(AssertUnwindSafe(|| service.call(call, reply)));
    }
}

fn invalid(message: String) -> KernelError {
    KernelError::new(ErrorKind::Invalid, message)
}
