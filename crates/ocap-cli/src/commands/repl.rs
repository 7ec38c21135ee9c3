//! `ocap repl`: a conversation with an object.

mod expression;

use std::io::IsTerminal;

use clap::Args;
use ocap_daemon::Home;
use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, smallcaps};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};
use serde_json::Value;

use crate::argument;
use crate::background::call_once;
use crate::commands::inspect::methods;
use crate::failure::Failure;
use crate::limits;
use crate::output::{self, printable, say};
use crate::target;
use crate::terminal::{FAINT, styled};

use expression::{Call, Sendable};

const HELP: &str = "\
METHOD ARG ...        sends a message; texts of one word need no quotation marks
METHOD(ARG, ...)      the same, as JavaScript has it
ko7.METHOD ...        to another object; $1.METHOD to one that was an answer
@ko7, $1              a reference and an earlier answer, as arguments
$1                    shows that answer again
.methods              what methods the object says it has
.use TARGET           talks with another object, or the root of a cluster
.quit                 ends; so does Ctrl-D";

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Repl {
    /// The object, or the name of a cluster for its root
    #[arg(value_name = "TARGET")]
    target: String,
    #[command(flatten)]
    patience: crate::args::Patience,
}

impl Repl {
    /// Reads calls, sends them, and shows and names what they are answered.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let kref = target::resolve(home, &self.target)?;
        let mut session = Session {
            home,
            kref,
            methods: methods(home, kref).unwrap_or_default(),
            results: Vec::new(),
            patience: self.patience,
        };
        if std::io::stdin().is_terminal() { session.converse() } else { session.obey() }
    }
}

struct Session<'a> {
    home: &'a Home,
    kref: KRef,
    methods: Vec<String>,
    results: Vec<Sendable>,
    patience: crate::args::Patience,
}

