//! Pictures of what commands print, held by the snapshots beside this: the command, what it wrote to
//! standard output, what to standard error (behind `! `), and its exit code. What is different each
//! time stands under names that are not: times, sizes, process ids, keys, places.
//!
//! `INSTA_UPDATE=always` takes them anew; look at the difference before you keep it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::Signal;

use crate::rig::{Home, Said, eventually, wait};
use crate::terminal::Terminal;

/// Some commands, one after the other, on one home.
pub(crate) struct Picture<'a> {
    home: &'a Home,
    text: String,
    settings: insta::Settings,
}

impl Picture<'_> {
    pub(crate) fn of(home: &Home) -> Picture<'_> {
        let mut settings = steady(home);
        settings.set_omit_expression(true);
        Picture { home, text: String::new(), settings }
    }

    /// One more thing that is different each time.
    pub(crate) fn with(mut self, pattern: &str, name: &str) -> Self {
        self.settings.add_filter(pattern, name);
        self
    }

    /// Says what happens between two commands.
    pub(crate) fn then(&mut self, what: &str) {
        let _ = writeln!(self.text, "# {what}\n");
    }

    /// A command, its output read by a program.
    #[track_caller]
    pub(crate) fn ocap(&mut self, args: &[&str]) -> Said {
        self.fed(args, "")
    }

    /// The same with this as its input.
    #[track_caller]
    pub(crate) fn fed(&mut self, args: &[&str], input: &str) -> Said {
        let said = Going::start(self.home, args, input).ends();
        self.command("$", args, "");
        self.said(&said);
        said
    }

    /// A command that goes on until it is told to stop.
    #[track_caller]
    pub(crate) fn going(&mut self, args: &[&str], meanwhile: impl FnOnce(&Going)) {
        let mut going = Going::start(self.home, args, "");
        meanwhile(&going);
        // Not as Ctrl-C does: whoever runs the tests may have that ignored.
        going.signal(Signal::TERM);
        let said = going.ends();
        self.command("$", args, "   (until it is told to stop)");
        self.said(&said);
    }

    /// A command on a terminal: the screen as it ends.
    #[track_caller]
    pub(crate) fn seen(&mut self, args: &[&str]) {
        self.seen_with(args, &[]);
    }

    /// The same with variables set.
    #[track_caller]
    pub(crate) fn seen_with(&mut self, args: &[&str], variables: &[(&str, &str)]) {
        let mut command = command(self.home, args);
        command.envs(variables.iter().copied());
        let mut terminal = Terminal::start(command);
        let code = terminal.ends();
        self.command("$", args, "   (on a terminal)");
        self.screen(&terminal.screen());
        self.exit(code);
    }

    /// The same with everything that was written, also what was written over.
    #[track_caller]
    pub(crate) fn written(&mut self, args: &[&str]) {
        let mut terminal = Terminal::start(command(self.home, args));
        let code = terminal.ends();
        self.command("$", args, "   (written to a terminal)");
        self.screen(terminal.written().replace("␍\n", "\n").trim_end());
        self.exit(code);
    }

    /// A command on a terminal, and somebody at it.
    #[track_caller]
    pub(crate) fn attended(&mut self, args: &[&str], hands: impl FnOnce(&mut Terminal) -> String) {
        let mut terminal = Terminal::start(command(self.home, args));
        let during = hands(&mut terminal);
        let code = terminal.ends();
        self.command("$", args, "   (on a terminal)");
        self.screen(&during);
        let after = terminal.screen();
        if after != during {
            self.then("and afterwards");
            self.screen(&after);
        }
        self.exit(code);
    }

    /// The picture is the one that was kept.
    #[track_caller]
    pub(crate) fn is(self, name: &str) {
        let text = self.text.trim_end();
        self.settings.bind(|| insta::assert_snapshot!(name, text));
    }

    fn command(&mut self, sign: &str, args: &[&str], how: &str) {
        let words: Vec<String> = args.iter().map(|word| quoted(word)).collect();
        let _ = writeln!(self.text, "{}", format!("{sign} ocap {}{how}", words.join(" ")).trim());
    }

    fn said(&mut self, said: &Said) {
        for (sign, text) in [("", &said.stdout), ("! ", &said.stderr)] {
            for line in text.lines() {
                let _ = writeln!(self.text, "{}", format!("{sign}{line}").trim_end());
            }
        }
        self.exit(said.code);
    }

    fn screen(&mut self, screen: &str) {
        if !screen.is_empty() {
            let _ = writeln!(self.text, "{screen}");
        }
    }

    fn exit(&mut self, code: Option<i32>) {
        let code = code.map_or("killed by a signal".to_owned(), |code| format!("exit {code}"));
        let _ = writeln!(self.text, "[{code}]\n");
    }
}

