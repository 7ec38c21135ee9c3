//! What the reference's daemon answered, line by line, and what ours does.
//!
//! `tests/data/rpc-transcript.jsonl` holds requests and the bytes the reference answered with. Each is
//! sent to a daemon of ours, in order, with bundles that do what the originals did. Answers are equal
//! but for [`DIFFERENCES`].

use std::collections::BTreeSet;
use std::path::Path;

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::rig::{Home, connect, eventually};

/// How an answer of ours is to differ.
enum Ours {
    /// It has everything the reference's has, and more.
    More,
    /// A status without vats and subclusters, for the request's id.
    Empty,
    /// An error of this code, with this in its message.
    Error(i64, &'static str),
    /// A result that begins so.
    Result(&'static str),
}

use Ours::{Empty, Error, More, Result};

const MORE: &str = "a status tells more here, and a peer id is a kernel's own";
const EMPTY: &str = "a subcluster ends with its last vat; there its record stays for ever";
const CAUSE: &str = "the error says what is wrong; there it hides the cause";
const CODE: &str = "JSON-RPC has codes for what is no request; there every error is internal";
const KEYS: &str = "the keys of the store are each kernel's own";
const OTHER_KERNEL: &str = "the URL is one of the kernel that was recorded";

/// Requests by their label, what they get here, and why.
const DIFFERENCES: &[(&str, Ours, &str)] = &[
    ("getStatus (empty kernel)", More, MORE),
    ("getStatus params []", More, MORE),
    ("getStatus (2 subclusters)", More, MORE),
    ("launchSubcluster: bundle missing", Error(-32603, "cannot read /nonexistent.bundle"), CAUSE),
    (
        "launchSubcluster: buildRootObject throws",
        Error(-32603, "Failed to launch vat v4 (a): thrown by buildRootObject"),
        CAUSE,
    ),
    (
        "launchSubcluster: unknown global",
        Error(-32603, "At path: config.vats.a.globals.0 -- unknown global \"process\""),
        CAUSE,
    ),
    ("issueOcapURL", Result("\"ocap:z"), "each URL is made of chance, there too"),
    ("issueOcapURL same kref again", Result("\"ocap:z"), "each URL is made of chance, there too"),
    (
        "issueOcapURL unknown kref",
        Error(-32603, "[KERNEL:OBJECT_DELETED]"),
        "no URL is issued for what does not exist",
    ),
    ("redeemOcapURL", Error(-32603, "Remote comms not initialized"), OTHER_KERNEL),
    ("redeemOcapURL tampered", Error(-32603, "Remote comms not initialized"), OTHER_KERNEL),
    ("redeemOcapURL of revoked", Error(-32603, "Remote comms not initialized"), OTHER_KERNEL),
    ("executeDBQuery", Result("[]"), KEYS),
    ("executeDBQuery all keys", Result("[{\"key\":\"c.v1.k.ko4\"},"), KEYS),
    (
        "executeDBQuery write statement",
        Error(-32603, "cannot modify kv"),
        "nothing can be written; there another statement could",
    ),
    ("getStatus after terminateVat", Empty, EMPTY),
    ("getStatus after terminate", Empty, EMPTY),
    ("malformed JSON", Error(-32700, "Parse error"), CODE),
    ("not an object (null)", Error(-32600, "Invalid request: missing method"), CODE),
    ("missing jsonrpc", Empty, EMPTY),
    ("notification (no id)", Empty, EMPTY),
    ("numeric id", Empty, EMPTY),
    ("object id", Empty, EMPTY),
    ("empty line", Error(-32700, "Parse error"), CODE),
    ("CRLF", Empty, EMPTY),
    ("invalid utf8", Error(-32700, "invalid UTF-8"), "there it is replaced, so that an id changes"),
    ("request in two chunks", Empty, EMPTY),
    (
        "utf8 char split between chunks",
        Empty,
        "there each chunk is decoded alone, so that the id changes; and see above",
    ),
    ("request then half-close", Empty, EMPTY),
    ("getStatus after clearState", More, MORE),
];

struct Line {
    label: String,
    request: Vec<u8>,
    response: String,
}

/// The transcript, with paths of this machine.
fn lines(home: &Home) -> Vec<Line> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let bundles = home.beside("bundles");
    std::fs::create_dir(&bundles).unwrap();
    for name in ["bench-vat", "io-vat", "error-build-throw"] {
        let code = std::fs::read_to_string(data.join(format!("{name}.js"))).unwrap();
        let bundle = json!({
            "moduleFormat": "iife",
            "code": code,
            "exports": ["buildRootObject"],
            "external": [],
        });
        std::fs::write(bundles.join(format!("{name}.bundle")), bundle.to_string()).unwrap();
    }
    let here = |text: &str| {
        let text = text.replace("file:///bundles", &format!("file://{}", bundles.display()));
        text.replace("/run/io1.sock", home.beside("io1.sock").to_str().unwrap())
    };
    let text = std::fs::read_to_string(data.join("rpc-transcript.jsonl")).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        // Bytes that no text can have.
        let request = here(&field("request")).into_bytes();
        let request = replace(&request, b"\\xff\\xfe", b"\xff\xfe");
        Line { label: field("label"), request, response: here(&field("response")) }
    };
    text.lines().map(line).collect()
}