impl Session<'_> {
    /// With somebody at a terminal.
    fn converse(&mut self) -> Result<(), Failure> {
        let config = Config::builder()
            .max_history_size(limits::HISTORY_LINES_MAX)
            .map_err(failed)?
            .history_ignore_space(true)
            .auto_add_history(true)
            .completion_type(CompletionType::List)
            .build();
        let mut editor: Editor<Words, FileHistory> = Editor::with_config(config).map_err(failed)?;
        let history = self.home.history();
        // That there is none yet is no failure.
        let _ = editor.load_history(&history);
        say(&styled(FAINT, "Tab completes methods, .help explains, Ctrl-D ends."));
        loop {
            editor.set_helper(Some(Words { methods: self.methods.clone() }));
            let outcome = match editor.readline(&format!("{}> ", self.kref)) {
                Ok(line) => self.line(&line),
                Err(ReadlineError::Interrupted) => Ok(true),
                Err(ReadlineError::Eof) => Ok(false),
                Err(error) => return Err(failed(error)),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => failure.report(),
            }
        }
        if let Err(error) = editor.save_history(&history) {
            say(&format!("The history could not be kept: {error}"));
        }
        Ok(())
    }

    /// Line by line from a program; the first failure ends it.
    fn obey(&mut self) -> Result<(), Failure> {
        for line in std::io::stdin().lines() {
            if !self.line(&line?)? {
                break;
            }
        }
        Ok(())
    }

    /// Does what a line says; `false` if that is to end.
    fn line(&mut self, line: &str) -> Result<bool, Failure> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(true);
        }
        if let Some(command) = line.strip_prefix('.') {
            return self.command(command);
        }
        if matches!(line, "exit" | "quit") && !self.methods.iter().any(|method| method == line) {
            return Ok(false);
        }
        if let Some(value) = expression::lone_result(line, &self.results) {
            let shown = smallcaps::prettify(&smallcaps::encode(&value?));
            let shown = shown.map_err(|error| Failure::new(error.to_string()))?;
            output::result(&printable(&serde_json::to_string_pretty(&shown)?))?;
            return Ok(true);
        }
        let Call { target, method, args } = expression::parse(line, &self.results)?;
        let target = target.unwrap_or(self.kref);
        let params = argument::message(target, &method, args);
        let answer = call_once(self.home, "sendMessage", &params, self.patience.timeout)?;
        self.show(&answer)?;
        Ok(true)
    }

    fn command(&mut self, command: &str) -> Result<bool, Failure> {
        let mut words = command.split_whitespace();
        match (words.next().unwrap_or_default(), words.next()) {
            ("quit" | "exit", None) => return Ok(false),
            ("help", None) => output::result(HELP)?,
            ("methods", None) => {
                self.methods = methods(self.home, self.kref).ok_or_else(|| {
                    Failure::new(format!("{} does not say which methods it has", self.kref))
                })?;
                let names = self.methods.iter().filter(|name| !name.starts_with("__"));
                let names: Vec<String> = names.map(|name| printable(name)).collect();
                output::result(&names.join("\n"))?;
            }
            ("use", Some(written)) => {
                self.kref = match expression::parse(&format!("{written}.x"), &self.results) {
                    Ok(Call { target: Some(kref), .. }) => kref,
                    _ => target::resolve(self.home, written)?,
                };
                self.methods = methods(self.home, self.kref).unwrap_or_default();
            }
            (other, _) => {
                let known = [".quit", ".help", ".methods", ".use"];
                let written = format!(".{other}");
                let meant = crate::suggestion::did_you_mean(&written, known);
                return Err(Failure::new(format!(
                    "there is no command {written}{meant} (`.help` tells which there are)"
                )));
            }
        }
        Ok(true)
    }

    /// Shows an answer, and gives it a name unless it is nothing.
    fn show(&mut self, answer: &Value) -> Result<(), Failure> {
        let data: KCapData = serde_json::from_value(answer.clone())?;
        let shown = match smallcaps::prettify(&data) {
            Ok(shown) => serde_json::to_string_pretty(&shown)?,
            Err(error) => return Err(Failure::new(format!("the answer cannot be read: {error}"))),
        };
        let shown = printable(&shown);
        match smallcaps::decode(&data) {
            Ok(Passable::Undefined) => output::result(&styled(FAINT, "undefined"))?,
            Ok(value) => {
                self.results.push(value);
                let name = styled(FAINT, &format!("${} =", self.results.len()));
                output::result(&format!("{name} {shown}"))?;
            }
            Err(_) => output::result(&shown)?,
        }
        Ok(())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
fn failed(error: ReadlineError) -> Failure {
    Failure::new(error.to_string())
}

/// What Tab knows.
struct Words {
    methods: Vec<String>,
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(complete(&self.methods, &line[..position]))
    }
}

/// Where the word that is being written begins, and what it may become.
fn complete(methods: &[String], before: &str) -> (usize, Vec<String>) {
    let commands = [".help", ".methods", ".use", ".quit"];
    if before.starts_with('.') {
        let fitting = commands.iter().filter(|command| command.starts_with(before));
        return (0, fitting.map(|command| (*command).to_owned()).collect());
    }
    // Only the method is known, not what it takes.
    let method = before.trim_start();
    if method.contains(|c: char| c.is_whitespace() || matches!(c, '(' | '.')) {
        return (before.len(), Vec::new());
    }
    let fitting = methods.iter().filter(|name| {
        // What every object has is not offered unasked.
        name.starts_with(method) && (!name.starts_with("__") || method.starts_with('_'))
    });
    // What would steer the terminal is not offered at all.
    let fitting = fitting.filter(|name| !name.contains(char::is_control));
    (before.len() - method.len(), fitting.cloned().collect())
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_commands_are_completed_where_they_can_stand() {
        let methods = ["ping", "put", "__getMethodNames__", "p\u{1b}x"].map(str::to_owned);
        let fitting = |before| complete(&methods, before);
        assert_eq!(fitting("p"), (0, vec!["ping".to_owned(), "put".to_owned()]));
        assert_eq!(fitting("  pi"), (2, vec!["ping".to_owned()]));
        assert_eq!(fitting(""), (0, vec!["ping".to_owned(), "put".to_owned()]));
        assert_eq!(fitting("__g"), (0, vec!["__getMethodNames__".to_owned()]));
        assert_eq!(fitting(".m"), (0, vec![".methods".to_owned()]));
        assert_eq!(fitting("put p"), (5, vec![]));
        assert_eq!(fitting("put(p"), (5, vec![]));
    }
}
