//! Helper processes of the benchmarks, and what `/proc` says about the workers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::limits::{PROC_FILE_BYTES_MAX, PROCESSES_MAX};
use crate::{Failure, rig};

const ECHO: &str = "bench-child-echo";
const START: &str = "bench-child-start";
const BOOT: &str = "bench-child-boot";

/// What a started kernel's process prints once it is ready.
pub(crate) const READY: &[u8] = b"ready\n";

/// Runs this process as one of the benchmarks' helpers, if its first argument says so.
pub(crate) fn run_child_if_asked() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let first = args.next()?;
    let result = match first.to_str()? {
        ECHO => echo(),
        START => start(&PathBuf::from(args.next()?)),
        BOOT => crate::rows::objects::boot(&PathBuf::from(args.next()?)),
        _ => return None,
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ocap-bench: {error}");
            ExitCode::FAILURE
        }
    })
}

/// Starts the helper that sends back each byte of its standard input. Ends with its input.
pub(crate) fn spawn_echo(input: Stdio, output: Stdio) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    Ok(Command::new(program).arg(ECHO).stdin(input).stdout(output).spawn()?)
}

fn echo() -> Result<(), Failure> {
    let (mut input, mut output) = (std::io::stdin(), std::io::stdout());
    let mut byte = [0];
    while input.read(&mut byte)? > 0 {
        output.write_all(&byte)?;
        output.flush()?;
    }
    Ok(())
}

/// Runs the helper that boots the core in `home` and tells what it took.
pub(crate) fn run_boot(home: &Path) -> Result<String, Failure> {
    let program = std::env::current_exe()?;
    let output = Command::new(program).arg(BOOT).arg(home).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the boot's process ended with {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Starts the helper that runs a kernel in `home`, says when it is ready and stops with its input.
pub(crate) fn spawn_start(home: &Path) -> Result<Child, Failure> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.arg(START).arg(home).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command.spawn()?)
}

fn start(home: &Path) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let kernel = runtime.block_on(rig::start(rig::on_disk(home), home))?;
    let mut output = std::io::stdout();
    output.write_all(READY)?;
    output.flush()?;
    // Until the parent closes it, or is gone.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    runtime.block_on(kernel.stop())?;
    Ok(())
}

/// Private memory of every process that descends from this one, in KiB, by process id. A process
/// that ends meanwhile is left out.
pub(crate) fn descendants_private_kib() -> Result<BTreeMap<u32, u64>, Failure> {
    let mut parents = BTreeMap::new();
    for entry in std::fs::read_dir("/proc")?.take(PROCESSES_MAX) {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if let Some(parent) = read(&format!("/proc/{pid}/stat")).ok().and_then(|s| parent(&s)) {
            parents.insert(pid, parent);
        }
    }
    let mut family = BTreeSet::from([std::process::id()]);
    loop {
        let size = family.len();
        family.extend(
            parents
                .iter()
                .filter(|(_, p)| family.contains(p))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == size {
            break;
        }
    }
    family.remove(&std::process::id());
    let mut private = BTreeMap::new();
    for pid in family {
        match private_kib(pid) {
            Ok(kib) => private.insert(pid, kib),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(format!("may not read the memory of process {pid}: {error}").into());
            }
            Err(_) => continue,
        };
    }
    Ok(private)
}

/// Private memory of a process in KiB.
pub(crate) fn private_kib(pid: u32) -> std::io::Result<u64> {
    let text = read(&format!("/proc/{pid}/smaps_rollup"))?;
    Ok(text.lines().filter(|line| line.starts_with("Private_")).filter_map(kib).sum())
}

/// The number in a line such as `Private_Dirty:   123 kB`.
fn kib(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The parent in a `stat` file: the second field after the name, which may contain anything.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn read(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(PROC_FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{kib, parent, private_kib};

    #[test]
    fn proc_files_are_understood() {
        assert_eq!(parent("12 (a) b (c) S 7 1 2"), Some(7));
        assert_eq!(parent("12"), None);
        assert_eq!(kib("Private_Dirty:      964 kB"), Some(964));
        assert!(private_kib(std::process::id()).unwrap() > 0);
    }
}
