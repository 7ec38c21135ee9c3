//! The bridge as a matcher meets it: lines over a socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ocap_llm::{Bridge, BridgeOptions, Client, Endpoint, Model};
use serde_json::{Value, json};

use crate::model_server::{Answer, ModelServer};

const PATIENCE: Duration = Duration::from_mins(1);

/// A matcher's end of a connection.
struct Matcher {
    stream: BufReader<UnixStream>,
}

impl Matcher {
    /// A bridge on a connection of its own.
    fn with(server: &ModelServer) -> Matcher {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let bridge = bridge(server, "unused");
        std::thread::spawn(move || bridge.serve(theirs));
        Matcher::on(ours)
    }

    fn on(stream: UnixStream) -> Matcher {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Matcher { stream: BufReader::new(stream) }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.stream.get_mut(), "{line}").unwrap();
    }

    fn reply(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn ask(&mut self, request: Value) -> Value {
        self.send(&request.to_string());
        self.reply()
    }
}

fn bridge(server: &ModelServer, socket: &str) -> Bridge {
    let endpoint = Endpoint::new(&server.base(), "test", None).unwrap();
    let model = Model::of(Client::new(endpoint));
    Bridge::new(BridgeOptions { socket: socket.into(), model, logs_bodies: false })
}

fn service(id: &str, description: &str) -> Value {
    json!({"id": id, "description": description, "methods": [{"name": "m"}]})
}

fn query(text: &str) -> Value {
    json!({"kind": "query", "query": text})
}

