//! What a vat keeps: writes inside a crank, and a store far larger than its heap.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, per_second, rate, seconds};
use crate::{Failure, process};

/// Entries that one message adds to a store.
const ENTRIES_PER_CRANK: u32 = 1_000;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "writes to baggage inside a crank, on disk",
        reference: "-",
        aim: "60,000 per s",
    };
    report.add(row, writes(rig)).await;
    let row = Row {
        name: "a durable store of no / a million entries: its vat answers after a restart in, private memory of its worker",
        reference: "-",
        aim: "the same at both",
    };
    report.add(row, large(rig)).await;
}

async fn writes(rig: &Rig) -> Result<String, Failure> {
    let home = rig.home()?;
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    let root = rig.launch(&kernel, [("storage", rig.storage()?)]).await?.root;
    let count = rig.scaled(20_000, 5_000);
    let mut rates = Vec::new();
    for _ in 0..rig.runs() {
        let start = Instant::now();
        rig::number(&kernel, root, "set", vec![count.into()]).await?;
        rates.push(rate(count, start.elapsed()));
    }
    kernel.stop().await?;
    Ok(per_second(median(&rates)))
}

async fn large(rig: &Rig) -> Result<String, Failure> {
    let entries = rig.scaled(1_000_000, 20_000);
    let (empty, empty_mib) = reopened(rig, 0).await?;
    let (full, full_mib) = reopened(rig, entries).await?;
    let only = if entries == 1_000_000 { String::new() } else { format!(" (only {entries})") };
    Ok(format!(
        "{}, {empty_mib:.2} MiB / {}, {full_mib:.2} MiB{only}",
        seconds(empty),
        seconds(full)
    ))
}

/// How long a kernel takes until a vat with so many entries has answered from them, and what its
/// worker's private memory is then, in MiB.
async fn reopened(rig: &Rig, entries: u32) -> Result<(f64, f64), Failure> {
    let home = rig.home()?;
    let mut kernel = rig::start(rig::on_disk(&home), &home).await?;
    let root = rig.launch(&kernel, [("storage", rig.storage()?)]).await?.root;
    let mut filled = 0;
    while filled < entries {
        let to = entries.min(filled + ENTRIES_PER_CRANK);
        rig::number(&kernel, root, "fill", vec![filled.into(), to.into()]).await?;
        filled = to;
    }
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for _ in 0..rig.runs() {
        kernel.stop().await?;
        drop(kernel);
        let start = Instant::now();
        kernel = rig::start(rig::on_disk(&home), &home).await?;
        ask(&kernel, root, entries).await?;
        times.push(start.elapsed().as_secs_f64());
        sizes.push(worker_mib()?);
    }
    kernel.stop().await?;
    Ok((median(&times), median(&sizes)))
}

async fn ask(kernel: &Kernel, root: KRef, entries: u32) -> Result<(), Failure> {
    match entries.checked_sub(1) {
        Some(last)
            if rig::number(kernel, root, "look", vec![last.into()]).await? == u64::from(last) =>
        {
            Ok(())
        }
        None if rig::number(kernel, root, "set", vec![1.into()]).await? == 1 => Ok(()),
        _ => Err("the store does not hold what was put in".into()),
    }
}

/// Of the zygote's children one is the vat's worker; another, much smaller, waits for the next vat.
#[allow(clippy::cast_precision_loss, reason = "a few thousand KiB")]
fn worker_mib() -> Result<f64, Failure> {
    // The zygote was the first, so it has the least number.
    let sizes = process::descendants_private_kib()?;
    let worker = sizes.values().skip(1).max().ok_or("no worker")?;
    Ok(*worker as f64 / 1024.0)
}
