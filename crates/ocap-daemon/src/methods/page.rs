//! `docs/rpc.md`, made from the table.

use std::fmt::Write;
use std::path::Path;

use super::{FAMILIES, Method};

/// What stands before the methods.
const INTRODUCTION: &str = include_str!("page.md");

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for family in FAMILIES {
        write!(page, "\n## {}\n", family.title).unwrap();
        for row in family.methods {
            entry(&mut page, row);
        }
    }
    page
}

fn entry(page: &mut String, row: &Method) {
    let Method { name, summary, params, result, example, keyed, .. } = row;
    write!(page, "\n### `{name}`\n\n{summary}\n\n").unwrap();
    write!(page, "* params: {}\n* result: {}\n", code(params), code(result)).unwrap();
    if *keyed {
        writeln!(page, "* takes an `idempotencyKey`").unwrap();
    }
    page.push('\n');
    let example = (example.params, example.result);
    writeln!(page, "```json\n{{\"id\":1,\"method\":\"{name}\",\"params\":{}}}", example.0).unwrap();
    writeln!(page, "{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}}\n```", example.1).unwrap();
}

/// A shape in a fixed width; what follows a semicolon is a remark.
fn code(shape: &str) -> String {
    match shape.split_once("; ") {
        Some((shape, remark)) => format!("`{shape}`; {remark}"),
        None if shape.contains(['[', '{', '"']) || shape == "null" => format!("`{shape}`"),
        None => shape.to_owned(),
    }
}

/// Run with `OCAP_WRITE_DOCS=1` it writes the page.
#[test]
fn the_page_of_methods_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rpc.md");
    if std::env::var_os("OCAP_WRITE_DOCS").is_some() {
        std::fs::write(&path, page()).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == page(),
        "docs/rpc.md is not what the table of methods says; write it anew with\n    \
         OCAP_WRITE_DOCS=1 cargo test -p ocap-daemon page_of_methods"
    );
}
