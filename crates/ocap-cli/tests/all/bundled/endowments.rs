//! Globals that vats ask for, those they do not get, and what is outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use super::{ask, cluster, daemon, launch, plain};
use crate::rig::Home;

/// All but the clock, randomness and the network.
const PLAIN: [&str; 15] = [
    "setTimeout",
    "clearTimeout",
    "setInterval",
    "clearInterval",
    "crypto",
    "SubtleCrypto",
    "TextEncoder",
    "TextDecoder",
    "URL",
    "URLSearchParams",
    "atob",
    "btoa",
    "AbortController",
    "AbortSignal",
    "structuredClone",
];

const NETWORK: [&str; 4] = ["fetch", "Request", "Headers", "Response"];

/// Launches a vat that asks for these globals; its root.
#[track_caller]
fn endowed(home: &Home, globals: &[&str], more: &Value) -> String {
    let mut config = more.clone();
    config["globals"] = json!(globals);
    launch(home, &[("endowed", "endowed", config)]).0
}

/// Why a launch with this config is refused.
#[track_caller]
fn refused(home: &Home, config: Value) -> String {
    let params = json!({"config": cluster(&[("endowed", "endowed", config)])});
    let refused = home.rpc("launchSubcluster", params).unwrap_err().to_string();
    let status = home.status();
    assert_eq!(status["subclusters"].as_array().unwrap().len(), 1, "{refused}");
    refused
}

#[test]
fn what_a_vat_asks_for_works_and_nothing_else_is_there() {
    let Some(home) = daemon() else { return };
    let all = [&PLAIN[..], &["Date", "Math"]].concat();
    let root = endowed(&home, &all, &json!({}));
    assert_eq!(plain(&ask(&home, &root, "there")), json!(PLAIN));
    let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for (method, args, answer) in [
        ("text", json!([]), json!([[104, 195, 169], "h\u{e9}"])),
        ("base64", json!([]), json!(["aGVsbG8=", "hello"])),
        ("url", json!([]), json!(["example.com:8080", ["1", "2"], "!#f", "q=a+b"])),
        ("abort", json!([]), json!([true, true, "enough", ["abort"]])),
        ("timeout", json!([]), json!("fired")),
        ("cleared", json!([]), json!("cleared")),
        ("interval", json!([3]), json!(3)),
        ("date", json!([]), json!(true)),
        ("random", json!([]), json!(true)),
        ("bytes", json!([]), json!([32, true, 36])),
        ("digest", json!([]), json!(format!("true {digest}"))),
        ("clone", json!([]), json!([[1, 2], false])),
    ] {
        assert_eq!(plain(&home.ask(&root, method, args)), answer, "{method}");
    }
    let now = plain(&ask(&home, &root, "now")).as_u64().unwrap();
    let host = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(host.as_millis().abs_diff(now.into()) < 60_000, "{now}");
    // One that asks for nothing, and one that asks for one thing.
    let bare = launch(&home, &[("endowed", "endowed", json!({}))]).0;
    assert_eq!(ask(&home, &bare, "there"), "#[]");
    for method in ["now", "date", "random"] {
        let said = ask(&home, &bare, method);
        assert!(said.contains("secure mode"), "{method}: {said}");
    }
    let one = endowed(&home, &["URL"], &json!({}));
    assert_eq!(ask(&home, &one, "there"), r#"#["URL"]"#);
    home.stop();
    // Whoever asked has what it asked for again, and timers still fire.
    home.start();
    assert_eq!(plain(&ask(&home, &root, "there")), json!(PLAIN));
    assert_eq!(home.ask(&root, "interval", json!([2])), "#2");
    assert_eq!(ask(&home, &bare, "there"), "#[]");
    home.stop();
    home.assert_sound();
}

#[test]
fn what_there_is_not_cannot_be_asked_for() {
    let Some(home) = daemon() else { return };
    endowed(&home, &[], &json!({}));
    let said = refused(&home, json!({"globals": ["URL", "process"]}));
    assert!(said.contains("unknown global \"process\""), "{said}");
    let said = refused(&home, json!({"globals": ["fetch"]}));
    let wanted = "Vat \"v2\" requested \"fetch\" but no network.allowedHosts was specified";
    assert!(said.contains(wanted), "{said}");
    home.stop();
    home.assert_sound();
}

/// A server that says which path it was asked for, and sends back what it is sent.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let _ = serve(stream);
        }
    });
    port
}

