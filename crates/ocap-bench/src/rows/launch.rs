//! Launching one vat in a running kernel, on disk: code the kernel has never seen, then the same
//! again.

use std::time::Instant;

use ocap_types::config::VatConfig;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, seconds};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "launch one vat of plain source on disk, first time / again",
        reference: "-",
        aim: "30 ms / 15 ms",
    };
    report.add(row, measure(rig, || rig.fresh_source())).await;
    let row = Row {
        name: "launch one vat of an exo bundle on disk, first time / again",
        reference: "1.07 s",
        aim: "30 ms / 15 ms",
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
    let home = rig.home()?;
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for _ in 0..rig.runs() {
        let vat = fresh()?;
        for times in [&mut first, &mut again] {
            let start = Instant::now();
            rig.launch(&kernel, [("vat", vat.clone())]).await?;
            times.push(start.elapsed().as_secs_f64());
        }
    }
    kernel.stop().await?;
    Ok(format!("{} / {}", seconds(median(&first)), seconds(median(&again))))
}