#[test]
fn the_references_matcher_is_served_without_ids() {
    let server = ModelServer::matching();
    let mut matcher = Matcher::with(&server);
    for (id, text) in [("svc:0", "weather reports"), ("svc:1", "an echo")] {
        let ingest = json!({"kind": "ingest", "service": service(id, text)});
        assert_eq!(matcher.ask(ingest), json!({"kind": "ingested"}));
    }
    assert_eq!(server.asked().len(), 0, "services are taken in without the model");
    let found = json!([{"id": "svc:0", "rationale": "the model says so"}]);
    let wanted = json!({"kind": "matches", "matches": found});
    assert_eq!(matcher.ask(query("Weather")), wanted);
    // A query leaves nothing behind: the next one is told the same services, and not of this one.
    assert_eq!(matcher.ask(query("weather")), wanted);
    let asked = server.asked();
    assert_eq!(asked[0].body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(asked[1].body["messages"].as_array().unwrap().len(), 2);
    assert_eq!(asked[0].body["model"], "test");
    assert_eq!(matcher.ask(query("nothing")), json!({"kind": "matches", "matches": []}));
}

#[test]
fn what_is_no_request_is_an_error_and_the_next_one_is_served() {
    let server = ModelServer::matching();
    let mut matcher = Matcher::with(&server);
    matcher.send("");
    for line in ["{", "{\"kind\":\"dance\"}", "{\"kind\":\"query\",\"query\":5}"] {
        matcher.send(line);
        let reply = matcher.reply();
        assert_eq!(reply["kind"], "error", "{line}");
        assert!(reply["message"].as_str().unwrap().contains(line), "{reply}");
    }
    assert_eq!(matcher.ask(query("x"))["kind"], "matches");
}

#[test]
fn a_models_failure_is_the_error_of_one_query() {
    let replies = Arc::new(Mutex::new(vec![
        Answer::text("[]"),
        Answer::text("no idea"),
        Answer::of(400, "text/plain", "bad"),
    ]));
    let server = ModelServer::start(move |_| replies.lock().unwrap().pop().unwrap());
    let mut matcher = Matcher::with(&server);
    let message = |reply: Value| reply["message"].as_str().unwrap().to_owned();
    assert!(message(matcher.ask(query("x"))).contains("HTTP 400: bad"));
    assert!(message(matcher.ask(query("x"))).contains("is not parseable JSON: no idea"));
    assert_eq!(matcher.ask(query("x")), json!({"kind": "matches", "matches": []}));
}

/// A server that answers each query when the test says so, by the query's first word.
fn held() -> (ModelServer, Sender<String>) {
    let (release, released): (Sender<String>, Receiver<String>) = channel();
    let released = Mutex::new(released);
    let freed: Mutex<Vec<String>> = Mutex::default();
    let server = ModelServer::start(move |asked| {
        let prompt = asked.last().to_owned();
        loop {
            let mut freed = freed.lock().unwrap();
            if let Some(place) = freed.iter().position(|word| prompt.contains(word.as_str())) {
                freed.remove(place);
                return Answer::text("[]");
            }
            let next = released.lock().unwrap().recv_timeout(Duration::from_millis(5));
            freed.extend(next);
        }
    });
    (server, release)
}

#[test]
fn with_ids_replies_come_as_they_are_ready() {
    let (server, release) = held();
    let mut matcher = Matcher::with(&server);
    let hello = json!({"id": 1, "kind": "hello", "protocol": 1, "registry": "r"});
    let answer = json!({"id": 1, "kind": "hello", "protocol": 1, "registry": null, "has": []});
    assert_eq!(matcher.ask(hello), answer);
    for (id, word) in [(2, "slow"), (3, "fast")] {
        matcher.send(&json!({"id": id, "kind": "query", "query": word}).to_string());
    }
    // Registering does not wait for the model.
    let ingest = json!({"id": 4, "kind": "ingest", "service": service("svc:0", "x")});
    assert_eq!(matcher.ask(ingest), json!({"id": 4, "kind": "ingested"}));
    release.send("fast".into()).unwrap();
    assert_eq!(matcher.reply(), json!({"id": 3, "kind": "matches", "matches": []}));
    release.send("slow".into()).unwrap();
    assert_eq!(matcher.reply()["id"], 2);
}

#[test]
fn it_connects_again_and_is_told_only_what_it_does_not_know() {
    let server = ModelServer::matching();
    let folder = tempfile::Builder::new().prefix("br").tempdir_in("/tmp").unwrap();
    let path = folder.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let running = bridge(&server, path.to_str().unwrap());
    // Ends with the process.
    std::thread::spawn(move || running.run());
    let accept = |listener: &UnixListener| Matcher::on(listener.accept().unwrap().0);
    let hello =
        |registry: &str| json!({"id": 1, "kind": "hello", "protocol": 1, "registry": registry});
    let sync = |clear: bool, forget: Value, services: Value| {
        json!({"id": 2, "kind": "sync", "registry": "r", "clear": clear, "forget": forget,
            "services": services})
    };

    let mut matcher = accept(&listener);
    assert_eq!(matcher.ask(hello("r"))["has"], json!([]));
    let services = json!([service("svc:0", "echo a"), service("svc:1", "echo b")]);
    assert_eq!(matcher.ask(sync(true, json!([]), services))["kind"], "synced");
    drop(matcher);

    // The kernel is away for a while.
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let mut matcher = accept(&listener);
    let known = matcher.ask(hello("r"));
    assert_eq!((&known["registry"], &known["has"]), (&json!("r"), &json!(["svc:0", "svc:1"])));
    let services = json!([service("svc:2", "echo c")]);
    assert_eq!(matcher.ask(sync(false, json!(["svc:0"]), services))["kind"], "synced");
    let forget = json!({"id": 3, "kind": "forget", "ids": ["svc:1", "svc:77"]});
    assert_eq!(matcher.ask(forget), json!({"id": 3, "kind": "forgotten"}));
    let found = matcher.ask(json!({"id": 4, "kind": "query", "query": "echo"}));
    assert_eq!(found["matches"][0]["id"], "svc:2");
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
    drop(matcher);

    // Another matcher's services are others, whatever their ids.
    let mut matcher = accept(&listener);
    assert_eq!(matcher.ask(hello("other"))["has"], json!([]));
    drop(matcher);
    // And one that does not say hello has forgotten all of them.
    let mut matcher = accept(&listener);
    assert_eq!(matcher.ask(query("echo")), json!({"kind": "matches", "matches": []}));
}
