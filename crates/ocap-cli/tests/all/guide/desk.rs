//! Where a reader sits: a folder, a shell, and terminals for what goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::rig::{PATIENCE, eventually, repository};

/// How long one block may take. There may be many commands in it, and the machine may be busy.
const BLOCK_TIME_MAX: Duration = PATIENCE.saturating_mul(5);

/// What those say that go on, once they are ready.
const READY: [&str; 3] = ["Home: ", "Serving ", "Wrote "];

/// Ports for readers begin here: below those the system gives to whoever asks for any.
const PORT_FIRST: u16 = 12_000;
const PORTS: u16 = 20_000;

/// A folder that is a home, with a shell in it. All that was started ends when this goes.
pub(super) struct Desk {
    dir: tempfile::TempDir,
    shell: Shell,
    terminals: Vec<Terminal>,
    ports: BTreeMap<String, u16>,
}

/// The shell that does a page's blocks, one after another.
struct Shell {
    child: Child,
    commands: ChildStdin,
    /// A line for each block that was done.
    done: Receiver<String>,
}

/// A command that goes on.
struct Terminal {
    command: String,
    child: Child,
    /// Keeps its input open.
    _input: ChildStdin,
    lines: Receiver<String>,
    said: String,
}

impl Desk {
    pub(super) fn new() -> Desk {
        let dir = tempfile::Builder::new().prefix("oc-").tempdir_in("/tmp").unwrap();
        let bin = dir.path().join(".bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(env!("CARGO_BIN_EXE_ocap"), bin.join("ocap")).unwrap();
        let netcat = bin.join("nc");
        std::fs::write(&netcat, super::netcat::script()).unwrap();
        std::fs::set_permissions(&netcat, std::fs::Permissions::from_mode(0o700)).unwrap();
        for folder in ["examples", "vats", "contrib"] {
            symlink(repository().join(folder), dir.path().join(folder)).unwrap();
        }
        let shell = Shell::open(dir.path());
        Desk { dir, shell, terminals: Vec::new(), ports: BTreeMap::new() }
    }

    /// A text of the page as it is for this machine.
    pub(super) fn adapted(&mut self, text: &str) -> String {
        let mut adapted = text.replace("cargo run --release -- ", "ocap ");
        for between in [":", " "] {
            let before = format!("127.0.0.1{between}");
            let mut pieces = adapted.split(&before);
            let mut with_ports = pieces.next().unwrap_or_default().to_owned();
            for piece in pieces {
                let digits =
                    piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                let (port, rest) = piece.split_at(digits);
                with_ports.push_str(&before);
                if !port.is_empty() {
                    let free = *self.ports.entry(port.to_owned()).or_insert_with(free_port);
                    write!(with_ports, "{free}").unwrap();
                }
                with_ports.push_str(rest);
            }
            adapted = with_ports;
        }
        adapted
    }

    /// Makes a file.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name.strip_prefix("~/").unwrap_or(name));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Runs a block that has to succeed, and to print that.
    pub(super) fn run(&mut self, at: &str, script: &str, printed: Option<&str>) {
        let said = self.shell.run(self.dir.path(), script, false);
        let Said { code, out, both } = said;
        assert_eq!(code, Some(0), "{at}: failed\n{script}\n{both}{}", self.log());
        assert_printed(at, printed, &out, &both);
    }

    /// Runs a block that has to fail, and to say that.
    pub(super) fn run_in_vain(&mut self, at: &str, script: &str, printed: Option<&str>) {
        let Said { code, both, .. } = self.shell.run(self.dir.path(), script, true);
        assert_ne!(code, Some(0), "{at}: did not fail\n{script}\n{both}");
        assert_printed(at, printed, &both, &both);
    }

    /// Starts a command that goes on, and waits until it is ready and has said that.
    pub(super) fn start(&mut self, at: &str, command: &str, printed: Option<&str>) {
        let [command] = command.lines().collect::<Vec<_>>()[..] else {
            panic!("{at}: what goes on is one command");
        };
        for former in self.terminals.iter_mut().filter(|former| former.command == command) {
            eventually("the former one has ended", || former.child.try_wait().unwrap().is_some());
        }
        let mut terminal = Terminal::open(self.dir.path(), command);
        let deadline = Instant::now() + BLOCK_TIME_MAX;
        let is_there = |said: &str| {
            READY.iter().any(|ready| said.contains(ready))
                && printed.is_none_or(|printed| includes(printed, said))
        };
        while !is_there(&terminal.said) {
            match terminal.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => terminal.said.extend([&line, "\n"]),
                Err(why) => panic!(
                    "{at}: not ready, or without what is to be printed ({why})\n{}{}",
                    terminal.said,
                    self.log()
                ),
            }
        }
        self.terminals.push(terminal);
    }

