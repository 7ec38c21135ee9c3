//! The task of the `console` channel: the standard input and output of the kernel's process.
//!
//! These descriptors may be terminals, files or pipes, and may be shared with other programs, so
//! they are left in blocking mode and served by two threads of their own. Nobody ever waits for
//! those threads: one that hangs in a read does not keep the process alive. They outlive channels:
//! what was typed while one channel owned the console and was not handed to it goes to the next.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use ocap_types::config::IoUnit;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use crate::channel::{Channel, ChannelEvent};
use crate::claims::{Claims, Resource};
use crate::framing::{Flow, Inbound};
use crate::limits::{CLOSE_FLUSH_MS, READ_CHUNK_BYTES, UNIT_BYTES_MAX};
use crate::outbox::{Link, Outgoing};
use crate::retry::{Refusal, Retry};

/// Whether and where there is a console.
#[derive(Debug)]
pub enum Console {
    /// This process's standard input and output.
    Stdio,
    /// These, in blocking mode: for hosts that have their own idea of a console, and for tests.
    Streams {
        /// Lines are read from here.
        input: OwnedFd,
        /// And written to here.
        output: OwnedFd,
    },
    /// There is none, for this reason; a channel that wants it says so.
    Unavailable(String),
}

/// The one console of a host: opened by the first channel that gets it, then kept.
pub(crate) struct ConsoleSlot {
    state: Mutex<State>,
}

enum State {
    Unopened(Console),
    Open(Port),
}

impl ConsoleSlot {
    pub(crate) fn new(console: Console) -> Self {
        ConsoleSlot { state: Mutex::new(State::Unopened(console)) }
    }
}

/// The console's two threads, and what has been read and not yet handed out.
struct Port {
    inbound: Inbound,
    /// Nothing more is read.
    finished: bool,
    wants: std_mpsc::Sender<()>,
    chunks: mpsc::UnboundedReceiver<io::Result<Vec<u8>>>,
    /// The input thread has been asked and has not answered.
    reading: bool,
    output: std_mpsc::Sender<Vec<u8>>,
    written: mpsc::UnboundedReceiver<io::Result<()>>,
    /// The output thread has been given something and has not answered.
    writing: bool,
}

impl Port {
    fn open(input: OwnedFd, output: OwnedFd) -> io::Result<Port> {
        let (wants, wanted) = std_mpsc::channel();
        let (chunk, chunks) = mpsc::unbounded_channel();
        let (send, sent) = std_mpsc::channel::<Vec<u8>>();
        let (done, written) = mpsc::unbounded_channel();
        let mut input = File::from(input);
        let mut output = File::from(output);
        thread::Builder::new().name("ocap-console-in".to_owned()).spawn(move || {
            while wanted.recv().is_ok() && chunk.send(read_some(&mut input)).is_ok() {}
        })?;
        thread::Builder::new().name("ocap-console-out".to_owned()).spawn(move || {
            while let Ok(data) = sent.recv() {
                if done.send(write_whole(&mut output, &data)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Port {
            inbound: Inbound::new(IoUnit::Line, UNIT_BYTES_MAX),
            finished: false,
            wants,
            chunks,
            reading: false,
            output: send,
            written,
            writing: false,
        })
    }
}

impl State {
    /// The port, opened now if it was not.
    fn port(&mut self) -> Result<&mut Port, Refusal> {
        if let State::Unopened(console) = self {
            let cannot =
                |error: io::Error| Refusal::Later(format!("the console cannot be opened: {error}"));
            let (input, output) = match console {
                Console::Unavailable(reason) => return Err(Refusal::Never(reason.clone())),
                Console::Stdio => {
                    let input = io::stdin().as_fd().try_clone_to_owned().map_err(cannot)?;
                    (input, io::stdout().as_fd().try_clone_to_owned().map_err(cannot)?)
                }
                Console::Streams { input, output } => {
                    (input.try_clone().map_err(cannot)?, output.try_clone().map_err(cannot)?)
                }
            };
            *self = State::Open(Port::open(input, output).map_err(cannot)?);
        }
        match self {
            State::Open(port) => Ok(port),
            State::Unopened(_) => Err(Refusal::Later("the console is not open".to_owned())),
        }
    }
}

/// Reads once; another program may have made the descriptor non-blocking.
fn read_some(input: &mut File) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; READ_CHUNK_BYTES];
    loop {
        match input.read(&mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                return Ok(buffer);
            }
            Err(error) => wait_if_possible(input, PollFlags::IN, error)?,
        }
    }
}

