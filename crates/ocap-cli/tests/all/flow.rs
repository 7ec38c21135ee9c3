//! Much goes through a channel, and the kernel does not grow with it.
//!
//! `OCAP_CHANNEL_MIB` says how much instead of [`MIB`], each way; try 1024.

use std::io::{Read, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::rig::{Home, connect, vat};

/// Enough that a kernel which kept it would be seen to grow, and no more.
const MIB: usize = 96;

/// What a kernel may grow by, in MiB: a few times what a channel may hold each way, with room for
/// what allocators keep; less than goes through.
const GROWTH_MIB_MAX: usize = 80;

const LINE_BYTES: usize = 8 * 1024;

/// Resident memory of a process at its highest, in MiB.
fn peak_mib(pid: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<usize>().unwrap() / 1024
}

fn cluster(path: &Path) -> Value {
    json!({
        "bootstrap": "a",
        "io": {"line": {"type": "socket", "path": path}},
        "vats": {"a": {"sourceSpec": vat("swallow.js")}},
    })
}

#[test]
fn a_channel_carries_much_and_the_kernel_does_not_grow() {
    let mib = std::env::var("OCAP_CHANNEL_MIB").ok().map_or(MIB, |text| text.parse().unwrap());
    let lines = mib * 1024 * 1024 / LINE_BYTES;
    let home = Home::new();
    home.start();
    let path = home.beside("line.sock");
    let root = home.launch(&cluster(&path));
    let pid = std::fs::read_to_string(home.path("daemon.pid")).unwrap();
    let before = peak_mib(pid.trim());
    let mut line = vec![b'x'; LINE_BYTES];
    line[LINE_BYTES - 1] = b'\n';
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = connect(&path);
            for _ in 0..lines {
                peer.write_all(&line).unwrap();
            }
        });
        let swallowed = home.ask_at_length(&root, "swallow", json!([]));
        assert_eq!(swallowed, format!("#[{lines},{}]", lines * (LINE_BYTES - 1)));
    });
    let after_input = peak_mib(pid.trim());
    std::thread::scope(|scope| {
        let mut peer = connect(&path);
        scope.spawn(move || {
            peer.write_all(b"go\n").unwrap();
            let mut left = lines * LINE_BYTES;
            let mut buffer = vec![0; 1 << 16];
            while left > 0 {
                let count = peer.read(&mut buffer).unwrap();
                assert_ne!(count, 0, "{left} bytes never came");
                left = left.saturating_sub(count);
            }
        });
        let length = LINE_BYTES - 1;
        let poured = home.ask_at_length(&root, "pour", json!([lines, length]));
        assert_eq!(poured, "#\"#undefined\"");
    });
    let after_output = peak_mib(pid.trim());
    let grown = after_output - before;
    assert!(
        grown < GROWTH_MIB_MAX,
        "{mib} MiB each way: from {before} to {after_input} and {after_output} MiB"
    );
    home.stop();
}

/// A line without an end is passed over as it comes, whatever its length; the next one is read.
#[test]
fn a_line_that_is_much_too_long_costs_no_more_than_the_longest() {
    let mib = std::env::var("OCAP_CHANNEL_MIB").ok().map_or(MIB, |text| text.parse().unwrap());
    let home = Home::new();
    home.start();
    let path = home.beside("line.sock");
    let config = json!({
        "bootstrap": "a",
        "io": {"line": {"type": "socket", "path": path}},
        "vats": {"a": {"sourceSpec": vat("line.js")}},
    });
    let root = home.launch(&config);
    let pid = std::fs::read_to_string(home.path("daemon.pid")).unwrap();
    let before = peak_mib(pid.trim());
    let mut peer = connect(&path);
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..mib {
        peer.write_all(&chunk).unwrap();
    }
    peer.write_all(b"\nnext\n").unwrap();
    let refused = home.ask(&root, "read", json!([]));
    assert!(refused.contains("received a line longer than 8388608 bytes"), "{refused}");
    assert_eq!(home.ask(&root, "read", json!([])), "#\"next\"");
    let grown = peak_mib(pid.trim()) - before;
    assert!(grown < GROWTH_MIB_MAX, "by {grown} MiB for a line of {mib} MiB");
    home.stop();
}