    /// What the daemon has logged.
    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join(".ocap/daemon.log")).unwrap_or_default()
    }

    /// Folders that are homes of kernels.
    fn homes(&self) -> impl Iterator<Item = ocap_daemon::Home> {
        let folders = std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten();
        let folders = folders.map(|folder| folder.path());
        let homes = folders.filter(|folder| folder.join("daemon.lock").is_file());
        homes.filter_map(|home| ocap_daemon::Home::at(&home).ok())
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        for terminal in &mut self.terminals {
            let _ = terminal.child.kill();
            let _ = terminal.child.wait();
        }
        self.shell.end();
        for home in self.homes() {
            let _ = home.signal(Signal::KILL);
        }
    }
}

/// How a block ended.
struct Said {
    code: Option<i32>,
    out: String,
    both: String,
}

impl Shell {
    fn open(dir: &Path) -> Shell {
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-euo", "pipefail"]);
        at(&mut command, dir);
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let commands = child.stdin.take().unwrap();
        let done = lines_of(child.stdout.take().unwrap());
        Shell { child, commands, done }
    }

    /// Has it do a script. What has to fail does so in a shell of its own, since it ends that.
    fn run(&mut self, dir: &Path, script: &str, in_vain: bool) -> Said {
        let file = |name: &str| -> PathBuf { dir.join(".bin").join(name) };
        let (block, out, err) = (file("block"), file("out"), file("err"));
        std::fs::write(&block, script).unwrap();
        for output in [&out, &err] {
            std::fs::write(output, "").unwrap();
        }
        // Appended, so that what several processes write stays apart.
        let run = format!(
            "source {} >>{} 2>>{} </dev/null",
            block.display(),
            out.display(),
            err.display()
        );
        let line = if in_vain {
            format!("( set -e; {run} ) & code=0; wait $! || code=$?; echo $code\n")
        } else {
            format!("{run}; echo 0\n")
        };
        self.commands.write_all(line.as_bytes()).unwrap();
        let code = match self.done.recv_timeout(BLOCK_TIME_MAX) {
            Ok(code) => code.parse().ok(),
            Err(RecvTimeoutError::Disconnected) => self.child.wait().unwrap().code(),
            Err(RecvTimeoutError::Timeout) => panic!("a block does not end:\n{script}"),
        };
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        let (out, err) = (read(&out), read(&err));
        let both = format!("{out}{err}");
        Said { code, out, both }
    }

