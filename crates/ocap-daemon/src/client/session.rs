//! A connection for many requests.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Map, Value, json};

use super::{ClientError, connect, outcome_in, time_left};
use crate::limits;

/// A session with a daemon: requests are sent without waiting for the answers to earlier ones, and
/// events of what was subscribed to come in between. Blocking; one thread at a time.
#[derive(Debug)]
pub struct Session {
    stream: UnixStream,
    /// What has come and is no whole line yet.
    buffer: Vec<u8>,
    /// Up to where `buffer` has been searched for the end of a line.
    searched: usize,
    next_id: u64,
    /// Outcomes that have come and nobody has asked for yet.
    outcomes: BTreeMap<u64, Result<Value, ClientError>>,
    /// Requests whose outcome nobody will ask for any more.
    given_up: BTreeSet<u64>,
    events: VecDeque<Event>,
    greeting: Value,
}

/// What a subscription tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `status` or `log`.
    pub method: String,
    /// What is told; `subscription` says to which subscription it belongs.
    pub params: Value,
}

/// A request that was sent, whose outcome can be waited for.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked(u64);

/// What a request may say beside its parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Names the request, so that asking again gives the outcome it had.
    pub idempotency_key: Option<&'a str>,
    /// How long the daemon works on an answer.
    pub deadline: Option<Duration>,
}

impl Session {
    /// Connects and says hello; at most `time` altogether if given.
    pub fn open(socket: &Path, time: Option<Duration>) -> Result<Session, ClientError> {
        let stream = connect(socket)?;
        stream.set_nonblocking(true).map_err(ClientError::Broken)?;
        let mut session = Session {
            stream,
            buffer: Vec::new(),
            searched: 0,
            next_id: 1,
            outcomes: BTreeMap::new(),
            given_up: BTreeSet::new(),
            events: VecDeque::new(),
            greeting: Value::Null,
        };
        session.greeting = session.call("hello", &json!({}), time)?;
        Ok(session)
    }

    /// What the daemon answered to `hello`: `{server, version, protocol, methods}`.
    pub fn greeting(&self) -> &Value {
        &self.greeting
    }

    /// Sends a request and waits for its result; at most `time` altogether if given.
    pub fn call(
        &mut self,
        method: &str,
        params: &Value,
        time: Option<Duration>,
    ) -> Result<Value, ClientError> {
        let asked = self.ask(method, params, Terms::default())?;
        self.outcome(asked, time)
    }

    /// Sends a request. As long as the daemon takes no more this reads what it sends.
    pub fn ask(
        &mut self,
        method: &str,
        params: &Value,
        terms: Terms<'_>,
    ) -> Result<Asked, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = Map::new();
        request.insert("jsonrpc".into(), "2.0".into());
        request.insert("id".into(), id.into());
        request.insert("method".into(), method.into());
        request.insert("params".into(), params.clone());
        if let Some(key) = terms.idempotency_key {
            request.insert("idempotencyKey".into(), key.into());
        }
        if let Some(deadline) = terms.deadline {
            let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
            request.insert("deadlineMs".into(), ms.into());
        }
        let mut line = Value::Object(request).to_string().into_bytes();
        line.push(b'\n');
        let mut rest = &line[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(ClientError::Broken(io::ErrorKind::WriteZero.into())),
                Ok(count) => rest = &rest[count..],
                Err(error) if is_later(&error) => {
                    self.wait(PollFlags::IN | PollFlags::OUT, None)?;
                    self.read()?;
                }
                Err(error) => return Err(ClientError::Broken(error)),
            }
        }
        Ok(Asked(id))
    }

    /// Waits for the outcome of a request; at most so long. After a time-out it is lost.
    #[allow(clippy::needless_pass_by_value, reason = "an outcome can be had once")]
    pub fn outcome(&mut self, asked: Asked, time: Option<Duration>) -> Result<Value, ClientError> {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            if let Some(outcome) = self.outcomes.remove(&asked.0) {
                return outcome;
            }
            if let Err(error) = self.wait(PollFlags::IN, deadline) {
                self.given_up.insert(asked.0);
                return Err(error);
            }
            self.read()?;
        }
    }

    /// Waits for an event; at most so long.
    pub fn event(&mut self, time: Option<Duration>) -> Result<Event, ClientError> {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.wait(PollFlags::IN, deadline)?;
            self.read()?;
        }
    }

    fn wait(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<(), ClientError> {
        let time = time_left(deadline)?.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&self.stream, flags)], time.as_ref()) {
            Ok(0) => Err(ClientError::Timeout),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(ClientError::Broken(error.into())),
        }
    }

    /// Takes up what has come.
    fn read(&mut self) -> Result<(), ClientError> {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err(ClientError::Broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => self.buffer.extend_from_slice(&piece[..count]),
            Err(error) if is_later(&error) => return Ok(()),
            Err(error) => return Err(ClientError::Broken(error)),
        }
        let mut start = 0;
        while let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            let end = self.searched + at;
            let line = serde_json::from_slice(&self.buffer[start..end]);
            let line = line.map_err(|error| ClientError::Protocol(error.to_string()))?;
            self.searched = end + 1;
            start = self.searched;
            self.line(line)?;
        }
        self.buffer.drain(..start);
        self.searched = self.buffer.len();
        if self.buffer.len() > limits::RESPONSE_BYTES_MAX {
            return Err(ClientError::Protocol("an endless line".to_owned()));
        }
        Ok(())
    }

    fn line(&mut self, mut line: Value) -> Result<(), ClientError> {
        if let Some(method) = line.get("method").and_then(Value::as_str) {
            let method = method.to_owned();
            let params = line.get_mut("params").map(Value::take).unwrap_or_default();
            if self.events.len() >= limits::CLIENT_EVENTS_KEPT {
                self.events.pop_front();
            }
            self.events.push_back(Event { method, params });
            return Ok(());
        }
        let Some(id) = line.get("id").and_then(Value::as_u64) else {
            // It concerns the whole connection: the daemon is about to end it.
            return outcome_in(line).map(|_| ());
        };
        if !self.given_up.remove(&id) {
            self.outcomes.insert(id, outcome_in(line));
        }
        Ok(())
    }
}

fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
