//! The example of a channel with many clients, as its README tells it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::rig::{Home, Line, PATIENCE, eventually, repository};

/// The example's cluster, with a port that was free a moment ago; and that port.
fn cluster(home: &Home) -> (std::path::PathBuf, u16) {
    let folder = repository().join("examples/chat");
    let text = std::fs::read_to_string(folder.join("cluster.json")).unwrap();
    let mut config: Value = serde_json::from_str(&text).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config["io"]["port"]["hostport"] = json!(format!("127.0.0.1:{port}"));
    config["vats"]["chat"]["sourceSpec"] = json!(folder.join("chat.js"));
    let file = home.beside("chat.json");
    std::fs::write(&file, config.to_string()).unwrap();
    (file, port)
}

/// Somebody who came in by the socket and said their name.
fn guest(home: &Home, name: &str, others: &str) -> Line {
    let mut line = Line::connect(&home.path("chat.sock"));
    assert_eq!(line.next().as_deref(), Some("What is your name?"));
    assert_eq!(line.ask(name), format!("* With you: {others}"));
    line
}

#[test]
fn everybody_hears_everybody_and_again_after_a_kill() {
    let home = Home::new();
    let (file, port) = cluster(&home);
    let mut kernel = home.run(&file, &["--name", "chat"], &[]);
    kernel.tells("Launched chat as s1, root ko6.");
    let mut alice = guest(&home, "Alice", "nobody yet");
    let mut bob = guest(&home, "Bob", "Alice");
    assert_eq!(alice.next().as_deref(), Some("* Bob is here"));

    // By the other door.
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut carol = BufReader::new(stream);
    let hears = |carol: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        carol.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(hears(&mut carol), "What is your name?\n");
    carol.get_mut().write_all(b"Carol\n").unwrap();
    assert_eq!(hears(&mut carol), "* With you: Alice, Bob\n");
    carol.get_mut().write_all(b"Hello from the port\n").unwrap();
    for line in [&mut alice, &mut bob] {
        assert_eq!(line.next().as_deref(), Some("* Carol is here"));
        assert_eq!(line.next().as_deref(), Some("Carol: Hello from the port"));
    }
    assert_eq!(home.ask("ko6", "names", json!([])), "#[\"Alice\",\"Bob\",\"Carol\"]");
    let shown = home.ok(&["daemon", "status"]);
    assert!(shown.contains("2 clients") && shown.contains(" 1 client\n"), "{shown}");

    // Who leaves has left, and who says no name was never there.
    drop(bob);
    assert_eq!(alice.next().as_deref(), Some("* Bob has left"));
    assert_eq!(hears(&mut carol), "* Bob has left\n");
    let mut nobody = Line::connect(&home.path("chat.sock"));
    assert_eq!(nobody.ask(""), "What is your name?");
    assert_eq!(nobody.next(), None);

    kernel.signal(rustix::process::Signal::KILL);
    kernel.ends();
    assert_eq!(alice.next(), None);
    let mut kernel = home.run(&file, &["--name", "chat"], &[]);
    kernel.tells("Resumed chat");
    let mut alice = guest(&home, "Alice", "nobody yet");
    let mut dave = guest(&home, "Dave", "Alice");
    dave.send("Good evening");
    assert_eq!(alice.next().as_deref(), Some("* Dave is here"));
    assert_eq!(alice.next().as_deref(), Some("Dave: Good evening"));
    drop((alice, dave));
    eventually("nobody is left", || home.ask("ko6", "names", json!([])) == "#[]");
    kernel.signal(rustix::process::Signal::INT);
    assert!(kernel.ends().0.success());
    home.assert_sound();
}

/// Somebody who takes nothing does not keep the others from talking, and is sent away.
#[test]
fn a_guest_who_takes_nothing_is_sent_away() {
    let home = Home::new();
    let (file, _) = cluster(&home);
    let mut kernel = home.run(&file, &["--name", "chat"], &[]);
    kernel.tells("Launched chat");
    let mut deaf = guest(&home, "Deaf", "nobody yet");
    let mut alice = guest(&home, "Alice", "Deaf");
    let long = "x".repeat(100_000);
    // More than its connection and the system hold.
    for _ in 0..100 {
        alice.send(&long);
    }
    assert_eq!(alice.next().as_deref(), Some("* Deaf has left"));
    deaf.send_all("too late\n");
    let mut bob = guest(&home, "Bob", "Alice");
    alice.send("to whom it may concern");
    assert_eq!(bob.next().as_deref(), Some("Alice: to whom it may concern"));
    kernel.signal(rustix::process::Signal::INT);
    assert!(kernel.ends().0.success());
    home.assert_sound();
}
