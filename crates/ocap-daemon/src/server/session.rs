//! A connection that began with `hello`: many requests, answered as they are ready, and events.
//!
//! The main items in this module are [`run`] and [`Sink`]. One task reads, writes and waits for
//! whatever comes first. While it writes it does not read, and while as many requests are under way
//! as there may be it does not read either, so a client that asks faster than it listens holds
//! itself up and nothing grows.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::lines::{Lines, Received};
use super::work::{self, Answer, Begun, Gate, Parsed};
use super::{Handler, drain, has_left, write_all};
use crate::limits;
use crate::params;
use crate::rpc::{self, Request, RpcError};

/// Where the events of a subscription go. Full for as long as the client does not take them.
#[derive(Clone, Debug)]
pub struct Sink {
    id: u64,
    lines: mpsc::Sender<(u64, String)>,
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug)]
pub struct Unheard;

impl Sink {
    /// Tells the client something as soon as it has taken what came before: a notification
    /// `method`, whose parameters are the subscription's number and these JSON fields.
    pub async fn tell(&self, method: &str, fields: &str) -> Result<(), Unheard> {
        let id = self.id;
        let params = format!("{{\"subscription\":{id},{fields}}}");
        let line = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{params}}}\n");
        self.lines.send((id, line)).await.map_err(|_| Unheard)
    }
}

struct Session<H> {
    stream: UnixStream,
    lines: Lines,
    handler: Arc<H>,
    gate: Arc<Gate>,
    work: JoinSet<Answer>,
    subscriptions: BTreeMap<u64, AbortHandle>,
    feeds: JoinSet<u64>,
    next_subscription: u64,
    sink: mpsc::Sender<(u64, String)>,
    events: mpsc::Receiver<(u64, String)>,
}

/// Whether a session goes on.
enum Next {
    On,
    /// The client's side has ended.
    HalfClosed,
    Over,
}

/// Serves a connection whose first line was `hello`, until it ends or `stop` is closed.
pub(super) async fn run<H: Handler>(
    stream: UnixStream,
    lines: Lines,
    hello: Parsed,
    handler: Arc<H>,
    gate: Arc<Gate>,
    stop: Arc<Semaphore>,
) {
    let (sink, events) = mpsc::channel(1);
    let mut session = Session {
        stream,
        lines,
        handler,
        gate,
        work: JoinSet::new(),
        subscriptions: BTreeMap::new(),
        feeds: JoinSet::new(),
        next_subscription: 1,
        sink,
        events,
    };
    let Parsed { request, .. } = hello;
    let greeting = session.handler.hello(&request.params);
    let refused = greeting.is_err();
    let answer = session.gate.answer(&request.id, greeting);
    if session.write(&answer.line).await.is_ok() && !refused {
        session.serve(&stop).await;
    }
    let _ = session.stream.shutdown().await;
}

impl<H: Handler> Session<H> {
    async fn serve(&mut self, stop: &Semaphore) {
        let (mut ended, mut stopping, mut held_up) = (false, false, false);
        let mut active = Instant::now();
        loop {
            let busy = !self.work.is_empty() || !self.subscriptions.is_empty();
            let done = self.work.is_empty() && (stopping || self.subscriptions.is_empty());
            if (ended || stopping) && done {
                return;
            }
            let full = self.work.len() >= limits::SESSION_REQUESTS_MAX;
            let reading = !ended && !stopping && !full;
            if reading && std::mem::take(&mut held_up) {
                self.lines.resume();
            }
            held_up |= full;
            let idle = active + self.gate.settings.session_idle;
            let next = tokio::select! {
                Some(done) = self.work.join_next() => match done {
                    Ok(answer) => self.write(&answer.line).await,
                    Err(_) => Ok(()),
                }.map_or(Next::Over, |()| Next::On),
                Some((id, line)) = self.events.recv() => {
                    if self.subscriptions.contains_key(&id) {
                        self.write(&line).await.map_or(Next::Over, |()| Next::On)
                    } else {
                        Next::On
                    }
                }
                Some(feed) = self.feeds.join_next() => {
                    if let Ok(id) = feed {
                        self.subscriptions.remove(&id);
                    }
                    Next::On
                }
                received = self.lines.next(&mut self.stream, &self.gate.large, None), if reading => {
                    self.received(received, stop).await
                }
                () = sleep_until(idle), if reading && !busy && !self.lines.has_more() => Next::Over,
                () = sleep(limits::GONE_CLIENT_CHECK), if !reading => {
                    if has_left(&self.stream) { Next::Over } else { continue }
                }
                _ = stop.acquire(), if !stopping => {
                    stopping = true;
                    Next::On
                }
            };
            active = Instant::now();
            match next {
                Next::On => {}
                Next::HalfClosed => ended = true,
                Next::Over => return,
            }
        }
    }

