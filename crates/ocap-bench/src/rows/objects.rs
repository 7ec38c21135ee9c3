//! A kernel that comes back with many objects which vats hold durably of each other: they are in
//! the store and nowhere else.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use ocap_core::api::Dispatch;
use ocap_types::VRef;
use ocap_types::crank::{CrankReport, Delivery};

use crate::model::{Model, fulfil, report, send};
use crate::report::{Report, Row};
use crate::rig::Rig;
use crate::sample::{median, seconds};
use crate::{Failure, process};

/// References in one message: the most there may be.
const EACH: u32 = 10_000;

/// Clusters of two vats that share the objects: no vat may have more than a million.
const CLUSTERS: u32 = 2;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "boot of the core until its vats have started, with none / 100,000 / 1,000,000 objects \
               that vats hold of each other: time (private memory)",
        reference: "-",
        aim: "does not grow in proportion",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let mut cells = Vec::new();
    let counts = [0, rig.scaled(100_000, 20_000), rig.scaled(1_000_000, 200_000)];
    for count in counts {
        let home = rig.home()?;
        let runs = rig.runs();
        let cell = tokio::task::spawn_blocking(move || {
            fill(&home, count)?;
            let (mut times, mut sizes) = (Vec::new(), Vec::new());
            for _ in 0..runs {
                let text = process::run_boot(&home)?;
                let mut words = text.split_ascii_whitespace().map(str::parse::<f64>);
                let (Some(Ok(time)), Some(Ok(kib))) = (words.next(), words.next()) else {
                    return Err(format!("a boot said {text:?}").into());
                };
                times.push(time);
                sizes.push(kib / 1024.0);
            }
            std::fs::remove_dir_all(&home)?;
            let (time, size) = (seconds(median(&times)), median(&sizes));
            Ok::<_, Failure>(format!("{time} ({size:.1} MiB)"))
        });
        cells.push(cell.await??);
    }
    let [_, some, many] = counts;
    let only = if many == 1_000_000 { String::new() } else { format!(" (only {some} / {many})") };
    Ok(format!("{}{only}", cells.join(" / ")))
}

/// Makes a store in which vats share that many objects.
fn fill(home: &Path, count: u32) -> Result<(), Failure> {
    let mut model = Model::open(ocap_store::sqlite::open(home.join("kernel.sqlite"))?)?;
    let mut next = 1;
    let mut play = |dispatch: &Dispatch| exchange(dispatch, &mut next);
    for _ in 0..CLUSTERS {
        model.launch(&["giver", "taker"], &mut play)?;
    }
    let roots: Vec<_> = model.core.status()?.subclusters.iter().map(|s| s.root_kref).collect();
    for round in 0..count / EACH {
        let root = roots.get(round as usize % roots.len()).ok_or("no cluster")?;
        model.send(*root, "give", Vec::new())?;
        model.run(&mut play)?;
        model.commit()?;
    }
    let findings = if count <= 2 * EACH { model.core.check()? } else { Vec::new() };
    match findings.first() {
        Some(finding) => Err(format!("{}: {}", finding.key, finding.problem).into()),
        None => Ok(()),
    }
}

/// The giver sends the taker new durable objects; the taker's durable data holds what it is sent.
fn exchange(dispatch: &Dispatch, next: &mut u64) -> CrankReport {
    let Delivery::Message { methargs, result, .. } = &dispatch.delivery else {
        return CrankReport::default();
    };
    let mut syscalls: Vec<_> = result.iter().map(|&result| fulfil(result, None)).collect();
    let mut vatstore = Vec::new();
    if methargs.body.starts_with("#[\"give\"") {
        let objects = (0..u64::from(EACH)).map(|n| VRef::Kinded {
            durable: true,
            kind: 7,
            instance: *next + n,
            facet: None,
        });
        let objects: Vec<VRef> = objects.collect();
        *next += u64::from(EACH);
        // The first that a giver is given, at bootstrap, is the taker's root.
        syscalls.push(send(VRef::Import(1), "take", objects, None));
    } else if methargs.body.starts_with("#[\"take\"") {
        let held = |vref: &VRef| (format!("vom.rc.{vref}"), Some("1".to_owned()));
        vatstore = methargs.slots.iter().map(held).collect();
        vatstore.sort_unstable();
    }
    CrankReport { vatstore, ..report(syscalls) }
}

/// Boots what is in a home; prints the seconds until all vats have started, and this process's
/// private memory in KiB then.
pub(crate) fn boot(home: &Path) -> Result<(), Failure> {
    let start = Instant::now();
    let mut model = Model::open(ocap_store::sqlite::open(home.join("kernel.sqlite"))?)?;
    let mut starts = model.core.status()?.vats.len();
    while starts > 0 {
        let dispatch = model.core.dispatch()?.ok_or("a vat did not start")?;
        starts -= usize::from(matches!(dispatch.delivery, Delivery::Start { .. }));
        let outcome = ocap_types::crank::Outcome::Done(CrankReport::default());
        model.core.settle(dispatch.crank, outcome)?;
    }
    model.commit()?;
    let time = start.elapsed().as_secs_f64();
    let kib = process::private_kib(std::process::id())?;
    writeln!(std::io::stdout(), "{time} {kib}")?;
    Ok(())
}
