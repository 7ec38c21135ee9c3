//! Messages per second: from the host to vats, and from vat to vat.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::limits::IN_FLIGHT;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, per_second, rate};
use crate::{Failure, raw};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "queueMessage in memory, one at a time / 100 in flight over four vats",
        reference: "424 / 477 per s",
        aim: "15,000 / 40,000 per s",
    };
    report.add(row, in_memory(rig)).await;
    let row = Row {
        name: "queueMessage on disk, one at a time / 100 in flight over four vats",
        reference: "86 / 99 per s",
        aim: "one sync each / 10,000 per s or 40 times the disk's syncs",
    };
    report.add(row, on_disk(rig)).await;
    let row = Row {
        name: "vat to vat in memory, awaited calls (two cranks each)",
        reference: "239 per s",
        aim: "5,000 per s",
    };
    report.add(row, vat_to_vat(rig)).await;
}

async fn in_memory(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let counts = (rig.scaled(10_000, 2_000), rig.scaled(40_000, 8_000));
    let (alone, in_flight) = both(rig, &kernel, counts, || Ok(())).await?;
    kernel.stop().await?;
    Ok(format!("{} / {}", per_second(alone), per_second(in_flight)))
}

async fn on_disk(rig: &Rig) -> Result<String, Failure> {
    // The disk's speed may change from one second to the next: it is measured beside each run.
    let (mut syncs, mut commits) = (Vec::new(), Vec::new());
    let home = rig.home()?;
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    let counts = (rig.scaled(500, 100), rig.scaled(20_000, 4_000));
    let (alone, in_flight) = both(rig, &kernel, counts, || {
        syncs.push(raw::measure_syncs(rig)?);
        commits.push(raw::measure_commits(rig)?);
        Ok(())
    })
    .await?;
    kernel.stop().await?;
    Ok(format!(
        "{} / {} (beside it the disk synced {}, the store alone committed {})",
        per_second(alone),
        per_second(in_flight),
        per_second(median(&syncs)),
        per_second(median(&commits)),
    ))
}

/// Messages per second, one at a time to one vat and many in flight to four. Before each run,
/// `beside` measures something else.
async fn both(
    rig: &Rig,
    kernel: &Kernel,
    counts: (u32, u32),
    mut beside: impl FnMut() -> Result<(), Failure>,
) -> Result<(f64, f64), Failure> {
    let roots = rig.launch_plain(kernel, 4).await?;
    let mut sent = 0;
    let (mut alone, mut in_flight) = (Vec::new(), Vec::new());
    for _ in 0..rig.runs() {
        beside()?;
        alone.push(one_at_a_time(kernel, &roots, counts.0).await?);
        in_flight.push(many_at_once(kernel, &roots, counts.1).await?);
        sent += u64::from(counts.0) + u64::from(counts.1 / IN_FLIGHT * IN_FLIGHT);
    }
    // Each vat counts: nothing may be lost or doubled for the sake of speed.
    let mut counted = 0;
    for root in &roots {
        counted += rig::ping(kernel, *root).await? - 1;
    }
    if counted != sent {
        return Err(format!("{sent} messages were answered, the vats saw {counted}").into());
    }
    if let Some(finding) = kernel.check().await?.first() {
        return Err(format!("afterwards {}: {}", finding.key, finding.problem).into());
    }
    Ok((median(&alone), median(&in_flight)))
}

async fn one_at_a_time(kernel: &Kernel, roots: &[KRef], count: u32) -> Result<f64, Failure> {
    let root = *roots.first().ok_or("no vat")?;
    let start = Instant::now();
    for _ in 0..count {
        rig::ping(kernel, root).await?;
    }
    Ok(rate(count, start.elapsed()))
}

async fn many_at_once(kernel: &Kernel, roots: &[KRef], count: u32) -> Result<f64, Failure> {
    let each = count / IN_FLIGHT;
    let mut senders = tokio::task::JoinSet::new();
    let start = Instant::now();
    for (_, root) in (0..IN_FLIGHT).zip(roots.iter().copied().cycle()) {
        let kernel = kernel.clone();
        senders.spawn(async move {
            for _ in 0..each {
                rig::ping(&kernel, root).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(rate(each * IN_FLIGHT, start.elapsed()))
}

async fn vat_to_vat(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let vats = [("caller", rig.caller()?), ("callee", rig.fresh_source()?)];
    let root = rig.launch(&kernel, vats).await?.root;
    let calls = rig.scaled(5_000, 1_000);
    let mut rates = Vec::new();
    let mut total = 0;
    for _ in 0..rig.runs() {
        let start = Instant::now();
        total += u64::from(calls);
        let last = rig::number(&kernel, root, "relay", vec![calls.into()]).await?;
        rates.push(rate(calls, start.elapsed()));
        if last != total {
            return Err(format!("{total} calls were made, the callee saw {last}").into());
        }
    }
    kernel.stop().await?;
    Ok(per_second(median(&rates)))
}