    async fn write(&mut self, line: &str) -> std::io::Result<()> {
        write_all(&mut self.stream, line.as_bytes()).await
    }

    async fn received(&mut self, received: Received, stop: &Semaphore) -> Next {
        let line = match received {
            Received::Line(line) => line,
            Received::End => return Next::HalfClosed,
            Received::Silent => return Next::Over,
            Received::Refused(error) => {
                let line = rpc::response_line(&Value::Null, Err(&error));
                if self.write(&line).await.is_ok() && self.stream.shutdown().await.is_ok() {
                    drain(&mut self.stream, &self.gate.refused, stop).await;
                }
                return Next::Over;
            }
        };
        let answer = match self.gate.parse(line).await {
            Err((id, error)) => Some(self.gate.answer(&id, Err(error))),
            Ok(parsed) => match self.own(&parsed.request) {
                Some(outcome) => Some(self.gate.answer(&parsed.request.id, outcome)),
                None => self.begin(parsed).await,
            },
        };
        match answer {
            Some(answer) if self.write(&answer.line).await.is_err() => Next::Over,
            _ => Next::On,
        }
    }

    /// Begins a request; its answer, if it is there at once.
    async fn begin(&mut self, parsed: Parsed) -> Option<Answer> {
        let id = parsed.request.id.clone();
        let begun = work::begin(&self.handler, parsed).await;
        if let Begun::Done(outcome) = begun {
            return Some(self.gate.answer(&id, outcome));
        }
        let gate = Arc::clone(&self.gate);
        self.work.spawn(async move { gate.answer(&id, work::outcome(begun).await) });
        None
    }

    /// The outcome of a request that concerns the session itself.
    fn own(&mut self, request: &Request) -> Option<Result<String, RpcError>> {
        match request.method.as_str() {
            "hello" => Some(Err(RpcError::new(
                rpc::INVALID_REQUEST,
                "Invalid request: hello can only be the first request of a connection",
            ))),
            "subscribe" => Some(self.subscribe(&request.params)),
            "unsubscribe" => Some(self.unsubscribe(&request.params)),
            _ => None,
        }
    }

    fn subscribe(&mut self, params: &Value) -> Result<String, RpcError> {
        if self.subscriptions.len() >= limits::SESSION_SUBSCRIPTIONS_MAX {
            let message = format!(
                "a connection has at most {} subscriptions",
                limits::SESSION_SUBSCRIPTIONS_MAX
            );
            return Err(RpcError::new(rpc::OVERLOADED, message));
        }
        let id = self.next_subscription;
        let sink = Sink { id, lines: self.sink.clone() };
        let feed = self.handler.subscribe(params, sink)?;
        self.next_subscription += 1;
        let task = self.feeds.spawn(async move {
            feed.await;
            id
        });
        self.subscriptions.insert(id, task);
        Ok(format!("{{\"subscription\":{id}}}"))
    }

    fn unsubscribe(&mut self, params: &Value) -> Result<String, RpcError> {
        let task = self.subscriptions.remove(&params::subscription(params)?);
        if let Some(task) = &task {
            task.abort();
        }
        Ok(task.is_some().to_string())
    }
}
