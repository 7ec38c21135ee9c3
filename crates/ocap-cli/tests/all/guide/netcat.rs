//! `nc`, as far as the pages use it: `nc [-N] -U PATH` and `nc [-N] HOST PORT`.
//!
//! With `-N` it ends its output where its input ends, and goes on until its peer has ended too. One
//! that nobody types anything into hangs up.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::rig::{PATIENCE, connect, eventually};

/// What it was called with, among the variables of this process.
const ARGUMENTS: &str = "OCAP_TEST_NETCAT";

/// The program: this one, for one test that is nothing by itself. Standard output belongs to the test
/// harness, so that what is received goes to a descriptor of its own.
pub(super) fn script() -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        "#!/bin/sh\nexec 3>&1 >/dev/null\nexport {ARGUMENTS}=\"$*\"\nexec '{}' --exact guide::netcat::stand_in --ignored --nocapture\n",
        program.display()
    )
}

trait Stream: Read + Write + Send {
    fn again(&self) -> Box<dyn Stream>;
    fn end_output(&self);
}

impl Stream for UnixStream {
    fn again(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
    fn end_output(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl Stream for TcpStream {
    fn again(&self) -> Box<dyn Stream> {
        Box::new(self.try_clone().unwrap())
    }
    fn end_output(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

#[test]
#[ignore = "the process that pages know as nc"]
fn stand_in() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let (flags, place): (Vec<&str>, Vec<&str>) =
        arguments.split(' ').partition(|word| word.starts_with('-'));
    let flags = flags.concat();
    let mut stream: Box<dyn Stream> = match place[..] {
        [path] if flags.contains('U') => Box::new(connect(Path::new(path))),
        [host, port] => Box::new(dial(host, port.parse().unwrap())),
        _ => panic!("nc {arguments}: neither -U PATH nor HOST PORT"),
    };
    let input = std::fs::metadata("/dev/stdin").unwrap().file_type();
    if input.is_char_device() {
        return;
    }
    let mut ours = stream.again();
    let ends = flags.contains('N');
    let typing = std::thread::spawn(move || {
        let _ = copy(&mut std::io::stdin(), &mut ours);
        if ends {
            ours.end_output();
        }
    });
    let mut output = std::fs::OpenOptions::new().append(true).open("/dev/fd/3").unwrap();
    copy(&mut stream, &mut output).unwrap();
    drop(typing);
}

fn dial(host: &str, port: u16) -> TcpStream {
    let mut connected = None;
    eventually(&format!("{host}:{port} listens"), || {
        connected = TcpStream::connect((host, port)).ok();
        connected.is_some()
    });
    let stream = connected.unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}
