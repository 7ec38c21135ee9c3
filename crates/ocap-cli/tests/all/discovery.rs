//! Service discovery with real parts: the matcher's vat in a real daemon, providers and consumers in
//! others of its vats, and a bridge that is either the real one or a test that speaks its protocol.

mod bridge;
mod command;
mod lives;
#[allow(dead_code, reason = "shared with tests that look at more of it")]
#[path = "../../../ocap-llm/tests/all/model_server.rs"]
mod model_server;
mod queries;
mod registration;
mod soak;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{JoinHandle, spawn};

use ocap_daemon::client;
use serde_json::{Value, json};

use crate::rig::{Home, Line, PATIENCE, eventually, repository, vat};

/// A daemon with a matcher, and a vat that plays providers and consumers.
struct Place {
    home: Home,
    matcher: String,
    url: String,
    scout: String,
}

fn shipped(path: &str) -> String {
    repository().join("vats").join(path).to_str().unwrap().to_owned()
}

/// The matcher's cluster, as `ocap matcher start` has it, with parameters of a test.
fn matcher_config(parameters: &Value) -> Value {
    json!({
        "name": "matcher",
        "bootstrap": "matcher",
        "services": ["ocapURLIssuerService", "ocapURLRedemptionService", "timer"],
        "io": {"llm": {"type": "socket", "path": "matcher-llm.sock", "clients": "many"}},
        "vats": {"matcher": {
            "sourceSpec": shipped("matcher/matcher.js"),
            "globals": ["crypto", "setTimeout", "clearTimeout"],
            "parameters": parameters,
        }},
    })
}

impl Place {
    fn new() -> Place {
        Place::with(&json!({}))
    }

    fn with(parameters: &Value) -> Place {
        let home = Home::new();
        home.start();
        let matcher = home.launch(&matcher_config(parameters));
        let url = text(&home.ask(&matcher, "getMatcherUrl", json!([])));
        let scout = launch_scout(&home, &url);
        Place { home, matcher, url, scout }
    }

    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn scout(&self, method: &str, args: Value) -> String {
        self.home.ask(&self.scout, method, args)
    }

    /// Has the scout make a contact whose token is "t".
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn make(&self, name: &str, options: Value) {
        let mut all = json!({"token": "t"});
        let more = options.as_object().unwrap().clone();
        all.as_object_mut().unwrap().extend(more);
        let url = self.scout("make", json!([name, all]));
        assert!(url.starts_with("#\"ocap:"), "{url}");
    }

    fn register(&self, name: &str) -> String {
        self.scout("registerByRef", json!([name, "t"]))
    }

    /// The same, while the test does something else, such as play the bridge.
    fn registering(&self, how: &str, name: &str) -> JoinHandle<String> {
        self.asking(how, json!([name, "t"]))
    }

    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn asking(&self, method: &str, args: Value) -> JoinHandle<String> {
        let (socket, params) = (self.home.files.socket(), json!([self.scout, method, args]));
        spawn(move || answer_of(&socket, &params))
    }

    /// The registry: ids and tags.
    fn registry(&self) -> Vec<(String, String)> {
        let all = parsed(&self.home.ask(&self.matcher, "listAll", json!([])));
        let of = |entry: &Value| {
            let id = entry["id"].as_str().unwrap().to_owned();
            (id, entry["description"]["providerTag"].as_str().unwrap().to_owned())
        };
        all.as_array().unwrap().iter().map(of).collect()
    }

    fn bridge_state(&self) -> String {
        let status = parsed(&self.home.ask(&self.matcher, "getStatus", json!([])));
        status["bridge"].as_str().unwrap().to_owned()
    }

    fn bridge_is_ready(&self) {
        eventually("the bridge is ready", || self.bridge_state() == "ready");
    }

    /// Connects as a bridge, and reads the matcher's greeting.
    fn connect(&self) -> Player {
        let path = self.home.path("matcher-llm.sock");
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            // One that comes while the matcher hangs up on another may be turned away.
            let mut line = Line::connect(&path);
            if let Some(hello) = line.next() {
                let hello: Value = serde_json::from_str(&hello).unwrap();
                assert_eq!(hello["kind"], "hello", "{hello}");
                return Player { line, hello };
            }
            assert!(std::time::Instant::now() < deadline, "no greeting");
        }
    }

    /// Connects as a bridge that does not know `hello`, as the reference's.
    fn plain_bridge(&self) -> Player {
        let mut player = self.connect();
        player.say(&json!({"kind": "error", "message": "unrecognized request shape"}));
        player
    }

    /// Connects as a bridge that knows nothing yet, and is told everything.
    fn new_bridge(&self) -> Player {
        let mut player = self.connect();
        player.greet(None, &[]);
        let sync = player.hears("sync");
        assert_eq!(sync["clear"], true);
        player.answer(&sync, json!({"kind": "synced"}));
        player
    }
}

fn launch_scout(home: &Home, url: &str) -> String {
    let scout = home.launch(&json!({
        "bootstrap": "scout",
        "services": ["ocapURLIssuerService", "ocapURLRedemptionService"],
        "vats": {"scout": {"sourceSpec": vat("scout.js")}},
    }));
    home.ask(&scout, "use", json!([url]));
    scout
}

/// The body of an answer, or the message of a rejection, or what broke.
fn answer_of(socket: &Path, params: &Value) -> String {
    match client::call(socket, "queueMessage", params, Some(PATIENCE)) {
        Ok(answer) => answer["body"].as_str().unwrap().to_owned(),
        Err(client::ClientError::Rpc(error)) => error.message,
        Err(error) => error.to_string(),
    }
}

/// An answer's body as JSON.
#[track_caller]
fn parsed(body: &str) -> Value {
    let json = body.strip_prefix('#').unwrap_or_else(|| panic!("no answer: {body}"));
    serde_json::from_str(json).unwrap()
}

#[track_caller]
fn text(body: &str) -> String {
    parsed(body).as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned()
}

/// A test that speaks for a bridge.
struct Player {
    line: Line,
    hello: Value,
}

impl Player {
    fn say(&mut self, reply: &Value) {
        self.line.send(&reply.to_string());
    }

    /// Answers the greeting with what it knows.
    fn greet(&mut self, registry: Option<&str>, has: &[&str]) {
        let (id, kind) = (self.hello["id"].clone(), "hello");
        self.say(&json!({"id": id, "kind": kind, "protocol": 1, "registry": registry, "has": has}));
    }

    /// The next request, which has to be of this kind.
    #[track_caller]
    fn hears(&mut self, kind: &str) -> Value {
        let line = self.line.next().expect("a request");
        let request: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(request["kind"], kind, "{request}");
        request
    }

    /// Answers a request that has an id.
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn answer(&mut self, request: &Value, mut reply: Value) {
        assert!(request["id"].is_number(), "{request}");
        reply["id"] = request["id"].clone();
        self.say(&reply);
    }
}

/// A process of ours, which ends with its guard.
struct Process(Child);

impl Process {
    fn start(mut command: Command) -> Process {
        Process(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    /// The real bridge, to a model's endpoint.
    fn bridge(home: &Home, base: &str) -> Process {
        let mut command = home.command(&["llm-bridge", "--base-url", base, "--model", "test"]);
        for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy", "https_proxy"] {
            command.env_remove(name);
        }
        let path = home.beside("bridge.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        command.stderr(log);
        Process::start(command)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
