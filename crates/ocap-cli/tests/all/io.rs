//! Channels come back with their kernel, each by itself.

use std::os::unix::net::UnixListener;
use std::path::Path;

use ocap_kernel::{ErrorKind, Kernel, LaunchRequest};
use ocap_types::config::ClusterConfig;
use serde_json::{Value, json};

use crate::rig::{Home, Line, eventually, vat};

fn cluster(path: &Path) -> Value {
    json!({
        "bootstrap": "a",
        "services": ["line"],
        "io": {"line": {"type": "socket", "path": path}},
        "vats": {"a": {"sourceSpec": vat("line.js")}},
    })
}

fn state(home: &Home, path: &Path) -> String {
    home.channel(path)["state"].as_str().unwrap().to_owned()
}

/// A line goes from the peer to the vat and one goes back.
#[track_caller]
fn assert_serves(home: &Home, root: &str, path: &Path) {
    let mut peer = Line::connect(path);
    peer.send("in");
    // A peer before may have left an end behind.
    let mut read = home.ask(root, "read", json!([]));
    if read == "#null" {
        read = home.ask(root, "read", json!([]));
    }
    assert_eq!(read, "#\"in\"");
    assert_eq!(home.ask(root, "write", json!(["out"])), "#\"#undefined\"");
    assert_eq!(peer.next().as_deref(), Some("out"));
}

#[test]
fn every_cluster_gets_its_channels_back() {
    let home = Home::new();
    home.start();
    let paths: Vec<_> = (0..3).map(|n| home.beside(&format!("{n}.sock"))).collect();
    let roots: Vec<_> = paths.iter().map(|path| home.launch(&cluster(path))).collect();
    let without = home.launch_counter();
    let krefs: Vec<_> = paths.iter().map(|path| home.channel(path)["kref"].clone()).collect();
    for (root, path) in roots.iter().zip(&paths) {
        assert_serves(&home, root, path);
    }
    home.stop();
    for path in &paths {
        assert!(!path.exists(), "{} is still there", path.display());
    }
    home.start();
    for (n, path) in paths.iter().enumerate() {
        assert_serves(&home, &roots[n], path);
        assert_eq!(home.channel(path)["kref"], krefs[n]);
    }
    assert_eq!(home.ask(&without, "ping", json!([])), "#\"pong\"");
    assert_eq!(home.status()["channels"].as_array().unwrap().len(), 3);
    home.kill();
    home.start();
    for (root, path) in roots.iter().zip(&paths) {
        assert_serves(&home, root, path);
    }
}

#[test]
fn a_kernel_without_io_boots_and_says_so_when_called() {
    let home = Home::new();
    home.start();
    let path = home.beside("line.sock");
    let root = home.launch(&cluster(&path));
    home.stop();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let kernel = Kernel::start(home.kernel_options()).await.unwrap();
        let target = root.parse().unwrap();
        let pong = kernel.queue_message(target, "ping", vec![]).await.unwrap();
        assert_eq!(pong.body, "#\"pong\"");
        let refused = kernel.queue_message(target, "read", vec![]).await.unwrap_err();
        assert!(refused.message.contains("without IO support"), "{refused}");
        let config = ClusterConfig::from_json(&cluster(&path), "").unwrap();
        let request = LaunchRequest { config, name: None, base: None };
        let refused = kernel.launch(request).await.unwrap_err();
        assert!(refused.message.contains("IO channel"), "{refused}");
        assert_ne!(refused.kind, ErrorKind::Stopped);
        assert!(kernel.check().await.unwrap().is_empty());
        kernel.stop().await.unwrap();
    });
    // And all is as before for one with IO.
    home.start();
    assert_serves(&home, &root, &path);
}

/// What stands in the way of one channel, and how it goes away.
struct Obstacle {
    place: fn(&Path) -> Option<UnixListener>,
    remove: fn(&Path, Option<UnixListener>),
    /// A word of the reason.
    reason: &'static str,
}

const OBSTACLES: [Obstacle; 3] = [
    Obstacle {
        place: |path| {
            std::fs::remove_dir(path.parent().unwrap()).unwrap();
            None
        },
        remove: |path, _| std::fs::create_dir(path.parent().unwrap()).unwrap(),
        reason: "directory",
    },
    Obstacle {
        place: |path| Some(UnixListener::bind(path).unwrap()),
        remove: |path, listener| {
            drop(listener);
            std::fs::remove_file(path).unwrap();
        },
        reason: "process",
    },
    Obstacle {
        place: |path| {
            std::fs::write(path, "precious").unwrap();
            None
        },
        remove: |path, _| {
            assert_eq!(std::fs::read(path).unwrap(), b"precious");
            std::fs::remove_file(path).unwrap();
        },
        reason: "file",
    },
];

