//! The other side: Liveslots in one Node process, a line of JSON per sequence.

use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use ocap_types::crank::Delivery;

use crate::{Trace, limits};

/// A Node process.
pub struct Node {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<io::Result<String>>,
}

/// Where its scripts and packages are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/oracle")
}

impl Node {
    /// Starts it. Needs `npm ci` in [`folder`].
    pub fn start() -> io::Result<Node> {
        if !folder().join("node_modules").is_dir() {
            return Err(io::Error::other("run `npm ci` in fixtures/oracle first"));
        }
        let mut child = Command::new("node")
            // Without compilers: one that is at work keeps what the code it compiles refers to, and when
            // it is done depends on how busy the machine is.
            .args(["--expose-gc", "--jitless", "--no-expose-wasm", "--no-warnings", "oracle.js"])
            .env("LOCKDOWN_ERROR_TAMING", "unsafe")
            // It would keep rejected promises alive.
            .env("LOCKDOWN_UNHANDLED_REJECTION_TRAPPING", "none")
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.ok_or_else(|| io::Error::other("node has no output"))?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines() {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Node { child, input, lines })
    }

    /// Hands it a sequence; the answers come in the same order.
    pub fn ask(&mut self, deliveries: &[Delivery]) -> io::Result<()> {
        let mut line = serde_json::to_string(deliveries)?;
        line.push('\n');
        let input = self.input.as_mut().ok_or_else(|| io::Error::other("node is gone"))?;
        input.write_all(line.as_bytes())?;
        input.flush()
    }

    /// What the oldest unanswered sequence led to.
    pub fn answer(&mut self) -> io::Result<Trace> {
        let line = self
            .lines
            .recv_timeout(limits::ANSWER_PATIENCE)
            .map_err(|error| io::Error::other(format!("node does not answer: {error}")))??;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
