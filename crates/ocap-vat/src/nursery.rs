//! Two threads that a process with workers has for as long as it lives.
//!
//! A child's `PDEATHSIG` follows the *thread* that started it (for a zygote's children: the thread
//! that started the zygote), so zygotes are started by a thread that never ends. And a killed
//! process may take a while until it is gone: another thread waits for that.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crate::fork;
use crate::zygote::Line;

type Start = (Command, SyncSender<io::Result<Child>>);

/// Starts a child from a thread that lives as long as the process.
pub(crate) fn start(command: Command) -> io::Result<Child> {
    static STARTER: OnceLock<Option<Sender<Start>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (sender, receiver) = channel::<Start>();
        let run = move || {
            for (mut command, reply) in receiver {
                let _ = reply.send(command.spawn());
            }
        };
        thread::Builder::new().name("ocap-nursery".into()).spawn(run).ok().map(|_| sender)
    });
    let gone = || io::Error::other("the thread that starts workers is gone");
    let (reply, answer) = sync_channel(1);
    starter.as_ref().ok_or_else(gone)?.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// A child that nobody has waited for.
pub(crate) enum Corpse {
    /// A zygote, which is still to be ended.
    Zygote(Arc<Mutex<Line>>),
    /// A worker.
    Worker(OwnedFd),
}

/// Waits for a child's end, elsewhere.
pub(crate) fn bury(corpse: Corpse) {
    static BURIER: OnceLock<Option<Sender<Corpse>>> = OnceLock::new();
    let burier = BURIER.get_or_init(|| {
        let (sender, receiver) = channel();
        let run = move || receiver.into_iter().for_each(wait_for);
        thread::Builder::new().name("ocap-reaper".into()).spawn(run).ok().map(|_| sender)
    });
    match burier {
        Some(burier) => {
            let _ = burier.send(corpse);
        }
        None => wait_for(corpse),
    }
}

fn wait_for(corpse: Corpse) {
    match corpse {
        Corpse::Zygote(line) => line.lock().unwrap_or_else(PoisonError::into_inner).end(),
        Corpse::Worker(pidfd) => {
            let _ = fork::ended(&pidfd, true);
        }
    }
}
