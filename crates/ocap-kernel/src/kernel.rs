//! The handle to a running kernel.

mod start;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocap_core::Core;
use ocap_core::api::{Answer, CoreError, Launch, Once};
use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, SubclusterId, VatId, smallcaps};
use tokio::sync::{Semaphore, oneshot, watch};

use crate::api::{
    CodeUpdate, Comparison, ErrorKind, Finding, Inspection, KernelError, LaunchRequest, Launched,
    Status, SystemSubcluster,
};
use crate::backup::Backups;
use crate::code::{self, LoadedCode};
use crate::inbox::{Inbox, Input, Reply, Request};
use crate::trace::TracePage;
use crate::workers::Nursery;
use crate::{limits, message};

/// A running kernel. Clones are handles to the same one; any thread may use them. The kernel runs
/// until [`Kernel::stop`], or until the last handle is dropped.
#[derive(Clone)]
pub struct Kernel {
    shared: Arc<Shared>,
    /// What keeps the kernel running. Services have handles without.
    _running: Option<Arc<Running>>,
}

struct Shared {
    inbox: Inbox,
    nursery: Nursery,
    requests: AtomicUsize,
    ended: Ended,
    system: Vec<SystemSubcluster>,
    /// The file the state is in, if it is in one.
    store: Option<PathBuf>,
    backups: Arc<Backups>,
    /// A permit for each question in SQL that is worked on.
    queries: Arc<Semaphore>,
    peer_id: String,
}

/// Why the kernel has ended, once it has.
type Ended = watch::Receiver<Option<Result<(), KernelError>>>;

struct Running(Inbox);

impl Drop for Running {
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        let _ = self.0.put(Input::Request(Request::Stop(reply)));
    }
}

impl Kernel {
    /// Launches a subcluster; answers once `bootstrap` has. On failure nothing is left.
    ///
    /// # Errors
    /// `Invalid` if the config or the code cannot be used, `Rejected` if a vat or its bootstrap
    /// failed; the message is for a person.
    pub async fn launch(&self, request: LaunchRequest) -> Result<Launched, KernelError> {
        self.launch_as(request, false, None).await
    }

