//! Seeds, kept scripts, and that a seed is always the same run.

use std::path::PathBuf;

use ocap_sim::run::{Engine, Options, play, play_seed};
use ocap_sim::script::{Action, generate, parse};

const OPTIONS: Options = Options { engine: Engine::Memory, check_every: 24, traced: false };

#[test]
fn short_seeds_find_nothing() {
    for seed in 0..200 {
        if let Err(failure) = play_seed(seed, 120, OPTIONS) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.violation);
        }
    }
}

#[test]
fn a_long_seed_finds_nothing() {
    if let Err(failure) = play_seed(1, 500, Options { check_every: 1, ..OPTIONS }) {
        panic!("step {}: {}", failure.step, failure.violation);
    }
}

/// The same worlds over SQLite: what was torn from its log is there entirely or not at all.
#[test]
fn seeds_on_a_database_find_nothing() {
    let options = Options { engine: Engine::Sqlite, ..OPTIONS };
    for seed in 1..4 {
        if let Err(failure) = play_seed(seed, 300, options) {
            panic!("seed {seed}, step {}: {}", failure.step, failure.violation);
        }
    }
}

/// What a store is made of is none of the kernel's business.
#[test]
fn a_seed_is_the_same_run_on_every_store() {
    // Without the steps whose outcome is the disk's to choose.
    let script: Vec<_> = generate(5, 200)
        .into_iter()
        .filter(|step| !matches!(step.action, Action::Torn | Action::ReadFails))
        .collect();
    let hash = |engine| play(&script, Options { engine, ..OPTIONS }).unwrap().trace_hash;
    assert_eq!(hash(Engine::Memory), hash(Engine::Sqlite));
}

#[test]
fn what_went_wrong_once_goes_well() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut scripts = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let script = parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let result = play(&script, Options { check_every: 1, traced: true, ..OPTIONS });
        if let Err(failure) = result {
            panic!("{}: {}\n{}", path.display(), failure.violation, failure.trace.join("\n"));
        }
        scripts += 1;
    }
    assert!(scripts > 0);
}

#[test]
fn a_seed_is_always_the_same_run() {
    let hashes: Vec<u64> =
        (0..8).map(|n| play_seed(7 + n / 2, 400, OPTIONS).unwrap().trace_hash).collect();
    for pair in hashes.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    assert_ne!(hashes[0], hashes[2]);
}

#[test]
fn a_script_is_read_as_it_is_written() {
    let script = generate(3, 200);
    let lines: Vec<String> = script.iter().map(|step| format!("{step} ; a comment")).collect();
    assert_eq!(parse(&lines.join("\n")).unwrap(), script);
    assert!(parse("dance 1").is_err());
    assert!(parse("send x").is_err());
}
