//! A page of Markdown as a list of its fenced blocks.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::exceptions::EXCEPTIONS;
use crate::rig::repository;

/// A page and what has to be done for it.
pub(super) struct Page {
    path: String,
    pub(super) blocks: Vec<Block>,
    /// First lines of the exceptions that came up.
    excepted: RefCell<BTreeSet<&'static str>>,
}

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Where the fence is, from 1.
    line: usize,
    /// What it is: the first word behind the fence.
    pub(super) kind: String,
    /// The words behind that.
    pub(super) flags: Vec<String>,
    /// What is between the fences.
    pub(super) text: String,
    /// The file it is.
    pub(super) file: Option<String>,
    /// Nothing but blank lines is between it and the block before.
    pub(super) follows: bool,
}

impl Page {
    /// Reads a page below the repository.
    pub(super) fn read(path: &str) -> Page {
        let text = std::fs::read_to_string(repository().join(path)).unwrap();
        let blocks = blocks(&text).unwrap_or_else(|problem| panic!("{path}: {problem}"));
        Page { path: path.to_owned(), blocks, excepted: RefCell::default() }
    }

    /// The place of a block, as messages have it.
    pub(super) fn at(&self, block: &Block) -> String {
        format!("{}:{}", self.path, block.line)
    }

    /// Sees that a block that is not run or read may be that.
    pub(super) fn excepted(&self, block: &Block) {
        let first = block.text.lines().next().unwrap_or_default();
        let listed = EXCEPTIONS.iter().find(|(page, line, _)| *page == self.path && *line == first);
        let Some((_, line, _)) = listed else {
            panic!("{}: neither run nor among the exceptions: {first:?}", self.at(block));
        };
        let fresh = self.excepted.borrow_mut().insert(line);
        assert!(fresh, "{}: two exceptions begin with {first:?}", self.at(block));
    }

    /// Sees that no exception of this page is listed without need.
    pub(super) fn assert_exceptions_are_used(&self) {
        let used = self.excepted.borrow();
        for (_, line, _) in EXCEPTIONS.iter().filter(|(page, ..)| *page == self.path) {
            assert!(used.contains(line), "{}: no exception begins with {line:?}", self.path);
        }
    }
}

/// The fenced blocks of a text.
fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks: Vec<Block> = Vec::new();
    // The last line that says something, and whether it was the end of a block.
    let (mut lead, mut follows) = (String::new(), false);
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            if line.trim_start().starts_with("```") {
                return Err(format!("{}: a fence that is indented", number + 1));
            }
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut lead);
                follows = false;
            }
            continue;
        };
        let mut inside = String::new();
        loop {
            match lines.next() {
                Some((_, "```")) => break,
                Some((_, line)) => inside.extend([line, "\n"]),
                None => return Err(format!("{}: a fence without end", number + 1)),
            }
        }
        let mut words = info.split(',').map(|word| word.trim().to_owned());
        let kind = words.next().unwrap_or_default();
        let file = match kind.as_str() {
            "json" | "toml" | "js" | "ts" if !follows => file_named(&lead),
            _ => None,
        };
        let flags = words.collect();
        blocks.push(Block { line: number + 1, kind, flags, text: inside, file, follows });
        follows = true;
    }
    Ok(blocks)
}

/// The last file that a line names in backticks, if the line leads to what follows.
fn file_named(line: &str) -> Option<String> {
    let quoted = line.strip_suffix(':')?.split('`').skip(1).step_by(2);
    let is_file = |name: &&str| {
        let end = name.rsplit('.').next();
        !name.contains(' ')
            && name.contains('.')
            && ["json", "toml", "js", "ts"].map(Some).contains(&end)
    };
    quoted.filter(is_file).last().map(str::to_owned)
}

#[test]
fn blocks_are_found_with_what_they_are() {
    let text = "# A\nWrite `x.js`, and `sub/a.json`:\n\n```json\n{}\n```\n\n```sh,fails\nfalse\n\n```\n\nand\n```text\n```\n";
    let found = blocks(text).unwrap();
    let seen: Vec<_> = found
        .iter()
        .map(|block| (block.line, block.kind.as_str(), block.text.as_str(), block.follows))
        .collect();
    let expected =
        [(4, "json", "{}\n", false), (8, "sh", "false\n\n", true), (14, "text", "", false)];
    assert_eq!(seen, expected);
    assert_eq!(found[0].file.as_deref(), Some("sub/a.json"));
    assert_eq!((&found[1].file, &found[1].flags), (&None, &vec!["fails".to_owned()]));
    assert!(blocks("```sh\ntrue\n").is_err() && blocks("* a\n  ```sh\n").is_err());
}

#[test]
fn only_a_line_that_leads_on_names_a_file() {
    assert_eq!(file_named("A file `a.ts`:").as_deref(), Some("a.ts"));
    for other in ["A file `a.ts`.", "Run `ocap check a.json`:", "`E(x).y`:", "It says:"] {
        assert_eq!(file_named(other), None, "{other}");
    }
}
