//! What is sent to an endpoint, and what is made of its answers.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ocap_llm::{Client, Endpoint, Key, Model, ModelError};
use serde_json::json;

use crate::model_server::{Answer, ModelServer};

fn endpoint(server: &ModelServer) -> Endpoint {
    let key = Key::new("s3cret").unwrap();
    Endpoint::new(&format!("{}/", server.base()), "test", Some(key)).unwrap()
}

#[test]
fn a_chat_is_posted_with_its_key_and_the_answer_comes_back() {
    let server = ModelServer::start(|_| Answer::text("hello"));
    let client = Client::new(endpoint(&server));
    let request = json!({"model": "test", "messages": [{"role": "user", "content": "hi"}]});
    let answer = client.complete(&request).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "hello");
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/v1/chat/completions");
    assert_eq!(asked[0].header("authorization"), Some("Bearer s3cret"));
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    assert_eq!(asked[0].body, request);
}

#[test]
fn a_refusal_is_told_with_its_code_and_not_asked_again() {
    let server = ModelServer::start(|_| Answer::of(401, "text/plain", "who are you? ".repeat(99)));
    let error = Client::new(endpoint(&server)).complete(&json!({})).unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("the model's endpoint returned HTTP 401: who are you?"), "{said}");
    assert!(said.len() < 300, "{said}");
    assert!(!error.summary().contains("who"), "{}", error.summary());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn what_may_pass_is_tried_again() {
    let tries = AtomicU32::new(0);
    let server = ModelServer::start(move |_| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::of(503, "text/plain", "busy"),
        _ => Answer::text("now"),
    });
    let answer = Client::new(endpoint(&server)).complete(&json!({})).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "now");
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_model_that_takes_too_long_is_not_waited_for() {
    let server = ModelServer::start(|_| Answer {
        after: Duration::from_secs(20),
        ..Answer::text("too late")
    });
    let mut endpoint = endpoint(&server);
    endpoint.time_max = Duration::from_millis(200);
    let error = Client::new(endpoint).complete(&json!({})).unwrap_err();
    assert!(matches!(error, ModelError::Late(_)), "{error:?}");
}

#[test]
fn an_endpoint_that_is_not_there_is_an_error() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let endpoint = Endpoint::new(&format!("http://{address}"), "test", None).unwrap();
    let error = Client::new(endpoint).complete(&json!({})).unwrap_err();
    assert!(matches!(error, ModelError::Unreachable(_)), "{error:?}");
}

#[test]
fn answers_without_text_are_refused() {
    for body in ["", "[]", "{\"choices\":[]}", "{\"choices\":[{\"message\":{\"content\":5}}]}"] {
        let server = ModelServer::start(move |_| Answer::of(200, "application/json", body));
        let error = Client::new(endpoint(&server)).complete(&json!({})).unwrap_err();
        assert!(matches!(error, ModelError::Malformed(_)), "{body}: {error:?}");
    }
}

#[test]
fn a_stream_that_nobody_asked_for_is_understood() {
    let stream = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n";
    let server =
        ModelServer::start(move |_| Answer::of(200, "text/event-stream; charset=utf-8", stream));
    let answer = Client::new(endpoint(&server)).complete(&json!({})).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "ab");
}

#[test]
fn what_a_model_said_is_played_again_from_tape() {
    let folder = tempfile::tempdir().unwrap();
    let tape = folder.path().join("tape");
    let count = AtomicU32::new(0);
    let server = ModelServer::start(move |_| {
        Answer::text(&format!("answer {}", count.fetch_add(1, Ordering::SeqCst)))
    });
    let turns = |text: &str| vec![ocap_llm::prompt::Turn { role: "user", content: text.into() }];
    let model = Model::of(Client::new(endpoint(&server))).recorded(&tape).unwrap();
    for (text, answer) in [("a", "answer 0"), ("b", "answer 1"), ("a", "answer 2")] {
        assert_eq!(model.say(&turns(text)).unwrap(), answer);
    }
    let recorded = std::fs::read_to_string(&tape).unwrap();
    assert!(!recorded.contains("s3cret"), "the key is not on tape");
    drop(server);
    let model = Model::on_tape(&tape, "test").unwrap();
    for (text, answer) in
        [("a", "answer 0"), ("a", "answer 2"), ("a", "answer 2"), ("b", "answer 1")]
    {
        assert_eq!(model.say(&turns(text)).unwrap(), answer);
    }
    assert!(matches!(model.say(&turns("c")), Err(ModelError::NotOnTape)));
    std::fs::write(&tape, "nonsense\n").unwrap();
    assert!(Model::on_tape(&tape, "test").unwrap_err().to_string().contains("line 1"));
}
