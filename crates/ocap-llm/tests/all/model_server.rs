//! A small OpenAI-compatible endpoint on a loopback port, that says what a test wants it to say.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::Duration;

use serde_json::{Value, json};

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The content of the last turn.
    pub(crate) fn last(&self) -> &str {
        let turns = self.body["messages"].as_array().unwrap();
        turns.last().unwrap()["content"].as_str().unwrap()
    }
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    /// How long it thinks.
    pub(crate) after: Duration,
}

impl Answer {
    /// A completion with this text.
    pub(crate) fn text(text: &str) -> Answer {
        let message = json!({"role": "assistant", "content": text});
        let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10});
        let body = json!({"id": "c1", "object": "chat.completion", "model": "test",
            "choices": [choice], "usage": usage, "extra": true});
        Answer::of(200, "application/json", body.to_string())
    }

    pub(crate) fn of(status: u16, kind: &'static str, body: impl Into<String>) -> Answer {
        Answer { status, kind, body: body.into(), after: Duration::ZERO }
    }
}

type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

/// The server. Ends with its guard.
pub(crate) struct ModelServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl ModelServer {
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> ModelServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let ended: Arc<AtomicBool> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let (heard, over) = (Arc::clone(&asked), Arc::clone(&ended));
        spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::Acquire) {
                    break;
                }
                let (heard, script) = (Arc::clone(&heard), Arc::clone(&script));
                spawn(move || serve(&stream, &heard, &*script));
            }
        });
        ModelServer { address, asked, ended }
    }

    /// One that finds every service with a word of the request in its line.
    pub(crate) fn matching() -> ModelServer {
        ModelServer::start(|asked| Answer::text(&matches_in(asked.last())))
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads the list out of a prompt, and names what has a word of the request.
fn matches_in(prompt: &str) -> String {
    let request =
        prompt.lines().find_map(|line| line.strip_prefix("The request, as a JSON string: "));
    let request: String = serde_json::from_str(request.unwrap()).unwrap();
    let words: Vec<String> = request.split_whitespace().map(str::to_lowercase).collect();
    let services = prompt.lines().filter(|line| line.starts_with('{'));
    let found: Vec<Value> = services
        .filter(|line| words.iter().any(|word| line.to_lowercase().contains(word)))
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].clone())
        .map(|id| json!({"id": id, "rationale": "the model says so"}))
        .collect();
    format!("```json\n{}\n```", Value::Array(found))
}

/// Requests of one connection, one after the other, until its end.
fn serve(stream: &TcpStream, heard: &Mutex<Vec<Asked>>, script: &Script) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read(&mut reader) {
        heard.lock().unwrap().push(asked.clone());
        let Answer { status, kind, body, after } = script(&asked);
        std::thread::sleep(after);
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = stream;
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { path, headers, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}
