//! From the start of the process until the kernel is ready.

use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

use crate::report::{Report, Row};
use crate::rig::Rig;
use crate::sample::{median, seconds};
use crate::{Failure, process};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "cold start of the process until ready: new home / existing home",
        reference: "1.2 s",
        aim: "30 ms",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let (mut new, mut existing) = (Vec::new(), Vec::new());
    for _ in 0..rig.runs() {
        let home = rig.home()?;
        new.push(start(home.clone()).await?);
        existing.push(start(home).await?);
    }
    Ok(format!("{} / {}", seconds(median(&new)), seconds(median(&existing))))
}

async fn start(home: std::path::PathBuf) -> Result<f64, Failure> {
    tokio::task::spawn_blocking(move || start_and_stop(&home)).await?
}

fn start_and_stop(home: &Path) -> Result<f64, Failure> {
    let start = Instant::now();
    let mut child = process::spawn_start(home)?;
    let mut said = Vec::new();
    if let Some(output) = &mut child.stdout {
        output.take(process::READY.len() as u64).read_to_end(&mut said)?;
    }
    let time = start.elapsed();
    drop(child.stdin.take());
    let status = child.wait()?;
    if said != process::READY || !status.success() {
        return Err(format!("the kernel's process did not start and stop: {status}").into());
    }
    Ok(time.as_secs_f64())
}
