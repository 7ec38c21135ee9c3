//! What the tests share: homes, kernels, and ways to talk to them. Everything ends by itself:
//! processes when their guard goes, waits after [`PATIENCE`].

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use ocap_daemon::client::{self, ClientError};
use rustix::process::Signal;
use serde_json::{Value, json};

/// How long anything may take that is going to happen: generous, the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Where the repository is.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub(crate) fn guestbook() -> PathBuf {
    repository().join("examples/guestbook/cluster.json")
}

/// The source of a vat for tests.
pub(crate) fn vat(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vats").join(name);
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// Waits for a condition that no event tells.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(Duration::from_millis(5));
    }
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A home of its own for one test; no kernel of it outlives it.
pub(crate) struct Home {
    dir: tempfile::TempDir,
    pub(crate) files: ocap_daemon::Home,
}

impl Home {
    pub(crate) fn new() -> Home {
        let dir = tempfile::Builder::new().prefix("oc-").tempdir_in("/tmp").unwrap();
        let files = ocap_daemon::Home::at(&dir.path().join("h")).unwrap();
        Home { dir, files }
    }

    /// A file or folder beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file or folder in the home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.files.root().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocap"));
        command.args(args).env("OCAP_HOME", self.files.root()).env_remove("OCAP_LOG");
        command.env_remove("OCAP_FAILPOINT").current_dir(self.dir.path());
        command
    }

    /// Runs a command to its end.
    #[track_caller]
    pub(crate) fn ocap(&self, args: &[&str]) -> Said {
        // Files, not pipes: a daemon that were to inherit a pipe would keep us waiting.
        let (out, err) = (self.beside("stdout"), self.beside("stderr"));
        let mut command = self.command(args);
        command.stdin(Stdio::null());
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
        let mut child = command.spawn().unwrap();
        let status = wait(&mut child);
        let read = |path: &Path| std::fs::read_to_string(path).unwrap();
        Said { stdout: read(&out), stderr: read(&err), code: status.code() }
    }

    /// The same, and it must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let said = self.ocap(args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}\n{}", self.log());
        said.stdout
    }

    pub(crate) fn start(&self) {
        self.ok(&["daemon", "start"]);
    }

    pub(crate) fn stop(&self) {
        self.ok(&["daemon", "stop"]);
        assert!(!self.files.is_held());
    }

    /// Kills the kernel without warning and waits until it is gone.
    pub(crate) fn kill(&self) {
        assert!(self.files.signal(Signal::KILL).unwrap(), "no kernel to kill");
        eventually("a killed kernel lets go of its home", || !self.files.is_held());
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.files.log()).unwrap_or_default()
    }

    /// A request to the kernel.
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        client::call(&self.files.socket(), method, &params, Some(PATIENCE))
    }

    /// A message to an object; the body of the answer, or the message of the rejection.
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    #[track_caller]
    pub(crate) fn ask(&self, kref: &str, method: &str, args: Value) -> String {
        match self.rpc("queueMessage", json!([kref, method, args])) {
            Ok(answer) => answer["body"].as_str().unwrap().to_owned(),
            Err(ClientError::Rpc(error)) => error.message,
            Err(error) => panic!("{method}: {error}\n{}", self.log()),
        }
    }

    /// The same for what takes long because there is much of it.
    #[allow(clippy::needless_pass_by_value, reason = "tests write the value at the call")]
    #[track_caller]
    pub(crate) fn ask_at_length(&self, kref: &str, method: &str, args: Value) -> String {
        let params = json!([kref, method, args]);
        let answer =
            client::call(&self.files.socket(), "queueMessage", &params, Some(30 * PATIENCE));
        match answer {
            Ok(answer) => answer["body"].as_str().unwrap().to_owned(),
            Err(error) => panic!("{method}: {error}\n{}", self.log()),
        }
    }

    /// The same for a message that may get no answer, because the kernel ends.
    pub(crate) fn ask_or_break(&self, kref: &str, method: &str) {
        let answer = self.rpc("queueMessage", json!([kref, method, []]));
        assert!(!matches!(answer, Ok(_) | Err(ClientError::Timeout)), "{answer:?}");
    }

    /// Launches a cluster; its root.
    #[track_caller]
    pub(crate) fn launch(&self, config: &Value) -> String {
        let launched = self.rpc("launchSubcluster", json!({ "config": config }));
        launched.unwrap()["rootKref"].as_str().unwrap().to_owned()
    }

    /// Launches a lone counter; its root.
    #[track_caller]
    pub(crate) fn launch_counter(&self) -> String {
        self.launch(&json!({"bootstrap": "a", "vats": {"a": {"sourceSpec": vat("counter.js")}}}))
    }

    pub(crate) fn status(&self) -> Value {
        self.rpc("getStatus", json!([])).unwrap()
    }

    /// The one channel of that path, as the status has it.
    pub(crate) fn channel(&self, path: &Path) -> Value {
        let status = self.status();
        let channels = status["channels"].as_array().unwrap();
        let path = path.to_str().unwrap();
        channels.iter().find(|c| c["config"]["path"] == path).unwrap().clone()
    }

    /// Sends bytes to the RPC socket and reads until the end.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = connect(&self.files.socket());
        // It may refuse before it has read everything.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("no end of an answer: {error}"),
        }
        String::from_utf8(answer).unwrap()
    }

    /// A kernel in the foreground; its standard input is ours.
    pub(crate) fn run(&self, file: &Path, args: &[&str], env: &[(&str, &str)]) -> Running {
        let mut command = self.command(&["run"]);
        command.arg(file).args(args).envs(env.iter().copied());
        Running::start(command)
    }

    /// Any command that goes on until it is told to stop.
    pub(crate) fn foreground(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// A daemon that is a child of ours, so that we see how it ends.
    pub(crate) fn serve(&self, env: &[(&str, &str)]) -> Running {
        let mut command = self.command(&["daemon", "serve"]);
        command.envs(env.iter().copied());
        Running::start(command)
    }

    /// Whether what is stored is consistent: opens it with a kernel of our own.
    pub(crate) fn assert_sound(&self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let findings = runtime.block_on(async {
            let kernel = ocap_kernel::Kernel::start(self.kernel_options()).await.unwrap();
            let findings = kernel.check().await.unwrap();
            kernel.stop().await.unwrap();
            findings
        });
        assert!(findings.is_empty(), "{findings:#?}");
    }

    /// Options for a kernel in this process, without IO.
    pub(crate) fn kernel_options(&self) -> ocap_kernel::KernelOptions {
        ocap_kernel::KernelOptions {
            store: ocap_kernel::StoreLocation::File(self.files.database()),
            workers: ocap_kernel::WorkerMode::Process {
                executable: Some(env!("CARGO_BIN_EXE_ocap").into()),
                best_effort: false,
            },
            home: self.files.root().to_path_buf(),
            io: None,
            services: Vec::new(),
            allowed_globals: None,
            system_subclusters: Vec::new(),
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = self.files.signal(Signal::KILL);
    }
}

/// A kernel in the foreground. Killed when this goes.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Running {
    pub(crate) fn start(command: Command) -> Running {
        Running::start_with(command, Stdio::piped())
    }

    /// A process with this as its standard input.
    pub(crate) fn start_with(mut command: Command, stdin: Stdio) -> Running {
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = lines_of(child.stdout.take().unwrap());
        let stderr = lines_of(child.stderr.take().unwrap());
        Running { child, stdin, stdout, stderr }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of standard output that contains a text.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str) -> String {
        next_with(&self.stdout, text)
    }

    /// Whether a line of standard output that contains a text has come since.
    pub(crate) fn heard(&mut self, text: &str) -> bool {
        self.stdout.try_iter().any(|line| line.contains(text))
    }

    /// The next line of standard error that contains a text.
    #[track_caller]
    pub(crate) fn tells(&mut self, text: &str) -> String {
        next_with(&self.stderr, text)
    }

    /// Waits until it has told that, or has ended; whether it has told.
    pub(crate) fn tells_or_ends(&mut self, text: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) if line.contains(text) => return true,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("neither {text:?} nor an end"),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; what was not read yet of standard error comes along.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child);
        let rest: Vec<String> = self.stderr.iter().collect();
        (status, rest.join("\n"))
    }

    /// Whether it has ended, without waiting.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a process, which must come.