    /// Launches a subcluster once: who asks again with the same key and the same request within a
    /// day, also after a crash, waits for the first launch or gets what it gave. One that failed, or
    /// was undone by a crash, is tried again.
    ///
    /// # Errors
    /// As [`Kernel::launch`]; `Invalid` if the key was used for another request.
    pub async fn launch_once(
        &self,
        request: LaunchRequest,
        key: &str,
    ) -> Result<Launched, KernelError> {
        let LaunchRequest { config, name, base } = &request;
        let base = base.as_ref().map(|base| base.to_string_lossy());
        let said = serde_json::to_string(&("launch", config, name, base)).map_err(failed)?;
        let once = once(key, &said);
        // What it was launched from may be gone by now.
        let joined = once.clone();
        match self.ask(|reply| Request::Join(joined, reply)).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.launch_as(request, false, Some(once)).await
            }
            answer => launched(answer?),
        }
    }

    async fn launch_as(
        &self,
        request: LaunchRequest,
        system: bool,
        once: Option<Once>,
    ) -> Result<Launched, KernelError> {
        let (request, code) = self.load(request).await?;
        let LaunchRequest { config, name, .. } = request;
        let launch = Box::new(Launch { config, name, code, system });
        launched(self.ask(|reply| Request::Launch(launch, once, reply)).await?)
    }

    /// Compares a request with a subcluster that exists; reads the code anew.
    ///
    /// # Errors
    /// `NotFound` if there is no such subcluster, `Invalid` if the code cannot be read.
    pub async fn compare(
        &self,
        id: SubclusterId,
        request: LaunchRequest,
    ) -> Result<Comparison, KernelError> {
        let status = self.status().await?;
        let missing = || KernelError::new(ErrorKind::NotFound, "Subcluster does not exist.");
        let stored = status.subclusters.into_iter().find(|s| s.id == id).ok_or_else(missing)?;
        if !code::same(&stored.config, &request.config, request.base.as_deref()) {
            return Ok(Comparison::ConfigDiffers);
        }
        let (_, code) = self.load(request).await?;
        for (name, (hash, _)) in &code {
            if stored.code.get(name) != Some(hash) {
                return Ok(Comparison::CodeDiffers(name.clone()));
            }
        }
        Ok(Comparison::Same)
    }

    /// Reads a subcluster's code anew and gives it to the vats whose code differs, which start with
    /// it and keep what they have stored. One that cannot start with its new code goes on with the
    /// one it had; its result says why. Durable when it answers.
    ///
    /// # Errors
    /// `NotFound` if there is no such subcluster, `Invalid` if its config is another one or the code
    /// cannot be read; then nothing has changed.
    pub async fn update_code(
        &self,
        id: SubclusterId,
        request: LaunchRequest,
    ) -> Result<Vec<CodeUpdate>, KernelError> {
        let missing = || KernelError::new(ErrorKind::NotFound, "Subcluster does not exist.");
        let find = |status: Status| status.subclusters.into_iter().find(|s| s.id == id);
        let stored = find(self.status().await?).ok_or_else(missing)?;
        if !code::same(&stored.config, &request.config, request.base.as_deref()) {
            let message = "the cluster's config has changed too; launch it anew";
            return Err(KernelError::new(ErrorKind::Invalid, message));
        }
        let (_, code) = self.load(request).await?;
        // Reading took its time.
        let status = self.status().await?;
        let vats = status.vats.clone();
        let stored = find(status).ok_or_else(missing)?;
        let mut updates = Vec::new();
        for (name, (hash, text)) in code {
            let vat = vats.iter().find(|vat| vat.subcluster_id == id && vat.name == name);
            let Some(vat) = vat.map(|vat| vat.id) else { continue };
            if stored.code.get(&name) == Some(&hash) {
                continue;
            }
            let answer = self.ask(|reply| Request::ReplaceCode(vat, hash, text, reply)).await?;
            let result = match answer {
                Answer::Restarted => Ok(()),
                Answer::Failed { message } => Err(message),
                other => return Err(unexpected(other)),
            };
            updates.push(CodeUpdate { vat, name, result });
        }
        Ok(updates)
    }

    /// Ends a subcluster, its vats and its channels for good. Durable when it answers.
    pub async fn terminate_subcluster(&self, id: SubclusterId) -> Result<(), KernelError> {
        self.turn(move |core| core.terminate_subcluster(id)).await
    }

    /// Ends a vat for good. Durable when it answers.
    pub async fn terminate_vat(&self, id: VatId) -> Result<(), KernelError> {
        self.turn(move |core| core.terminate_vat(id)).await
    }

    /// Ends every subcluster for good, system subclusters too. Durable when it answers.
    pub async fn terminate_all_vats(&self) -> Result<(), KernelError> {
        self.turn(Core::terminate_all).await
    }

    /// Forgets everything, except that the kernel's own and the host's services are there as on a
    /// fresh store. Then the declared system subclusters are launched again. Whoever waits for an
    /// answer gets an error.
    ///
    /// # Errors
    /// What [`Kernel::launch`] says of a system subcluster.
    pub async fn reset(&self) -> Result<(), KernelError> {
        // What vats leave is removed bit by bit; only then there is little left to forget at once.
        self.terminate_all_vats().await?;
        self.ask(Request::Cleared).await?;
        self.turn(Core::reset).await?;
        self.launch_system().await
    }

    /// Has every vat give up what it no longer needs, and answers when nothing is left to collect,
    /// also where garbage of one vat held that of another. Vats that are at work go on.
    pub async fn collect_garbage(&self) -> Result<(), KernelError> {
        self.ask(Request::CollectGarbage).await
    }

    /// From now on every message to this object is rejected with `OBJECT_REVOKED`; that it exists,
    /// and who holds it, stays as it is. Cannot be undone. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` for a promise.
    pub async fn revoke(&self, kref: KRef) -> Result<(), KernelError> {
        self.turn(move |core| core.revoke(kref)).await
    }

    /// Whether an object has been revoked. What does not exist has not.
    pub async fn is_revoked(&self, kref: KRef) -> Result<bool, KernelError> {
        self.look(move |core| core.is_revoked(kref)).await
    }

    /// Holds a vat's root for the host and says what it is. A root lives as long as its vat, so
    /// pins are not counted. Durable when it answers.
    pub async fn pin_vat_root(&self, id: VatId) -> Result<KRef, KernelError> {
        self.turn(move |core| {
            let root = core.root(id)?;
            core.hold_host_ref(root).map(|()| root)
        })
        .await
    }

    /// Undoes [`Kernel::pin_vat_root`].
    pub async fn unpin_vat_root(&self, id: VatId) -> Result<(), KernelError> {
        self.turn(move |core| {
            let root = core.root(id)?;
            core.release_host_ref(root).map(|_| ())
        })
        .await
    }

    /// Holds a reference for the host until it is released, over restarts too. Holding it again
    /// changes nothing. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` if it names nothing, `Limit` if the host holds too many.
    pub async fn hold(&self, kref: KRef) -> Result<(), KernelError> {
        self.turn(move |core| core.hold_host_ref(kref)).await
    }

    /// Gives up a reference that the host holds: because an answer mentioned it, or because it was
    /// held. `false` if it does not. Durable when it answers.
    pub async fn release(&self, kref: KRef) -> Result<bool, KernelError> {
        self.turn(move |core| core.release_host_ref(kref)).await
    }

    /// Every reference the host holds.
    pub async fn held_refs(&self) -> Result<Vec<KRef>, KernelError> {
        self.look(Core::host_refs).await
    }

    /// From now on clusters that ask for a service of this name get this object, usually one of a
    /// vat's; only system subclusters, if it is `system_only`. Lasts as long as the object, over
    /// restarts if that is durable or a root. Durable when it answers.
    ///
    /// # Errors
    /// `Invalid` if the name is taken or cannot be one, or there is no such object.
    pub async fn register_service_object(
        &self,
        name: &str,
        object: KRef,
        system_only: bool,
    ) -> Result<(), KernelError> {
        let name = name.to_owned();
        self.turn(move |core| core.register_object(&name, object, system_only)).await
    }

    /// Undoes [`Kernel::register_service_object`]; clusters that got the object keep it. `false` if
    /// there is no such registration. Durable when it answers.
    pub async fn unregister_service_object(&self, name: &str) -> Result<bool, KernelError> {
        let name = name.to_owned();
        self.turn(move |core| core.unregister_object(&name)).await
    }

    /// The root of a system subcluster's bootstrap vat.
    ///
    /// # Errors
    /// `NotFound` if no subcluster of this name is there, or it is still being launched.
    pub async fn system_subcluster_root(&self, name: &str) -> Result<KRef, KernelError> {
        let wanted = name.to_owned();
        let root = self.look(move |core| core.system_root(&wanted)).await?;
        let missing = || format!("System subcluster \"{name}\" not found");
        root.ok_or_else(|| KernelError::new(ErrorKind::NotFound, missing()))
    }

    /// Starts a new incarnation of a vat; answers when it has started, or could not.
    pub async fn restart_vat(&self, id: VatId) -> Result<(), KernelError> {
        match self.ask(|reply| Request::RestartVat(id, reply)).await? {
            Answer::Restarted => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Whether a vat runs.
    pub async fn ping_vat(&self, id: VatId) -> Result<(), KernelError> {
        self.ask(|reply| Request::PingVat(id, reply)).await
    }

    /// Sends a message of plain JSON arguments; answers with the settled result, durable.
    ///
    /// # Errors
    /// `Rejected` with the reason's message if the result was rejected.
    pub async fn queue_message(
        &self,
        target: KRef,
        method: &str,
        args: Vec<serde_json::Value>,
    ) -> Result<KCapData, KernelError> {
        let args = args.into_iter().map(Passable::from_json).collect();
        self.send(target, method, args).await
    }

    /// Sends a message whose arguments may hold references; answers with the settled result,
    /// durable. References in that are the host's until it releases them.
    ///
    /// # Errors
    /// `Invalid` if a reference names nothing, `Rejected` with the reason's message if the result
    /// was rejected.
    pub async fn send(
        &self,
        target: KRef,
        method: &str,
        args: Vec<Passable<KRef>>,
    ) -> Result<KCapData, KernelError> {
        let methargs = smallcaps::message(method, args);
        settled(self.ask(|reply| Request::Send(target, methargs, None, reply)).await?)
    }

    /// Sends a message once: who sends the same again with the same key within a day, also after a
    /// crash, waits for the first one's result or gets it.
    ///
    /// # Errors
    /// As [`Kernel::send`]; `Invalid` if the key was used for another request.
    pub async fn send_once(
        &self,
        target: KRef,
        method: &str,
        args: Vec<Passable<KRef>>,
        key: &str,
    ) -> Result<KCapData, KernelError> {
        let methargs = smallcaps::message(method, args);
        let said = serde_json::to_string(&("send", target, &methargs)).map_err(failed)?;
        let once = Some(once(key, &said));
        settled(self.ask(|reply| Request::Send(target, methargs, once, reply)).await?)
    }

    /// Like [`Kernel::send`], for a client that may pass on only what it was given: references in
    /// the arguments must be held by the host ([`Kernel::held_refs`]) or be roots of vats. With a
    /// key it happens once, as [`Kernel::send_once`] has it.
    ///
    /// # Errors
    /// Those of [`Kernel::send`], and `Invalid` if a reference is not held.
    pub async fn send_held(
        &self,
        target: KRef,
        method: &str,
        args: Vec<Passable<KRef>>,
        key: Option<&str>,
    ) -> Result<KCapData, KernelError> {
        let methargs = smallcaps::message(method, args);
        let once = match key {
            Some(key) => {
                let said = serde_json::to_string(&("send held", target, &methargs));
                Some(once(key, &said.map_err(failed)?))
            }
            None => None,
        };
        let request = |reply| {
            Request::Turn(Box::new(move |driver| {
                driver.ticketed(reply, |core, ticket| match once {
                    Some(once) => core.send_held_once(ticket, target, methargs, &once),
                    None => core.send_held(ticket, target, methargs),
                })
            }))
        };
        settled(self.ask(request).await?)
    }

    /// Everything there is to know about a reference, for people.
    ///
    /// # Errors
    /// `NotFound` if it names nothing.
    pub async fn inspect(&self, kref: KRef) -> Result<Inspection, KernelError> {
        let found = self.look(move |core| core.inspect(kref)).await?;
        let missing = || format!("{kref} does not exist; it may have been collected");
        found.ok_or_else(|| KernelError::new(ErrorKind::NotFound, missing()))
    }

    /// What has happened lately, after the event of this number, at most so many events.
    pub async fn trace(&self, after: u64, limit: usize) -> Result<TracePage, KernelError> {
        let request = |reply: Reply<TracePage>| {
            Request::Turn(Box::new(move |driver| {
                let _ = reply.send(Ok(driver.trace_page(after, limit)));
                Ok(())
            }))
        };
        self.ask(request).await
    }

    /// Notes what happens from now on, or does not any more. A kernel that starts does.
    pub async fn set_tracing(&self, on: bool) -> Result<(), KernelError> {
        let request = |reply: Reply<()>| {
            Request::Turn(Box::new(move |driver| {
                driver.set_tracing(on);
                let _ = reply.send(Ok(()));
                Ok(())
            }))
        };
        self.ask(request).await
    }

    /// Waits until a promise has settled, such as one that a service was passed; answers with its
    /// value, durable. A value that is itself a promise can be waited for in turn. References in it
    /// are the host's until it releases them.
    ///
    /// # Errors
    /// `Invalid` if it is no promise or names nothing, `Rejected` with the reason's message if it was
    /// rejected, `Stopped` if the kernel stops before.
    pub async fn when(&self, promise: KRef) -> Result<KCapData, KernelError> {
        settled(self.ask(|reply| Request::When(promise, reply)).await?)
    }

    /// The whole kernel at a glance.
    pub async fn status(&self) -> Result<Status, KernelError> {
        self.ask(Request::Status).await
    }

    /// A number that is another one whenever [`Kernel::status`] may say something else; costs
    /// nothing to ask. Whoever knows of a change, by an answer or otherwise, gets one that has it.
    pub fn version(&self) -> u64 {
        self.shared.inbox.version()
    }

    /// Recomputes every count from the whole store and tells what does not agree. Slow on a large
    /// store, and everything waits for it.
    pub async fn check(&self) -> Result<Vec<Finding>, KernelError> {
        self.ask(Request::Check).await
    }

    /// Stops cleanly: commits, closes and unlinks channels, ends workers. Idempotent.
    pub async fn stop(&self) -> Result<(), KernelError> {
        self.shared.backups.end();
        let (reply, stopped) = oneshot::channel();
        let _ = self.shared.inbox.put(Input::Request(Request::Stop(reply)));
        match stopped.await {
            Ok(result) => result,
            Err(_) => self.stopped().await,
        }
    }

    /// Resolves when the kernel has stopped, for whatever reason.
    ///
    /// # Errors
    /// Why it stopped, if nobody asked it to.
    pub async fn stopped(&self) -> Result<(), KernelError> {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(stopped()),
        }
    }

    /// What a backup needs.
    pub(crate) fn backups(&self) -> (Option<PathBuf>, Arc<Backups>) {
        (self.shared.store.clone(), Arc::clone(&self.shared.backups))
    }

    /// What a question in SQL needs.
    pub(crate) fn queries(&self) -> (Option<PathBuf>, Arc<Semaphore>) {
        (self.shared.store.clone(), Arc::clone(&self.shared.queries))
    }

    pub(crate) fn own_peer_id(&self) -> &str {
        &self.shared.peer_id
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, KernelError> {
        let shared = &self.shared;
        let _slot = Slot::take(&shared.requests)?;
        let (reply, answer) = oneshot::channel();
        shared.inbox.put(Input::Request(request(reply))).map_err(|()| stopped())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Does something to the core and answers once that is durable.
    pub(crate) async fn turn<T: Send + 'static>(
        &self,
        turn: impl FnOnce(&mut Core) -> Result<T, CoreError> + Send + 'static,
    ) -> Result<T, KernelError> {
        let request = |reply| Request::Turn(Box::new(move |driver| driver.durable(reply, turn)));
        self.ask(request).await
    }

    /// Asks the core something.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> Result<T, CoreError> + Send + 'static,
    ) -> Result<T, KernelError> {
        let request = |reply| Request::Turn(Box::new(move |driver| driver.look(reply, look)));
        self.ask(request).await
    }

    async fn load(
        &self,
        request: LaunchRequest,
    ) -> Result<(LaunchRequest, LoadedCode), KernelError> {
        let nursery = self.shared.nursery.clone();
        let load = move || {
            let code = code::load(&nursery, &request.config, request.base.as_deref())?;
            Ok((request, code))
        };
        tokio::task::spawn_blocking(load).await.map_err(failed)?
    }
}

