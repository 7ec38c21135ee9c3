//! Traffic without end: vats pass objects and promises to and fro, drop them, restart and come
//! back with the kernel, and nothing of it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ocap_core::api::{Dispatch, Ticket};
use ocap_store::Reader;
use ocap_store::memory::MemoryStore;
use ocap_types::crank::{CrankReport, Delivery, Syscall};
use ocap_types::{KRef, VRef, VatId};

use crate::limits::SOAK_GROWTH_KIB_MAX;
use crate::model::{Model, fulfil, report, send};
use crate::report::{Report, Row};
use crate::rig::Rig;
use crate::sample::{per_second, rate};
use crate::{Failure, process};

const VATS: [&str; 4] = ["alice", "bob", "carol", "dave"];

/// Messages that one from outside sets off, itself among them.
const MESSAGES_EACH: u32 = 4;

/// Messages from outside that wait at once.
const AT_ONCE: u32 = 50;

/// How often everything comes to rest, a vat is restarted, and the kernel too.
const RESTS: u32 = 10;

pub(crate) async fn add(rig: &Rig, report: &mut Report) {
    let row = Row {
        name: "soak: a million messages with objects and promises between vats that exist only in \
               the core: rows, memory left; messages",
        reference: "-",
        aim: "0 rows, 0 MiB",
    };
    report.add(row, measure(rig)).await;
}

async fn measure(rig: &Rig) -> Result<String, Failure> {
    let messages = rig.scaled(1_000_000, 100_000);
    let outcome = tokio::task::spawn_blocking(move || soak(messages)).await??;
    if outcome.growth_kib > SOAK_GROWTH_KIB_MAX {
        return Err(format!("memory grew by {} KiB", outcome.growth_kib).into());
    }
    #[allow(clippy::cast_precision_loss, reason = "a few MiB")]
    let mib = outcome.growth_kib as f64 / 1024.0;
    let speed = per_second(rate(messages, outcome.time));
    Ok(format!("0 of {} rows, {mib:.1} MiB; {messages} at {speed}", outcome.rows))
}

/// What a soak found.
struct Outcome {
    /// Rows in the store at rest; the same ones each time.
    rows: usize,
    /// Private memory of this process at the end, beyond that at the first rest.
    growth_kib: u64,
    /// Of the traffic alone.
    time: Duration,
}

/// # Errors
/// If rows are left at rest that were not there before.
fn soak(messages: u32) -> Result<Outcome, Failure> {
    let store = MemoryStore::new();
    let mut vats = Vats::default();
    let mut model = Model::open(store.open())?;
    let roots = model.launch(&VATS, &mut |dispatch| vats.play(dispatch))?;
    let mut outcome = Outcome { rows: 0, growth_kib: 0, time: Duration::ZERO };
    let mut at_first: Option<(BTreeSet<String>, u64)> = None;
    for rest in 0..RESTS {
        let start = Instant::now();
        for _ in 0..messages / (RESTS * AT_ONCE * MESSAGES_EACH) {
            for ((&root, &peer), _) in pairs(&roots).zip(0..AT_ONCE) {
                model.send(root, "go", vec![peer])?;
            }
            model.run(&mut |dispatch| vats.play(dispatch))?;
            model.commit()?;
        }
        outcome.time += start.elapsed();
        // One vat begins anew, then the kernel.
        let vat = model.core.status()?.vats.get(rest as usize % VATS.len()).map(|vat| vat.id);
        model.core.restart_vat(Ticket(u64::MAX), vat.ok_or("a vat is gone")?)?;
        model.rest(&mut |dispatch| vats.play(dispatch))?;
        drop(model);
        model = Model::open(store.open())?;
        model.rest(&mut |dispatch| vats.play(dispatch))?;
        let (keys, kib) = (keys(&*model.reader)?, process::private_kib(std::process::id())?);
        match &at_first {
            None => at_first = Some((keys, kib)),
            Some((before, kib_before)) => {
                if let Some(left) = keys.symmetric_difference(before).next() {
                    return Err(format!("the row {left} came or went for good").into());
                }
                outcome.rows = keys.len();
                outcome.growth_kib = kib.saturating_sub(*kib_before);
            }
        }
    }
    let sent = u64::from(messages / (RESTS * AT_ONCE * MESSAGES_EACH) * RESTS * AT_ONCE);
    if (vats.asked, vats.poked) != (sent, 2 * sent) {
        return Err(format!("{sent} were sent: {} arrived, {}", vats.asked, vats.poked).into());
    }
    match model.core.check()?.first() {
        Some(finding) => Err(format!("{}: {}", finding.key, finding.problem).into()),
        None => Ok(outcome),
    }
}

/// Each root with the one after it, for ever.
fn pairs(roots: &[KRef]) -> impl Iterator<Item = (&KRef, &KRef)> {
    roots.iter().cycle().zip(roots.iter().cycle().skip(1))
}