#[track_caller]
pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("process {} does not end", child.id());
        }
        sleep(Duration::from_millis(2));
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    receive
}

#[track_caller]
fn next_with(lines: &Receiver<String>, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) if line.contains(text) => return line,
            Ok(line) => seen.push(line),
            Err(why) => panic!("no line with {text:?} ({why:?}); there were {seen:#?}"),
        }
    }
}

/// Connects, waiting for the socket to be there.
#[track_caller]
pub(crate) fn connect(path: &Path) -> UnixStream {
    let mut connected = None;
    eventually(&format!("{} listens", path.display()), || {
        connected = UnixStream::connect(path).ok();
        connected.is_some()
    });
    let stream = connected.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A client of a line channel.
pub(crate) struct Line {
    stream: BufReader<UnixStream>,
}

impl Line {
    #[track_caller]
    pub(crate) fn connect(path: &Path) -> Line {
        Line { stream: BufReader::new(connect(path)) }
    }

    /// Connects if somebody listens.
    pub(crate) fn try_connect(path: &Path) -> Option<Line> {
        let stream = UnixStream::connect(path).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(Line { stream: BufReader::new(stream) })
    }

    /// Sends as it is; that nobody takes it is no failure.
    pub(crate) fn send_all(&mut self, text: &str) {
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        writeln!(self.stream.get_mut(), "{line}").unwrap();
    }

    /// The next line; `None` once the peer has closed.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(line.trim_end_matches('\n').to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("no line within {PATIENCE:?}")
            }
            Err(_) => None,
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.next().expect("an answer")
    }
}
