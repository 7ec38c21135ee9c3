//! `ocap backup`: a copy of the state, whether a kernel runs on it or not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread::sleep;

use clap::Args;
use ocap_daemon::Home;
use ocap_daemon::home::display;
use ocap_kernel::{ErrorKind, KernelError, examine};
use serde_json::{Value, json};

use crate::background::call_running;
use crate::commands::doctor;
use crate::failure::Failure;
use crate::limits;
use crate::output::{Progress, say};

/// The arguments.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// Where it goes
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace an earlier backup there
    #[arg(long)]
    replace: bool,
    /// Leave out the walk over the copy that shows whether it is sound
    #[arg(long)]
    no_check: bool,
}

impl Backup {
    /// Makes it, looks whether it is sound, and says so.
    pub(crate) fn carry_out(self, home: &Home) -> Result<(), Failure> {
        let target = std::path::absolute(&self.file)?;
        let shown = display(&target);
        // Looked at again by whoever makes the copy: this only says what to do.
        if !self.replace && std::fs::symlink_metadata(&target).is_ok() {
            return Err(Failure::new(format!(
                "{shown} is there already; choose another name, or add --replace"
            )));
        }
        copy(home, &target, self.replace)?;
        let bytes = std::fs::metadata(&target)?.len();
        if self.no_check {
            say(&format!("Backup: {shown}, {bytes} bytes."));
            return Ok(());
        }
        let mut progress = Progress::new("Checking");
        progress.show_count(bytes, "bytes");
        let examined = examine(&target).map_err(of_kernel)?;
        drop(progress);
        doctor::tell(&examined.findings)?;
        if !examined.findings.is_empty() {
            let count = doctor::count(examined.findings.len());
            return Err(Failure::new(format!(
                "{count} in {shown}: the state itself is damaged, and this copy of it is \
                 kept for what it is worth"
            )));
        }
        let batch = examined.last_batch;
        say(&format!("Backup: {shown}, {bytes} bytes, sound, as of batch {batch}."));
        Ok(())
    }
}

/// Copies the state of the home to a file, by the kernel that runs on it or without one.
pub(crate) fn copy(home: &Home, target: &Path, replace: bool) -> Result<(), Failure> {
    let mut progress = Progress::new("Copying");
    if home.is_held() {
        return copy_running(home, target, replace, &mut progress);
    }
    let copied = ocap_kernel::backup(&home.database(), target, replace, |copied| {
        progress.show_part(copied.done, copied.total);
        true
    });
    copied.map(|_| ()).map_err(of_kernel)
}

fn copy_running(
    home: &Home,
    target: &Path,
    replace: bool,
    progress: &mut Progress,
) -> Result<(), Failure> {
    let Some(path) = target.to_str() else {
        return Err(Failure::new(format!("{}: the path is not UTF-8", target.display())));
    };
    let params = json!({"path": path, "replace": replace});
    let mut partial = OsString::from(target);
    partial.push(".partial");
    let size = |path: &Path| Some(std::fs::metadata(path).ok()?.len());
    std::thread::scope(|scope| {
        let asked = scope
            .spawn(|| -> Result<Value, Failure> { call_running(home, "backup", &params, None) });
        // What is there of the copy tells how far it has come.
        while progress.is_seen() && !asked.is_finished() {
            sleep(limits::PROGRESS_PAUSE);
            if let (Some(done), Some(total)) = (size(Path::new(&partial)), size(&home.database())) {
                progress.show_part(done, total);
            }
        }
        let answered = asked.join();
        answered.map_err(|_| Failure::new("the request ended abnormally"))?.map(|_| ())
    })
}

/// What a kernel says, with what to do about it.
#[allow(clippy::needless_pass_by_value, reason = "the shape `map_err` wants")]
pub(crate) fn of_kernel(error: KernelError) -> Failure {
    match error.kind {
        ErrorKind::Busy => Failure::new(format!(
            "{} (`ocap daemon stop` ends a kernel in the background)",
            error.message
        )),
        _ => Failure::new(error.message),
    }
}
