//! Sessions: many requests on one connection, and what a client can subscribe to.

use std::time::Duration;

use ocap_daemon::client::{ClientError, Session, Terms};
use serde_json::{Value, json};

use crate::rig::{Home, PATIENCE, vat};

fn open(home: &Home) -> Session {
    Session::open(&home.files.socket(), Some(PATIENCE)).unwrap()
}

fn subscribe(session: &mut Session, params: &Value) -> Value {
    session.call("subscribe", params, Some(PATIENCE)).unwrap()["subscription"].clone()
}

#[test]
fn messages_of_a_session_are_accepted_in_order_and_answered_as_they_are_ready() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let mut session = open(&home);
    let greeting = session.greeting();
    assert_eq!((&greeting["server"], &greeting["protocol"]), (&json!("ocap"), &json!(1)));
    let methods = greeting["methods"].as_array().unwrap();
    assert!(methods.contains(&json!("queueMessage")) && methods.contains(&json!("subscribe")));
    let never = session.ask("queueMessage", &json!([root, "never", []]), Terms::default()).unwrap();
    // More than may be under way at once: the client is held up, and nothing is lost.
    let asked: Vec<_> = (0..500)
        .map(|_| session.ask("queueMessage", &json!([root, "bump", []]), Terms::default()).unwrap())
        .collect();
    for (n, asked) in asked.into_iter().enumerate() {
        let answer = session.outcome(asked, Some(PATIENCE)).unwrap();
        assert_eq!(answer["body"], format!("#{}", n + 1));
    }
    let late = session.outcome(never, Some(Duration::from_millis(10)));
    assert!(matches!(late, Err(ClientError::Timeout)), "{late:?}");
    let terms = Terms { deadline: Some(Duration::from_millis(50)), ..Terms::default() };
    let asked = session.ask("queueMessage", &json!([root, "never", []]), terms).unwrap();
    match session.outcome(asked, Some(PATIENCE)) {
        Err(ClientError::Rpc(error)) => assert_eq!(error.code, ocap_daemon::rpc::DEADLINE),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_subscriber_sees_vats_come_change_and_go() {
    let home = Home::new();
    home.start();
    let mut session = open(&home);
    let subscription = subscribe(&mut session, &json!({"topic": "status"}));
    let first = session.event(Some(PATIENCE)).unwrap();
    assert_eq!(first.method, "status");
    assert_eq!(first.params["subscription"], subscription);
    assert_eq!(first.params["status"]["vats"], json!([]));
    let root = home.launch_counter();
    let mut until = |found: &dyn Fn(&Value) -> bool| loop {
        let event = session.event(Some(PATIENCE)).unwrap();
        if found(&event.params) {
            return event.params;
        }
    };
    let vat = |params: &Value| params["changed"]["vats"][0].clone();
    let there = until(&|params| vat(params)["state"] == "running");
    assert_eq!(vat(&there)["id"], "v1");
    assert_eq!(home.ask(&root, "bump", json!([])), "#1");
    until(&|params| vat(params)["usage"]["messagesIn"] == 2);
    home.rpc("terminateSubcluster", json!({"id": "s1"})).unwrap();
    let gone = until(&|params| params["removed"]["vats"] == json!(["v1"]));
    assert_eq!(gone["removed"]["subclusters"], json!(["s1"]));
    let end = session.call("unsubscribe", &json!({"subscription": subscription}), Some(PATIENCE));
    assert_eq!(end.unwrap(), json!(true));
    let end = session.call("unsubscribe", &json!({"subscription": subscription}), Some(PATIENCE));
    assert_eq!(end.unwrap(), json!(false));
}

#[test]
fn a_subscriber_reads_the_log() {
    let home = Home::new();
    home.start();
    let mut session = open(&home);
    subscribe(&mut session, &json!({"topic": "log", "level": "warn", "targets": ["ocap_kernel"]}));
    let root = home.launch(&json!({"bootstrap": "a", "vats": {"a": {
        "sourceSpec": vat("counter.js"), "creationOptions": {"limits": {"crankTicks": 1000}},
    }}}));
    assert!(home.ask(&root, "spin", json!([])).contains("VAT_FATAL"));
    let event = session.event(Some(PATIENCE)).unwrap();
    assert_eq!((event.method.as_str(), &event.params["level"]), ("log", &json!("warn")));
    assert!(event.params["target"].as_str().unwrap().starts_with("ocap_kernel"), "{event:?}");
    assert_eq!(event.params["message"], "vat fault");
    assert_eq!(event.params["values"]["vat"], "v1");
    for params in [
        json!({"topic": "weather"}),
        json!({"topic": "status", "level": "info"}),
        json!({"topic": "log", "level": "loud"}),
        json!({"topic": "log", "targets": [1]}),
        json!([]),
    ] {
        let refused = session.call("subscribe", &params, Some(PATIENCE));
        assert!(refused.unwrap_err().to_string().contains("Invalid params"), "{params}");
    }
}

#[test]
fn sessions_neither_delay_the_end_nor_outlive_it() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let mut session = open(&home);
    subscribe(&mut session, &json!({"topic": "status"}));
    let never = session.ask("queueMessage", &json!([root, "never", []]), Terms::default()).unwrap();
    home.stop();
    match session.outcome(never, Some(PATIENCE)) {
        Err(ClientError::Rpc(_) | ClientError::Broken(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_only_sessions_can_do_is_refused_elsewhere() {
    let home = Home::new();
    home.start();
    for method in ["subscribe", "unsubscribe"] {
        let refused = home.rpc(method, json!({"topic": "status"})).unwrap_err();
        assert!(refused.to_string().contains("say hello first"), "{refused}");
    }
    let mut session = open(&home);
    let refused = session.call("hello", &json!({}), Some(PATIENCE)).unwrap_err();
    assert!(refused.to_string().contains("first request"), "{refused}");
    assert!(home.rpc("hello", json!({"bogus": 1})).is_err());
    // With other requests beside it, a connection without a greeting is good for none.
    let answer = home.raw(b"{\"method\":\"getStatus\"}\n{\"method\":\"hello\"}\n");
    assert!(answer.contains("Only one request"), "{answer}");
}
