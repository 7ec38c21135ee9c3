//! The socket protocol, as the reference's clients know it.

use std::io::{Read, Write};
use std::time::Duration;

use ocap_daemon::client::ClientError;
use serde_json::{Value, json};

use crate::rig::{Home, connect, vat};

/// Requests and answers recorded from the reference, for a kernel with a cluster of two vats.
const TRANSCRIPT: &[(&str, &str)] = &[
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","ping",[]]}"#,
        r##"{"jsonrpc":"2.0","id":"r","result":{"body":"#\"pong\"","slots":[]}}"##,
    ),
    (
        r##"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","echo",[{"a":[1,2.5,true,null,"x\u00e9\u2603"],"b":{"@qclass":"no"},"#c":"!bang","d":"+5"}]]}"##,
        r##"{"jsonrpc":"2.0","id":"r","result":{"body":"#{\"!#c\":\"!!bang\",\"a\":[1,2.5,true,null,\"xé☃\"],\"b\":{\"@qclass\":\"no\"},\"d\":\"!+5\"}","slots":[]}}"##,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","echo",[]]}"#,
        r##"{"jsonrpc":"2.0","id":"r","result":{"body":"#\"#undefined\"","slots":[]}}"##,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","echo",[1e+21]]}"#,
        r##"{"jsonrpc":"2.0","id":"r","result":{"body":"#1e+21","slots":[]}}"##,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","boom",[]]}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"boom"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["banana","ping",[]]}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: At path: 0 -- Expected a value of type `KRef`, but received: `\"banana\"`"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":{"target":"ko4","method":"ping","args":[]}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: Expected an array, but received: [object Object]"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"getStatus","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: Expected an array value, but received: [object Object]"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"pingVat","params":{"id":"v1"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":"pong"}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"pingVat","params":{"id":"v99"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Vat does not exist."}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"pingVat","params":{"id":"zork"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: At path: id -- Expected a value of type `VatId`, but received: `\"zork\"`"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"restartVat","params":{"id":"v99"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Vat does not exist."}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"terminateVat","params":{"id":"v99"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Vat does not exist."}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"restartVat","params":{"id":"v2"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"launchSubcluster","params":{"config":{"bootstrap":"zz","vats":{"a":{"bundleSpec":"file:///x.bundle"}}}}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"invalid bootstrap vat name \"zz\""}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"launchSubcluster","params":{"config":{"bootstrap":"a"}}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: At path: config.vats -- Expected an object, but received: undefined"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"terminateSubcluster","params":{"id":"banana"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Invalid params: At path: id -- Expected a value of type `SubclusterId`, but received: `\"banana\"`"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"isRevoked","params":{"kref":"ko4"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":false}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"revoke","params":{"kref":"ko4"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"isRevoked","params":{"kref":"ko4"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":true}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"queueMessage","params":["ko4","ping",[]]}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"[KERNEL:OBJECT_REVOKED] Target object has been revoked"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"revoke","params":{"kref":"ko9999"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"collectGarbage","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"collectGarbage"}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"terminateSubcluster","params":{"id":"s1"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"terminateSubcluster","params":{"id":"s1"}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32603,"message":"Subcluster does not exist."}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"terminateAllVats","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"clearState","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":"r","result":null}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"frobnicate","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32601,"message":"The method does not exist / is not available."}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":"r","method":"toString","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":"r","error":{"code":-32601,"message":"The method does not exist / is not available."}}"#,
    ),
    (
        "42",
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: missing method"}}"#,
    ),
    (
        r#"[{"jsonrpc":"2.0","id":1,"method":"getStatus"}]"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request: missing method"}}"#,
    ),
    (
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32600,"message":"Invalid request: missing method"}}"#,
    ),
];

#[test]
fn the_transcript_of_the_reference() {
    let home = Home::new();
    home.start();
    let launched = home.rpc(
        "launchSubcluster",
        json!({"config": {"bootstrap": "alice", "vats": {
            "alice": {"sourceSpec": vat("counter.js"), "parameters": {"name": "alice"}},
            "bob": {"sourceSpec": vat("counter.js"), "parameters": {"name": "bob"}},
        }}}),
    );
    let ready = json!({"body": "#\"ready\"", "slots": []});
    assert_eq!(
        launched.unwrap(),
        json!({"subclusterId": "s1", "rootKref": "ko4", "bootstrapResult": ready})
    );
    for (request, answer) in TRANSCRIPT {
        assert_eq!(home.raw(format!("{request}\n").as_bytes()), format!("{answer}\n"), "{request}");
    }
    assert_eq!(home.rpc("shutdown", json!([])).unwrap(), json!({"status": "shutting down"}));
    crate::rig::eventually("the kernel ends", || !home.files.is_held());
}

#[test]
fn a_kernel_is_cleared() {
    let home = Home::new();
    home.start();
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": vat("counter.js")}}});
    for method in ["terminateAllVats", "clearState", "clearState"] {
        home.launch(&config);
        assert_eq!(home.status()["vats"].as_array().map(Vec::len), Some(1));
        assert_eq!(home.rpc(method, json!([])).unwrap(), Value::Null);
        let status = home.status();
        assert_eq!((&status["vats"], &status["subclusters"]), (&json!([]), &json!([])));
    }
    let launched = home.rpc("launchSubcluster", json!({"config": config})).unwrap();
    assert_eq!(launched["rootKref"], "ko4");
    for (method, params) in [
        ("clearState", json!({})),
        ("collectGarbage", json!([1])),
        ("terminateAllVats", json!({"id": "v1"})),
        ("revoke", json!({"kref": "banana"})),
        ("isRevoked", json!({"kref": "ko4", "more": 1})),
    ] {
        match home.rpc(method, params) {
            Err(ClientError::Rpc(error)) => {
                assert!(error.message.starts_with("Invalid params: "), "{method}: {error}");
            }
            other => panic!("{method}: {other:?}"),
        }
    }
    assert!(home.rpc("revoke", json!({"kref": "kp1"})).is_err());
}

