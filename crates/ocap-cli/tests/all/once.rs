//! Requests with an `idempotencyKey`: whatever is lost or killed, they happen once.

use ocap_daemon::client::{ClientError, Session, Terms};
use serde_json::{Value, json};

use crate::rig::{Home, PATIENCE, vat};

fn open(home: &Home) -> Session {
    Session::open(&home.files.socket(), Some(PATIENCE)).unwrap()
}

fn terms(key: &str) -> Terms<'_> {
    Terms { idempotency_key: Some(key), ..Terms::default() }
}

fn ask(home: &Home, method: &str, params: &Value, key: &str) -> Result<Value, ClientError> {
    let mut session = open(home);
    let asked = session.ask(method, params, terms(key)).unwrap();
    session.outcome(asked, Some(PATIENCE))
}

fn refusal(outcome: Result<Value, ClientError>) -> String {
    match outcome {
        Err(ClientError::Rpc(error)) => error.message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_answer_can_be_asked_for_again() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let bump = json!([root, "bump", []]);
    for _ in 0..5 {
        let mut session = open(&home);
        session.ask("queueMessage", &bump, terms("first")).unwrap();
        // Its answer is lost with the session.
    }
    assert_eq!(ask(&home, "queueMessage", &bump, "first").unwrap()["body"], "#1");
    assert_eq!(ask(&home, "queueMessage", &bump, "second").unwrap()["body"], "#2");
    let boom = json!([root, "boom", []]);
    for _ in 0..2 {
        assert_eq!(refusal(ask(&home, "queueMessage", &boom, "third")), "boom");
    }
    let text = refusal(ask(&home, "queueMessage", &boom, "first"));
    assert!(text.contains("another request"), "{text}");
    assert_eq!(ask(&home, "queueMessage", &bump, "first").unwrap()["body"], "#1");
    let text = refusal(ask(&home, "getStatus", &json!([]), "first"));
    assert!(text.contains("takes no idempotencyKey"), "{text}");
    for key in ["", &"x".repeat(200)] {
        let text = refusal(ask(&home, "queueMessage", &bump, key));
        assert!(text.contains("1 to 128 bytes"), "{text}");
    }
    home.stop();
    home.start();
    assert_eq!(ask(&home, "queueMessage", &bump, "first").unwrap()["body"], "#1");
    assert_eq!(home.ask(&root, "bump", json!([])), "#3");
    home.stop();
    home.assert_sound();
}

#[test]
fn a_message_happens_once_whenever_the_kernel_is_killed() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let bump = json!([root, "bump", []]);
    for round in 0..8_u64 {
        let key = format!("round {round}");
        let mut session = open(&home);
        let asked = session.ask("queueMessage", &bump, terms(&key)).unwrap();
        // Sooner or later in its life, or after it.
        std::thread::sleep(std::time::Duration::from_millis(round * 2));
        home.kill();
        if let Ok(answer) = session.outcome(asked, Some(PATIENCE)) {
            assert_eq!(answer["body"], format!("#{}", round + 1));
        }
        home.start();
        for _ in 0..2 {
            let answer = ask(&home, "queueMessage", &bump, &key).unwrap();
            assert_eq!(answer["body"], format!("#{}", round + 1), "{key}");
        }
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn a_launch_happens_once_whenever_the_kernel_is_killed() {
    let home = Home::new();
    home.start();
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": vat("counter.js")}}});
    let params = json!({ "config": config });
    for round in 0..6_u64 {
        let key = format!("round {round}");
        let mut session = open(&home);
        let asked = session.ask("launchSubcluster", &params, terms(&key)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(round * 10));
        home.kill();
        let first = session.outcome(asked, Some(PATIENCE)).ok();
        home.start();
        let again = ask(&home, "launchSubcluster", &params, &key).unwrap();
        if let Some(first) = first {
            assert_eq!(first, again);
        }
        assert_eq!(ask(&home, "launchSubcluster", &params, &key).unwrap(), again);
        let subclusters = home.status()["subclusters"].as_array().map(Vec::len);
        assert_eq!(subclusters, Some(usize::try_from(round).unwrap() + 1));
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn a_launch_that_failed_can_be_tried_again() {
    let home = Home::new();
    home.start();
    let source = home.beside("late.js");
    let config = json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": source}}});
    let params = json!({ "config": config });
    assert!(ask(&home, "launchSubcluster", &params, "k").is_err());
    std::fs::copy(vat("counter.js"), &source).unwrap();
    let launched = ask(&home, "launchSubcluster", &params, "k").unwrap();
    // What it was launched from does not matter any more.
    std::fs::remove_file(&source).unwrap();
    assert_eq!(ask(&home, "launchSubcluster", &params, "k").unwrap(), launched);
    assert_eq!(home.status()["subclusters"].as_array().map(Vec::len), Some(1));
}
