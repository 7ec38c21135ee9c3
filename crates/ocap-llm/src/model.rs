//! A model to talk to: an endpoint's, or what one said on tape.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Client, ModelError, content};
use crate::prompt::Turn;
use crate::tape::{Player, Recorder};

/// Who answers chats. Any number of threads may ask at once.
#[derive(Debug)]
pub struct Model {
    name: String,
    source: Source,
    recorder: Option<Recorder>,
}

#[derive(Debug)]
enum Source {
    Endpoint(Client),
    Tape(Player),
}

impl Model {
    /// The model of an endpoint.
    pub fn of(client: Client) -> Model {
        let name = client.endpoint().model.clone();
        Model { name, source: Source::Endpoint(client), recorder: None }
    }

    /// What a model of this name said on tape.
    ///
    /// # Errors
    /// If the file cannot be read, or is no tape.
    pub fn on_tape(path: &Path, name: &str) -> io::Result<Model> {
        let source = Source::Tape(Player::open(path)?);
        Ok(Model { name: name.to_owned(), source, recorder: None })
    }

    /// The same, and everything goes on tape.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn recorded(self, path: &Path) -> io::Result<Model> {
        Ok(Model { recorder: Some(Recorder::create(path)?), ..self })
    }

    /// What the model says after these turns. Blocks.
    ///
    /// # Errors
    /// If it says nothing.
    pub fn say(&self, turns: &[Turn]) -> Result<String, ModelError> {
        let messages: Vec<Value> =
            turns.iter().map(|turn| json!({"role": turn.role, "content": turn.content})).collect();
        let request = json!({"model": self.name, "messages": messages});
        let answer = match &self.source {
            Source::Endpoint(client) => client.complete(&request)?,
            Source::Tape(player) => player.play(&request)?,
        };
        if let Some(recorder) = &self.recorder
            && let Err(error) = recorder.record(&request, &answer)
        {
            eprintln!("[llm-bridge] cannot write to the tape: {error}");
        }
        let said = content(&answer).map(str::to_owned);
        said.ok_or_else(|| ModelError::Malformed("it has no text".to_owned()))
    }
}