fn keys(reader: &dyn Reader) -> Result<BTreeSet<String>, Failure> {
    let mut keys = BTreeSet::new();
    let mut after = String::new();
    while let Some((key, _)) = reader.next("", &after)? {
        keys.insert(key.clone());
        after = key;
    }
    Ok(keys)
}

/// Every vat's heap.
#[derive(Default)]
struct Vats {
    heaps: BTreeMap<VatId, Heap>,
    asked: u64,
    poked: u64,
}

#[derive(Default)]
struct Heap {
    /// The next number of an export. Never used again, not even by a later incarnation.
    next: u64,
    imports: BTreeSet<VRef>,
    /// Own promises that will be for an own object once that has been poked.
    promised: BTreeMap<VRef, VRef>,
    /// Results that wait for promises.
    owed: BTreeMap<VRef, VRef>,
}

impl Vats {
    fn play(&mut self, dispatch: &Dispatch) -> CrankReport {
        let heap = self.heaps.entry(dispatch.vat).or_default();
        match &dispatch.delivery {
            Delivery::Start { .. } => {
                *heap = Heap { next: heap.next.max(1), ..Heap::default() };
                CrankReport::default()
            }
            Delivery::Message { target, methargs, result } => {
                heap.note(&methargs.slots);
                let body = methargs.body.as_str();
                match (methargs.slots.as_slice(), result) {
                    (&[peer], Some(result)) if body.starts_with("#[\"go\"") => {
                        self.asked += 1;
                        report(heap.go(peer, *result))
                    }
                    (&[object, promise], Some(result)) if body.starts_with("#[\"take\"") => {
                        report(heap.take(object, promise, *result))
                    }
                    (_, Some(result)) if body.starts_with("#[\"poke\"") => {
                        self.poked += 1;
                        report(heap.poke(*target, *result))
                    }
                    (_, result) => {
                        report(result.iter().map(|&result| fulfil(result, None)).collect())
                    }
                }
            }
            Delivery::Notify { resolutions } => {
                let mut syscalls = Vec::new();
                for resolution in resolutions {
                    heap.note(&resolution.data.slots);
                    if let Some(result) = heap.owed.remove(&resolution.promise) {
                        let object = heap.object();
                        syscalls.push(fulfil(result, Some(object)));
                    }
                }
                report(syscalls)
            }
            Delivery::BringOutYourDead => {
                let vrefs: Vec<VRef> = std::mem::take(&mut heap.imports).into_iter().collect();
                if vrefs.is_empty() {
                    return CrankReport::default();
                }
                let drop = Syscall::DropImports { vrefs: vrefs.clone() };
                report(vec![drop, Syscall::RetireImports { vrefs }])
            }
            Delivery::RetireImports { vrefs } => {
                heap.imports.retain(|vref| !vrefs.contains(vref));
                CrankReport::default()
            }
            Delivery::DropExports { .. } | Delivery::RetireExports { .. } => CrankReport::default(),
        }
    }
}

impl Heap {
    fn note(&mut self, slots: &[VRef]) {
        self.imports.extend(slots.iter().filter(|slot| matches!(slot, VRef::Import(_))));
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn object(&mut self) -> VRef {
        VRef::Export(self.number())
    }

    fn promise(&mut self) -> VRef {
        VRef::ExportPromise(self.number())
    }

    /// Gives a peer an object and a promise for it.
    fn go(&mut self, peer: VRef, result: VRef) -> Vec<Syscall> {
        let (object, promise, answer) = (self.object(), self.promise(), self.promise());
        self.promised.insert(object, promise);
        vec![
            send(peer, "take", vec![object, promise], Some(answer)),
            Syscall::Subscribe { promise: answer },
            fulfil(result, None),
        ]
    }

    /// Pokes both; what the promise's poke gives decides when to answer.
    fn take(&mut self, object: VRef, promise: VRef, result: VRef) -> Vec<Syscall> {
        let (one, other) = (self.promise(), self.promise());
        self.owed.insert(other, result);
        vec![
            send(object, "poke", Vec::new(), Some(one)),
            Syscall::Subscribe { promise: one },
            send(promise, "poke", Vec::new(), Some(other)),
            Syscall::Subscribe { promise: other },
            Syscall::Subscribe { promise },
        ]
    }

    /// Answers with a new object, and keeps what was promised.
    fn poke(&mut self, object: VRef, result: VRef) -> Vec<Syscall> {
        let answer = self.object();
        let kept = self.promised.remove(&object).map(|promise| fulfil(promise, Some(object)));
        [fulfil(result, Some(answer))].into_iter().chain(kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, MESSAGES_EACH, RESTS, soak};

    #[test]
    fn a_short_soak_leaves_nothing() {
        soak(4 * RESTS * AT_ONCE * MESSAGES_EACH).unwrap();
    }
}
