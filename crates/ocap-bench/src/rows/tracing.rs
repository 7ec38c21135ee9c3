//! What it costs the kernel to note what happens: its CPU time for a message, with and without.

use std::time::Duration;

use ocap_kernel::Kernel;
use ocap_types::KRef;
use rustix::time::{ClockId, clock_gettime};

use crate::Failure;
use crate::limits::IN_FLIGHT;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::median;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "CPU time of the kernel's process for a message in memory, 100 in flight: with \
               tracing / without / difference",
        reference: "-",
        aim: "below 2 %",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let root = rig.launch(&kernel, [("vat", rig.fresh_source()?)]).await?.root;
    let (mut with, mut without, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // In turns, so that what else the machine does meets both alike.
    for _ in 0..rig.runs() * 4 {
        kernel.set_tracing(true).await?;
        let on = cost(rig, &kernel, root).await?;
        kernel.set_tracing(false).await?;
        let off = cost(rig, &kernel, root).await?;
        with.push(on);
        without.push(off);
        ratios.push(on / off);
    }
    kernel.stop().await?;
    let percent = (median(&ratios) - 1.0) * 100.0;
    Ok(format!("{:.2} / {:.2} us / {percent:+.1} %", median(&with), median(&without)))
}

/// CPU time for a message, in microseconds.
async fn cost(rig: &Rig, kernel: &Kernel, root: KRef) -> Result<f64, Failure> {
    let each = rig.scaled(100, 20);
    let before = cpu_time();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let kernel = kernel.clone();
        senders.spawn(async move {
            for _ in 0..each {
                rig::number(&kernel, root, "ping", Vec::new()).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    let spent = cpu_time().saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / f64::from(each * IN_FLIGHT))
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or(0))
}
