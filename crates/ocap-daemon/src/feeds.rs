//! What sessions can subscribe to: the status, and the log.
//!
//! A feed waits until its client has taken what came before, and then tells what is new by then: a
//! slow client gets fewer changes of the status, and is told how many lines of the log it missed.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{MissedTickBehavior, interval};
use tracing::Level;

use crate::limits;
use crate::log::Event;
use crate::server::Sink;
use crate::status::Reports;

/// The whole status, and then what changes of it.
pub(crate) async fn status(reports: Reports, sink: Sink) {
    let mut ticks = interval(limits::STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let Ok(mut before) = reports.report().await else { return };
    if sink.tell("status", &format!("\"status\":{}", before.text)).await.is_err() {
        return;
    }
    loop {
        ticks.tick().await;
        if reports.is_current(&before) {
            continue;
        }
        let Ok(report) = reports.report().await else { return };
        if let Some(changes) = report.changes_since(&before)
            && sink.tell("status", &changes).await.is_err()
        {
            return;
        }
        before = report;
    }
}

/// Lines of the log as they are written, of a level or graver ones and of some targets.
pub(crate) async fn log(
    mut events: Receiver<Arc<Event>>,
    level: Level,
    targets: Vec<String>,
    sink: Sink,
) {
    let wanted = |event: &Event| {
        event.level <= level
            && (targets.is_empty() || targets.iter().any(|start| event.target.starts_with(start)))
    };
    loop {
        let fields = match events.recv().await {
            Ok(event) if wanted(&event) => event.fields(),
            Ok(_) => continue,
            Err(RecvError::Lagged(missed)) => format!("\"missed\":{missed}"),
            Err(RecvError::Closed) => return,
        };
        if sink.tell("log", &fields).await.is_err() {
            return;
        }
    }
}
