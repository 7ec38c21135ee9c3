//! A sign of life while something takes long, on a terminal only.

use std::io::{IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::limits;

/// Says how long something has taken, from a while after its beginning until it is dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    end: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Waiting {
    /// Of something that is called this.
    pub(crate) fn of(what: &str) -> Waiting {
        if !std::io::stderr().is_terminal() {
            return Waiting { end: None };
        }
        let what = what.to_owned();
        let (end, ended) = channel();
        let began = Instant::now();
        let work = move || {
            let mut pause = limits::WAITING_DELAY;
            let mut shown = false;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let seconds = began.elapsed().as_secs();
                let _ = write!(std::io::stderr(), "\r{what} {seconds} s\x1b[K");
                (shown, pause) = (true, limits::WAITING_INTERVAL);
            }
            if shown {
                let _ = write!(std::io::stderr(), "\r\x1b[K");
            }
        };
        let thread = std::thread::Builder::new().name("ocap-waiting".into()).spawn(work);
        Waiting { end: thread.ok().map(|thread| (end, thread)) }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.end.take() {
            drop(end);
            let _ = thread.join();
        }
    }
}
