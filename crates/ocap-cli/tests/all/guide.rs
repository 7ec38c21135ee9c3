//! The pages of the book, and the README, as their readers use them: commands are run, files made,
//! outputs compared.
//!
//! Each page is one test and has one folder, which is its `HOME` too, one shell, and the real `ocap`.
//! Blocks are done in their order:
//!
//! * a block of `json`, `toml`, `js` or `ts` below a line that ends with a colon and names a file in
//!   backticks becomes that file; every such block is read by what would read it, and a cluster that
//!   is a file goes through `ocap check` in the end;
//! * `sh` is run by the page's shell, under `-euo pipefail`, with nothing to read; `sh,fails` has to
//!   fail; `sh,background` is one command that goes on: it is awaited until it is ready, and ended
//!   with the page. The same command again waits for the end of the former, as a terminal would;
//! * `text` directly below is what that printed: on standard output, or on both if it fails or goes
//!   on. `...` stands for anything;
//! * what is not run (`sh,norun`) or only shown (a block of no kind) is listed in [`exceptions`], with
//!   a reason.
//!
//! Three things are not as they stand there: ports of 127.0.0.1 are free ones of this machine,
//! `cargo run --release --` is `ocap`, and `nc` is [`netcat`], since not every machine has one.

use std::path::Path;

use desk::Desk;
use ocap_types::config::{ClusterConfig, VatConfig};
use page::{Block, Page};
use serde_json::Value;

use crate::rig::repository;

mod desk;
mod exceptions;
mod links;
mod netcat;
mod page;

/// A test for each page, and the list of them.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        $(#[test]
        fn $test() {
            follow($page);
        })*

        /// Below the repository.
        const PAGES: &[&str] = &[$($page),*];
    };
}

pages! {
    readme: "README.md",
    introduction: "docs/introduction.md",
    getting_started: "docs/getting-started.md",
    writing_vats: "docs/writing-vats.md",
    capabilities: "docs/capabilities.md",
    channels: "docs/channels.md",
    timer: "docs/timer.md",
    ocap_urls: "docs/ocap-urls.md",
    discovery: "docs/discovery.md",
    limits: "docs/limits.md",
    operating: "docs/operating.md",
    commands: "docs/commands.md",
    rpc: "docs/rpc.md",
    security: "docs/security.md",
    differences: "docs/differences.md",
    behaviours: "docs/behaviours.md",
    example_auction: "examples/auction/README.md",
    example_discovery: "examples/discovery/README.md",
    rfc_cranks: "docs/rfcs/0001-cranks-without-an-overlay.md",
    rfc_urls: "docs/rfcs/0002-ocap-urls.md",
}

#[test]
fn every_page_is_followed() {
    let book = PAGES.iter().filter(|page| page.starts_with("docs/"));
    let mut followed: Vec<_> = book.map(|page| repository().join(page)).collect();
    followed.sort();
    let there = links::pages();
    assert_eq!(followed, there, "pages! in guide.rs lists each page of docs");
    // Those that are followed look after their own.
    for (page, line, _) in exceptions::EXCEPTIONS {
        assert!(PAGES.contains(page), "an exception of no page: {page}: {line}");
    }
}

/// Does what a page says.
fn follow(path: &str) {
    let page = Page::read(path);
    let mut desk = Desk::new();
    let mut clusters = Vec::new();
    let mut blocks = page.blocks.iter().peekable();
    while let Some(block) = blocks.next() {
        let text = desk.adapted(&block.text);
        let flags: Vec<&str> = block.flags.iter().map(String::as_str).collect();
        if let Some(file) = &block.file {
            desk.write(file, &text);
        }
        match (block.kind.as_str(), &flags[..]) {
            ("sh", ["norun"]) | ("", []) => page.excepted(block),
            ("sh", flags) => {
                let printed = blocks.next_if(|next| next.kind == "text" && next.follows);
                let printed = printed.map(|printed| desk.adapted(&printed.text));
                match flags {
                    [] => desk.run(&page.at(block), &text, printed.as_deref()),
                    ["fails"] => desk.run_in_vain(&page.at(block), &text, printed.as_deref()),
                    ["background"] => desk.start(&page.at(block), &text, printed.as_deref()),
                    _ => panic!("{}: no such flags: {flags:?}", page.at(block)),
                }
            }
            ("json", []) => {
                let is_cluster = read_json(&page, block);
                clusters.extend(block.file.as_ref().filter(|_| is_cluster));
            }
            ("toml", []) => {
                let read = ocap_daemon::settings::Settings::parse(&text, Path::new(path));
                read.unwrap_or_else(|error| panic!("{}: {error}", page.at(block)));
            }
            ("js" | "ts", []) => {
                let read = ocap_source::strip_types(path, &text);
                read.unwrap_or_else(|error| panic!("{}: {error}", page.at(block)));
            }
            ("text", []) => panic!("{}: below no command", page.at(block)),
            _ => panic!("{}: no such kind of block: {} {flags:?}", page.at(block), block.kind),
        }
    }
    for file in clusters {
        desk.run(&format!("{path}: {file}"), &format!("ocap check {file}"), None);
    }
    page.assert_exceptions_are_used();
}

/// Reads a block of JSON, one value or one in each line; whether it is a cluster.
fn read_json(page: &Page, block: &Block) -> bool {
    let at = page.at(block);
    let values: Result<Vec<Value>, _> = match serde_json::from_str(&block.text) {
        Ok(value) => Ok(vec![value]),
        Err(_) => block.text.lines().map(serde_json::from_str).collect(),
    };
    let values = values.unwrap_or_else(|error| panic!("{at}: {error}"));
    let mut is_cluster = false;
    for value in &values {
        if value.get("vats").is_some_and(Value::is_object) {
            is_cluster = true;
            ClusterConfig::from_json(value, "").unwrap_or_else(|error| panic!("{at}: {error}"));
        } else if value.get("sourceSpec").is_some() {
            VatConfig::from_json(value, "").unwrap_or_else(|error| panic!("{at}: {error}"));
        } else if value.get("id").is_some()
            && let Some(method) = value.get("method")
        {
            let known = ocap_daemon::methods().any(|known| method == known.name);
            assert!(known, "{at}: no method {method}");
        }
    }
    is_cluster
}