#[test]
fn a_channel_that_cannot_come_back_harms_no_other_and_heals_by_itself() {
    for obstacle in OBSTACLES {
        let home = Home::new();
        home.start();
        let folder = home.beside("d");
        std::fs::create_dir(&folder).unwrap();
        let (bad, good) = (folder.join("bad.sock"), home.beside("good.sock"));
        let bad_root = home.launch(&cluster(&bad));
        let good_root = home.launch(&cluster(&good));
        let kref = home.channel(&bad)["kref"].clone();
        home.stop();

        let placed = (obstacle.place)(&bad);
        home.start();
        assert_eq!(state(&home, &bad), "unavailable");
        assert_serves(&home, &good_root, &good);
        for (method, args) in [("read", json!([])), ("write", json!(["x"]))] {
            let refused = home.ask(&bad_root, method, args);
            assert!(refused.contains("unavailable"), "{method}: {refused}");
            assert!(refused.to_lowercase().contains(obstacle.reason), "{method}: {refused}");
        }
        let shown = home.ok(&["daemon", "status"]);
        assert!(shown.contains("unavailable") && shown.contains(obstacle.reason), "{shown}");

        (obstacle.remove)(&bad, placed);
        eventually("the channel heals", || state(&home, &bad) == "listening");
        assert_serves(&home, &bad_root, &bad);
        assert_eq!(home.channel(&bad)["kref"], kref);
        home.stop();
        home.assert_sound();
    }
}

#[test]
fn a_read_that_waited_at_the_end_takes_nothing_from_the_next() {
    let home = Home::new();
    home.start();
    let path = home.beside("line.sock");
    let root = home.launch(&cluster(&path));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| home.ask_or_break(&root, "read"));
        eventually("the read waits", || home.channel(&path)["pendingReads"] == 1);
        home.stop();
        // Not left hanging: the client is told, or cut off.
        waiting.join().unwrap();
    });
    home.start();
    assert_eq!(home.channel(&path)["pendingReads"], 0);
    assert_serves(&home, &root, &path);
}

#[test]
fn two_clusters_do_not_share_a_path() {
    let home = Home::new();
    home.start();
    let path = home.beside("line.sock");
    let root = home.launch(&cluster(&path));
    let refused = home.rpc("launchSubcluster", json!({"config": cluster(&path)})).unwrap_err();
    assert!(refused.to_string().contains("line.sock"), "{refused}");
    assert_eq!(home.status()["subclusters"].as_array().unwrap().len(), 1);
    assert_serves(&home, &root, &path);
    // A terminated cluster gives its path back.
    home.rpc("terminateSubcluster", json!({"id": "s1"})).unwrap();
    eventually("the socket goes", || !path.exists());
    let root = home.launch(&cluster(&path));
    assert_serves(&home, &root, &path);
}

#[test]
fn a_launch_fails_with_the_reason_of_a_channel_that_cannot_open() {
    let home = Home::new();
    home.start();
    let root = home.launch_counter();
    let good = home.beside("good.sock");
    let bad = json!({"type": "socket", "path": home.beside("nowhere/bad.sock")});
    let good_io = json!({"type": "socket", "path": good});
    // Whichever comes first: the others may report after the launch has failed.
    for io in [
        json!({"bad": bad, "good": good_io}),
        json!({"good": good_io, "bad": bad}),
        json!({"bad": bad, "console": {"type": "console"}}),
    ] {
        let mut config = cluster(&good);
        config["services"] = json!([]);
        config["io"] = io;
        let refused = home.rpc("launchSubcluster", json!({ "config": config })).unwrap_err();
        assert!(refused.to_string().contains("unavailable"), "{refused}\n{}", home.log());
        assert_eq!(home.ask(&root, "ping", json!([])), "#\"pong\"", "{}", home.log());
        assert_eq!(home.status()["subclusters"].as_array().unwrap().len(), 1);
        eventually("the sockets are gone", || !good.exists());
    }
    home.stop();
    home.assert_sound();
}

#[test]
fn a_relative_path_lies_under_the_home_and_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.start();
    let root = home.launch(&cluster(Path::new("line.sock")));
    let path = home.path("line.sock");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_serves(&home, &root, &path);
}

#[test]
fn a_console_without_a_terminal_says_why() {
    let home = Home::new();
    let mut kernel = home.run(&crate::rig::guestbook(), &[], &[]);
    kernel.tells("Launched guestbook");
    kernel.signal(rustix::process::Signal::INT);
    assert!(kernel.ends().0.success());
    home.start();
    let shown = home.ok(&["daemon", "status"]);
    assert!(shown.contains("without a terminal"), "{shown}");
    let mut bob = Line::connect(&home.path("guestbook.sock"));
    assert_eq!(bob.ask("Bob"), "Welcome, Bob! You are visitor 1.");
}
