//! Many vats: that one costs the same among a thousand as among a hundred.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::seconds;
use crate::{Failure, process};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "100 / 1,000 vats, each: launched, answered after a restart, private memory of its \
               process and of the kernel's",
        reference: "-",
        aim: "the same at both",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let counts = [rig.scaled(100, 20), rig.scaled(1_000, 100)];
    let mut cells = Vec::new();
    for count in counts {
        cells.push(with_vats(rig, count).await?);
    }
    let [few, many] = counts;
    let only = if many == 1_000 { String::new() } else { format!(" (only {few} / {many} vats)") };
    Ok(format!("{}{only}", cells.join(" / ")))
}

async fn with_vats(rig: &Rig, count: u32) -> Result<String, Failure> {
    let home = rig.home()?;
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    // The first vat pays for what all of them share.
    rig.launch_plain(&kernel, 1).await?;
    let before = (workers_kib()?, process::private_kib(std::process::id())?);
    let start = Instant::now();
    let roots = rig.launch_plain(&kernel, count).await?;
    let launched = start.elapsed().as_secs_f64() / f64::from(count);
    ask_all(&kernel, &roots).await?;
    let after = (workers_kib()?, process::private_kib(std::process::id())?);
    kernel.stop().await?;
    drop(kernel);
    let start = Instant::now();
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    ask_all(&kernel, &roots).await?;
    let restarted = start.elapsed().as_secs_f64() / f64::from(count);
    if let Some(finding) = kernel.check().await?.first() {
        return Err(format!("{}: {}", finding.key, finding.problem).into());
    }
    kernel.stop().await?;
    let mib = |before: u64, after: u64| {
        #[allow(clippy::cast_precision_loss, reason = "memory sizes in KiB are far below 2^53")]
        let more = after.saturating_sub(before) as f64;
        more / f64::from(count) / 1024.0
    };
    Ok(format!(
        "{}, {}, {:.2} + {:.2} MiB",
        seconds(launched),
        seconds(restarted),
        mib(before.0, after.0),
        mib(before.1, after.1)
    ))
}

/// Every vat answers that it has been asked once since it started.
async fn ask_all(kernel: &Kernel, roots: &[KRef]) -> Result<(), Failure> {
    for &root in roots {
        if rig::ping(kernel, root).await? != 1 {
            return Err("a vat had been asked before".into());
        }
    }
    Ok(())
}

fn workers_kib() -> Result<u64, Failure> {
    Ok(process::descendants_private_kib()?.values().sum())
}
