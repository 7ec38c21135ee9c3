//! The task of a `file` channel: a regular file that is read, and followed as it grows; one that is
//! appended to; or a named pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ocap_types::config::IoDirection;
use tokio::net::unix::pipe;
use tokio::time::sleep;

use crate::channel::{Channel, ChannelEvent};
use crate::claims::Claims;
use crate::door::blocking;
use crate::framing::{Flow, Inbound};
use crate::limits::{CHECK_MS, READ_CHUNK_BYTES};
use crate::outbox::{Link, Outgoing};
use crate::place;
use crate::retry::{Refusal, Retry};

/// Runs until the channel is closed.
pub(crate) async fn run(
    channel: Arc<Channel>,
    claims: Arc<Claims>,
    home: PathBuf,
    configured: String,
) {
    let mut retry = Retry::new(&claims);
    while !channel.is_closed() {
        retry.begin();
        let refusal = match open(&channel, &home, &configured).await {
            Ok(opened) => {
                retry.succeeded();
                opened.serve(&channel).await;
                continue;
            }
            Err(refusal) => refusal,
        };
        retry.report_and_wait(&channel, refusal).await;
    }
    channel.reject_queued();
}

/// A file in one direction.
enum Opened {
    Reader(Arc<File>, PathBuf),
    PipeReader(pipe::Receiver),
    Writer(Arc<File>),
    PipeWriter(pipe::Sender),
}

async fn open(channel: &Channel, home: &Path, configured: &str) -> Result<Opened, Refusal> {
    if channel.direction == IoDirection::Inout {
        let why = "a file needs the direction \"in\", to be read, or \"out\", to be appended to";
        return Err(Refusal::Never(why.to_owned()));
    }
    let path = place::absolute(home, configured, "file")?;
    let reads = channel.reads();
    let (file, path, is_pipe) = blocking(move || open_file(&path, reads)).await?;
    let watched =
        |error| Refusal::Later(format!("the pipe {} cannot be watched: {error}", path.display()));
    match (reads, is_pipe) {
        (true, true) => pipe::Receiver::from_file(file).map(Opened::PipeReader).map_err(watched),
        (false, true) => pipe::Sender::from_file(file).map(Opened::PipeWriter).map_err(watched),
        (true, false) => Ok(Opened::Reader(Arc::new(file), path)),
        (false, false) => Ok(Opened::Writer(Arc::new(file))),
    }
}

fn open_file(path: &Path, reads: bool) -> Result<(File, PathBuf, bool), Refusal> {
    let there = path.display();
    let mut options = OpenOptions::new();
    // Not to wait for the other end of a pipe.
    options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    if reads {
        options.read(true);
    } else {
        options.append(true).create(true).mode(0o600);
    }
    let file = options.open(path).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) {
            return Refusal::Absent(format!("nobody reads the pipe {there}"));
        }
        Refusal::Later(format!("cannot open {there}: {error}"))
    })?;
    let kind = file
        .metadata()
        .map_err(|error| Refusal::Later(format!("cannot look at {there}: {error}")))?
        .file_type();
    if !kind.is_file() && !kind.is_fifo() {
        return Err(Refusal::Later(format!("{there} is neither a regular file nor a named pipe")));
    }
    Ok((file, path.to_owned(), kind.is_fifo()))
}

impl Opened {
    /// Returns when the channel is closed, or when the file has to be opened anew.
    async fn serve(self, channel: &Channel) {
        match self {
            Opened::Reader(file, path) => follow(channel, file, &path).await,
            Opened::PipeReader(pipe) => read_pipe(channel, &pipe).await,
            Opened::Writer(file) => append(channel, file).await,
            Opened::PipeWriter(pipe) => write_pipe(channel, &pipe).await,
        }
    }
}

/// Reads a file to its end, says so, and goes on when it has grown. Returns when another file is
/// at its path, or less of the same.
async fn follow(channel: &Channel, file: Arc<File>, path: &Path) {
    channel.emit(ChannelEvent::Connected);
    let mut inbound = Inbound::new(channel.unit, channel.bounds.unit_bytes);
    let mut position = 0;
    let mut end_told = false;
    while !channel.is_closed() {
        match inbound.deliver(channel) {
            Flow::Room => tokio::select! {
                () = channel.closed() => {}
                () = channel.consumed.notified() => {}
            },
            Flow::Ended => {
                channel.emit(ChannelEvent::End);
                end_told = true;
                inbound = Inbound::new(channel.unit, channel.bounds.unit_bytes);
            }
            Flow::Input => match read_at(&file, position).await {
                Ok(chunk) if !chunk.is_empty() => {
                    position += chunk.len() as u64;
                    end_told = false;
                    inbound.push(&chunk);
                }
                Ok(_) if !end_told => inbound.push(&[]),
                Ok(_) => {
                    tokio::select! {
                        () = channel.closed() => {}
                        () = sleep(Duration::from_millis(CHECK_MS)) => {}
                    }
                    if is_other(&file, path, position).await {
                        return;
                    }
                }
                Err(error) => {
                    let reason = format!("cannot read {}: {error}", path.display());
                    let delay = Duration::from_millis(CHECK_MS);
                    channel.unavailable(reason, Some(delay));
                    tokio::select! {
                        () = channel.closed() => {}
                        () = sleep(delay) => {}
                    }
                    return;
                }
            },
        }
    }
}