fn serve(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut sent = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    reader.read_exact(&mut sent).ok()?;
    let path = head.split(' ').nth(1)?;
    let tested = if head.contains("x-test: yes") { " tested" } else { "" };
    let body = format!("{path}{tested} {}", String::from_utf8_lossy(&sent));
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + &body).as_bytes()).ok()
}

#[test]
fn fetch_reaches_the_allowed_hosts_only() {
    let Some(home) = daemon() else { return };
    let port = server();
    let config = json!({
        "network": {"allowedHosts": ["127.0.0.1"]},
        "parameters": {"port": port},
    });
    let root = endowed(&home, &NETWORK, &config);
    assert_eq!(plain(&ask(&home, &root, "there")), json!(NETWORK));
    assert_eq!(plain(&ask(&home, &root, "get")), json!([200, "/page ", true]));
    assert_eq!(plain(&home.ask(&root, "post", json!(["a body"]))), json!("/echo tested a body"));
    assert_eq!(
        plain(&ask(&home, &root, "made")),
        json!([201, "body", "b", "PUT", "https://example.com/x", ["k"]])
    );
    for (url, wanted) in [
        (format!("http://localhost:{port}/page"), "Error: Invalid host: localhost"),
        ("https://example.com/".to_owned(), "Error: Invalid host: example.com"),
        ("data:text/plain,x".to_owned(), "Error: Invalid host: "),
        ("file:///etc/passwd".to_owned(), "fs"),
    ] {
        let said = home.ask(&root, "get", json!([url]));
        assert!(said.contains(wanted), "{url}: {said}");
    }
    // An empty list: nobody.
    let config = json!({"network": {"allowedHosts": []}, "parameters": {"port": port}});
    let none = endowed(&home, &NETWORK, &config);
    assert_eq!(ask(&home, &none, "get"), "#\"Error: Invalid host: 127.0.0.1\"");
    home.stop();
    home.start();
    assert_eq!(plain(&ask(&home, &root, "get")), json!([200, "/page ", true]));
    home.stop();
    home.assert_sound();
}

#[test]
fn files_below_a_folder_are_read_and_no_others() {
    let Some(home) = daemon() else { return };
    let folder = home.beside("files");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.txt"), "h\u{e9}llo").unwrap();
    std::fs::write(home.beside("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(home.beside("secret.txt"), folder.join("link.txt")).unwrap();
    let fs = json!({"rootDir": folder, "existsSync": true, "promises": {"readFile": true}});
    let root = endowed(&home, &[], &json!({"platformConfig": {"fs": fs}}));
    assert_eq!(ask(&home, &root, "there"), r#"#["fs"]"#);
    assert_eq!(home.ask(&root, "read", json!(["a.txt"])), "#\"h\u{e9}llo\"");
    for (path, there) in [("a.txt", true), ("none.txt", false), ("../secret.txt", false)] {
        assert_eq!(home.ask(&root, "exists", json!([path])), format!("#{there}"), "{path}");
    }
    for (path, wanted) in [
        ("none.txt", "fs.readFile: ENOENT"),
        ("link.txt", "fs.readFile: Symlinks are prohibited"),
        ("../secret.txt", "is outside the vat's folder"),
    ] {
        let said = home.ask(&root, "read", json!([path]));
        assert!(said.contains(wanted), "{path}: {said}");
    }
}
