//! The example, as its README tells it.

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{Home, Line, guestbook};

#[test]
fn three_visitors_control_c_and_the_fourth() {
    let home = Home::new();
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Launched guestbook as s1, root ko6.");
    kernel.says("The guestbook is open, 0 visitors so far.");
    kernel.type_line("Alice");
    assert_eq!(kernel.says("Welcome"), "Welcome, Alice! You are visitor 1.");
    let socket = home.path("guestbook.sock");
    let mut bob = Line::connect(&socket);
    assert_eq!(bob.ask("Bob"), "Welcome, Bob! You are visitor 2.");
    drop(bob);
    let mut carol = Line::connect(&socket);
    assert_eq!(carol.ask("Carol"), "Welcome, Carol! You are visitor 3.");
    assert_eq!(home.ok(&["send", "ko6", "visitors"]), "3\n");
    kernel.signal(Signal::INT);
    let (status, rest) = kernel.ends();
    assert!(status.success(), "{status:?} {rest}");
    assert_eq!(carol.next(), None);
    assert!(!socket.exists());

    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Resumed guestbook as s1, root ko6.");
    kernel.says("The guestbook is open, 3 visitors so far.");
    let mut dave = Line::connect(&socket);
    assert_eq!(dave.ask("Dave"), "Welcome, Dave! You are visitor 4.");
    kernel.type_line("Eve");
    assert_eq!(kernel.says("Welcome"), "Welcome, Eve! You are visitor 5.");
    kernel.signal(Signal::TERM);
    assert!(kernel.ends().0.success());
    home.assert_sound();
}

#[test]
fn without_input_it_goes_on_serving() {
    let home = Home::new();
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.end_input();
    kernel.tells("Launched guestbook");
    let mut bob = Line::connect(&home.path("guestbook.sock"));
    assert_eq!(bob.ask("Bob"), "Welcome, Bob! You are visitor 1.");
    assert!(kernel.ended().is_none());
    // The other way to stop it.
    home.stop();
    assert!(kernel.ends().0.success());
}

#[test]
fn a_killed_kernel_goes_on_where_it_was() {
    let home = Home::new();
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Launched guestbook");
    let socket = home.path("guestbook.sock");
    assert_eq!(Line::connect(&socket).ask("Bob"), "Welcome, Bob! You are visitor 1.");
    kernel.signal(Signal::KILL);
    kernel.ends();
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Resumed guestbook");
    assert_eq!(Line::connect(&socket).ask("Carol"), "Welcome, Carol! You are visitor 2.");
}

#[test]
fn a_changed_cluster_is_not_taken_for_the_stored_one() {
    let home = Home::new();
    let folder = home.beside("book");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("cluster.json");
    let source = folder.join("vat.js");
    let code = std::fs::read_to_string(crate::rig::vat("counter.js")).unwrap();
    std::fs::write(&source, &code).unwrap();
    let config = |name: &str| {
        let vat = json!({"sourceSpec": "./vat.js", "parameters": {"name": name}});
        json!({"bootstrap": "a", "vats": {"a": vat}}).to_string()
    };
    std::fs::write(&file, config("one")).unwrap();
    let mut kernel = home.run(&file, &[], &[]);
    kernel.tells("Launched book as s1, root ko4.");
    kernel.signal(Signal::INT);
    kernel.ends();

    // The code.
    std::fs::write(&source, format!("{code}\n// Changed.\n")).unwrap();
    let (status, said) = home.run(&file, &[], &[]).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    for part in ["book (s1)", "code of its vat a", "--name", "--replace"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // The config.
    std::fs::write(&source, &code).unwrap();
    std::fs::write(&file, config("two")).unwrap();
    let (status, said) = home.run(&file, &[], &[]).ends();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("config has changed"), "{said}");
    // Beside it.
    let mut kernel = home.run(&file, &["--name", "second"], &[]);
    kernel.tells("Launched second as s2");
    kernel.signal(Signal::INT);
    kernel.ends();
    // Instead of it.
    let mut kernel = home.run(&file, &["--replace"], &[]);
    kernel.tells("Ending book (s1)");
    let line = kernel.tells("Launched book as s3");
    let root = line.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned();
    assert_eq!(home.ask(&root, "name", json!([])), "#\"two\"");
    let list = home.ok(&["ls"]);
    assert!(list.contains("second") && !list.contains("s1"), "{list}");
}

#[test]
fn a_config_that_cannot_be_used_names_the_file_and_the_key() {
    let home = Home::new();
    let file = home.beside("cluster.json");
    let said = home.ocap(&["run", file.to_str().unwrap()]);
    assert!(said.code == Some(1) && said.stderr.contains("cluster.json"), "{said:?}");
    std::fs::write(&file, r#"{"bootstrap": "a", "vats": {"a": {"sourcSpec": "./x.js"}}}"#).unwrap();
    let said = home.ocap(&["run", file.to_str().unwrap()]);
    assert_eq!(said.code, Some(1));
    for part in ["cluster.json", "vats.a", "sourcSpec"] {
        assert!(said.stderr.contains(part), "{part}: {said:?}");
    }
    std::fs::write(&file, r#"{"bootstrap": "a", "vats": {"a": {"sourceSpec": "./x.js"}}}"#)
        .unwrap();
    let said = home.ocap(&["run", file.to_str().unwrap(), "--name", "x"]);
    assert!(said.code == Some(1) && said.stderr.contains("x.js"), "{said:?}");
    // Nothing is left of the attempt.
    home.start();
    assert_eq!(home.status()["subclusters"], json!([]));
}
