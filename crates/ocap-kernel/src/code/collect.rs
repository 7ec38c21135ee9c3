//! Talking with the caged worker that parses a vat's modules.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use ocap_vat::codec::{self, FrameBuffer};
use ocap_vat::engine::{Bundle, LogLevel, ModuleGraph};
use ocap_vat::fault_of_exit;
use ocap_vat::frame::{FromWorker, ToWorker};
use ocap_vat::limits::{FRAME_FROM_WORKER_BYTES_MAX, FRAME_TO_WORKER_BYTES_MAX};

use super::folder::ModuleFolder;
use crate::limits;
use crate::workers::Nursery;

/// Has a caged worker parse the entry (a path below the folder) and everything it imports.
pub(super) fn graph(
    nursery: &Nursery,
    entry: &str,
    folder: &ModuleFolder,
) -> Result<ModuleGraph, String> {
    let first = ToWorker::Collect { entry: format!("./{entry}") };
    converse(nursery, &first, Some(folder), |frame| match frame {
        FromWorker::Collected(graph) => Some(graph),
        _ => None,
    })
}

/// Has a caged worker make one script of the entry and everything it imports.
pub(super) fn bundle(
    nursery: &Nursery,
    entry: &str,
    folder: &ModuleFolder,
) -> Result<Bundle, String> {
    let first = ToWorker::Bundle { entry: format!("./{entry}") };
    converse(nursery, &first, Some(folder), |frame| match frame {
        FromWorker::Bundled(bundle) => Some(bundle),
        _ => None,
    })
}

/// Has a caged worker parse a bundle's script.
pub(super) fn parse(nursery: &Nursery, code: String) -> Result<(), String> {
    converse(nursery, &ToWorker::Parse { code }, None, |frame| match frame {
        FromWorker::Parsed(result) => Some(result),
        _ => None,
    })
}

/// Has a caged worker see whether modules fit together.
pub(super) fn link(nursery: &Nursery, graph: ModuleGraph) -> Result<(), String> {
    converse(nursery, &ToWorker::Link { graph }, None, |frame| match frame {
        FromWorker::Parsed(result) => Some(result),
        _ => None,
    })
}

/// Asks a worker for one thing and answers its imports until `last` knows the answer.
fn converse<T>(
    nursery: &Nursery,
    first: &ToWorker,
    folder: Option<&ModuleFolder>,
    last: impl Fn(FromWorker) -> Option<Result<T, String>>,
) -> Result<T, String> {
    let told = |error: std::io::Error| format!("the code loader failed: {error}");
    let worker = nursery.spawn().map_err(told)?;
    worker.stream.set_nonblocking(false).map_err(told)?;
    let deadline = Instant::now() + Duration::from_millis(limits::COLLECT_MS_MAX);
    let mut frames = FrameBuffer::new(FRAME_FROM_WORKER_BYTES_MAX);
    let mut buffer = vec![0; 64 * 1024];
    let mut lines = 0;
    let send = |frame: &ToWorker| {
        let bytes =
            codec::encode(frame, FRAME_TO_WORKER_BYTES_MAX).map_err(std::io::Error::other)?;
        // One that asks and does not read must not hold us up.
        let left = deadline.saturating_duration_since(Instant::now());
        worker.stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        (&worker.stream).write_all(&bytes)
    };
    send(first).map_err(told)?;
    loop {
        while let Some(frame) = frames.next::<FromWorker>().map_err(|e| e.to_string())? {
            match frame {
                FromWorker::LoadModule { referrer, specifier } => {
                    let module = folder.map_or(Ok(None), |it| it.load(&referrer, &specifier));
                    send(&ToWorker::Module(module)).map_err(told)?;
                }
                FromWorker::Fault(fault) => return Err(fault.detail),
                FromWorker::Log { level, message } => {
                    lines += 1;
                    if level >= LogLevel::Warn && lines <= limits::LOADER_LINES_MAX {
                        tracing::warn!(target: "ocap::loader", "{message}");
                    }
                }
                other => {
                    let broken = || Err("the code loader broke the protocol".into());
                    return last(other).unwrap_or_else(broken);
                }
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("loading took longer than {} ms", limits::COLLECT_MS_MAX));
        }
        worker.stream.set_read_timeout(Some(left)).map_err(told)?;
        match (&worker.stream).read(&mut buffer) {
            Ok(0) => {
                let exit = worker.wait_exit(Duration::from_millis(limits::EXIT_WAIT_MS));
                let detail = fault_of_exit(exit).detail;
                return Err(format!(
                    "the code loader failed: {detail}; the code may be nested too deep"
                ));
            }
            Ok(count) => frames.fill(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(told(error)),
        }
    }
}
