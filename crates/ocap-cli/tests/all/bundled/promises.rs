//! Promises across vats: Alice plays stories with Bob and Carol, and each trace is in order.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{ask, daemon, launch, plain};
use crate::rig::Home;

const VATS: [&str; 3] = ["alice", "bob", "carol"];

/// A daemon with the three, and what they have told so far.
struct Stage {
    home: Home,
    alice: String,
    told: BTreeMap<&'static str, Vec<String>>,
}

impl Stage {
    fn new() -> Option<Stage> {
        let home = daemon()?;
        let friend = |name| (name, "promises-friend", json!({"parameters": {"name": name}}));
        let alice = ("alice", "promises-alice", json!({}));
        let (alice, answer) = launch(&home, &[alice, friend("bob"), friend("carol")]);
        assert_eq!(answer, "#\"alice is ready\"");
        Some(Stage { home, alice, told: BTreeMap::new() })
    }

    /// Has a story played: what Alice answers, and what each of the three told meanwhile.
    #[track_caller]
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    fn plays(&mut self, story: &str, args: Value, answer: Value, traces: [&[&str]; 3]) {
        let shown = format!("{story} {args}");
        let body = self.home.ask(&self.alice, story, args);
        assert_eq!(plain(&body), answer, "{shown}");
        self.told(&shown, traces);
    }

    #[track_caller]
    fn told(&mut self, story: &str, traces: [&[&str]; 3]) {
        let seen = plain(&ask(&self.home, &self.alice, "traces"));
        for (vat, trace) in VATS.into_iter().zip(traces) {
            assert_eq!(seen[vat], json!(trace), "{vat} in {story}");
            let told = self.told.entry(vat).or_default();
            told.extend(trace.iter().map(|&line| line.to_owned()));
        }
    }

    /// Stops the daemon: all that was told is in its log too, in order and under the vat's id.
    fn ends(self) {
        self.home.stop();
        let log = self.home.log();
        for (vat, id) in VATS.into_iter().zip(["v1", "v2", "v3"]) {
            let (tags, id) = (format!("[test, {vat}] "), format!(" vat={id}"));
            let lines: Vec<&str> = log
                .lines()
                .filter_map(|line| Some(line.split_once(&tags)?.1.strip_suffix(&id).unwrap()))
                .collect();
            assert_eq!(lines, self.told[vat], "{vat}");
        }
        self.home.assert_sound();
    }
}

#[test]
fn arguments_and_results_settle_whenever_they_do() {
    let Some(mut stage) = Stage::new() else { return };
    let bob: &[&str] = &["receives a promise", "gets the value"];
    for (moment, alice) in [
        ("before the send", ["resolves", "has sent", "bob says: received"]),
        ("after the send", ["has sent", "resolves", "bob says: received"]),
        ("after the reply", ["has sent", "bob says: received", "resolves"]),
    ] {
        stage.plays("argument", json!([moment]), json!("the value"), [&alice, bob, &[]]);
    }
    stage.plays(
        "indirect",
        json!([]),
        json!("the final value"),
        [
            &["the outer one is the inner one", "the inner one is a value"],
            &["receives a promise", "gets the final value"],
            &[],
        ],
    );
    stage.plays(
        "passOn",
        json!(["a value"]),
        json!("a value"),
        [&["has passed it on"], &["is asked"], &["receives a promise", "gets a value"]],
    );
    stage.plays(
        "passOn",
        json!(["what a promise becomes"]),
        json!("what a promise becomes"),
        [
            &["has passed it on", "carol says: received"],
            &["settles later"],
            &["receives a promise", "gets what a promise becomes"],
        ],
    );
    stage.ends();
}

#[test]
fn chains_and_knots_of_promises_are_followed_to_their_ends() {
    let Some(mut stage) = Stage::new() else { return };
    stage.plays(
        "chain",
        json!([3]),
        json!("the end"),
        [
            &["resolves link 1", "resolves link 2", "resolves link 3"],
            &["sees link 1", "sees link 2", "sees link 3", "sees the end"],
            &[],
        ],
    );
    let knot = ["a is a promise and a", "b is a promise and b"];
    stage.plays("knot", json!([1]), json!("bob saw both"), [&[], &knot, &[]]);
    stage.plays("knot", json!([2]), json!("bob saw both"), [&["in another crank"], &knot, &[]]);
    stage.plays(
        "knotOfTwoVats",
        json!([]),
        json!(["bob saw both", "carol saw both"]),
        [
            &["a carries a promise"],
            &["settles a", knot[0], knot[1]],
            &["settles b", knot[0], knot[1]],
        ],
    );
    stage.ends();
}

#[test]
fn messages_to_promises_arrive_in_order_where_those_lead() {
    let Some(mut stage) = Stage::new() else { return };
    let greetings = ["bob greets alice", "bob too greets alice"];
    stage.plays(
        "pipeline",
        json!([]),
        json!(greetings),
        [&["has sent everything", "[object Alleged: thing]"], &greetings, &[]],
    );
    let bob: &[&str] = &["sends three greetings"];
    stage.plays(
        "toPromise",
        json!(["alice"]),
        json!(["alice heard one", "alice heard two", "alice heard three"]),
        [&["resolves", "hears one", "hears two", "hears three"], bob, &[]],
    );
    let greetings = ["carol greets one", "carol greets two", "carol greets three"];
    stage.plays("toPromise", json!(["carol"]), json!(greetings), [&["resolves"], bob, &greetings]);
    stage.ends();
}

#[test]
fn failures_reach_whoever_waits_and_the_vat_answers_the_next_call() {
    let Some(mut stage) = Stage::new() else { return };
    for how in ["throw", "reject"] {
        let (will, caught) = (format!("will {how}"), format!("true TypeError: {how} on purpose"));
        stage.plays(
            "fail",
            json!([how]),
            json!("bob passes on RangeError: as agreed"),
            [&[&caught], &[&will, "receives a promise", "gets RangeError: as agreed"], &[]],
        );
        let said = stage.home.ask(&stage.alice, "failForHost", json!([how]));
        assert_eq!(said, format!("{how} on purpose"));
        stage.told("failForHost", [&[], &[&will], &[]]);
    }
    stage.ends();
}
