//! What vats have asked of this process and not been told of yet: timers, which the driver's loop
//! looks at, and errands to the network and to files, each on a thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ocap_core::api::CallId;
use ocap_types::crank::{HttpRequest, Request};
use ocap_types::passable::Passable;
use ocap_types::{KRef, VatId, smallcaps};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use crate::files;
use crate::inbox::{Inbox, Input};
use crate::limits;
use crate::reach::Reach;

/// See the module.
pub(crate) struct Asks {
    runtime: Handle,
    inbox: Inbox,
    /// Lets some errands of all vats at a time through.
    gate: Arc<Semaphore>,
    errands: BTreeMap<CallId, AbortHandle>,
    /// Where this process's milliseconds are counted from.
    epoch: Instant,
    /// The moment asks of the present batch count from: those of one crank keep their order.
    now_ms: u64,
    /// By when they are due and in what order they were set.
    timers: BTreeSet<(u64, CallId)>,
    due_of: BTreeMap<CallId, u64>,
}

impl Asks {
    pub(crate) fn new(runtime: Handle, inbox: Inbox) -> Self {
        Asks {
            runtime,
            inbox,
            gate: Arc::new(Semaphore::new(limits::ERRANDS_MAX)),
            errands: BTreeMap::new(),
            epoch: Instant::now(),
            now_ms: 0,
            timers: BTreeSet::new(),
            due_of: BTreeMap::new(),
        }
    }

    /// A batch of effects begins.
    pub(crate) fn begin(&mut self) {
        self.now_ms = milliseconds(self.epoch.elapsed());
    }

    /// Takes on what a vat asks; `reach` is what its config lets it.
    pub(crate) fn ask(&mut self, call: CallId, vat: VatId, request: Request, reach: &Arc<Reach>) {
        match request {
            Request::Timer { delay_ms, since_ms } => {
                let since_ms = since_ms.unwrap_or(self.now_ms);
                // A timer is never early: the present millisecond has begun already.
                let due_ms = since_ms.saturating_add(delay_ms).max(self.now_ms).saturating_add(1);
                self.timers.insert((due_ms, call));
                self.due_of.insert(call, due_ms);
            }
            Request::Fetch(request) => {
                tracing::debug!(target: "ocap::vat", %vat, method = %request.method, "fetch");
                self.send_out(call, reach, move |reach| fetch(reach, *request));
            }
            Request::ReadFile { path } => self.send_out(call, reach, move |reach| {
                reach.files.as_ref().map_or_else(no_files, |files| files::read(files, &path))
            }),
            Request::Access { path, mode } => self.send_out(call, reach, move |reach| {
                let files = reach.files.as_ref();
                files.map_or_else(no_files, |files| files::access(files, &path, mode))
            }),
        }
    }

    /// Has something done by a thread that is waited for by nobody, so that the kernel can stop
    /// whatever the network or a file system do.
    fn send_out(
        &mut self,
        call: CallId,
        reach: &Arc<Reach>,
        work: impl FnOnce(&Reach) -> Value + Send + 'static,
    ) {
        let (gate, inbox, reach) = (self.gate.clone(), self.inbox.clone(), Arc::clone(reach));
        let errand = self.runtime.spawn(async move {
            let (Ok(own), Ok(all)) =
                (reach.gate.clone().acquire_owned().await, gate.acquire_owned().await)
            else {
                return;
            };
            let (done, outcome) = oneshot::channel();
            let thread = std::thread::Builder::new().name("ocap-errand".into()).spawn(move || {
                let _ = done.send(work(&reach));
                drop((own, all));
            });
            let outcome = match thread {
                Ok(_) => outcome.await.unwrap_or_else(|_| json!({"failed": "it broke off"})),
                Err(error) => json!({"failed": error.to_string()}),
            };
            let data = smallcaps::encode(&Passable::<KRef>::from_json(outcome));
            let _ = inbox.put(Input::ServiceDone(call, Ok(data)));
        });
        self.errands.insert(call, errand.abort_handle());
    }

    /// An errand may be done.
    pub(crate) fn done(&mut self, call: CallId) {
        self.errands.remove(&call);
    }

    /// Nobody wants this any more.
    pub(crate) fn withdraw(&mut self, call: CallId) {
        if let Some(due_ms) = self.due_of.remove(&call) {
            self.timers.remove(&(due_ms, call));
        }
        if let Some(errand) = self.errands.remove(&call) {
            errand.abort();
        }
    }

    /// How long until a timer is due.
    pub(crate) fn until_due(&self) -> Option<Duration> {
        let &(due_ms, _) = self.timers.first()?;
        Some(Duration::from_millis(due_ms).saturating_sub(self.epoch.elapsed()))
    }

    /// The next timer that is due, and when it was.
    pub(crate) fn take_due(&mut self) -> Option<(CallId, u64)> {
        let &(due_ms, call) = self.timers.first()?;
        if Duration::from_millis(due_ms) > self.epoch.elapsed() {
            return None;
        }
        self.withdraw(call);
        Some((call, due_ms))
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn no_files() -> Value {
    json!({"failed": "the vat has no folder"})
}

#[cfg(feature = "fetch")]
fn fetch(reach: &Reach, request: HttpRequest) -> Value {
    crate::fetch::perform(reach.hosts.as_deref().unwrap_or_default(), request)
}

#[cfg(not(feature = "fetch"))]
fn fetch(_reach: &Reach, _request: HttpRequest) -> Value {
    json!({"failed": "this kernel was built without fetch"})
}
