//! The book as a whole: its list of pages, and links within and between them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::rig::repository;

/// The pages of the book, in order of their names.
pub(super) fn pages() -> Vec<PathBuf> {
    let mut pages = below("docs");
    pages.retain(|page| !page.ends_with("SUMMARY.md"));
    pages
}

/// All that is Markdown in a folder of the repository, in order of names.
fn below(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![repository().join(folder)];
    let mut pages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// A page without what is code in it.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            prose.extend([line, "\n"]);
        }
    }
    prose
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let text = prose(text);
    let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    links.map(|(target, _)| target.to_owned()).collect()
}

/// The names by which a page's headings can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let text = prose(text);
    let headings = text.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.strip_prefix(' ')).flatten()
    });
    headings.map(anchor).collect()
}

/// As GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// What is wrong with a link of a page.
fn problem(page: &Path, link: &str) -> Option<String> {
    if link.starts_with("https://") || link.starts_with("http://") {
        return None;
    }
    let (file, fragment) = link.split_once('#').map_or((link, None), |(file, f)| (file, Some(f)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    if !target.exists() {
        return Some(format!("{}: {link} leads nowhere", page.display()));
    }
    let docs = repository().join("docs");
    if page.starts_with(&docs) && file.starts_with("..") && !is_below(&target, &docs) {
        return Some(format!("{}: {link} leads out of the book", page.display()));
    }
    let fragment = fragment?;
    let is_there =
        std::fs::read_to_string(&target).is_ok_and(|text| anchors(&text).contains(fragment));
    (!is_there).then(|| format!("{}: {link}: no such heading", page.display()))
}

fn is_below(path: &Path, folder: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(path).zip(real(folder)).is_some_and(|(path, folder)| path.starts_with(folder))
}

#[test]
fn the_summary_names_every_page_and_nothing_else() {
    let docs = repository().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut named: Vec<_> = links(&summary).iter().map(|link| docs.join(link)).collect();
    named.sort();
    assert_eq!(named, pages());
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut pages = below("docs");
    pages.extend(below("examples"));
    let others = ["README.md", "ARCHITECTURE.md", "BENCH.md", "CHANGELOG.md", "fuzz/README.md"];
    pages.extend(others.map(|page| repository().join(page)));
    let mut problems = Vec::new();
    let mut seen = 0;
    for page in &pages {
        let links = links(&std::fs::read_to_string(page).unwrap());
        seen += links.len();
        problems.extend(links.iter().filter_map(|link| problem(page, link)));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen > 30, "only {seen} links were found");
}

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let page = repository().join("docs/channels.md");
    assert_eq!(problem(&page, "#many-clients"), None);
    assert_eq!(problem(&page, "rpc.md#getstatus"), None);
    assert_eq!(problem(&page, "https://example.com/#x"), None);
    for wrong in ["#many", "gone.md", "rpc.md#gone", "../gone", "../README.md"] {
        assert!(problem(&page, wrong).is_some(), "{wrong}");
    }
    assert_eq!(links("a [b](c) [d](e#f)\n```\n[x](y)\n```\n"), ["c", "e#f"]);
}
