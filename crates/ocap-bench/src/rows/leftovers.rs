//! What messages leave behind in the store for good.

use std::path::Path;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "rows (bytes) left in the store per trivial message",
        reference: "5 (307 B)",
        aim: "0",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let home = rig.home()?;
    let kernel = rig::start(rig::on_disk(&home), &home).await?;
    let root = *rig.launch_plain(&kernel, 1).await?.first().ok_or("no vat")?;
    kernel.stop().await?;
    drop(kernel);
    let messages = rig.scaled(1_000, 200);
    // The same with one message and with many, so that what a start leaves is not counted.
    send(rig::start(rig::on_disk(&home), &home).await?, root, 1).await?;
    let before = size(&home)?;
    send(rig::start(rig::on_disk(&home), &home).await?, root, messages).await?;
    let after = size(&home)?;
    let each = |before: i64, after: i64| {
        #[allow(clippy::cast_precision_loss, reason = "sizes of a small store")]
        let more = (after - before) as f64;
        more / f64::from(messages)
    };
    Ok(format!("{:.3} ({:.2} B)", each(before.0, after.0), each(before.1, after.1)))
}

async fn send(kernel: Kernel, root: KRef, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        rig::ping(&kernel, root).await?;
    }
    Ok(kernel.stop().await?)
}

/// Rows and their bytes, of keys and values.
fn size(home: &Path) -> Result<(i64, i64), Failure> {
    let store = ocap_store::sqlite::open(home.join("kernel.sqlite"))?;
    let (mut rows, mut bytes) = (0, 0);
    let mut after = String::new();
    while let Some((key, value)) = store.reader.next("", &after)? {
        rows += 1;
        bytes += i64::try_from(key.len() + value.len())?;
        after = key;
    }
    Ok((rows, bytes))
}
