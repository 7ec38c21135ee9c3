//! What others do not get to see.

use ocap_daemon::client::ClientError;
use serde_json::json;

use crate::rig::Home;

#[test]
fn nobody_reads_the_store_over_the_socket() {
    let home = Home::new();
    home.start();
    let params = json!({"sql": "SELECT key, value FROM kv"});
    let answer = home.rpc("executeDBQuery", params);
    assert!(matches!(&answer, Err(ClientError::Rpc(error)) if error.code == -32601), "{answer:?}");
}

#[test]
fn no_message_body_reaches_the_log() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let secret = "tell-nobody-4711";
    assert!(home.ask(&root, "echo", json!([secret])).contains(secret));
    assert!(home.ask(&root, "pingOther", json!([secret])).contains("ping"));
    let _ = home.ask(&root, secret, json!([secret]));
    let _ = home.ask("ko999", "echo", json!([secret]));
    home.stop();
    let log = home.log();
    assert!(log.contains("Stopped."), "{log}");
    assert!(!log.contains(secret), "{log}");
}
