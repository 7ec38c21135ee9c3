//! What requests mean: the RPC methods, carried out by a kernel.

use std::sync::Arc;

use ocap_kernel::{Kernel, KernelError, LaunchRequest};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Notify;

use crate::params;
use crate::rpc::{self, Request, RpcError};
use crate::server::Handler;

/// Answers requests from a kernel.
#[derive(Clone)]
pub(crate) struct Methods {
    kernel: Kernel,
    shutdown: Arc<Notify>,
}

impl Methods {
    /// `shutdown` is notified when a client asks for it.
    pub(crate) fn new(kernel: Kernel, shutdown: Arc<Notify>) -> Methods {
        Methods { kernel, shutdown }
    }
}

/// `getStatus`: the kernel's own report, and the reference's key for remote communication, which
/// this kernel does not have yet.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusReply<'a> {
    #[serde(flatten)]
    status: &'a ocap_kernel::Status,
    remote_comms: RemoteComms,
}

#[derive(Serialize)]
struct RemoteComms {
    state: &'static str,
}

/// `launchSubcluster`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaunchReply {
    subcluster_id: ocap_types::SubclusterId,
    root_kref: ocap_types::KRef,
    bootstrap_result: ocap_types::KCapData,
}

fn of_kernel(error: KernelError) -> RpcError {
    RpcError::new(rpc::INTERNAL_ERROR, error.message)
}

fn json_text<T: Serialize>(value: &T) -> Result<String, RpcError> {
    serde_json::to_string(value).map_err(|error| {
        RpcError::new(rpc::INTERNAL_ERROR, format!("the answer cannot be written: {error}"))
    })
}

impl Handler for Methods {
    async fn call(&self, request: Request) -> Result<String, RpcError> {
        let Request { method, params, .. } = request;
        let kernel = &self.kernel;
        let null = || "null".to_owned();
        match method.as_str() {
            "getStatus" => {
                params::nothing(&params)?;
                let status = kernel.status().await.map_err(of_kernel)?;
                let remote_comms = RemoteComms { state: "disconnected" };
                json_text(&StatusReply { status: &status, remote_comms })
            }
            "launchSubcluster" => {
                let config = params::cluster_config(&params)?;
                drop(params);
                let name = config.name.clone();
                let request = LaunchRequest { config, name, base: None };
                let launched = kernel.launch(request).await.map_err(of_kernel)?;
                json_text(&LaunchReply {
                    subcluster_id: launched.subcluster,
                    root_kref: launched.root,
                    bootstrap_result: launched.bootstrap,
                })
            }
            "terminateSubcluster" => {
                let id = params::subcluster_id(&params)?;
                kernel.terminate_subcluster(id).await.map_err(of_kernel)?;
                Ok(null())
            }
            "terminateVat" => {
                kernel.terminate_vat(params::vat_id(&params)?).await.map_err(of_kernel)?;
                Ok(null())
            }
            "terminateAllVats" => {
                params::nothing(&params)?;
                kernel.terminate_all_vats().await.map_err(of_kernel)?;
                Ok(null())
            }
            "collectGarbage" => {
                params::nothing(&params)?;
                kernel.collect_garbage().await.map_err(of_kernel)?;
                Ok(null())
            }
            "clearState" => {
                params::nothing(&params)?;
                kernel.reset().await.map_err(of_kernel)?;
                Ok(null())
            }
            "revoke" => {
                kernel.revoke(params::kref(&params)?).await.map_err(of_kernel)?;
                Ok(null())
            }
            "isRevoked" => {
                let revoked = kernel.is_revoked(params::kref(&params)?).await;
                json_text(&revoked.map_err(of_kernel)?)
            }
            "restartVat" => {
                kernel.restart_vat(params::vat_id(&params)?).await.map_err(of_kernel)?;
                Ok(null())
            }
            "pingVat" => {
                kernel.ping_vat(params::vat_id(&params)?).await.map_err(of_kernel)?;
                Ok(json!("pong").to_string())
            }
            "queueMessage" => {
                let (target, method, args) = params::message(params)?;
                let settled = kernel.queue_message(target, &method, args).await;
                json_text(&settled.map_err(of_kernel)?)
            }
            "shutdown" => {
                self.shutdown.notify_one();
                Ok(json!({"status": "shutting down"}).to_string())
            }
            _ => Err(RpcError::new(
                rpc::METHOD_NOT_FOUND,
                "The method does not exist / is not available.",
            )),
        }
    }
}
