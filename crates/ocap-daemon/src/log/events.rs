//! What goes to the log, also for whoever listens in this process.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tokio::sync::broadcast;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::limits;

static LISTENERS: LazyLock<broadcast::Sender<Arc<Event>>> =
    LazyLock::new(|| broadcast::Sender::new(limits::LOG_EVENTS_KEPT));

/// A line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    time_ms: u64,
    pub(crate) level: Level,
    pub(crate) target: &'static str,
    message: String,
    values: Map<String, Value>,
}

impl Event {
    /// As fields of a JSON object.
    pub(crate) fn fields(&self) -> String {
        let level = self.level.as_str().to_ascii_lowercase();
        let (target, message, values) = (self.target, &self.message, &self.values);
        format!(
            "\"timeMs\":{},\"level\":{},\"target\":{},\"message\":{},\"values\":{}",
            self.time_ms,
            json!(level),
            json!(target),
            json!(message),
            json!(values),
        )
    }
}

/// Every line from now on; who is too slow misses some and is told how many.
pub(crate) fn listen() -> broadcast::Receiver<Arc<Event>> {
    LISTENERS.subscribe()
}

/// Passes lines on to those who listen.
#[derive(Debug)]
pub(super) struct Listeners;

impl<S: Subscriber> Layer<S> for Listeners {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if LISTENERS.receiver_count() == 0 {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = Event {
            time_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            message: String::new(),
            values: Map::new(),
        };
        event.record(&mut line);
        let _ = LISTENERS.send(Arc::new(line));
    }
}

impl Visit for Event {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.message, "{value:?}");
        } else {
            self.values.insert(field.name().to_owned(), format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.values.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.values.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.values.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.values.insert(field.name().to_owned(), value.into());
    }
}
