//! The worker's end of the connection: reads what the kernel sends, runs the engine, answers.
//!
//! The kernel is trusted here, the vat is not: nothing the vat does makes the worker keep more than
//! its limits, and all it prints is counted. The loop is the same in a process and in a thread;
//! they differ in what happens when the kernel goes away in the middle of a crank: a process ends
//! at once, a thread lets the engine come to its end with empty answers and ends then.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use ocap_types::crank::{Delivery, Fault, FaultKind};

use crate::codec::{FrameReader, encode, write_frame};
use crate::engine::{
    Bytecode, Engine, LogLevel, ModuleSource, PreparedEngine, UpCalls, WorkerInit,
};
use crate::exit::{EXIT_DONE, EXIT_PANIC, EXIT_PROTOCOL};
use crate::frame::{FromWorker, ToWorker};
use crate::limits::{
    BYTECODE_BYTES_MAX, COLLECT_HEAP_BYTES_MAX, CRANK_LOG_BYTES_MAX, CRANK_LOG_LINES_MAX,
    DELIVERIES_QUEUED_MAX, DETAIL_CHARS_MAX, FRAME_FROM_WORKER_BYTES_MAX,
    FRAME_TO_WORKER_BYTES_MAX, LOG_LINE_BYTES_MAX,
};

/// What surrounds a worker.
pub(crate) trait Surroundings {
    /// Called before any code is touched, with the heap it may have, in bytes.
    fn limit(&self, heap_bytes_max: u64) -> io::Result<()>;
    /// There is nothing left to do: the last frame is sent, or the connection is gone. A process
    /// ends here, without taking the engine down; otherwise the engine comes to its end with empty
    /// answers.
    fn end(&self, code: i32);
    /// Whether code that makes our own parser overflow the stack ends nothing but the worker.
    fn may_overflow(&self) -> bool;
}

/// Serves one connection until its end. The exit code says why that was.
pub(crate) fn serve(
    stream: UnixStream,
    prepared: Box<dyn PreparedEngine>,
    surroundings: Box<dyn Surroundings>,
) -> i32 {
    let link = Rc::new(Link {
        stream,
        reader: RefCell::new(FrameReader::new(FRAME_TO_WORKER_BYTES_MAX)),
        queue: RefCell::default(),
        log: Cell::default(),
        broken: Cell::new(None),
        surroundings,
    });
    let code = match catch_unwind(AssertUnwindSafe(|| run(&link, prepared))) {
        Ok(Ok(())) => EXIT_DONE,
        Ok(Err(error)) => exit_code(&error),
        Err(panic) => {
            let detail = format!("the worker panicked: {}", panic_text(panic.as_ref()));
            let fault = Fault { kind: FaultKind::Crash, detail };
            link.send(&FromWorker::Fault(fault)).map_or(EXIT_PANIC, |()| EXIT_DONE)
        }
    };
    // Explicitly: the engine's up-calls hold the connection too.
    let _ = link.stream.shutdown(Shutdown::Both);
    code
}

fn exit_code(error: &io::Error) -> i32 {
    match error.kind() {
        io::ErrorKind::InvalidData => EXIT_PROTOCOL,
        // The kernel closed the connection: that is how it lets a worker go.
        _ => EXIT_DONE,
    }
}

fn run(link: &Rc<Link>, prepared: Box<dyn PreparedEngine>) -> io::Result<()> {
    match link.read()? {
        None => Ok(()),
        Some(ToWorker::Init(init)) => run_vat(link, prepared, *init),
        Some(ToWorker::Collect { entry }) => {
            link.surroundings.limit(COLLECT_HEAP_BYTES_MAX)?;
            let graph = prepared.collect(&entry, Rc::clone(link) as Rc<dyn ModuleSource>);
            link.check()?;
            link.send(&FromWorker::Collected(graph))
        }
        Some(ToWorker::Bundle { entry }) => {
            link.surroundings.limit(COLLECT_HEAP_BYTES_MAX)?;
            let bundle = if link.surroundings.may_overflow() {
                prepared.bundle(&entry, Rc::clone(link) as Rc<dyn ModuleSource>)
            } else {
                Err("bundles are made by worker processes, not by threads".to_owned())
            };
            link.check()?;
            link.send(&FromWorker::Bundled(bundle))
        }
        Some(ToWorker::Parse { code }) => {
            link.surroundings.limit(COLLECT_HEAP_BYTES_MAX)?;
            link.send(&FromWorker::Parsed(prepared.parse(&code)))
        }
        Some(ToWorker::Link { graph }) => {
            link.surroundings.limit(COLLECT_HEAP_BYTES_MAX)?;
            link.send(&FromWorker::Parsed(prepared.link(graph)))
        }
        Some(other) => Err(unexpected(&other)),
    }
}

