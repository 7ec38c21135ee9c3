//! Ten thousand lines of nonsense.

use std::io::{Read, Write};
use std::thread;

use serde_json::{Value, json};

use crate::rig::{Home, connect, vat};

const LINES: u64 = 10_000;
const CLIENTS: u64 = 4;

/// Valid requests to start from. None of them ends anything that exists.
fn templates(counter: &str) -> Vec<String> {
    let config = json!({
        "bootstrap": "a", "services": ["kernelFacet"], "forceReset": false,
        "io": {"line": {"type": "socket", "path": "hostile.sock", "unit": "line"}},
        "vats": {"a": {"sourceSpec": "/nowhere/x.js", "parameters": {"n": [1, null]},
                       "creationOptions": {"limits": {"crankTicks": 100}}, "globals": ["Date"]}},
    });
    [
        json!({"jsonrpc": "2.0", "id": "\u{2603}", "method": "getStatus", "params": []}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "launchSubcluster", "params": {"config": config}}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "queueMessage",
               "params": [counter, "echo", [{"#tag": "!x", "$0": ["+5", "#NaN", "&7"]}]]}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "queueMessage", "params": ["ko9999", "echo", []]}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "queueMessage", "params": ["kp77", "echo", [1e300]]}),
        json!({"jsonrpc": "2.0", "id": 5, "method": "pingVat", "params": {"id": "v1"}}),
        json!({"jsonrpc": "2.0", "id": 6, "method": "restartVat", "params": {"id": "v9999"}}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "terminateVat", "params": {"id": "v9999"}}),
        json!({"jsonrpc": "2.0", "id": 8, "method": "terminateSubcluster", "params": {"id": "s9999"}}),
    ]
    .iter()
    .map(Value::to_string)
    .collect()
}

/// A small generator of noise: a failure is repeated by its seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn line(&mut self, templates: &[String]) -> Vec<u8> {
        const PIECES: [&[u8]; 12] = [
            b"{", b"}", b"[", b"\"", b"\\u", b"\\ud800", b"\xff", b"1e999", b"-0", b"null", b"\0",
            b",",
        ];
        let mut line = match self.below(10) {
            0 => (0..self.below(300)).map(|_| self.next().to_le_bytes()[0]).collect(),
            1 => b"[".repeat(self.below(20_000)),
            2 => b"{\"a\":".repeat(self.below(5_000)),
            _ => templates[self.below(templates.len())].clone().into_bytes(),
        };
        for _ in 0..self.below(4) {
            let at = self.below(line.len() + 1);
            let end = (at + self.below(12)).min(line.len());
            let piece = PIECES[self.below(PIECES.len())];
            match self.below(4) {
                0 => drop(line.drain(at..end)),
                1 => drop(line.splice(at..at, piece.iter().copied())),
                2 => drop(line.splice(at..end, piece.iter().copied())),
                _ => {
                    if let Some(byte) = line.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        line.retain(|byte| *byte != b'\n');
        line.push(b'\n');
        line
    }
}

#[test]
fn nonsense_gets_defined_answers_and_does_no_harm() {
    let home = Home::new();
    home.start();
    let root = home.launch(&json!({
        "bootstrap": "a",
        "vats": {"a": {"sourceSpec": vat("counter.js")}},
    }));
    let templates = templates(&root);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (home, templates) = (&home, &templates);
            scope.spawn(move || {
                for seed in (client..LINES).step_by(usize::try_from(CLIENTS).unwrap()) {
                    let line = Noise(seed).line(templates);
                    check(home, seed, &line);
                }
            });
        }
    });
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    assert_eq!(home.status()["vats"].as_array().unwrap().len(), 1);
    home.stop();
    home.assert_sound();
}

fn check(home: &Home, seed: u64, line: &[u8]) {
    let mut stream = connect(&home.files.socket());
    let _ = stream.write_all(line);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "seed {seed}: {error}");
    }
    let shown = String::from_utf8_lossy(line);
    let answer: Value = serde_json::from_slice(&answer)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}, no answer to {shown}"));
    match answer["error"]["code"].as_i64() {
        None => assert!(answer.get("result").is_some(), "seed {seed}: {answer}"),
        Some(code) => {
            let known = [-32700, -32600, -32601, -32603].contains(&code);
            assert!(known, "seed {seed}: {answer} to {shown}");
            assert!(!answer["error"]["message"].as_str().unwrap().is_empty(), "seed {seed}");
        }
    }
}
