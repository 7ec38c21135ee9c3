//! OCAP URLs: redeeming them, and a kernel that comes back with many.

use std::path::Path;
use std::time::Instant;

use ocap_core::api::UrlTerms;
use ocap_kernel::StoreLocation;
use ocap_types::crank::CrankReport;
use serde_json::json;

use crate::model::{Model, fulfil, report};
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, per_second, rate, seconds};
use crate::{Failure, process};

/// URLs issued between two commits while a store is filled.
const EACH: u32 = 10_000;

/// Redemptions in one crank.
const AT_ONCE: u32 = 1_000;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "OCAP URLs redeemed by a vat, state in memory / on disk",
        reference: "some 60 per s (PBKDF2)",
        aim: "5,000 per s",
    };
    report.add(row, redemptions(rig)).await;
    let row = Row {
        name: "boot of the core until its vats have started, with none / 100,000 OCAP URLs that stand",
        reference: "-",
        aim: "the same at both",
    };
    report.add(row, boots(rig)).await;
}

async fn redemptions(rig: &Rig) -> Result<String, Failure> {
    let home = rig.home()?;
    let mut cells = Vec::new();
    for store in [StoreLocation::Memory, rig::on_disk(&home)] {
        let kernel = rig::start(store, &home).await?;
        let root = rig.launch_urls(&kernel).await?.root;
        let issued = kernel.queue_message(root, "issue", Vec::new()).await?;
        let url = issued.body.trim_start_matches('#').trim_matches('"').to_owned();
        let count = rig.scaled(20, 4);
        let mut rates = Vec::new();
        for _ in 0..rig.runs() {
            let start = Instant::now();
            for _ in 0..count {
                let args = vec![json!(url), json!(AT_ONCE)];
                if rig::number(&kernel, root, "redeem", args).await? != u64::from(AT_ONCE) {
                    return Err("a redemption gave something else".into());
                }
            }
            rates.push(rate(count * AT_ONCE, start.elapsed()));
        }
        kernel.stop().await?;
        cells.push(per_second(median(&rates)));
    }
    Ok(cells.join(" / "))
}

async fn boots(rig: &Rig) -> Result<String, Failure> {
    let mut cells = Vec::new();
    let many = rig.scaled(100_000, 20_000);
    for count in [0, many] {
        let home = rig.home()?;
        let runs = rig.runs();
        let cell = tokio::task::spawn_blocking(move || {
            fill(&home, count)?;
            let mut times = Vec::new();
            for _ in 0..runs {
                let text = process::run_boot(&home)?;
                let time = text.split_ascii_whitespace().next().map(str::parse::<f64>);
                let Some(Ok(time)) = time else {
                    return Err(format!("a boot said {text:?}").into());
                };
                times.push(time);
            }
            std::fs::remove_dir_all(&home)?;
            Ok::<_, Failure>(seconds(median(&times)))
        });
        cells.push(cell.await??);
    }
    let only = if many == 100_000 { String::new() } else { format!(" (only {many})") };
    Ok(format!("{}{only}", cells.join(" / ")))
}

/// Makes a store in which that many URLs stand, half of which expire one day.
fn fill(home: &Path, count: u32) -> Result<(), Failure> {
    let mut model = Model::open(ocap_store::sqlite::open(home.join("kernel.sqlite"))?)?;
    let roots = model.launch(&["shop"], &mut |dispatch| match &dispatch.delivery {
        ocap_types::crank::Delivery::Message { result: Some(result), .. } => {
            report(vec![fulfil(*result, None)])
        }
        _ => CrankReport::default(),
    })?;
    let root = *roots.first().ok_or("no vat")?;
    for number in 0..count {
        let lifetime_ms = (number % 2 == 0).then_some(1 << 50);
        model.core.issue_url(root, UrlTerms { lifetime_ms, ..UrlTerms::default() })?;
        if number % EACH == 0 {
            model.commit()?;
        }
    }
    model.commit()
}
