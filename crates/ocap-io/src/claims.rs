//! Who holds what: no two channels of one kernel serve the same socket or port, or the console.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::channel::{Channel, lock};
use crate::retry::Refusal;

/// What only one channel can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Resource {
    /// A socket's path; its folder has no symbolic links.
    Path(PathBuf),
    /// A TCP port of an address.
    Port(SocketAddr),
    /// The console.
    Console,
}

impl Resource {
    fn held_by(&self, holder: &Channel) -> String {
        let holder = &holder.key;
        match self {
            Resource::Path(path) => format!(
                "{} is already used by channel \"{holder}\" of this kernel; use another path",
                path.display()
            ),
            Resource::Port(address) => format!(
                "{address} is already used by channel \"{holder}\" of this kernel; use another port"
            ),
            Resource::Console => {
                format!("the console is already used by channel \"{holder}\" of this kernel")
            }
        }
    }
}

/// Every claim of one host.
pub(crate) struct Claims {
    held: Mutex<HashMap<Resource, Arc<Channel>>>,
    releases: watch::Sender<u64>,
}

impl Claims {
    pub(crate) fn new() -> Self {
        Claims { held: Mutex::default(), releases: watch::Sender::new(0) }
    }

    /// Changes whenever a claim is released.
    pub(crate) fn releases(&self) -> watch::Receiver<u64> {
        self.releases.subscribe()
    }

    /// Takes a resource until the claim is dropped.
    pub(crate) fn claim(
        self: &Arc<Self>,
        resource: Resource,
        channel: &Arc<Channel>,
    ) -> Result<Claim, Refusal> {
        let mut held = lock(&self.held);
        match held.get(&resource) {
            Some(holder) if holder.is_closed() => Err(Refusal::Closing),
            Some(holder) => Err(Refusal::Held(resource.held_by(holder))),
            None => {
                held.insert(resource.clone(), Arc::clone(channel));
                Ok(Claim { claims: Arc::clone(self), resource })
            }
        }
    }
}

/// A resource that is ours until this is dropped.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    resource: Resource,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.claims.held).remove(&self.resource);
        self.claims.releases.send_modify(|count| *count = count.wrapping_add(1));
    }
}
