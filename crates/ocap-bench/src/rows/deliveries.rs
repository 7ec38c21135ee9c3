//! Deliveries per second to one object in one worker.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::config::VatConfig;

use crate::Failure;
use crate::limits::IN_FLIGHT;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, per_second, rate};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "deliveries in memory to one object, 100 in flight: Far / built-in exo / exo of a bundle",
        reference: "-",
        aim: "20,000 / 15,000 / 8,000 per s",
    };
    if rig.has_bundle() {
        report.add(row, measure(rig)).await;
    } else {
        report.skip(&row, rig::NO_BUNDLE);
    }
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let far = deliveries(rig, &kernel, rig.fresh_source()?, "ping").await?;
    let exo = deliveries(rig, &kernel, rig.exo()?, "ping").await?;
    let bundle = deliveries(rig, &kernel, rig.fresh_bundle()?, "getCount").await?;
    kernel.stop().await?;
    Ok(format!("{} / {} / {}", per_second(far), per_second(exo), per_second(bundle)))
}

async fn deliveries(
    rig: &Rig,
    kernel: &Kernel,
    vat: VatConfig,
    method: &'static str,
) -> Result<f64, Failure> {
    let root = rig.launch(kernel, [("vat", vat)]).await?.root;
    let each = rig.scaled(200, 40);
    let mut rates = Vec::new();
    for _ in 0..rig.runs() {
        let mut senders = tokio::task::JoinSet::new();
        let start = Instant::now();
        for _ in 0..IN_FLIGHT {
            let kernel = kernel.clone();
            senders.spawn(async move {
                for _ in 0..each {
                    rig::number(&kernel, root, method, Vec::new()).await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(sender) = senders.join_next().await {
            sender??;
        }
        rates.push(rate(each * IN_FLIGHT, start.elapsed()));
    }
    Ok(median(&rates))
}
