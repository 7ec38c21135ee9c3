//! `ocap matcher` and `ocap llm-bridge`, as people use them.

use serde_json::{Value, json};

use crate::discovery::model_server::{Answer, ModelServer};
use crate::discovery::{Process, launch_scout, parsed};
use crate::rig::{Home, eventually};

fn ready(home: &Home) -> bool {
    let said = home.ocap(&["matcher", "status", "--json"]);
    serde_json::from_str::<Value>(&said.stdout).is_ok_and(|status| status["bridge"] == "ready")
}

#[test]
fn there_is_one_matcher_and_start_prints_its_url_and_nothing_else() {
    let home = Home::new();
    let said = home.ocap(&["matcher", "start"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let url = said.stdout.trim_end().to_owned();
    assert!(url.starts_with("ocap:") && said.stdout.lines().count() == 1, "{said:?}");
    assert_eq!(home.ok(&["matcher", "start"]).trim_end(), url);
    home.kill();
    assert_eq!(home.ok(&["matcher", "start"]).trim_end(), url);
    assert_eq!(home.status()["subclusters"].as_array().unwrap().len(), 1);
    let config = &home.status()["subclusters"][0]["config"];
    assert_eq!(
        (&config["bootstrap"], &config["io"]["llm"]["type"]),
        (&json!("matcher"), &json!("socket"))
    );

    let shown = home.ok(&["matcher", "status"]);
    for part in [&*url, "services  0", "not connected", "matcher-llm.sock"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let refused = home.ocap(&["matcher", "stop"]);
    assert!(refused.code == Some(1) && refused.stderr.contains("--force"), "{refused:?}");
    home.ok(&["matcher", "stop", "--force"]);
    for args in [["matcher", "status"].as_slice(), &["matcher", "stop", "--force"]] {
        let said = home.ocap(args);
        assert!(said.code == Some(1) && said.stderr.contains("there is no matcher"), "{said:?}");
    }
    let other = home.ok(&["matcher", "start"]);
    assert_ne!(other.trim_end(), url);
}

#[test]
fn of_several_starters_at_once_all_find_the_same_matcher() {
    let home = Home::new();
    home.start();
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let mut command = home.command(&["matcher", "start"]);
            command.stdin(std::process::Stdio::null());
            std::thread::spawn(move || command.output().unwrap())
        })
        .collect();
    let said: Vec<_> = starting.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(home.status()["subclusters"].as_array().unwrap().len(), 1);
    let url = home.ok(&["matcher", "start"]);
    for output in said {
        let told = String::from_utf8(output.stdout).unwrap();
        let problem = String::from_utf8(output.stderr).unwrap();
        // One that comes while another launches it may be told so.
        assert!(told == url || problem.contains("try again"), "{told} {problem}");
    }
}

#[test]
fn a_model_answers_through_the_bridge_and_its_key_is_never_told() {
    let home = Home::new();
    let url = home.ok(&["matcher", "start"]);
    let scout = launch_scout(&home, url.trim_end());
    for name in ["weather", "dice"] {
        home.ask(&scout, "make", json!([name, {"token": "t"}]));
        assert_eq!(home.ask(&scout, "registerByRef", json!([name, "t"])), "#\"registered\"");
    }
    let server = ModelServer::matching();
    let key = home.beside("key");
    std::fs::write(&key, "s3cret\n").unwrap();
    let tape = home.beside("tape");
    let mut command = home.command(&["llm-bridge", "--base-url", &server.base(), "--model", "m"]);
    command.arg("--key-file").arg(&key).arg("--record").arg(&tape);
    command.stderr(std::fs::File::create(home.beside("bridge.log")).unwrap());
    let bridge = Process::start(command);
    eventually("the bridge is ready", || ready(&home));
    let find = |text: &str| home.ask(&scout, "find", json!([text]));
    let found = find("weather tomorrow");
    assert_eq!(parsed(&found), json!([{"tag": "weather", "rationale": "the model says so"}]));
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), Some("Bearer s3cret"));
    drop(bridge);
    drop(server);
    for file in ["bridge.log", "tape"] {
        let text = std::fs::read_to_string(home.beside(file)).unwrap();
        assert!(!text.contains("s3cret"), "{file}: {text}");
    }
    let log = std::fs::read_to_string(home.beside("bridge.log")).unwrap();
    assert!(!log.contains("weather"), "{log}");
    let mut settings = crate::picture::steady(&home);
    settings.set_omit_expression(true);
    settings.set_snapshot_path("../snapshots");
    settings.bind(|| insta::assert_snapshot!("bridge_log", log));

    // The tape says the same without a model.
    let mut command = home.command(&["llm-bridge", "--model", "m", "--replay"]);
    command.arg(&tape).stderr(std::process::Stdio::null());
    let _bridge = Process::start(command);
    eventually("the bridge is ready", || ready(&home));
    assert_eq!(find("weather tomorrow"), found);
    assert!(find("something else").contains("the tape has no answer"));
}

#[test]
fn a_bridge_says_what_is_wrong_with_its_arguments() {
    let home = Home::new();
    for (args, problem) in [
        (["llm-bridge", "--base-url", "nowhere"].as_slice(), "base URL"),
        (&["llm-bridge", "--key-file", "/no/such/file"], "cannot read the key"),
        (&["llm-bridge", "--replay", "/no/such/file"], "No such file"),
        (&["llm-bridge", "--timeout", "0"], "positive whole number"),
    ] {
        let said = home.ocap(args);
        assert!(said.code == Some(1) && said.stderr.contains(problem), "{args:?}: {said:?}");
    }
}

#[test]
fn vats_chat_with_the_operators_model_within_their_budget() {
    let server = ModelServer::start(|asked| Answer::text(&format!("you said {}", asked.last())));
    let home = Home::new();
    home.files.prepare().unwrap();
    let config = format!(
        "[language_model]\nbase_url = \"{}\"\nmodel = \"small\"\nrequests_per_day = 2\n",
        server.base()
    );
    std::fs::write(home.path("config.toml"), config).unwrap();
    home.start();
    let root = home.launch(&json!({
        "bootstrap": "chatter",
        "services": ["languageModelService"],
        "vats": {"chatter": {"sourceSpec": crate::rig::vat("chatter.js")}},
    }));
    let answer = parsed(&home.ask(&root, "chat", json!(["hi"])));
    assert_eq!(answer["choices"][0]["message"]["content"], "you said hi");
    assert_eq!(answer["usage"]["total_tokens"], 10);
    assert_eq!(answer.get("extra"), None);
    assert_eq!(server.asked()[0].body["model"], "small");
    let said = home.ask(&root, "sample", json!([]));
    assert!(said.contains("raw sampling not supported by this backend"), "{said}");
    home.ask(&root, "chat", json!(["again"]));
    let said = home.ask(&root, "chat", json!(["once more"]));
    assert!(said.contains("2 of 2 requests today"), "{said}");
    assert_eq!(server.asked().len(), 2);
}