async fn read_at(file: &Arc<File>, position: u64) -> io::Result<Vec<u8>> {
    let file = Arc::clone(file);
    let reading = tokio::task::spawn_blocking(move || {
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        let count = file.read_at(&mut chunk, position)?;
        chunk.truncate(count);
        Ok(chunk)
    });
    reading.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Whether what is at the path is not the file that was read so far.
async fn is_other(file: &Arc<File>, path: &Path, position: u64) -> bool {
    let (file, path) = (Arc::clone(file), path.to_owned());
    let look = tokio::task::spawn_blocking(move || {
        let (Ok(ours), Ok(now)) = (file.metadata(), std::fs::metadata(&path)) else {
            return false;
        };
        (ours.dev(), ours.ino()) != (now.dev(), now.ino()) || ours.len() < position
    });
    look.await.unwrap_or(false)
}

/// Reads until the last writer has closed the pipe.
async fn read_pipe(channel: &Channel, pipe: &pipe::Receiver) {
    channel.emit(ChannelEvent::Listening);
    let mut inbound = Inbound::new(channel.unit, channel.bounds.unit_bytes);
    let mut buffer = vec![0; READ_CHUNK_BYTES];
    while !channel.is_closed() {
        match inbound.deliver(channel) {
            Flow::Room => tokio::select! {
                () = channel.closed() => {}
                () = channel.consumed.notified() => {}
            },
            Flow::Ended => return channel.emit(ChannelEvent::End),
            Flow::Input => {
                tokio::select! {
                    () = channel.closed() => return,
                    _ = pipe.readable() => {}
                }
                let count = match pipe.try_read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    result => result.unwrap_or(0),
                };
                if count > 0 && !inbound.any_bytes() {
                    channel.emit(ChannelEvent::Connected);
                }
                inbound.push(buffer.get(..count).unwrap_or_default());
            }
        }
    }
}

async fn append(channel: &Channel, file: Arc<File>) {
    channel.set_link(Link::Connected);
    channel.emit(ChannelEvent::Connected);
    loop {
        let outgoing = channel.outbox().pop();
        let Some(mut outgoing) = outgoing else {
            if channel.is_closed() {
                return;
            }
            tokio::select! {
                () = channel.closed() => {}
                () = channel.written.notified() => {}
            }
            continue;
        };
        let (file, data) = (Arc::clone(&file), std::mem::take(&mut outgoing.data));
        let writing = tokio::task::spawn_blocking(move || (&*file).write_all(&data));
        let result = writing.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        channel.settle(&outgoing, result.map_err(|error| format!("cannot be written to: {error}")));
    }
}

/// Writes until the last reader has closed the pipe.
async fn write_pipe(channel: &Channel, pipe: &pipe::Sender) {
    channel.set_link(Link::Connected);
    channel.emit(ChannelEvent::Connected);
    let mut under_way: Option<Outgoing> = None;
    loop {
        if under_way.is_none() {
            under_way = channel.outbox().pop();
        }
        let written = match &mut under_way {
            None => Ok(()),
            Some(outgoing) => {
                let rest = outgoing.data.get(outgoing.written..).unwrap_or_default();
                pipe.try_write(rest).map(|count| outgoing.written += count)
            }
        };
        let blocked = match written {
            Ok(()) => false,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            Err(_) => break,
        };
        match under_way.take() {
            Some(outgoing) if outgoing.written >= outgoing.data.len() => {
                channel.settle(&outgoing, Ok(()));
                continue;
            }
            unfinished => under_way = unfinished,
        }
        if channel.is_closed() && (blocked || under_way.is_none()) {
            break;
        }
        tokio::select! {
            () = channel.closed(), if !channel.is_closed() => {}
            () = channel.written.notified(), if under_way.is_none() => {}
            _ = pipe.writable(), if under_way.is_some() => {}
        }
    }
    channel.set_link(Link::Absent);
    if let Some(outgoing) = under_way {
        channel.settle_undeliverable(outgoing);
    }
}
