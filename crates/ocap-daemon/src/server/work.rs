//! Carrying out requests, and what all of them together may hold.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Handler;
use super::lines::{Large, Line};
use super::pace::Pace;
use crate::limits;
use crate::rpc::{self, Request, RpcError};
use crate::settings::RpcSettings;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Gate {
    /// What the operator has set.
    pub(super) settings: RpcSettings,
    /// What large requests share while they are read.
    pub(super) large: Large,
    /// How fast is read what nobody looks at.
    pub(super) refused: Pace,
    /// One for the large request that is parsed.
    parsing: Arc<Semaphore>,
    /// One for each KiB of large answers that nobody has taken yet.
    answers: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(settings: RpcSettings) -> Gate {
        let of = |permits| Arc::new(Semaphore::new(permits));
        Gate {
            settings,
            large: Large::new(limits::LARGE_REQUESTS_MAX),
            refused: Pace::new(limits::REFUSED_BYTES_PER_SECOND, limits::REFUSED_BURST_BYTES),
            parsing: of(1),
            answers: of(limits::UNTAKEN_ANSWERS_KIB_MAX),
        }
    }

    /// Understands a line.
    pub(super) async fn parse(&self, line: Line) -> Result<Parsed, (Value, RpcError)> {
        let Line { bytes, permit } = line;
        let parsing = match permit {
            Some(_) => Arc::clone(&self.parsing).acquire_owned().await.ok(),
            None => None,
        };
        let request = rpc::parse_request(&bytes)?;
        Ok(Parsed { request, _permits: (permit, parsing) })
    }

    /// The answer to a request, with the room it takes until it has been taken.
    pub(super) fn answer(&self, id: &Value, outcome: Result<String, RpcError>) -> Answer {
        let size = outcome.as_ref().map_or(0, String::len);
        let mut room = None;
        let outcome = if size <= limits::SMALL_REQUEST_BYTES_MAX {
            outcome
        } else {
            let kib = u32::try_from(size / 1024).unwrap_or(u32::MAX);
            room = Arc::clone(&self.answers).try_acquire_many_owned(kib).ok();
            match room {
                Some(_) => outcome,
                None => Err(RpcError::new(
                    rpc::OVERLOADED,
                    "the request was carried out, but too many large answers wait to be read for \
                     this one to be kept",
                )),
            }
        };
        Answer { line: rpc::response_line(id, outcome.as_deref()), _room: room }
    }
}

/// A request, and the permits for it if it is a large one.
pub(super) struct Parsed {
    pub(super) request: Request,
    _permits: (Option<OwnedSemaphorePermit>, Option<OwnedSemaphorePermit>),
}

/// A line for a client.
pub(super) struct Answer {
    pub(super) line: String,
    _room: Option<OwnedSemaphorePermit>,
}

/// A request that has been begun.
pub(super) enum Begun {
    Done(Result<String, RpcError>),
    /// It goes on in a task of its own, so that a client that leaves does not cancel half of it.
    Going(JoinHandle<Result<String, RpcError>>, Option<std::time::Duration>),
}

/// Begins a request. What is begun first reaches the kernel first: before a method waits for
/// anything it has checked its parameters and passed them on, so the request as it was sent, and
/// its permits, are not needed any more when this returns.
pub(super) async fn begin<H: Handler>(handler: &Arc<H>, parsed: Parsed) -> Begun {
    let Parsed { request, _permits } = parsed;
    let deadline = request.deadline;
    let handler = Arc::clone(handler);
    let mut call = Box::pin(async move { handler.call(request).await });
    match poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await {
        Poll::Ready(outcome) => Begun::Done(outcome),
        Poll::Pending => Begun::Going(tokio::spawn(call), deadline),
    }
}

/// Waits for the outcome, at most until its deadline. Cancelling this does not cancel the work.
pub(super) async fn outcome(begun: Begun) -> Result<String, RpcError> {
    let (task, deadline) = match begun {
        Begun::Done(outcome) => return outcome,
        Begun::Going(task, deadline) => (task, deadline),
    };
    let joined = match deadline {
        None => task.await,
        Some(deadline) => timeout(deadline, task).await.map_err(|_| {
            let message = format!(
                "no answer within {} ms; the request may still be carried out",
                deadline.as_millis()
            );
            RpcError::new(rpc::DEADLINE, message)
        })?,
    };
    joined.unwrap_or_else(|error| {
        tracing::error!("a request ended abnormally: {error}");
        Err(RpcError::new(rpc::INTERNAL_ERROR, "Internal error; see daemon.log"))
    })
}
