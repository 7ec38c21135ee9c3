//! Services a host offers to vats: what is called, and how it answers.

use ocap_core::api::CallId;
use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, SubclusterId, VatId, smallcaps};

use crate::inbox::{Inbox, Input};
use crate::kernel::Kernel;

/// A service of the host, which vats send messages to like to any object.
///
/// Each call happens at most once: the kernel makes it after the commit that holds it, and a call
/// whose answer a crash kept from being written is rejected with `OUTCOME_UNKNOWN` at the next
/// start. What was passed with a call is held until it is answered; [`Kernel::hold`] holds it
/// longer.
pub trait KernelService: Send + Sync {
    /// Takes a call. Calls of one service come one after the other, in the order they were sent,
    /// on a thread of its own, inside the tokio runtime the kernel was started in. What takes time
    /// is best spawned, and the reply moved there; calls behind it wait otherwise.
    fn call(&self, call: ServiceCall, reply: ServiceReply);
}

/// One call.
#[non_exhaustive]
pub struct ServiceCall {
    /// What is wanted.
    pub method: String,
    /// With what.
    pub args: Vec<Passable<KRef>>,
    /// The vat that asks; `None` if the host does.
    pub caller: Option<VatId>,
    /// The subcluster of that vat, unless it has ended since.
    pub subcluster: Option<SubclusterId>,
    /// The kernel. Unlike the host's own handles, this one does not keep it running.
    pub kernel: Kernel,
}

/// Where the answer of one call goes. May be moved to any thread, and answered at any time; if the
/// call is not under way any more by then, nothing happens. Dropping it rejects the call.
pub struct ServiceReply {
    call: CallId,
    service: String,
    inbox: Option<Inbox>,
}

impl ServiceReply {
    pub(crate) fn new(call: CallId, service: &str, inbox: Inbox) -> Self {
        ServiceReply { call, service: service.to_owned(), inbox: Some(inbox) }
    }

    /// The caller's promise is fulfilled with this value, or follows it if it is a promise.
    /// References in it have to be ones the kernel knows; otherwise the call is rejected.
    pub fn fulfil(mut self, value: &Passable<KRef>) {
        self.done(Ok(smallcaps::encode(value)));
    }

    /// The caller's promise is rejected: `[KERNEL:DELIVERY_FAILED]` and the reason.
    pub fn reject(mut self, reason: impl Into<String>) {
        self.done(Err(reason.into()));
    }

    fn done(&mut self, result: Result<KCapData, String>) {
        if let Some(inbox) = self.inbox.take() {
            // If the driver is gone there is nobody left to answer.
            let _ = inbox.put(Input::ServiceDone(self.call, result));
        }
    }
}

impl Drop for ServiceReply {
    fn drop(&mut self) {
        let reason = format!("service {} gave no answer", self.service);
        self.done(Err(reason));
    }
}
