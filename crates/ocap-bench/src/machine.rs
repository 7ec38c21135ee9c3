//! What the figures were taken on.

use std::path::Path;
use std::process::Command;

use crate::limits::BUSY_SAMPLE;
use crate::options::Options;

/// A few lines of Markdown about machine, commit and command.
pub(crate) fn describe(folder: &Path, options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "# Benchmarks of ocap\n\n\
         * command: `{}`\n\
         * commit: {}\n\
         * machine: {cores} cores, {}, {}, stores on {}\n\
         * medians of {} runs; \"busy\" is how much of the machine others used just before the row",
        options.command(),
        commit().unwrap_or_else(|| "unknown".into()),
        cpu().unwrap_or_else(|| "unknown processor".into()),
        kernel(),
        file_system(folder).unwrap_or_else(|| "an unknown file system".into()),
        options.runs(),
    )
}

fn cpu() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim())
}

/// The part of the machine's processors that was busy during a short while, in percent; `None` if
/// the system does not tell. Nothing of ours should run meanwhile.
pub(crate) async fn busy_percent() -> Option<f64> {
    let (busy_before, all_before) = ticks()?;
    tokio::time::sleep(BUSY_SAMPLE).await;
    let (busy, all) = ticks()?;
    #[allow(clippy::cast_precision_loss, reason = "ticks of a fraction of a second")]
    let part = |ticks: u64, of: u64| 100.0 * ticks as f64 / of.max(1) as f64;
    Some(part(busy.saturating_sub(busy_before), all.saturating_sub(all_before)))
}

/// Busy ticks and all ticks of all processors since the machine started.
fn ticks() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    // user nice system idle iowait irq softirq steal; what follows is counted in these already.
    let fields = text.lines().next()?.split_ascii_whitespace().skip(1).take(8);
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let all = fields.iter().sum();
    let idle: u64 = fields.iter().skip(3).take(2).sum();
    Some((all - idle, all))
}

/// The type of the file system that holds the folder: syncs on `tmpfs` say nothing.
fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ');
            let (_, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
            folder.starts_with(place).then_some((place.len(), kind))
        })
        .max_by_key(|&(length, _)| length)
        .map(|(_, kind)| kind.to_owned())
}

fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let output = Command::new("git")
            .args(["-C", env!("CARGO_MANIFEST_DIR")])
            .args(args)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    // The report itself is rewritten by each run.
    let changes = git(&["status", "--porcelain", "-uno", "--", "../..", ":!../../BENCH.md"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit} and uncommitted changes") })
}
