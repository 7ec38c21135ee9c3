//! What one vat's computing does to another.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use ocap_kernel::Kernel;
use ocap_types::KRef;

use crate::Failure;
use crate::report::{Report, Row};
use crate::rig::{self, Rig};
use crate::sample::{median, percentile, seconds};

/// How long a crank must take for the comparison to mean something, in seconds.
const SPIN_SECONDS_MIN: f64 = 0.2;

/// Steps of the counting beside it: some 0.3 s.
const COUNT_TURNS: u64 = 1 << 28;

/// Turns of a loop that no machine of today does in a second; the search for enough ends here.
const SPIN_TURNS_MAX: u64 = 1 << 36;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "two CPU-bound vats at once, against one after the other",
        reference: "1.0x",
        aim: "1.9x",
    };
    report.add(row, two_at_once(rig)).await;
    let row = Row {
        name: "an endless loop in one vat",
        reference: "kernel hangs for good",
        aim: "that crank is aborted, others never notice",
    };
    report.add(row, endless_loop(rig)).await;
}

async fn two_at_once(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let roots = rig.launch_plain(&kernel, 2).await?;
    let [a, b] = roots[..] else { return Err("no vats".into()) };
    let mut turns = 1 << 16;
    while spin(&kernel, a, turns).await? < SPIN_SECONDS_MIN {
        turns *= 2;
        if turns > SPIN_TURNS_MAX {
            return Err("a vat's loop takes no time".into());
        }
    }
    let (mut ratios, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..rig.runs() {
        bare.push(tokio::task::spawn_blocking(two_threads_at_once).await?);
        let serial = spin(&kernel, a, turns).await? + spin(&kernel, b, turns).await?;
        let start = Instant::now();
        tokio::try_join!(spin(&kernel, a, turns), spin(&kernel, b, turns))?;
        ratios.push(serial / start.elapsed().as_secs_f64());
    }
    kernel.stop().await?;
    let (ratio, bare) = (median(&ratios), median(&bare));
    Ok(format!(
        "{ratio:.2}x (beside it two threads of one process, which share nothing: {bare:.2}x)"
    ))
}

/// What the machine gives: the same comparison for two threads that only count.
fn two_threads_at_once() -> f64 {
    let timed = |threads: usize| {
        let start = Instant::now();
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(count);
            }
        });
        start.elapsed().as_secs_f64()
    };
    let serial = timed(1) + timed(1);
    serial / timed(2)
}

/// A chain of operations, each of which needs the one before.
fn count() {
    let mut number = black_box(1_u64);
    for turn in 0..COUNT_TURNS {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(turn);
    }
    black_box(number);
}

async fn spin(kernel: &Kernel, root: KRef, turns: u64) -> Result<f64, Failure> {
    let start = Instant::now();
    rig::number(kernel, root, "spin", vec![turns.into()]).await?;
    Ok(start.elapsed().as_secs_f64())
}

async fn endless_loop(rig: &Rig) -> Result<String, Failure> {
    let kernel = rig.in_memory().await?;
    let roots = rig.launch_plain(&kernel, 2).await?;
    let [looping, other] = roots[..] else { return Err("no vats".into()) };
    let mut quiet = Vec::new();
    for _ in 0..rig.scaled(5_000, 1_000) {
        quiet.push(timed_ping(&kernel, other).await?);
    }
    let start = Instant::now();
    let caller = {
        let kernel = kernel.clone();
        tokio::spawn(async move { kernel.queue_message(looping, "forever", Vec::new()).await })
    };
    let mut during = Vec::new();
    while !caller.is_finished() {
        during.push(timed_ping(&kernel, other).await?);
    }
    let time = start.elapsed().as_secs_f64();
    let Err(error) = caller.await? else { return Err("the endless loop ended".into()) };
    kernel.stop().await?;
    let latency = |times: &[f64]| {
        format!("{} (99%: {})", seconds(median(times)), seconds(percentile(times, 0.99)))
    };
    Ok(format!(
        "caller told after {} ({error}); the other vat answers in {} before, {} during it",
        seconds(time),
        latency(&quiet),
        latency(&during)
    ))
}

async fn timed_ping(kernel: &Kernel, root: KRef) -> Result<f64, Failure> {
    let start = Instant::now();
    rig::ping(kernel, root).await?;
    Ok(start.elapsed().as_secs_f64())
}