fn write_whole(output: &mut File, data: &[u8]) -> io::Result<()> {
    let mut rest = data;
    while !rest.is_empty() {
        match output.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) => wait_if_possible(output, PollFlags::OUT, error)?,
        }
    }
    Ok(())
}

/// After an error that only means "not now", waits until it is worth trying again.
fn wait_if_possible(file: &File, direction: PollFlags, error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => match poll(&mut [PollFd::new(file, direction)], None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        },
        _ => Err(error),
    }
}

/// Runs until the channel is closed.
pub(crate) async fn run(channel: Arc<Channel>, claims: Arc<Claims>, slot: Arc<ConsoleSlot>) {
    let mut retry = Retry::new(&claims);
    while !channel.is_closed() {
        retry.begin();
        let refusal = match claims.claim(Resource::Console, &channel) {
            // Whoever holds the claim is the only one to lock the slot.
            Ok(_claim) => match slot.state.lock().await.port() {
                Ok(port) => return serve(&channel, port).await,
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        retry.report_and_wait(&channel, refusal).await;
    }
}

async fn serve(channel: &Channel, port: &mut Port) {
    port.inbound.set_unit(channel.unit);
    channel.emit(ChannelEvent::Listening);
    channel.set_link(Link::Connected);
    channel.emit(ChannelEvent::Connected);
    let mut end_told = false;
    let mut under_way: Option<Outgoing> = None;
    loop {
        if channel.reads() {
            take_input(channel, port);
            if port.finished && !end_told {
                end_told = true;
                channel.emit(ChannelEvent::End);
            }
        }
        if !port.writing && under_way.is_none() {
            under_way = give_output(channel, port);
        }
        if channel.is_closed() {
            return finish(channel, port, under_way).await;
        }
        tokio::select! {
            () = channel.closed() => {}
            () = channel.written.notified() => {}
            () = channel.consumed.notified() => {}
            chunk = port.chunks.recv(), if port.reading => {
                port.reading = false;
                push_chunk(channel, port, chunk);
            }
            result = port.written.recv(), if port.writing => {
                port.writing = false;
                settle_output(channel, under_way.take(), result);
            }
        }
    }
}

/// Hands out what there is and asks for more when more can be taken.
fn take_input(channel: &Channel, port: &mut Port) {
    if port.finished || port.reading {
        return;
    }
    match port.inbound.deliver(channel) {
        Flow::Room => {}
        Flow::Input => {
            port.reading = port.wants.send(()).is_ok();
            port.finished = !port.reading;
        }
        Flow::Ended => port.finished = true,
    }
}

/// Takes what the input thread read; what goes wrong there is the end of input.
fn push_chunk(channel: &Channel, port: &mut Port, chunk: Option<io::Result<Vec<u8>>>) {
    let chunk = chunk.unwrap_or_else(|| Ok(Vec::new())).unwrap_or_else(|error| {
        tracing::warn!("{}: the console cannot be read: {error}", channel.key);
        Vec::new()
    });
    port.inbound.push(&chunk);
}

/// Gives the next write, if there is one, to the output thread.
fn give_output(channel: &Channel, port: &mut Port) -> Option<Outgoing> {
    let mut outgoing = channel.outbox().pop()?;
    port.writing = port.output.send(std::mem::take(&mut outgoing.data)).is_ok();
    if port.writing {
        return Some(outgoing);
    }
    settle_output(channel, Some(outgoing), None);
    None
}

fn settle_output(channel: &Channel, outgoing: Option<Outgoing>, result: Option<io::Result<()>>) {
    let result = match result {
        Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("its thread has ended".to_owned()),
    };
    if let Some(outgoing) = outgoing {
        channel.settle(&outgoing, result.map_err(|why| format!("cannot be written to: {why}")));
    }
}

/// The channel is closed: waits a little for what was already accepted to be written.
async fn finish(channel: &Channel, port: &mut Port, under_way: Option<Outgoing>) {
    let mut under_way = under_way;
    let flush = async {
        loop {
            if port.writing {
                let result = port.written.recv().await;
                port.writing = false;
                settle_output(channel, under_way.take(), result);
            }
            under_way = give_output(channel, port);
            if under_way.is_none() {
                return;
            }
        }
    };
    let _ = timeout(Duration::from_millis(CLOSE_FLUSH_MS), flush).await;
    if let Some(outgoing) = under_way {
        channel.settle_undeliverable(outgoing);
    }
    channel.reject_queued();
}
