//! The machine's own limits, measured beside our figures: nothing can be durable faster than the
//! disk syncs, or answered faster than two processes can talk.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Instant;

use crate::rig::Rig;
use crate::sample::{median, per_second, rate};
use crate::{Failure, process};

const SYNCS: u32 = 100;
const ROUND_TRIPS: u32 = 5_000;
const BLOCK: [u8; 4096] = [b'x'; 4096];

/// What the machine can do at best.
pub(crate) struct Raw {
    /// Appends of 4 KiB to a file, each with `fdatasync`, per second.
    pub(crate) syncs_per_s: f64,
    /// One byte there and back over a Unix socket between two processes, per second.
    pub(crate) round_trips_per_s: f64,
}

impl Raw {
    pub(crate) fn measure(rig: &Rig) -> Result<Self, Failure> {
        let (mut syncs, mut round_trips) = (Vec::new(), Vec::new());
        for _ in 0..rig.runs() {
            syncs.push(measure_syncs(rig)?);
            round_trips.push(measure_round_trips()?);
        }
        Ok(Self { syncs_per_s: median(&syncs), round_trips_per_s: median(&round_trips) })
    }
}

/// Batches of one entry that the store commits per second, with nothing above it.
pub(crate) fn measure_commits(rig: &Rig) -> Result<f64, Failure> {
    let mut store = ocap_store::sqlite::open(rig.home()?.join("kernel.sqlite"))?;
    let start = Instant::now();
    for seq in 1..=u64::from(SYNCS) {
        let writes = [("key".to_owned(), Some(seq.to_string()))].into();
        store.writer.commit(&ocap_store::Batch { seq, writes })?;
    }
    Ok(rate(SYNCS, start.elapsed()))
}

/// The disk's limit alone.
pub(crate) fn measure_syncs(rig: &Rig) -> Result<f64, Failure> {
    let mut file = tempfile::tempfile_in(rig.folder())?;
    let start = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
    }
    Ok(rate(SYNCS, start.elapsed()))
}

fn measure_round_trips() -> Result<f64, Failure> {
    let (mut here, there) = UnixStream::pair()?;
    let also_there = there.try_clone()?;
    let stdio = |socket: UnixStream| Stdio::from(OwnedFd::from(socket));
    let mut child = process::spawn_echo(stdio(there), stdio(also_there))?;
    let mut round_trips = || -> Result<f64, Failure> {
        let mut byte = [b'x'];
        // The first one waits for the process to start.
        here.write_all(&byte)?;
        here.read_exact(&mut byte)?;
        let start = Instant::now();
        for _ in 0..ROUND_TRIPS {
            here.write_all(&byte)?;
            here.read_exact(&mut byte)?;
        }
        Ok(rate(ROUND_TRIPS, start.elapsed()))
    };
    let result = round_trips();
    drop(here);
    child.wait()?;
    result
}

/// Both measurements, before the table's rows and after them, as a list item.
pub(crate) fn describe(before: &Raw, after: &Raw) -> String {
    let both =
        |before, after| format!("{} before, {} after", per_second(before), per_second(after));
    format!(
        "* the machine's limits, before and after the rows below: 4 KiB append and `fdatasync` {}; \
         one byte there and back over a Unix socket between two processes {}",
        both(before.syncs_per_s, after.syncs_per_s),
        both(before.round_trips_per_s, after.round_trips_per_s),
    )
}