fn run_vat(link: &Rc<Link>, prepared: Box<dyn PreparedEngine>, init: WorkerInit) -> io::Result<()> {
    link.surroundings.limit(init.limits.heap_bytes_max)?;
    let mut engine = prepared.into_vat(init, Rc::clone(link) as Rc<dyn UpCalls>);
    let done = deliver_all(link, engine.as_mut());
    let _ = link.stream.shutdown(Shutdown::Both);
    link.surroundings.end(done.as_ref().map_or_else(exit_code, |()| EXIT_DONE));
    done
}

fn deliver_all(link: &Link, engine: &mut dyn Engine) -> io::Result<()> {
    while let Some(delivery) = link.next_delivery()? {
        link.log.set(LogBudget::default());
        let outcome = engine.deliver(delivery);
        link.report_dropped_lines();
        link.check()?;
        let report = match outcome {
            Ok(report) => report,
            Err(fault) => return link.send(&FromWorker::Fault(fault)),
        };
        // One write per crank: what a crank did must not wait for the next, which may never end.
        match encode(&FromWorker::Done(report), FRAME_FROM_WORKER_BYTES_MAX) {
            Ok(frame) => link.write(&frame)?,
            Err(error) => {
                let detail = format!("the crank's report: {error}");
                let fault = Fault { kind: FaultKind::Overrun, detail };
                return link.send(&FromWorker::Fault(fault));
            }
        }
    }
    Ok(())
}

fn unexpected(message: &ToWorker) -> io::Error {
    let name = match message {
        ToWorker::Init(_) => "Init",
        ToWorker::Deliver(_) => "Deliver",
        ToWorker::Got(_) => "Got",
        ToWorker::Collect { .. } => "Collect",
        ToWorker::Bundle { .. } => "Bundle",
        ToWorker::Parse { .. } => "Parse",
        ToWorker::Link { .. } => "Link",
        ToWorker::Module(_) => "Module",
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("unexpected {name}"))
}

/// The text of a panic, cut to a printable length.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no text").chars().take(DETAIL_CHARS_MAX).collect()
}

/// What a crank may still log.
#[derive(Clone, Copy, Default)]
struct LogBudget {
    lines: u32,
    bytes: usize,
    dropped: u64,
}

/// The connection, shared by the loop and the engine's up-calls.
struct Link {
    stream: UnixStream,
    reader: RefCell<FrameReader>,
    /// Deliveries that came while an up-call waited for its answer.
    queue: RefCell<VecDeque<Delivery>>,
    log: Cell<LogBudget>,
    /// Set once the connection has failed; answers are empty from then on.
    broken: Cell<Option<io::ErrorKind>>,
    surroundings: Box<dyn Surroundings>,
}

impl Link {
    fn read(&self) -> io::Result<Option<ToWorker>> {
        self.reader.borrow_mut().read(&mut &self.stream)
    }

    fn write(&self, frame: &[u8]) -> io::Result<()> {
        (&self.stream).write_all(frame)
    }

    fn send(&self, message: &FromWorker) -> io::Result<()> {
        write_frame(&mut &self.stream, message, FRAME_FROM_WORKER_BYTES_MAX)
    }

    fn next_delivery(&self) -> io::Result<Option<Delivery>> {
        if let Some(delivery) = self.queue.borrow_mut().pop_front() {
            return Ok(Some(delivery));
        }
        match self.read()? {
            None => Ok(None),
            Some(ToWorker::Deliver(delivery)) => Ok(Some(delivery)),
            Some(other) => Err(unexpected(&other)),
        }
    }

