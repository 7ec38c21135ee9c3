//! Exchanges with a model in a file, one to a line, to be played again without the model.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::client::ModelError;
use crate::limits;

/// One line.
#[derive(Serialize, Deserialize)]
struct Exchange {
    request: Value,
    answer: Value,
}

/// Writes exchanges.
#[derive(Debug)]
pub(crate) struct Recorder(Mutex<File>);

impl Recorder {
    /// A file that only its owner can read: it will hold what people asked for.
    pub(crate) fn create(path: &Path) -> io::Result<Recorder> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        Ok(Recorder(Mutex::new(file)))
    }

    pub(crate) fn record(&self, request: &Value, answer: &Value) -> io::Result<()> {
        let exchange = Exchange { request: request.clone(), answer: answer.clone() };
        let mut line = serde_json::to_string(&exchange)?;
        line.push('\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}

/// Plays exchanges. The same request asked again gets the next answer that was recorded to it, and the
/// last one for ever.
#[derive(Debug)]
pub(crate) struct Player(Mutex<HashMap<String, VecDeque<Value>>>);

impl Player {
    pub(crate) fn open(path: &Path) -> io::Result<Player> {
        let mut text = String::new();
        File::open(path)?.take(limits::TAPE_BYTES_MAX).read_to_string(&mut text)?;
        let mut answers: HashMap<String, VecDeque<Value>> = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let exchange: Exchange = serde_json::from_str(line).map_err(|error| {
                let problem = format!("line {} is no exchange: {error}", number + 1);
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?;
            answers.entry(exchange.request.to_string()).or_default().push_back(exchange.answer);
        }
        Ok(Player(Mutex::new(answers)))
    }

    pub(crate) fn play(&self, request: &Value) -> Result<Value, ModelError> {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = answers.get_mut(&request.to_string()).ok_or(ModelError::NotOnTape)?;
        let answer = if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() };
        answer.ok_or(ModelError::NotOnTape)
    }
}