    /// Ends it, with whatever it has started and left.
    fn end(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Terminal {
    fn open(dir: &Path, command: &str) -> Terminal {
        let (output, ours) = std::io::pipe().unwrap();
        let mut bash = Command::new("bash");
        // In its place, so that ending the child ends the command.
        bash.args(["--noprofile", "--norc", "-c", &format!("exec {command}")]);
        at(&mut bash, dir);
        bash.stdin(Stdio::piped()).stdout(ours.try_clone().unwrap()).stderr(ours);
        let mut child = bash.spawn().unwrap();
        // With it go our copies of the end that is written to.
        drop(bash);
        let input = child.stdin.take().unwrap();
        let command = command.to_owned();
        Terminal { command, child, _input: input, lines: lines_of(output), said: String::new() }
    }
}

/// Has a command run at the desk.
fn at(command: &mut Command, dir: &Path) {
    let path = std::env::var("PATH").unwrap_or_default();
    command.current_dir(dir).env("HOME", dir);
    command.env("PATH", format!("{}:{path}", dir.join(".bin").display()));
    for ours in ["OCAP_HOME", "OCAP_LOG", "OCAP_FAILPOINT", "BASH_ENV"] {
        command.env_remove(ours);
    }
}

fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

/// A port that nobody has, and that the system gives to nobody who does not name it.
fn free_port() -> u16 {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    for _ in 0..PORTS {
        let next = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = PORT_FIRST + (start.wrapping_add(next)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

fn assert_printed(at: &str, printed: Option<&str>, output: &str, both: &str) {
    let Some(printed) = printed else { return };
    assert!(matches(printed, output), "{at}: is to print\n{printed}\nbut prints\n{both}");
}

/// Whether a text is what a pattern says, in which `...` stands for anything, and alone on a line for
/// any number of lines.
fn matches(pattern: &str, text: &str) -> bool {
    let tidy = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    let (pattern, text) = (tidy(pattern.trim_end()), tidy(text.trim_end()));
    let pattern = format!("\n{pattern}\n").replace("\n...\n", "\n...");
    let text = format!("\n{text}\n");
    let mut pieces: Vec<&str> = pattern.split("...").collect();
    let last = pieces.pop().unwrap_or_default();
    let Some((first, middle)) = pieces.split_first() else { return text == last };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    for piece in middle {
        let Some(found) = rest.find(piece) else { return false };
        rest = &rest[found + piece.len()..];
    }
    rest.ends_with(last)
}

/// The same for lines that others may stand around: of what goes on there is more to come, and vats
/// and kernel talk at the same time.
fn includes(pattern: &str, text: &str) -> bool {
    matches(&format!("...\n{}\n...", pattern.trim_end()), text)
}

#[test]
fn dots_stand_for_anything_and_the_rest_for_itself() {
    for (pattern, text) in [
        ("a\nb\n", "a  \nb"),
        ("a...d", "a\nb\nc d\n"),
        ("...", ""),
        ("... b ... b", "a b c b b"),
        ("a\n...\nb\n...", "a\nb"),
        ("...\nb\n...\nd", "a\nb\nc\nd"),
    ] {
        assert!(matches(pattern, text), "{pattern:?} {text:?}");
    }
    for (pattern, text) in [("a", "a\nb"), ("a...b...c", "a c b"), ("ab...ba", "aba"), ("", "x")] {
        assert!(!matches(pattern, text), "{pattern:?} {text:?}");
    }
    assert!(includes("b\n...\nd\n", "a\nb\nd\ne\n") && includes("a\n", "a\n"));
    assert!(!includes("b\nd", "b\nc\nd"));
}

#[test]
fn a_block_that_fails_fails_and_one_that_is_to_fail_must() {
    let mut desk = Desk::new();
    desk.run("", "word=kept; cd /", Some(""));
    desk.run("", "echo \"$word\" >&2; pwd", Some("/"));
    desk.run_in_vain("", "echo one\nfalse\necho two", Some("one"));
    desk.run_in_vain("", "false | true", None);
    let fails = |act: &mut dyn FnMut(&mut Desk)| {
        let mut desk = Desk::new();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(&mut desk))).is_err()
    };
    assert!(fails(&mut |desk| desk.run("", "false\ntrue", None)));
    assert!(fails(&mut |desk| desk.run("", "echo \"$unknown\"", None)));
    assert!(fails(&mut |desk| desk.run("", "echo one", Some("two"))));
    assert!(fails(&mut |desk| desk.run_in_vain("", "true", None)));
}

#[test]
fn ports_are_the_same_wherever_a_page_names_them_and_free() {
    let mut desk = Desk::new();
    let adapted = desk.adapted("127.0.0.1:4000 nc 127.0.0.1 4000, 127.0.0.1:1");
    let (first, rest) = adapted.strip_prefix("127.0.0.1:").unwrap().split_once(' ').unwrap();
    assert_ne!(first, "4000");
    assert!(rest.starts_with(&format!("nc 127.0.0.1 {first}, 127.0.0.1:")), "{adapted}");
    assert!(!rest.ends_with(&format!(":{first}")), "{adapted}");
}
