//! The register of behaviours names tests: each must be there, as a test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::rig::repository;

/// The tests that a row's last cell names, as file and function; `None` if it is no such cell.
fn named(cell: &str) -> Option<Vec<(&str, &str)>> {
    if ["open", "nothing to hold"].contains(&cell) {
        return Some(Vec::new());
    }
    let tests: Option<Vec<_>> = cell
        .split(' ')
        .map(|test| test.strip_prefix('`')?.strip_suffix('`')?.split_once("::"))
        .collect();
    tests.filter(|tests| !tests.is_empty())
}

/// Whether a file has a test of that name: a function with a test's attribute above it.
fn has_test(source: &str, name: &str) -> bool {
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(function) = function {
            if marked && function.split('(').next() == Some(name) {
                return true;
            }
            marked = false;
        } else if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        }
    }
    false
}

#[test]
fn every_named_test_exists() {
    let crates = repository().join("crates");
    let text = std::fs::read_to_string(repository().join("docs/behaviours.md")).unwrap();
    let mut ids = BTreeSet::new();
    let (mut tests, mut open) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, _, last] = cells[..] else {
            assert!(line.starts_with("|---"), "not a row of four cells: {line}");
            continue;
        };
        if id == "id" {
            continue;
        }
        assert!(ids.insert(id), "{id} is there twice");
        let named = named(last).unwrap_or_else(|| panic!("{id}: no list of tests: {last}"));
        if last == "open" {
            open.push(id);
        }
        for (file, name) in named {
            assert_eq!(
                Path::new(file).extension().and_then(|end| end.to_str()),
                Some("rs"),
                "{id}"
            );
            let source = std::fs::read_to_string(crates.join(file));
            let source = source.unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            assert!(has_test(&source, name), "{id}: {file} has no test {name}");
            tests += 1;
        }
    }
    println!("{} rows, {tests} tests named, {} open: {open:?}", ids.len(), open.len());
    assert!(ids.len() > 150, "only {} rows were found", ids.len());
    assert!(open.len() * 5 < ids.len(), "too many rows are open: {open:?}");
}

#[test]
fn only_tests_count() {
    let source = "#[test]\nfn one() {}\nfn two() {}\n  #[tokio::test]\n  async fn three() {\n";
    assert!(has_test(source, "one") && has_test(source, "three"));
    assert!(!has_test(source, "two") && !has_test(source, "thre") && !has_test("", "one"));
    assert_eq!(named("`a.rs::b` `c.rs::d`"), Some(vec![("a.rs", "b"), ("c.rs", "d")]));
    assert_eq!((named(""), named("`a.rs`"), named("soon")), (None, None, None));
}
