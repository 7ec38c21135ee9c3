//! What `ocap --help` prints: the commands in groups, so that one finds what one looks for.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use crate::args::Arguments;
use crate::terminal::HEADING;

/// Commands by what one wants; what is in no group comes last.
const GROUPS: &[(&str, &[&str])] = &[
    ("Run", &["run", "launch", "daemon", "matcher", "llm-bridge"]),
    ("Talk", &["send", "repl", "url"]),
    ("Look", &["ls", "vats", "io", "logs", "top", "inspect", "refs", "trace"]),
    ("Write vats", &["new", "check", "bundle", "watch", "serve", "start"]),
    ("Take care", &["doctor", "backup", "restore", "export", "import", "identity"]),
];

/// The command line's definition, with help in groups.
pub(crate) fn definition() -> Command {
    let command = Arguments::command();
    let known = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect::<Vec<_>>();
    let shown: Vec<&Command> = command.get_subcommands().filter(|c| !c.is_hide_set()).collect();
    let width = shown.iter().map(|command| command.get_name().len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = |title: &str, commands: &[&Command]| {
        if commands.is_empty() {
            return;
        }
        let _ = writeln!(text, "{HEADING}{title}:{HEADING:#}");
        for command in commands {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            let _ = writeln!(text, "  {HEADING}{name:width$}{HEADING:#}  {about}");
        }
        text.push('\n');
    };
    for (title, names) in GROUPS {
        let named = |name: &&str| shown.iter().copied().find(|c| c.get_name() == *name);
        group(title, &names.iter().filter_map(named).collect::<Vec<_>>());
    }
    let others = shown.iter().copied().filter(|c| !known.contains(&c.get_name()));
    group("More", &others.collect::<Vec<_>>());
    // A brace would be read as a placeholder.
    let text = text.replace(['{', '}'], "");
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}\n\n{text}\
         {HEADING}Options:{HEADING:#}\n{{options}}\n\n\
         `ocap help COMMAND` tells more about one."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_listed_once() {
        let help = definition().render_help().to_string();
        for command in Arguments::command().get_subcommands().filter(|c| !c.is_hide_set()) {
            let name = command.get_name();
            let listed = help.lines().filter(|line| line.starts_with("  "));
            let listed = listed.filter(|line| line.split_whitespace().next() == Some(name));
            assert_eq!(listed.count(), 1, "{name}: {help}");
        }
        assert!(help.contains("Look:\n  ls ") && help.contains("--home <DIR>"), "{help}");
    }
}
