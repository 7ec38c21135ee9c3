//! The kernel facet: the service through which system subclusters control the kernel.

use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Waker};

use ocap_types::config::ClusterConfig;
use ocap_types::passable::Passable;
use ocap_types::{KRef, SubclusterId};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::api::{KernelError, LaunchRequest, Launched};
use crate::kernel::Kernel;
use crate::service::{KernelService, ServiceCall, ServiceReply};
use crate::services::clipped;

/// What a presence is called unless the caller says otherwise.
const PRESENCE_IFACE: &str = "Kernel Object";

/// See the module. Runs in the driver's thread, which never waits.
pub(crate) struct KernelFacet {
    runtime: Handle,
}

impl KernelFacet {
    pub(crate) fn new(runtime: Handle) -> Self {
        KernelFacet { runtime }
    }
}

impl KernelService for KernelFacet {
    fn call(&self, call: ServiceCall, reply: ServiceReply) {
        let ServiceCall { method, args, kernel, .. } = call;
        let mut work: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            match perform(&kernel, &method, Arguments(args.into_iter())).await {
                Ok(value) => reply.fulfil(&value),
                Err(reason) => reply.reject(reason),
            }
        });
        let _inside = self.runtime.enter();
        // What it asks of the kernel is in the inbox after the first step, so calls of one caller
        // keep their order.
        if work.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            drop(self.runtime.spawn(work));
        }
    }
}

async fn perform(
    kernel: &Kernel,
    method: &str,
    mut args: Arguments,
) -> Result<Passable<KRef>, String> {
    Ok(match method {
        "ping" => Passable::string("pong"),
        "getStatus" => {
            let mut status = json_of(&kernel.status().await.map_err(text)?)?;
            if let Value::Object(fields) = &mut status {
                let comms = json!({"state": "identity-only", "peerId": kernel.peer_id()});
                fields.insert("remoteComms".to_owned(), comms);
            }
            Passable::from_json(status)
        }
        "getSubclusters" => {
            let status = kernel.status().await.map_err(text)?;
            Passable::from_json(json_of(&status.subclusters)?)
        }
        "getSubcluster" => {
            let id: SubclusterId = args.parsed("a subcluster id")?;
            let status = kernel.status().await.map_err(text)?;
            match status.subclusters.iter().find(|subcluster| subcluster.id == id) {
                Some(subcluster) => Passable::from_json(json_of(subcluster)?),
                None => Passable::Undefined,
            }
        }
        "getSystemSubclusterRoot" => {
            let name = args.string("a name")?;
            let root = kernel.system_subcluster_root(&name).await.map_err(text)?;
            Passable::string(root.to_string())
        }
        "launchSubcluster" => launch(kernel, args.config()?).await?,
        "terminateSubcluster" => {
            let id = args.parsed("a subcluster id")?;
            kernel.terminate_subcluster(id).await.map_err(text)?;
            Passable::Undefined
        }
        "pingVat" => {
            kernel.ping_vat(args.parsed("a vat id")?).await.map_err(text)?;
            Passable::string("pong")
        }
        "queueMessage" => {
            let target = args.kref()?;
            let method = args.string("a method")?;
            let items = match args.0.next() {
                Some(Passable::Array(items)) => items,
                None | Some(Passable::Undefined) => Vec::new(),
                Some(_) => return Err("the arguments have to be an array".to_owned()),
            };
            let data = kernel.send(target, &method, items).await.map_err(text)?;
            Passable::from_json(json_of(&data)?)
        }
        "getPresence" => {
            let kref = args.kref()?;
            let iface = args.string("a name").unwrap_or_else(|_| PRESENCE_IFACE.to_owned());
            match kref {
                KRef::Object(_) => Passable::remotable(kref, &iface),
                KRef::Promise(_) => Passable::Promise(kref),
            }
        }
        "registerKernelServiceObject" => {
            let name = args.string("a name")?;
            let Some(Passable::Remotable { slot, .. }) = args.0.next() else {
                return Err("a service has to be an object".to_owned());
            };
            let system_only = args.flag("systemOnly")?;
            let done = kernel.register_service_object(&name, slot, system_only).await;
            done.map_err(text)?;
            Passable::Undefined
        }
        "reset" => {
            kernel.reset().await.map_err(text)?;
            Passable::Undefined
        }
        other => return Err(format!("kernelFacet has no method {:?}", clipped(other))),
    })
}

async fn launch(kernel: &Kernel, config: ClusterConfig) -> Result<Passable<KRef>, String> {
    let name = config.name.clone();
    let request = LaunchRequest { config, name, base: None };
    let Launched { subcluster, root, bootstrap } = kernel.launch(request).await.map_err(text)?;
    Ok(Passable::record([
        ("subclusterId", Passable::string(subcluster.to_string())),
        ("rootKref", Passable::string(root.to_string())),
        ("bootstrapResult", Passable::from_json(json_of(&bootstrap)?)),
    ]))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn text(error: KernelError) -> String {
    error.message
}

fn json_of<T: Serialize>(value: &T) -> Result<Value, String> {
    serde_json::to_value(value).map_err(|error| error.to_string())
}

/// Arguments not yet taken.
struct Arguments(std::vec::IntoIter<Passable<KRef>>);

impl Arguments {
    fn string(&mut self, what: &str) -> Result<String, String> {
        match self.0.next() {
            Some(Passable::String(text)) => Ok(text),
            _ => Err(format!("{what} has to be a string")),
        }
    }

    fn parsed<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let text = self.string(what)?;
        text.parse().map_err(|_| format!("{:?} is not {what}", clipped(&text)))
    }

    /// A reference, as itself or by its name.
    fn kref(&mut self) -> Result<KRef, String> {
        match self.0.as_slice().first() {
            Some(&Passable::Remotable { slot, .. } | &Passable::Promise(slot)) => {
                self.0.next();
                Ok(slot)
            }
            _ => self.parsed("a kref"),
        }
    }

    /// A flag in a record of options, all of which may be left out.
    fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.0.next() {
            None | Some(Passable::Undefined) => Ok(false),
            Some(Passable::Record(mut options)) => match options.remove(name) {
                None | Some(Passable::Undefined) => Ok(false),
                Some(Passable::Bool(flag)) => Ok(flag),
                Some(_) => Err(format!("{name} has to be true or false")),
            },
            Some(_) => Err("options have to be a record".to_owned()),
        }
    }

    fn config(&mut self) -> Result<ClusterConfig, String> {
        let json = self.0.next().and_then(|config| config.to_json());
        let json = json.ok_or_else(|| "invalid cluster config: not plain data".to_owned())?;
        let config = ClusterConfig::from_json(&json, "config");
        config.map_err(|error| format!("invalid cluster config: {error}"))
    }
}
