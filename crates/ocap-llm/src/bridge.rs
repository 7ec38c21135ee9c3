//! The bridge: connects to a matcher's socket, and serves it until the process ends.
//!
//! Whatever happens to the matcher's kernel, the bridge connects again; what it knows of services it
//! keeps meanwhile, and the matcher tells it the difference. A service is taken in without asking the
//! model: the model is told of all of them with each query, so nothing a model forgets or refuses can
//! keep a provider from registering.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::limits;
use crate::model::Model;
use crate::prompt;
use crate::protocol::{self, Reply, Request};

/// How a bridge is built.
#[derive(Debug)]
pub struct BridgeOptions {
    /// The matcher's socket.
    pub socket: PathBuf,
    /// Whom it asks.
    pub model: Model,
    /// Whether lines go to the log as they are, with all they say.
    pub logs_bodies: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Bridge {
    socket: PathBuf,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    model: Model,
    logs_bodies: bool,
    catalog: Mutex<Catalog>,
    queries: AtomicUsize,
}

impl Bridge {
    /// A bridge that is not connected yet.
    pub fn new(options: BridgeOptions) -> Bridge {
        let BridgeOptions { socket, model, logs_bodies } = options;
        let (catalog, queries) = (Mutex::default(), AtomicUsize::new(0));
        Bridge { socket, state: Arc::new(State { model, logs_bodies, catalog, queries }) }
    }

    /// Connects and serves, again and again.
    pub fn run(&self) -> ! {
        let mut pause = limits::CONNECT_PAUSE_MIN;
        let mut was_told = false;
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => {
                    say(&format!("connected to {}", self.socket.display()));
                    let is_served = self.serve(stream);
                    say("the connection has ended; connecting again");
                    // One that was turned away at once is no reason to hurry.
                    if is_served {
                        pause = limits::CONNECT_PAUSE_MIN;
                    }
                    was_told = false;
                }
                Err(error) if !was_told => {
                    say(&format!(
                        "cannot connect to {}: {error}; trying on",
                        self.socket.display()
                    ));
                    was_told = true;
                }
                Err(_) => {}
            }
            thread::sleep(pause);
            pause = (pause * 2).min(limits::CONNECT_PAUSE_MAX);
        }
    }

    /// Serves one connection to its end; whether anything was asked on it.
    pub fn serve(&self, stream: UnixStream) -> bool {
        let Ok(writer) = stream.try_clone() else { return false };
        let _ = writer.set_write_timeout(Some(limits::WRITE_TIME_MAX));
        let session =
            Arc::new(Session { state: Arc::clone(&self.state), writer: Mutex::new(writer) });
        let mut lines = BufReader::new(stream);
        let mut is_first = true;
        loop {
            let mut line = Vec::new();
            let most = limits::LINE_BYTES_MAX as u64 + 1;
            let read = (&mut lines).take(most).read_until(b'\n', &mut line);
            if !matches!(read, Ok(1..)) {
                return !is_first;
            }
            if line.pop() != Some(b'\n') {
                // The rest of a line that is too long is of no use, and neither is half of one.
                say("the matcher sent half a line, or one without an end");
                return !is_first;
            }
            let line = String::from_utf8_lossy(&line);
            if line.trim().is_empty() {
                continue;
            }
            self.state.log_body("request", &line);
            Session::take(&session, &line, is_first);
            is_first = false;
        }
    }
}

impl State {
    fn catalog(&self) -> MutexGuard<'_, Catalog> {
        self.catalog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_body(&self, what: &str, body: &str) {
        if self.logs_bodies {
            say(&format!("{what}: {}", body.trim_end()));
        }
    }

