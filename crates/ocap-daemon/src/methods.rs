//! What requests mean: the table of RPC methods, and how a request finds its row.
//!
//! The main items in this module are [`Method`], a row, and [`methods`], all of them. A row says
//! what a method is called, takes and gives, and holds what carries it out; each family of methods
//! is a file beside this one. Dispatch, `docs/rpc.md`, and completion in clients read the same
//! rows. To add a method, write its row in a family's `METHODS` (a new family also goes into
//! [`FAMILIES`]), and have `docs/rpc.md` written anew as its test says.

mod backup;
mod database;
mod lifecycle;
mod messages;
mod network;
mod objects;
#[cfg(test)]
mod page;
mod references;
mod session;
mod status;
mod subclusters;
mod tracing;
mod urls;
mod vats;

use std::pin::Pin;
use std::sync::Arc;

use ocap_kernel::{Kernel, KernelError};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use crate::params::{self, Topic};
use crate::rpc::{self, Request, RpcError};
use crate::server::{Feed, Handler, Sink};
use crate::status::{About, Reports};
use crate::{feeds, log};

/// A method of the RPC socket.
#[derive(Clone, Copy)]
pub struct Method {
    /// What requests call it.
    pub name: &'static str,
    /// What it does, in sentences.
    pub summary: &'static str,
    /// The shape of its parameters.
    pub params: &'static str,
    /// The shape of its result.
    pub result: &'static str,
    /// Parameters and a result, both JSON.
    pub example: Example,
    /// Whether a request may have an `idempotencyKey`.
    pub keyed: bool,
    /// Carries it out.
    call: fn(Context, Value) -> Pending,
}

/// What a client may send, and what it may get.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// JSON.
    pub params: &'static str,
    /// JSON.
    pub result: &'static str,
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Method").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Methods that belong together, under a title.
struct Family {
    #[cfg_attr(not(test), allow(dead_code, reason = "for the page"))]
    title: &'static str,
    methods: &'static [Method],
}

/// Every method there is.
const FAMILIES: &[Family] = &[
    Family { title: "Sessions", methods: session::METHODS },
    Family { title: "The kernel", methods: status::METHODS },
    Family { title: "Subclusters", methods: subclusters::METHODS },
    Family { title: "Vats", methods: vats::METHODS },
    Family { title: "Messages", methods: messages::METHODS },
    Family { title: "Objects", methods: objects::METHODS },
    Family { title: "References", methods: references::METHODS },
    Family { title: "Tracing", methods: tracing::METHODS },
    Family { title: "Backups", methods: backup::METHODS },
    Family { title: "OCAP URLs", methods: urls::METHODS },
    Family { title: "The store", methods: database::METHODS },
    Family { title: "Other kernels", methods: network::METHODS },
    Family { title: "Upkeep and the end", methods: lifecycle::METHODS },
];

/// Every method of the socket, in the order of `docs/rpc.md`.
pub fn methods() -> impl Iterator<Item = &'static Method> {
    FAMILIES.iter().flat_map(|family| family.methods)
}

/// What a method's outcome is: its result as JSON text.
type Outcome = Result<String, RpcError>;

/// An outcome to come.
type Pending = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What methods work with.
#[derive(Clone)]
pub(crate) struct Context {
    kernel: Kernel,
    reports: Reports,
    /// The request's `idempotencyKey`, if it has one and the method takes one.
    key: Option<String>,
    /// Notified when a client asks for the end.
    shutdown: Arc<Notify>,
}

/// Answers requests by the table.
#[derive(Clone)]
pub(crate) struct Methods {
    context: Context,
}

impl Methods {
    /// `shutdown` is notified when a client asks for it.
    pub(crate) fn new(kernel: Kernel, shutdown: Arc<Notify>, about: About) -> Methods {
        let reports = Reports::new(kernel.clone(), about);
        Methods { context: Context { kernel, reports, key: None, shutdown } }
    }
}

impl Handler for Methods {
    async fn call(&self, request: Request) -> Outcome {
        let Request { method, params, idempotency_key: key, .. } = request;
        let Some(row) = methods().find(|row| row.name == method) else {
            let message = "The method does not exist / is not available.";
            return Err(RpcError::new(rpc::METHOD_NOT_FOUND, message));
        };
        if key.is_some() && !row.keyed {
            let message = format!("Invalid request: {method} takes no idempotencyKey");
            return Err(RpcError::new(rpc::INVALID_REQUEST, message));
        }
        (row.call)(Context { key, ..self.context.clone() }, params).await
    }

    fn hello(&self, params: &Value) -> Outcome {
        session::hello(params)
    }

    fn subscribe(&self, params: &Value, sink: Sink) -> Result<Feed, RpcError> {
        Ok(match params::topic(params)? {
            Topic::Status => Box::pin(feeds::status(self.context.reports.clone(), sink)),
            Topic::Log { level, targets } => {
                Box::pin(feeds::log(log::listen(), level, targets, sink))
            }
        })
    }
}

fn of_kernel(error: KernelError) -> RpcError {
    RpcError::new(rpc::INTERNAL_ERROR, error.message)
}

/// The outcome of something that only can go well or not.
fn null(done: Result<(), KernelError>) -> Outcome {
    done.map(|()| "null".to_owned()).map_err(of_kernel)
}

/// The outcome of something that gives a value.
fn json<T: Serialize>(value: Result<T, KernelError>) -> Outcome {
    serde_json::to_string(&value.map_err(of_kernel)?).map_err(|error| {
        RpcError::new(rpc::INTERNAL_ERROR, format!("the answer cannot be written: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_are_complete_and_their_examples_are_json() {
        let mut names = BTreeSet::new();
        for row in methods() {
            assert!(names.insert(row.name), "{} is there twice", row.name);
            for text in [row.summary, row.params, row.result] {
                assert!(!text.is_empty(), "{}", row.name);
            }
            assert!(row.summary.ends_with('.'), "{}: no sentence", row.name);
            for text in [row.example.params, row.example.result] {
                let parsed = serde_json::from_str::<Value>(text);
                assert!(parsed.is_ok(), "{}: {text}", row.name);
            }
        }
    }
}
