//! What the pages show and nobody runs.

/// Page, first line of the block, and why it is neither run nor read.
pub(super) const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("README.md", "cargo test --workspace", "would run this test, among others"),
    (
        "docs/getting-started.md",
        "cargo install --locked --path crates/ocap-cli     # puts `ocap` where cargo puts programs",
        "builds ocap",
    ),
    (
        "docs/writing-vats.md",
        "ocap watch shop/src        # again whenever something changes",
        "these go on, at a port that somebody may have; tests of their own hold them",
    ),
    (
        "docs/rfcs/0002-ocap-urls.md",
        "ocap:<oid>@<peer id>[,<hint>]*      oid = 'z' base58btc(0x01 ‖ secret)",
        "a grammar",
    ),
    (
        "docs/discovery.md",
        "ocap llm-bridge --base-url https://api.example.com --model some-model --key-file ~/.llm-key",
        "needs a language model",
    ),
    (
        "docs/ocap-urls.md",
        "ocap:zPfuKrG3Netg9bwJaFqpHJhcFm5SkbsMEUN8eTwmwKBbH@12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj",
        "the form of a URL, all of which differ",
    ),
    ("docs/operating.md", "/home/me/.ocap/daemon.log {", "a file of logrotate"),
    (
        "docs/operating.md",
        "cp contrib/systemd/ocap.* ~/.config/systemd/user/",
        "changes what systemd runs for this user",
    ),
    (
        "docs/operating.md",
        "{\"ocapExport\":1,\"batch\":7,\"epoch\":2,\"writtenBy\":\"0.1.0\"}",
        "the form of an export; its numbers differ each time",
    ),
    ("docs/operating.md", "ocap backup ~/backups/before-upgrade.sqlite", "builds another ocap"),
];
