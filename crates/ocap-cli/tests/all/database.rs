//! `executeDBQuery`: looking into the store of a kernel that runs.

use ocap_daemon::client::ClientError;
use serde_json::{Value, json};

use crate::rig::Home;

fn query(home: &Home, sql: &str) -> Result<Value, String> {
    home.rpc("executeDBQuery", json!({ "sql": sql })).map_err(|error| match error {
        ClientError::Rpc(error) => error.message,
        other => panic!("{sql}: {other}"),
    })
}

#[test]
fn a_query_sees_what_is_committed() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let row = |key: &str| query(&home, &format!("SELECT key, value FROM kv WHERE key = '{key}'"));
    assert_eq!(row("next.vat").unwrap(), json!([{"key": "next.vat", "value": "2"}]));
    assert_eq!(row("nothing").unwrap(), json!([]));
    // Whatever has been answered is there.
    for count in 1..=5 {
        assert_eq!(home.ask(&root, "bump", json!([])), format!("#{count}"));
        let found =
            query(&home, "SELECT value FROM kv WHERE key LIKE 'vs.v1.%' AND value LIKE '%#%'");
        let found = found.unwrap().to_string();
        assert!(found.contains(&format!("#{count}")), "{count}: {found}");
    }
    let counted = query(&home, "SELECT count(*) AS n, 1.5 AS half, NULL AS none FROM kv").unwrap();
    assert!(counted[0]["n"].as_u64().unwrap() > 10);
    assert_eq!((&counted[0]["half"], &counted[0]["none"]), (&json!(1.5), &Value::Null));
    // The order of the columns is that of the statement.
    let raw = json!({"method": "executeDBQuery", "params": {"sql":
        "SELECT value, key FROM kv WHERE key = 'next.vat'"}});
    let answer = home.raw(format!("{raw}\n").as_bytes());
    assert!(answer.contains(r#"[{"value":"2","key":"next.vat"}]"#), "{answer}");
}

#[test]
fn a_query_changes_nothing_and_sees_no_secrets() {
    let home = Home::new();
    home.start();
    home.launch_counter();
    for sql in [
        "UPDATE kv SET value = 'x'",
        "DELETE FROM main.kv RETURNING key",
        "SELECT * FROM main.kv",
        "SELECT * FROM sqlite_schema",
        "PRAGMA journal_mode = DELETE",
        "ATTACH ':memory:' AS more",
        "SELEKT 1",
        "",
    ] {
        assert!(query(&home, sql).is_err(), "{sql}");
    }
    assert_eq!(query(&home, "SELECT key FROM kv WHERE key LIKE 'secret%'").unwrap(), json!([]));
    for params in [json!([]), json!({}), json!({"sql": 1}), json!({"sql": "SELECT 1", "more": 1})] {
        let refused = home.rpc("executeDBQuery", params.clone()).unwrap_err();
        assert!(refused.to_string().starts_with("Invalid params"), "{params}: {refused}");
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn without_a_network_good_parameters_get_an_error_that_says_so() {
    let home = Home::new();
    home.start();
    let said = |method: &str, params: Value| home.rpc(method, params).unwrap_err().to_string();
    for params in [
        json!({}),
        json!({"relays": ["/ip4/1.2.3.4/tcp/9001/ws"], "directListenAddresses": [],
            "allowedWsHosts": ["example.org"], "maxRetryAttempts": 0, "maxQueue": 0,
            "maxUrlRelayHints": 1, "maxKnownRelays": 1}),
    ] {
        let said = said("initRemoteComms", params);
        assert!(said.contains("no network"), "{said}");
    }
    for params in [
        json!([]),
        json!({"relays": "x"}),
        json!({"relays": [1]}),
        json!({"maxQueue": -1}),
        json!({"maxKnownRelays": 0}),
        json!({"maxUrlRelayHints": 1.5}),
        json!({"bogus": 1}),
    ] {
        let said = said("initRemoteComms", params.clone());
        assert!(said.starts_with("Invalid params"), "{params}: {said}");
    }
    let hints = said("registerLocationHints", json!({"peerId": "12D3KooWfoo", "hints": []}));
    assert!(hints.starts_with("Remote comms not initialized"), "{hints}");
    for params in [json!({"peerId": "x"}), json!({"peerId": 1, "hints": []}), json!({"hints": [1]})]
    {
        let said = said("registerLocationHints", params.clone());
        assert!(said.starts_with("Invalid params"), "{params}: {said}");
    }
}
