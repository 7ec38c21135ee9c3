//! Limits of the bridge and the client, each with its unit and reason.

use std::time::Duration;

/// How long one request to a model may take, unless told otherwise. Models are slow; people wait.
pub const REQUEST_TIME_MAX: Duration = Duration::from_mins(1);

/// Requests made for one chat: the first, and after a failure that may pass, others.
pub const TRIES_MAX: u32 = 3;

/// How long after a failure the next request is made; four times as long after the next.
pub const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Bytes of an answer from an endpoint: far more than a model says at once.
pub const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// Characters of an endpoint's complaint, or of a model's reply, that an error repeats.
pub const QUOTED_CHARS_MAX: usize = 200;

/// Bytes of a key file: a key and a newline.
pub const KEY_BYTES_MAX: u64 = 16 << 10;

/// Bytes of a line from the matcher. Its channel's lines have no more.
pub const LINE_BYTES_MAX: usize = 8 << 20;

/// Services known at once: several times what a matcher has.
pub const SERVICES_MAX: usize = 100_000;

/// Bytes of all texts about services.
pub const CATALOG_BYTES_MAX: usize = 256 << 20;

/// Characters about one service that a model is shown.
pub const SERVICE_CHARS_MAX: usize = 2_000;

/// Characters about all services that a model is shown with one query: less than what models that are
/// in use take in.
pub const PROMPT_CHARS_MAX: usize = 200_000;

/// Characters of a query that a model is shown.
pub const QUERY_CHARS_MAX: usize = 4_000;

/// Services that a reply may name.
pub const MATCHES_MAX: usize = 100;

/// Characters of the reason for one of them.
pub const RATIONALE_CHARS_MAX: usize = 1_000;

/// Queries with a model at once. More are refused: the matcher ranks them by itself then.
pub const QUERIES_MAX: usize = 8;

/// How long the first attempt to connect again waits; twice as long each time.
pub const CONNECT_PAUSE_MIN: Duration = Duration::from_millis(50);

/// See [`CONNECT_PAUSE_MIN`].
pub const CONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a matcher may take to read what it asked for.
pub const WRITE_TIME_MAX: Duration = Duration::from_secs(30);

/// Bytes of a tape.
pub const TAPE_BYTES_MAX: u64 = 256 << 20;