/// As a shell would want it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{word}'") }
}

/// A command to which nothing from outside says how it is to look, or whom to ask.
fn command(home: &Home, args: &[&str]) -> Command {
    let mut command = home.command(args);
    for name in [
        "NO_COLOR",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "COLUMNS",
        "LINES",
        "LLM_BRIDGE_SOCKET",
        "OCAP_LLM_KEY",
        "OPENCLAW_AGENT_MODEL",
        "OPENCLAW_GATEWAY_TOKEN",
        "OPENCLAW_GATEWAY_URL",
    ] {
        command.env_remove(name);
    }
    command
}

/// A command that has been started, and whose output goes to files.
pub(crate) struct Going<'a> {
    home: &'a Home,
    child: Child,
}

impl Going<'_> {
    fn start<'a>(home: &'a Home, args: &[&str], input: &str) -> Going<'a> {
        let file = |name: &str| File::create(home.beside(name)).unwrap();
        std::fs::write(home.beside("going.in"), input).unwrap();
        let mut command = command(home, args);
        command.stdin(File::open(home.beside("going.in")).unwrap());
        // Files, not pipes: a daemon that were to inherit a pipe would keep us waiting.
        command.stdout(file("going.out")).stderr(file("going.err"));
        Going { home, child: command.spawn().unwrap() }
    }

    /// Waits until it has told this so often.
    #[track_caller]
    pub(crate) fn tells(&self, text: &str, times: usize) {
        eventually(&format!("{text:?} is told {times} times"), || {
            read(&self.home.beside("going.err")).matches(text).count() >= times
        });
    }

    /// Waits until it has printed this.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) {
        eventually(&format!("{text:?} is printed"), || {
            read(&self.home.beside("going.out")).contains(text)
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    #[track_caller]
    fn ends(&mut self) -> Said {
        let code = wait(&mut self.child).code();
        Said {
            stdout: read(&self.home.beside("going.out")),
            stderr: read(&self.home.beside("going.err")),
            code,
        }
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// What is different each time under names that are not.
pub(crate) fn steady(home: &Home) -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    let root = home.files.root();
    settings.add_filter(root.to_str().unwrap(), "HOME");
    settings.add_filter(root.parent().unwrap().to_str().unwrap(), "DIR");
    let repository = crate::rig::repository();
    settings.add_filter(repository.to_str().unwrap(), "REPOSITORY");
    settings.add_filter(r"ocap:z\w+@\w+", "[url]");
    settings.add_filter(r"\b12D3KooW\w+", "[peer]");
    settings.add_filter(r"\d+(\.\d+)? (us|ms|s|min)\b", "[time]");
    settings.add_filter(r"\d+(\.\d+)? ([KMG]iB|B)\b", "[size]");
    settings.add_filter(r"\d+ bytes\b", "[size]");
    settings.add_filter(r"\d+\.\d+ %", "[share]");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[time]");
    settings.add_filter(r"\d\d:\d\d:\d\d\.\d{3}Z", "[clock]");
    settings.add_filter(r"process \d+", "process [pid]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:[port]");
    settings.add_filter(r"batch \d+", "batch [n]");
    settings
}
