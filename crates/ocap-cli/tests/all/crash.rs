//! Pulling the plug, again and again, with visitors at the door.
//!
//! Each round runs the guestbook on the same home and ends it with SIGKILL at a seeded moment: at
//! the N-th failpoint before a commit, after it, or after the release of its effects, or from
//! outside. What must hold: a number that a visitor was told is never told again, and the count is
//! never less than the highest number told nor more than the names ever sent.

use std::collections::HashMap;
use std::os::unix::process::ExitStatusExt;
use std::thread;

use rustix::process::Signal;

use crate::rig::{Home, Line, Running, guestbook};

const ROUNDS: u64 = 60;

/// Names that each visitor sends without waiting for answers.
const NAMES_PER_VISIT: u64 = 12;

const POINTS: [&str; 4] = ["before-commit", "after-commit", "after-release", "outside"];

/// What all rounds saw.
#[derive(Default)]
struct Ledger {
    names_sent: u64,
    /// Number told, by name.
    told: HashMap<String, u64>,
    highest: u64,
    hits: HashMap<&'static str, u64>,
}

impl Ledger {
    fn told(&mut self, greeting: &str) {
        let (name, number) = parse(greeting).unwrap_or_else(|| panic!("{greeting:?}"));
        let before = self.told.insert(name.to_owned(), number);
        assert_eq!(before, None, "{name} was greeted twice");
        assert!(number > self.highest, "{greeting:?} after visitor {}", self.highest);
        self.highest = number;
    }
}

fn parse(greeting: &str) -> Option<(&str, u64)> {
    let rest = greeting.strip_prefix("Welcome, ")?;
    let (name, rest) = rest.split_once("! You are visitor ")?;
    Some((name, rest.strip_suffix('.')?.parse().ok()?))
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "failpoints need a build with debug assertions")]
fn no_acknowledged_visit_is_lost_or_counted_twice() {
    let home = Home::new();
    let mut ledger = Ledger::default();
    // The launch itself is undisturbed here; what a crash during one leaves is the next test's.
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Launched guestbook");
    drop(kernel);
    for round in 0..ROUNDS {
        round_of(&home, round, &mut ledger);
    }
    let mut kernel = home.run(&guestbook(), &[], &[]);
    kernel.tells("Resumed guestbook");
    let count: u64 = home.ok(&["send", "ko6", "visitors"]).trim().parse().unwrap();
    assert!(count >= ledger.highest, "{count} < {}: visits are lost", ledger.highest);
    assert!(count <= ledger.names_sent, "{count} > {}: counted twice", ledger.names_sent);
    kernel.signal(Signal::INT);
    assert!(kernel.ends().0.success());
    home.assert_sound();
    println!("{} greeted of {} names, {:?}", ledger.told.len(), ledger.names_sent, ledger.hits);
    for point in POINTS {
        let hits = ledger.hits.get(point).copied().unwrap_or(0);
        assert!(hits >= ROUNDS / 10, "{point} was hit only {hits} times");
    }
}

fn round_of(home: &Home, round: u64, ledger: &mut Ledger) {
    let point = POINTS[usize::try_from(round % 4).unwrap()];
    // From the very first commit of the boot to well into the visit.
    let nth = 1 + round * 7 % 19;
    let armed = format!("{point}:{nth}");
    let env: &[(&str, &str)] = if point == "outside" { &[] } else { &[("OCAP_FAILPOINT", &armed)] };
    let mut kernel = home.run(&guestbook(), &[], env);
    kernel.end_input();
    let socket = home.path("guestbook.sock");
    let mut greeted = 0;
    if let Some(mut visitor) = arrive(&mut kernel, &socket) {
        let names: Vec<_> = (0..NAMES_PER_VISIT).map(|n| format!("r{round}n{n}")).collect();
        let line = names.iter().fold(String::new(), |all, name| all + name + "\n");
        ledger.names_sent += NAMES_PER_VISIT;
        visitor.send_all(&line);
        // From outside, in the middle of the visit.
        let enough = if point == "outside" { nth % NAMES_PER_VISIT } else { NAMES_PER_VISIT };
        while greeted < enough {
            let Some(greeting) = visitor.next() else { break };
            ledger.told(&greeting);
            greeted += 1;
        }
        if kernel.ended().is_none() && greeted == enough {
            kernel.signal(Signal::KILL);
            // What was on its way may still arrive.
            while let Some(greeting) = visitor.next() {
                ledger.told(&greeting);
            }
            kernel.ends();
            *ledger.hits.entry("outside").or_default() += 1;
            return;
        }
    }
    let (status, said) = kernel.ends();
    assert_eq!(
        status.signal(),
        Some(9),
        "{armed}, round {round}: {status:?} {said}\n{}",
        home.log()
    );
    *ledger.hits.entry(point).or_default() += 1;
}

/// Connects as soon as the socket listens; `None` if the kernel dies before.
fn arrive(kernel: &mut Running, socket: &std::path::Path) -> Option<Line> {
    loop {
        // In this order: a kernel seen alive after a refused connection may still come to listen.
        let ended = kernel.ended().is_some();
        if let Some(line) = Line::try_connect(socket) {
            return Some(line);
        }
        if ended {
            return None;
        }
        thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "failpoints need a build with debug assertions")]
fn a_launch_that_was_cut_short_leaves_nothing() {
    let mut killed = 0;
    for nth in 1..=8 {
        for point in &POINTS[..3] {
            let home = Home::new();
            let armed = format!("{point}:{nth}");
            let mut kernel = home.run(&guestbook(), &[], &[("OCAP_FAILPOINT", &armed)]);
            kernel.end_input();
            let mut visitor = arrive(&mut kernel, &home.path("guestbook.sock"));
            let answer = visitor.as_mut().and_then(|visitor| {
                visitor.send_all("early\n");
                visitor.next()
            });
            if kernel.ended().is_none() && answer.is_some() {
                kernel.signal(Signal::KILL);
            }
            let (status, said) = kernel.ends();
            assert_eq!(status.signal(), Some(9), "{armed}: {said}");
            killed += u64::from(answer.is_none());
            let mut kernel = home.run(&guestbook(), &[], &[]);
            let line = kernel.tells(" guestbook as s");
            let fresh = line.starts_with("Launched");
            assert!(fresh || line.starts_with("Resumed"), "{line}");
            assert!(!fresh || answer.is_none(), "an acknowledged visit is gone");
            let root = line.rsplit(' ').next().unwrap().trim_end_matches('.').to_owned();
            let told: u64 = home.ok(&["send", &root, "visitors"]).trim().parse().unwrap();
            assert!(told >= u64::from(answer.is_some()) && told <= 1, "{armed}: {told}");
            let greeting = Line::connect(&home.path("guestbook.sock")).ask("Bob");
            assert_eq!(greeting, format!("Welcome, Bob! You are visitor {}.", told + 1));
            kernel.signal(Signal::INT);
            assert!(kernel.ends().0.success());
            let subclusters = {
                home.start();
                home.status()["subclusters"].as_array().unwrap().len()
            };
            assert_eq!(subclusters, 1, "{armed}");
            home.stop();
            home.assert_sound();
        }
    }
    assert!(killed >= 3, "only {killed} launches were cut short");
}
