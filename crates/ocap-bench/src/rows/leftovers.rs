//! What messages leave behind in the store for good.

use std::path::Path;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "rows (bytes) left in the store, and syncs, per trivial message sent alone",
        reference: "5 (307 B), 44 syncs",
        aim: "0, 1 sync",
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
    let before = Size::of(&home)?;
    send(rig::start(rig::on_disk(&home), &home).await?, root, messages).await?;
    let after = Size::of(&home)?;
    let each = |before: i64, after: i64| {
        #[allow(clippy::cast_precision_loss, reason = "sizes of a small store")]
        let more = (after - before) as f64;
        more / f64::from(messages)
    };
    // The few batches of a start are among them.
    let batches = each(before.batches, after.batches);
    let (rows, bytes) = (each(before.rows, after.rows), each(before.bytes, after.bytes));
    Ok(format!("{rows:.3} ({bytes:.2} B), {batches:.2} syncs"))
}

async fn send(kernel: Kernel, root: KRef, count: u32) -> Result<(), Failure> {
    for _ in 0..count {
        rig::ping(&kernel, root).await?;
    }
    Ok(kernel.stop().await?)
}

/// What is in a store that no kernel has open.
struct Size {
    rows: i64,
    /// Of keys and values.
    bytes: i64,
    /// Committed since the store was made; each took one sync.
    batches: i64,
}

impl Size {
    fn of(home: &Path) -> Result<Self, Failure> {
        let store = ocap_store::sqlite::open(home.join("kernel.sqlite"))?;
        let mut size = Self { rows: 0, bytes: 0, batches: i64::try_from(store.last_seq)? };
        let mut after = String::new();
        while let Some((key, value)) = store.reader.next("", &after)? {
            size.rows += 1;
            size.bytes += i64::try_from(key.len() + value.len())?;
            after = key;
        }
        Ok(size)
    }
}