#[test]
fn a_status_has_the_shape_of_the_reference() {
    let home = Home::new();
    home.start();
    let empty = home.status();
    assert_eq!(empty["vats"], json!([]));
    assert_eq!(empty["subclusters"], json!([]));
    let peer_id = home.ok(&["identity", "show"]);
    let comms = json!({"state": "identity-only", "peerId": peer_id.trim()});
    assert_eq!(empty["remoteComms"], comms);
    let config = json!({
        "bootstrap": "io",
        "services": ["line"],
        "io": {"line": {"type": "socket", "path": home.beside("line.sock")}},
        "vats": {"io": {"sourceSpec": vat("line.js"), "parameters": {"name": "io"}}},
    });
    home.launch(&config);
    let status = home.status();
    assert_eq!(status["vats"][0]["id"], "v1");
    assert_eq!(status["vats"][0]["config"], config["vats"]["io"]);
    assert_eq!(status["vats"][0]["subclusterId"], "s1");
    assert_eq!(status["vats"][0]["state"], "running");
    assert_eq!(status["subclusters"][0]["id"], "s1");
    assert_eq!(status["subclusters"][0]["config"], config);
    assert_eq!(status["subclusters"][0]["vats"], json!({"io": "v1"}));
    assert_eq!(status["channels"][0]["state"], "listening");
}

#[test]
fn requests_that_are_not_quite_requests() {
    let home = Home::new();
    home.start();
    let code = |bytes: &[u8]| {
        let answer = home.raw(bytes);
        let value: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
        value["error"]["code"].as_i64()
    };
    assert_eq!(code(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\n"), Some(-32700));
    assert_eq!(code(b"\n"), Some(-32700));
    assert_eq!(code(b"{\"id\":\"\xff\xfe\",\"method\":\"getStatus\"}\n"), Some(-32700));
    assert_eq!(code(b"{\"id\":1,\"method\":\"getStatus\"}\n{\"id\":2}\n"), Some(-32600));
    // A client that ends its side still gets its answer; CRLF and any id are fine.
    let mut stream = connect(&home.files.socket());
    stream.write_all(b"{\"id\":{\"x\":\"\xe2\x98\x83\"},\"method\":\"getStatus\"}\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["id"], json!({"x": "\u{2603}"}));
    assert!(answer["result"]["vats"].is_array());
}

#[test]
fn a_message_to_nobody_is_refused() {
    let home = Home::new();
    home.start();
    for kref in ["ko9999", "kp9999"] {
        match home.rpc("queueMessage", json!([kref, "ping", []])) {
            Err(ClientError::Rpc(error)) => assert_eq!(error.code, -32603, "{error}"),
            other => panic!("{kref}: {other:?}"),
        }
    }
}

#[test]
fn a_specification_over_rpc_must_be_absolute() {
    let home = Home::new();
    home.start();
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": "./counter.js"}}});
    let refused = home.rpc("launchSubcluster", json!({ "config": config })).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("config.vats.a.sourceSpec") && text.contains("absolute"), "{text}");
}

#[test]
fn a_request_beyond_the_limit_is_refused_without_being_kept() {
    let home = Home::new();
    home.start();
    let pid = home.files.running_pid().unwrap();
    let before = peak_memory(pid);
    let piece = vec![b' '; 1024 * 1024];
    let mut stream = connect(&home.files.socket());
    let mut sent = 0;
    // As in the report of the reference's defect: 128 MiB without a newline.
    while sent < 128 && stream.write_all(&piece).is_ok() {
        sent += 1;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(String::from_utf8_lossy(&answer).contains("-32600"), "after {sent} MiB");
    let grown = peak_memory(pid) - before;
    assert!(grown < 100 * 1024, "grew by {grown} KiB");
    assert!(home.rpc("getStatus", json!([])).is_ok());
}

/// The most memory a process ever had, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_client_that_waits_for_ever_neither_blocks_others_nor_the_end() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let mut waiting = connect(&home.files.socket());
    let request = json!({"id": 1, "method": "queueMessage", "params": [root, "never", []]});
    waiting.write_all(format!("{request}\n").as_bytes()).unwrap();
    assert_eq!(home.ask(&root, "ping", json!([])), "#\"pong\"");
    home.stop();
    // It is told something, or at least that it is over.
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.contains("error"), "{answer}");
}

#[test]
fn a_client_times_out_by_itself() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let params = json!([root, "never", []]);
    let time = Duration::from_millis(200);
    let socket = home.files.socket();
    let late = ocap_daemon::client::call(&socket, "queueMessage", &params, Some(time));
    assert!(matches!(late, Err(ClientError::Timeout)), "{late:?}");
    let said = home.ocap(&["send", &root, "never", "--timeout", "1"]);
    assert_eq!((said.code, said.stderr.as_str()), (Some(1), "Error: Socket read timed out\n"));
}

#[test]
fn the_examples_of_the_page_are_requests() {
    let home = Home::new();
    home.start();
    for row in ocap_daemon::methods() {
        // One ends the kernel; after the other the connection stays open (tests of its own: `session`).
        if ["shutdown", "hello"].contains(&row.name) {
            continue;
        }
        let (name, example) = (row.name, row.example.params);
        let request = format!("{{\"method\":\"{name}\",\"params\":{example}}}\n");
        let answer: Value = serde_json::from_str(&home.raw(request.as_bytes())).unwrap();
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.starts_with("Invalid params"), "{name}: {message}");
        assert_ne!(answer["error"]["code"], -32601, "{name}");
    }
}
