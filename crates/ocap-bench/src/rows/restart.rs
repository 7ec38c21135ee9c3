//! A kernel that stops and comes back with its vats.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, seconds};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "restart until all of 50 persisted vats have answered",
        reference: "39 s",
        aim: "1 s",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let home = rig.home()?;
    let count = rig.scaled(50, 10);
    let mut kernel = rig::start(rig::on_disk(&home), &home).await?;
    let roots = rig.launch_plain(&kernel, count).await?;
    let mut times = Vec::new();
    for _ in 0..rig.runs() {
        kernel.stop().await?;
        drop(kernel);
        let start = Instant::now();
        kernel = rig::start(rig::on_disk(&home), &home).await?;
        ask_all(&kernel, &roots).await?;
        times.push(start.elapsed().as_secs_f64());
    }
    kernel.stop().await?;
    let only = if count == 50 { String::new() } else { format!(" (only {count} vats)") };
    Ok(format!("{}{only}", seconds(median(&times))))
}

async fn ask_all(kernel: &Kernel, roots: &[KRef]) -> Result<(), Failure> {
    let mut asked = tokio::task::JoinSet::new();
    for root in roots {
        let (kernel, root) = (kernel.clone(), *root);
        asked.spawn(async move { rig::ping(&kernel, root).await });
    }
    while let Some(answer) = asked.join_next().await {
        // A new incarnation counts from the start.
        if answer?? != 1 {
            return Err("a vat kept its heap over a restart".into());
        }
    }
    Ok(())
}