    fn query(&self, query: &str) -> Reply {
        let turns = prompt::turns(&self.catalog(), query);
        let began = Instant::now();
        let said = self.model.say(&turns);
        let ms = began.elapsed().as_millis();
        match said {
            Ok(said) => {
                self.log_body("the model says", &said);
                match prompt::read(&said) {
                    Ok(matches) => {
                        let count = matches.len();
                        let s = if count == 1 { "" } else { "s" };
                        say(&format!("the model named {count} service{s} in {ms} ms"));
                        Reply::Matches(matches)
                    }
                    Err(problem) => {
                        say(&format!("the model's reply could not be read ({ms} ms)"));
                        Reply::Error(problem)
                    }
                }
            }
            Err(error) => {
                say(&format!("{} ({ms} ms)", error.summary()));
                Reply::Error(error.to_string())
            }
        }
    }

    /// Everything but queries, which take time.
    fn carry_out(&self, request: Request) -> Reply {
        let mut catalog = self.catalog();
        match request {
            Request::Hello { protocol: _, registry } => {
                let is_ours = catalog.registry() == Some(&registry);
                let has = if is_ours { catalog.ids() } else { Vec::new() };
                Reply::Hello { registry: catalog.registry().map(str::to_owned), has }
            }
            Request::Ingest { service } => match catalog.insert(service) {
                Ok(()) => Reply::Ingested,
                Err(problem) => Reply::Error(problem),
            },
            Request::Sync { registry, clear, forget, services } => {
                if clear || catalog.registry() != Some(&registry) {
                    catalog.clear(Some(registry));
                }
                for id in &forget {
                    catalog.remove(id);
                }
                for service in services {
                    if let Err(problem) = catalog.insert(service) {
                        return Reply::Error(problem);
                    }
                }
                Reply::Synced
            }
            Request::Forget { ids } => {
                for id in &ids {
                    catalog.remove(id);
                }
                Reply::Forgotten
            }
            Request::Query { .. } => Reply::Error("a query takes time".to_owned()),
        }
    }
}

/// One connection.
struct Session {
    state: Arc<State>,
    writer: Mutex<UnixStream>,
}

impl Session {
    fn take(session: &Arc<Session>, line: &str, is_first: bool) {
        let (id, request) = protocol::parse(line);
        let state = &session.state;
        let request = match request {
            Ok(request) => request,
            Err(problem) => {
                say("the matcher sent what is no request");
                return session.reply(id.as_ref(), &Reply::Error(problem));
            }
        };
        say(&format!("request: {}", request.kind()));
        // A matcher that does not say hello may have forgotten everything since the last connection.
        if is_first && !matches!(request, Request::Hello { .. }) {
            state.catalog().clear(None);
        }
        let Request::Query { query } = request else {
            let reply = state.carry_out(request);
            return session.reply(id.as_ref(), &reply);
        };
        // Without an id replies come in the order of the requests.
        if id.is_none() {
            return session.reply(None, &state.query(&query));
        }
        if state.queries.fetch_add(1, Ordering::AcqRel) >= limits::QUERIES_MAX {
            state.queries.fetch_sub(1, Ordering::AcqRel);
            let problem = format!("{} queries are under way already", limits::QUERIES_MAX);
            return session.reply(id.as_ref(), &Reply::Error(problem));
        }
        let (mine, asked) = (Arc::clone(session), id.clone());
        let spawned = thread::Builder::new().name("query".to_owned()).spawn(move || {
            let reply = mine.state.query(&query);
            mine.state.queries.fetch_sub(1, Ordering::AcqRel);
            mine.reply(asked.as_ref(), &reply);
        });
        if let Err(error) = spawned {
            state.queries.fetch_sub(1, Ordering::AcqRel);
            session.reply(id.as_ref(), &Reply::Error(format!("no thread for it: {error}")));
        }
    }

    /// A matcher that does not take its replies is left.
    fn reply(&self, id: Option<&Value>, reply: &Reply) {
        let line = reply.line(id);
        self.state.log_body("reply", &line);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writer.write_all(line.as_bytes()) {
            say(&format!("a reply could not be sent: {error}"));
            let _ = writer.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// To the log, which is standard error.
fn say(text: &str) {
    eprintln!("[llm-bridge] {text}");
}