/// One host request under way, also when its future is dropped.
struct Slot<'a>(&'a AtomicUsize);

impl<'a> Slot<'a> {
    fn take(count: &'a AtomicUsize) -> Result<Self, KernelError> {
        let slot = Slot(count);
        if count.fetch_add(1, Ordering::Relaxed) < limits::HOST_REQUESTS_MAX {
            return Ok(slot);
        }
        let max = limits::HOST_REQUESTS_MAX;
        let message = format!("{max} requests are under way; wait for some of them");
        Err(KernelError::new(ErrorKind::Limit, message))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Names a request by a key, and by what it says.
fn once(key: &str, said: &str) -> Once {
    Once { key: key.to_owned(), digest: code::hash(said).0 }
}

fn launched(answer: Answer) -> Result<Launched, KernelError> {
    match answer {
        Answer::Launched { subcluster, root, bootstrap } => {
            Ok(Launched { subcluster, root, bootstrap })
        }
        other => Err(unexpected(other)),
    }
}

fn settled(answer: Answer) -> Result<KCapData, KernelError> {
    match answer {
        Answer::Settled { rejected: false, data } => Ok(data),
        Answer::Settled { rejected: true, data } => {
            Err(KernelError::new(ErrorKind::Rejected, message::reason(&data)))
        }
        other => Err(unexpected(other)),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn failed(error: impl std::fmt::Display) -> KernelError {
    KernelError::new(ErrorKind::Failed, error.to_string())
}

fn stopped() -> KernelError {
    KernelError::new(ErrorKind::Stopped, "the kernel has stopped")
}

fn unexpected(answer: Answer) -> KernelError {
    match answer {
        Answer::Failed { message } => KernelError::new(ErrorKind::Rejected, message),
        other => {
            KernelError::new(ErrorKind::Failed, format!("an answer of another kind: {other:?}"))
        }
    }
}
