//! A kernel that stops and comes back with its vats.

use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;
use ocap_types::config::VatConfig;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, seconds};

/// What the vats are asked after a restart; each answers with how often it was.
#[derive(Clone, Copy)]
struct Question {
    method: &'static str,
    /// Whether the count is in baggage, where a new incarnation goes on with it.
    counts_on: bool,
}

const PLAIN: Question = Question { method: "ping", counts_on: false };
const COUNTER: Question = Question { method: "increment", counts_on: true };

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "restart until all of 50 persisted vats have answered",
        reference: "39 s",
        aim: "1 s",
    };
    report.add(row, measure(rig, || rig.fresh_source(), PLAIN)).await;
    let row = Row { name: "the same with vats of an exo bundle", reference: "39 s", aim: "1 s" };
    if rig.has_bundle() {
        report.add(row, measure(rig, || rig.fresh_bundle(), COUNTER)).await;
    } else {
        report.skip(&row, rig::NO_BUNDLE);
    }
}

async fn measure(
    rig: &Rig,
    fresh: impl Fn() -> Result<VatConfig, Failure>,
    question: Question,
) -> Result<String, Failure> {
    let home = rig.home()?;
    let count = rig.scaled(50, 10);
    let mut kernel = rig::start(rig::on_disk(&home), &home).await?;
    let vat = fresh()?;
    let mut roots = Vec::new();
    for _ in 0..count {
        roots.push(rig.launch(&kernel, [("vat", vat.clone())]).await?.root);
    }
    let mut times = Vec::new();
    for run in 1..=rig.runs() {
        kernel.stop().await?;
        drop(kernel);
        let start = Instant::now();
        kernel = rig::start(rig::on_disk(&home), &home).await?;
        ask_all(&kernel, &roots, question, run).await?;
        times.push(start.elapsed().as_secs_f64());
    }
    kernel.stop().await?;
    let only = if count == 50 { String::new() } else { format!(" (only {count} vats)") };
    Ok(format!("{}{only}", seconds(median(&times))))
}

async fn ask_all(
    kernel: &Kernel,
    roots: &[KRef],
    question: Question,
    run: usize,
) -> Result<(), Failure> {
    let expected = if question.counts_on { run } else { 1 };
    let mut asked = tokio::task::JoinSet::new();
    for root in roots {
        let (kernel, root) = (kernel.clone(), *root);
        asked.spawn(async move { rig::number(&kernel, root, question.method, Vec::new()).await });
    }
    while let Some(answer) = asked.join_next().await {
        if usize::try_from(answer??)? != expected {
            return Err("a vat kept its heap over a restart, or lost its baggage".into());
        }
    }
    Ok(())
}