    /// Sends a question and waits for what `answer` accepts; deliveries that come first are kept.
    fn ask<T>(
        &self,
        question: &FromWorker,
        answer: impl Fn(ToWorker) -> Result<T, Box<ToWorker>>,
    ) -> Option<T> {
        if self.broken.get().is_some() {
            return None;
        }
        let answered = self.send(question).and_then(|()| {
            loop {
                match self.read()? {
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(ToWorker::Deliver(delivery)) => self.keep(delivery)?,
                    Some(other) => return answer(other).map_err(|other| unexpected(&other)),
                }
            }
        });
        answered.map_err(|error| self.break_with(&error)).ok()
    }

    fn keep(&self, delivery: Delivery) -> io::Result<()> {
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= DELIVERIES_QUEUED_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many deliveries"));
        }
        queue.push_back(delivery);
        Ok(())
    }

    fn break_with(&self, error: &io::Error) {
        self.broken.set(Some(error.kind()));
        self.surroundings.end(exit_code(error));
    }

    /// Whether the connection has failed meanwhile.
    fn check(&self) -> io::Result<()> {
        self.broken.get().map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn send_log(&self, level: LogLevel, message: String) {
        if self.broken.get().is_none()
            && let Err(error) = self.send(&FromWorker::Log { level, message })
        {
            self.break_with(&error);
        }
    }

    fn report_dropped_lines(&self) {
        let dropped = self.log.get().dropped;
        if dropped > 0 {
            self.send_log(LogLevel::Warn, format!("{dropped} more lines in this crank"));
        }
    }
}

impl UpCalls for Link {
    fn vatstore_get(&self, key: &str) -> Option<String> {
        self.ask(&FromWorker::Get { key: key.to_owned() }, got).flatten()
    }

    fn vatstore_next_key(&self, prior: &str) -> Option<String> {
        self.ask(&FromWorker::NextKey { prior: prior.to_owned() }, got).flatten()
    }

    fn exists(&self, path: &str) -> bool {
        self.ask(&FromWorker::Exists { path: path.to_owned() }, got).flatten().is_some()
    }

    fn log(&self, level: LogLevel, message: &str) {
        let line = cut(message, LOG_LINE_BYTES_MAX);
        let mut budget = self.log.get();
        let fits =
            budget.lines < CRANK_LOG_LINES_MAX && budget.bytes + line.len() <= CRANK_LOG_BYTES_MAX;
        if fits {
            budget.lines += 1;
            budget.bytes += line.len();
        } else {
            budget.dropped += 1;
        }
        self.log.set(budget);
        if fits {
            self.send_log(level, line.to_owned());
        }
    }

    fn compiled(&self, bytecode: Bytecode) {
        if self.broken.get().is_none()
            && bytecode.0.len() <= BYTECODE_BYTES_MAX
            && let Err(error) = self.send(&FromWorker::Compiled(bytecode))
        {
            self.break_with(&error);
        }
    }
}

fn got(message: ToWorker) -> Result<Option<String>, Box<ToWorker>> {
    match message {
        ToWorker::Got(value) => Ok(value),
        other => Err(Box::new(other)),
    }
}

impl ModuleSource for Link {
    fn load(&self, referrer: &str, specifier: &str) -> Result<Option<(String, String)>, String> {
        let question =
            FromWorker::LoadModule { referrer: referrer.into(), specifier: specifier.into() };
        let answer = |message| match message {
            ToWorker::Module(module) => Ok(module),
            other => Err(Box::new(other)),
        };
        let module =
            self.ask(&question, answer).unwrap_or_else(|| Err("the kernel is gone".into()));
        match module {
            Ok(Some((name, _))) if !self.surroundings.may_overflow() && is_converted(&name) => {
                Err(format!("{name}: TypeScript is read by worker processes, not by threads"))
            }
            module => module,
        }
    }
}

/// Whether a file has to be parsed before the engine sees it.
fn is_converted(name: &str) -> bool {
    [".ts", ".mts"].iter().any(|end| name.ends_with(end))
}

/// The longest beginning of `text` of at most `bytes_max` bytes.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests;
