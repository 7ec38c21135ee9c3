//! Private memory per vat: how much the processes of the kernel grow by when vats are launched.

use ocap_kernel::Kernel;
use ocap_types::config::VatConfig;

use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::{Failure, process};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "private memory per vat of plain source",
        reference: "60 - 100 MiB",
        aim: "1 MiB",
    };
    report.add(row, measure(rig, || rig.fresh_source())).await;
    let row = Row {
        name: "private memory per vat of an exo bundle",
        reference: "60 - 100 MiB",
        aim: "2.5 MiB",
    };
    if rig.has_bundle() {
        report.add(row, measure(rig, || rig.fresh_bundle())).await;
    } else {
        report.skip(&row, rig::NO_BUNDLE);
    }
}

async fn measure(
    rig: &Rig,
    fresh: impl Fn() -> Result<VatConfig, Failure>,
) -> Result<String, Failure> {
    let vat = fresh()?;
    let kernel = rig.in_memory().await?;
    // The first vat pays for what all of them share.
    launch(rig, &kernel, &vat, 1).await?;
    let before = workers_kib()?;
    let own_before = process::private_kib(std::process::id())?;
    let count = rig.scaled(20, 8);
    launch(rig, &kernel, &vat, count).await?;
    let after = workers_kib()?;
    let own_after = process::private_kib(std::process::id())?;
    kernel.stop().await?;
    Ok(format!(
        "{:.2} MiB (and {:.2} MiB in the kernel's process)",
        mib_each(before, after, count),
        mib_each(own_before, own_after, count)
    ))
}

async fn launch(rig: &Rig, kernel: &Kernel, vat: &VatConfig, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        rig.launch(kernel, [("vat", vat.clone())]).await?;
    }
    Ok(())
}

fn workers_kib() -> Result<u64, Failure> {
    Ok(process::descendants_private_kib()?.values().sum())
}

#[allow(clippy::cast_precision_loss, reason = "memory sizes in KiB are far below 2^53")]
fn mib_each(before_kib: u64, after_kib: u64, count: u32) -> f64 {
    after_kib.saturating_sub(before_kib) as f64 / f64::from(count) / 1024.0
}
