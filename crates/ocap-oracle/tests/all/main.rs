//! The oracle's own parts, and a few sequences through both sides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ocap_oracle::compare::compare;
use ocap_oracle::node::{Node, folder};
use ocap_oracle::renaming::is_renamed;
use ocap_oracle::script::{Arg, Step, delivery};
use ocap_oracle::shrink::shrink;
use ocap_oracle::{Crank, Trace, here};
use ocap_types::crank::{Delivery, Syscall};
use ocap_types::refs::VRef;
use serde_json::{Value, json};

fn start() -> Step {
    Step::Start { program: Vec::new(), args: Vec::new() }
}

fn root(program: Value, args: &[&str], result: Option<&str>) -> Step {
    let Value::Array(program) = program else { panic!("not a program: {program}") };
    let args = args.iter().map(|arg| Arg::Ref(arg.parse().unwrap())).collect();
    let result = result.map(|result| result.parse().unwrap());
    Step::Do { target: VRef::ROOT, program, args, result }
}

/// Sends an import a new object, answers with another.
fn story() -> Vec<Step> {
    let send = json!([["send", ["arg", 0], "greet", [["new", "a"]], "p"]]);
    let answer = json!([["return", ["list", [["held", "p"], ["new", "b"]]]]]);
    vec![
        start(),
        root(send, &["o-60"], None),
        root(answer, &[], Some("p-61")),
        Step::BringOutYourDead,
    ]
}

#[test]
fn the_same_seed_gives_the_same_sequence() {
    for seed in [1, 2, 20] {
        let (one, two) = (here::generate(seed), here::generate(seed));
        assert_eq!(one.steps, two.steps);
        assert_eq!(one.trace, two.trace);
        assert_eq!(one.wrong, None);
        assert!(one.steps.len() > 6, "{}", one.steps.len());
    }
}

#[test]
fn references_are_numbered_by_first_mention() {
    let played = here::play(&story());
    assert_eq!(played.wrong, None);
    let [_, sent, answered, dead] = &played.trace.cranks[..] else { panic!("{played:?}") };
    let Syscall::Send { target, methargs, result } = &sent.syscalls[0] else { panic!("{sent:?}") };
    assert_eq!(target.to_string(), "o-60");
    assert_eq!(methargs.slots, [VRef::Export(1)]);
    assert_eq!(*result, Some(VRef::ExportPromise(1)));
    let Syscall::Resolve { resolutions } = &answered.syscalls[0] else { panic!("{answered:?}") };
    assert_eq!(resolutions[0].data.slots, [VRef::ExportPromise(1), VRef::Export(2)]);
    // The import is let go of, the exports are not: the kernel has them.
    assert_eq!(dead.syscalls.len(), 2, "{dead:?}");
}

#[test]
fn what_the_kernel_could_not_deliver_is_left_out() {
    let mut steps = story();
    steps.insert(1, Step::DropExports(vec![VRef::Export(2)]));
    steps.insert(2, root(json!([]), &["o+1"], None));
    steps.push(Step::RetireExports(vec![VRef::Export(1)]));
    assert_eq!(here::play(&steps).steps, story());
}

/// What our side would have written, had it been the other.
fn answer_of(steps: &[Step]) -> Trace {
    here::play(steps).trace
}

#[test]
fn differences_are_found() {
    let played = here::play(&story());
    assert_eq!(compare(&played, &answer_of(&story())).difference(), None);

    let mut theirs = answer_of(&story());
    theirs.cranks[1].syscalls.swap(0, 1);
    let found = compare(&played, &theirs).difference().unwrap();
    assert_eq!((found.step, &*found.kind), (1, "send here, subscribe in liveslots"));

    let mut theirs = answer_of(&story());
    theirs.store.insert("vc.1.|entryCount".into(), "1".into());
    assert_eq!(compare(&played, &theirs).difference().unwrap().kind, "vatstore vc..|entryCount");

    let mut theirs = answer_of(&story());
    theirs.cranks[2].error = Some("failed".into());
    assert_eq!(compare(&played, &theirs).difference().unwrap().kind, "one delivery fails");
}

#[test]
fn liveslots_may_let_go_later_but_not_earlier() {
    let mut story = story();
    story.push(Step::BringOutYourDead);
    let played = here::play(&story);
    let mut theirs = answer_of(&story);
    theirs.cranks.swap(3, 4);
    assert_eq!(compare(&played, &theirs).difference(), None);

    let mut early = played.clone();
    early.trace.cranks.swap(3, 4);
    let found = compare(&early, &answer_of(&story)).difference().unwrap();
    assert_eq!(found.kind, "nothing here, dropImports in liveslots");

    // Once nothing is open any more, there is no reason to be late.
    let mut settled = played.clone();
    settled.open.clear();
    theirs.cranks[4].syscalls.clear();
    assert_eq!(compare(&settled, &theirs).difference().unwrap().kind, "liveslots keeps more");
}

#[test]
fn where_the_order_is_open_names_are_too() {
    let crank = |syscalls: Value| Crank {
        syscalls: serde_json::from_value(syscalls).unwrap(),
        error: None,
    };
    let send = |to: &str, slot: &str, result: &str| {
        let methargs = json!({"body": "#[\"a\",[\"&0\"]]", "slots": [slot]});
        json!({"Send": {"target": to, "methargs": methargs, "result": result}})
    };
    let resolve = |slot: &str| {
        let data = json!({"body": "#\"&0\"", "slots": [slot]});
        json!({"Resolve": {"resolutions": [{"promise": "p-54", "rejected": false, "data": data}]}})
    };
    let ours = crank(json!([send("o-60", "p+1", "p+2"), resolve("p+3")]));
    let theirs = crank(json!([resolve("p+1"), send("o-60", "p+2", "p+3")]));
    assert!(is_renamed(&ours, &theirs));
    // Another's object has one name only, and two promises have not one.
    let other = crank(json!([resolve("p+1"), send("o-61", "p+2", "p+3")]));
    assert!(!is_renamed(&ours, &other));
    let one = crank(json!([resolve("p+2"), send("o-60", "p+2", "p+3")]));
    assert!(!is_renamed(&ours, &one));
    // What is sent depends on what was sent before.
    let sent = crank(json!([send("o-60", "p+1", "p+2"), send("o-61", "p+3", "p+4")]));
    let turned = crank(json!([send("o-61", "p+1", "p+2"), send("o-60", "p+3", "p+4")]));
    assert!(!is_renamed(&sent, &turned));
}

#[test]
fn shrinking_keeps_what_matters() {
    let steps = here::generate(3).steps;
    let count = |steps: &[Step]| steps.iter().filter(|s| **s == Step::BringOutYourDead).count();
    assert!(count(&steps) > 1);
    let short = shrink(&steps, |steps| count(steps) > 0);
    assert_eq!((short.len(), count(&short)), (2, 1), "{short:?}");
}

#[test]
fn a_few_sequences_agree_with_liveslots() {
    if !folder().join("node_modules").is_dir() {
        assert!(std::env::var_os("OCAP_REQUIRE_FIXTURES").is_none(), "npm ci has not been run");
        return;
    }
    let mut node = Node::start().unwrap();
    for seed in 1..=3 {
        let played = here::generate(seed);
        let deliveries: Vec<Delivery> = played.steps.iter().map(delivery).collect();
        node.ask(&deliveries).unwrap();
        assert_eq!(played.wrong, None);
        assert_eq!(compare(&played, &node.answer().unwrap()).difference(), None, "seed {seed}");
    }
}