fn replace(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(what.len()).position(|window| window == what) {
        Some(at) => [&bytes[..at], by, &bytes[at + what.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

/// Whether `more` has all of `less`: every field of every object, and equal lists otherwise.
fn includes(more: &Value, less: &Value) -> bool {
    match (more, less) {
        (Value::Object(more), Value::Object(less)) => {
            less.iter().all(|(key, less)| more.get(key).is_some_and(|more| includes(more, less)))
        }
        (Value::Array(more), Value::Array(less)) => {
            more.len() == less.len()
                && more.iter().zip(less).all(|(more, less)| includes(more, less))
        }
        _ => more == less,
    }
}

impl Ours {
    /// Whether an answer of ours is as it is to be.
    fn holds(&self, line: &Line, ours: &str) -> bool {
        let value = serde_json::from_str::<Value>(ours).unwrap_or_default();
        let request = serde_json::from_slice::<Value>(&line.request).unwrap_or_default();
        match self {
            More => {
                let mut theirs: Value = serde_json::from_str(&line.response).unwrap();
                theirs["result"].as_object_mut().unwrap().remove("remoteComms");
                includes(&value, &theirs)
            }
            Empty => {
                let status = &value["result"];
                let id = request["id"] == value["id"];
                id && status["vats"] == json!([]) && status["subclusters"] == json!([])
            }
            Error(code, text) => {
                let error = &value["error"];
                let message = error["message"].as_str().unwrap_or_default();
                error["code"] == *code && message.contains(text)
            }
            Result(text) => value["result"].to_string().starts_with(text),
        }
    }
}

/// Sends a line as it is. If it has no end, nothing more will come.
fn ask(home: &Home, request: &[u8]) -> String {
    let mut stream = connect(&home.files.socket());
    stream.write_all(request).unwrap();
    if !request.ends_with(b"\n") {
        stream.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn every_line_of_the_transcript_is_answered_as_there_or_differs_as_listed() {
    let home = Home::new();
    home.start();
    let mut used = BTreeSet::new();
    let mut wrong = Vec::new();
    let lines = lines(&home);
    assert!(lines.len() > 70, "{} lines", lines.len());
    for line @ Line { label, request, response } in &lines {
        let ours = ask(&home, request);
        let listed = DIFFERENCES.iter().find(|(name, ..)| name == label);
        used.extend(listed.map(|(name, ..)| *name));
        match listed {
            None if ours == *response => {}
            None => wrong.push(format!("{label}: differs\n  there {response}  here  {ours}")),
            Some(_) if ours == *response => wrong.push(format!("{label}: is no difference")),
            Some((_, expected, _)) if expected.holds(line, &ours) => {}
            Some(_) => wrong.push(format!("{label}: differs otherwise than listed: {ours}")),
        }
    }
    let unused = DIFFERENCES.iter().filter(|(name, ..)| !used.contains(name));
    wrong.extend(unused.map(|(name, ..)| format!("{name}: no such line")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    eventually("the kernel ends, as it was asked to", || !home.files.is_held());
}
