//! The service `timer`: sends `wake` to durable objects at a moment of the wall clock.
//!
//! A timer is a row of the store. It stands until it fires or is cancelled, whatever is restarted
//! meanwhile, holds its handler for that long, and ends with the vat that set it. It fires in one
//! turn: the row goes, and the message is queued. If the handler's vat takes nothing at that moment,
//! or refuses the message later, the timer stands again and is looked at a while later.
//!
//! Invariants: `first_due` is at most the moment of the first timer; a vat and a subcluster have as
//! many timers as their `timers.` rows say.

use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, SubclusterId, VatId, smallcaps};
use serde::{Deserialize, Serialize};

use crate::api::{CoreError, VatCondition};
use crate::core::Core;
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::rows::{Item, Message, Object, Party, Row, Vat, corrupt};

/// The name clusters ask for it by.
pub const NAME: &str = "timer";

use limits::MOMENT_MS_MAX as MOMENT_MAX;

/// A timer that stands. Holds its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Whose it is.
    pub vat: VatId,
    pub subcluster: SubclusterId,
    pub handler: KRef,
    /// The moment it was set to.
    pub due: u64,
}

/// A timer that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wake {
    pub id: u64,
    pub vat: VatId,
    pub subcluster: SubclusterId,
    pub due: u64,
    /// If the target's vat faults over it, it is delivered once more.
    pub again: bool,
}

/// Why a call gets a rejection.
enum Refusal {
    /// It asks for what cannot be.
    Wrong(String),
    /// There is no room.
    Full(String),
    /// The kernel cannot go on.
    Core(CoreError),
}

impl From<CoreError> for Refusal {
    fn from(error: CoreError) -> Self {
        Refusal::Core(error)
    }
}

/// What becomes of a timer that is due.
enum Handler {
    /// It can be woken.
    Ready,
    /// Its vat takes nothing at present.
    Busy,
    /// There is none any more.
    Gone,
}

fn wrong<T>(text: &str) -> Result<T, Refusal> {
    Err(Refusal::Wrong(text.to_owned()))
}

impl Core {
    /// Says what time it is: milliseconds since 1970. What follows happens then.
    pub fn set_time(&mut self, wall_ms: u64) {
        self.wall_ms = wall_ms.min(MOMENT_MAX);
    }

    /// When [`Core::ring`] has something to do, at the earliest.
    pub fn first_due(&self) -> Option<u64> {
        self.first_due.into_iter().chain(self.first_expiry).min()
    }

    /// Fires the timers that are due and removes the URLs that have expired, or as many of either as
    /// one turn may; [`Core::first_due`] says whether there are more.
    ///
    /// Also forgets requests whose time is over, a few at a time, see [`crate::once`].
    pub fn ring(&mut self) -> Result<(), CoreError> {
        self.forget_aged_receipts()?;
        self.expire_urls()?;
        let Some(due) = self.first_due.filter(|&due| due <= self.wall_ms) else { return Ok(()) };
        // Not from the first row: what has fired and is not yet committed would be gone over again.
        let mut after = keys::timers_from(due);
        let next = self.turn(|core| {
            for _ in 0..limits::TIMERS_FIRED_MAX {
                match core.timer_after(&after)? {
                    Some((key, at, id, timer)) if at <= core.wall_ms => {
                        core.fire(at, id, &timer)?;
                        after = key;
                    }
                    _ => break,
                }
            }
            core.timer_after(&after)
        })?;
        self.first_due = next.map(|(_, at, ..)| at);
        Ok(())
    }

    /// At boot: looks up when the first timer is to be looked at.
    pub(crate) fn find_first_due(&mut self) -> Result<(), CoreError> {
        self.first_due = self.timer_after("")?.map(|(_, at, ..)| at);
        Ok(())
    }

    /// The service's reference. It gets one when somebody first asks for it.
    pub(crate) fn timer_service(&mut self) -> Result<Option<KRef>, CoreError> {
        self.register(NAME)?;
        self.space.row(&keys::service(NAME))
    }

    /// A message for the service, answered in this turn.
    pub(crate) fn invoke_timer(
        &mut self,
        message: &Message,
        caller: Option<VatId>,
    ) -> Result<(), CoreError> {
        let (rejected, value) = match self.timer_call(caller, &message.methargs) {
            Ok(value) => (false, smallcaps::encode(&value)),
            Err(Refusal::Wrong(text)) => {
                (true, Code::DeliveryFailed.rejection(format!("kernel service '{NAME}': {text}")))
            }
            Err(Refusal::Full(text)) => {
                (true, Code::LimitExceeded.rejection(format!("kernel service '{NAME}': {text}")))
            }
            Err(Refusal::Core(error)) => return Err(error),
        };
        self.answer(message, rejected, &value)
    }

    fn timer_call(
        &mut self,
        caller: Option<VatId>,
        methargs: &KCapData,
    ) -> Result<Passable<KRef>, Refusal> {
        let Ok((method, args)) = smallcaps::decode_message(methargs) else {
            return wrong("it was called with what is no method and arguments");
        };
        let now = self.wall_ms;
        let mut args = args.into_iter();
        let mut next = || args.next().unwrap_or(Passable::Undefined);
        if method == "now" {
            return Ok(number(now));
        }
        let Some(vat) = caller else {
            return wrong("only vats have timers");
        };
        let Some(row) = self.space.row::<Vat>(&keys::vat(vat))? else {
            return wrong("whoever asked for this is gone");
        };
        match method.as_str() {
            "wakeAt" => {
                let due = milliseconds(&next(), "the moment")?;
                let id = self.set_timer(vat, row.subcluster, due, &next())?;
                Ok(Passable::String(format!("t{id}")))
            }
            "wakeAfter" => {
                let delay = milliseconds(&next(), "the delay")?;
                let due = now.saturating_add(delay).min(MOMENT_MAX);
                let id = self.set_timer(vat, row.subcluster, due, &next())?;
                Ok(Passable::String(format!("t{id}")))
            }
            "cancel" => {
                let cancelled = self.cancel_timers(vat, &next())?;
                Ok(number(cancelled))
            }
            "list" => {
                let mut timers = Vec::new();
                for (id, _, timer) in self.timers_of(vat)? {
                    let name = Passable::String(format!("t{id}"));
                    timers.push(Passable::record([("timer", name), ("due", number(timer.due))]));
                }
                Ok(Passable::Array(timers))
            }
            other => {
                let other: String = other.chars().take(100).collect();
                wrong(&format!(
                    "it has no method {other:?}, only now, wakeAt, wakeAfter, cancel and list"
                ))
            }
        }
    }

    fn set_timer(
        &mut self,
        vat: VatId,
        subcluster: SubclusterId,
        due: u64,
        handler: &Passable<KRef>,
    ) -> Result<u64, Refusal> {
        let &Passable::Remotable { slot: handler, .. } = handler else {
            return wrong("the handler has to be an object with a method wake");
        };
        if !self.outlives_restarts(handler)? {
            return wrong(
                "the handler is not durable: it has to be a durable object or the root of a vat, \
                 because it is to be there after restarts too",
            );
        }
        let (of_vat, of_cluster) = (keys::timers(vat), keys::timers(subcluster));
        let counts: (Option<u64>, Option<u64>) =
            (self.space.row(&of_vat)?, self.space.row(&of_cluster)?);
        if counts.0.unwrap_or(0) >= limits::VAT_TIMERS_MAX {
            let max = limits::VAT_TIMERS_MAX;
            let text = format!("a vat has at most {max} timers at once; cancel some");
            return Err(Refusal::Full(text));
        }
        if counts.1.unwrap_or(0) >= limits::SUBCLUSTER_TIMERS_MAX {
            let max = limits::SUBCLUSTER_TIMERS_MAX;
            let text = format!("a subcluster has at most {max} timers at once; cancel some");
            return Err(Refusal::Full(text));
        }
        let id = self.take_number(keys::NEXT_CALL)?;
        self.arm(due, id, &Timer { vat, subcluster, handler, due })?;
        Ok(id)
    }

    /// Cancels one timer of a vat, or all it has for a handler. Answers with how many.
    fn cancel_timers(&mut self, vat: VatId, which: &Passable<KRef>) -> Result<u64, Refusal> {
        let mut cancelled = 0;
        match which {
            Passable::String(name) => {
                let id = name.strip_prefix('t').and_then(|id| id.parse().ok());
                let Some(id) = id.filter(|id: &u64| *name == format!("t{id}")) else {
                    return wrong("what is to be cancelled is not the name of a timer");
                };
                if let Some(at) = self.space.row(&keys::timer_of(vat, id))? {
                    self.disarm(at, id)?;
                    cancelled = 1;
                }
            }
            Passable::Remotable { slot, .. } => {
                for (id, at, timer) in self.timers_of(vat)? {
                    if timer.handler == *slot {
                        self.disarm(at, id)?;
                        cancelled += 1;
                    }
                }
            }
            _ => return wrong("what to cancel is the name of a timer, or a handler"),
        }
        Ok(cancelled)
    }

    /// The timers a vat has set: number, when they are looked at, row.
    fn timers_of(&self, vat: VatId) -> Result<Vec<(u64, u64, Timer)>, CoreError> {
        let mut timers = Vec::new();
        for (key, at) in self.space.scan(&keys::timers_of(vat))? {
            let id = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
            let at = at.parse().map_err(|_| corrupt(&key, "no moment"))?;
            timers.push((id, at, self.space.required(&keys::timer(at, id))?));
        }
        Ok(timers)
    }

    /// The first timer whose key is after this: key, when it is looked at, number, row.
    fn timer_after(&self, after: &str) -> Result<Option<(String, u64, u64, Timer)>, CoreError> {
        let Some((key, text)) = self.space.next(keys::TIMERS, after)? else { return Ok(None) };
        let numbers = key.strip_prefix(keys::TIMERS).and_then(|rest| rest.split_once('.'));
        let number = |text: &str| text.parse::<u64>().ok();
        let numbers = numbers.and_then(|(at, id)| number(at).zip(number(id)));
        let (at, id) = numbers.ok_or_else(|| corrupt(&key, "no timer"))?;
        let timer = Timer::read(&text).ok_or_else(|| corrupt(&key, "no timer"))?;
        Ok(Some((key, at, id, timer)))
    }

    /// Has a timer stand, to be looked at at that moment.
    fn arm(&mut self, at: u64, id: u64, timer: &Timer) -> Result<(), CoreError> {
        self.space.put_new(keys::timer(at, id), timer.write());
        self.space.put_new(keys::timer_of(timer.vat, id), at.to_string());
        self.count_timer(timer, true)?;
        // If the turn is undone this is too early, which does no harm.
        self.first_due = Some(self.first_due.map_or(at, |due| due.min(at)));
        self.hold(timer.handler)
    }

    /// Takes a timer away.
    fn disarm(&mut self, at: u64, id: u64) -> Result<(), CoreError> {
        let key = keys::timer(at, id);
        let timer: Timer = self.space.required(&key)?;
        self.space.delete(key)?;
        self.space.delete(keys::timer_of(timer.vat, id))?;
        self.count_timer(&timer, false)?;
        self.release(timer.handler)
    }

    /// Takes away a timer of a vat that has ended.
    pub(crate) fn clear_timer(&mut self, key: &str, at: &str) -> Result<(), CoreError> {
        let id = keys::padded_number(key).ok_or_else(|| corrupt(key, "no number"))?;
        self.disarm(at.parse().map_err(|_| corrupt(key, "no moment"))?, id)
    }

    fn count_timer(&mut self, timer: &Timer, more: bool) -> Result<(), CoreError> {
        for key in [keys::timers(timer.vat), keys::timers(timer.subcluster)] {
            let count: u64 = self.space.row(&key)?.unwrap_or(0);
            let count = if more { count.checked_add(1) } else { count.checked_sub(1) };
            match count.ok_or_else(|| corrupt(&key, "leaves its range"))? {
                0 => self.space.delete(key)?,
                count => self.space.write(key, &count),
            }
        }
        Ok(())
    }

    /// A timer is due.
    fn fire(&mut self, at: u64, id: u64, timer: &Timer) -> Result<(), CoreError> {
        match self.handler(timer.handler)? {
            Handler::Gone => self.disarm(at, id),
            Handler::Busy => {
                let again = self.later(timer.due);
                self.disarm(at, id)?;
                self.arm(again, id, timer)
            }
            Handler::Ready => {
                // The message's own hold.
                self.hold(timer.handler)?;
                self.disarm(at, id)?;
                let args = vec![number(timer.due), number(self.wall_ms)];
                let Timer { vat, subcluster, handler, due } = *timer;
                let wake = Some(Wake { id, vat, subcluster, due, again: true });
                let methargs = smallcaps::message("wake", args);
                self.note_sent(handler, None, &methargs);
                self.accept(Message { target: handler, methargs, result: None, from: None, wake })
            }
        }
    }

    /// A message that a timer sent is refused by its target's vat: the timer stands again, unless
    /// whoever set it is gone.
    pub(crate) fn put_back(&mut self, wake: Wake, handler: KRef) -> Result<(), CoreError> {
        let Wake { id, vat, subcluster, due, .. } = wake;
        if !self.space.contains(&keys::vat(vat))? {
            return Ok(());
        }
        self.arm(self.later(due), id, &Timer { vat, subcluster, handler, due })
    }

    /// A vat takes messages again: its own timers that have waited for that are due now.
    pub(crate) fn rouse(&mut self, vat: VatId) -> Result<(), CoreError> {
        if !self.space.contains(&keys::timers(vat))? {
            return Ok(());
        }
        for (id, at, timer) in self.timers_of(vat)? {
            if at > timer.due {
                self.disarm(at, id)?;
                self.arm(timer.due, id, &timer)?;
            }
        }
        Ok(())
    }

    /// A vat has faulted over a queued message. Says whether it is delivered again: once, if a timer
    /// sent it.
    pub(crate) fn wake_again(&mut self, vat: VatId, seq: u64) -> Result<bool, CoreError> {
        let key = keys::queued(Party::Vat(vat), seq);
        let item: Item = self.space.required(&key)?;
        let Item::Send(Message { wake: Some(wake @ Wake { again: true, .. }), .. }) = &item else {
            return Ok(false);
        };
        let wake = Some(Wake { again: false, ..*wake });
        if let Item::Send(message) = item {
            self.space.write(key, &Item::Send(Message { wake, ..message }));
        }
        Ok(true)
    }

    /// When to try again: the later it is already, the less often.
    fn later(&self, due: u64) -> u64 {
        let late = self.wall_ms.saturating_sub(due);
        let wait = late.clamp(limits::TIMER_RETRY_MS_MIN, limits::TIMER_RETRY_MS_MAX);
        self.wall_ms.saturating_add(wait).min(MOMENT_MAX)
    }

    fn handler(&self, kref: KRef) -> Result<Handler, CoreError> {
        if !self.lives(kref)? || self.is_revoked(kref)? {
            return Ok(Handler::Gone);
        }
        let KRef::Object(number) = kref else { return Ok(Handler::Gone) };
        let Some(Object { owner: Some(Party::Vat(vat)), .. }) = self.object(number)? else {
            return Ok(Handler::Gone);
        };
        let row: Vat = self.vat(vat)?;
        let takes = matches!(row.condition, VatCondition::Starting | VatCondition::Running);
        let full = self.work(Party::Vat(vat))?.len >= limits::QUEUE_HOST_ITEMS_MAX;
        Ok(if takes && !full { Handler::Ready } else { Handler::Busy })
    }

    /// Whether an object lives and is there in its vat's later incarnations.
    fn outlives_restarts(&self, kref: KRef) -> Result<bool, CoreError> {
        let KRef::Object(number) = kref else { return Ok(false) };
        let Some(Object { owner: Some(Party::Vat(vat)), .. }) = self.object(number)? else {
            return Ok(false);
        };
        let entry = self.entry(vat, kref)?;
        Ok(entry.is_some_and(|entry| entry.vref.is_durable_export()) && self.lives(kref)?)
    }
}

/// Counts and moments are small enough to be exact.
#[allow(clippy::cast_precision_loss)]
fn number(value: u64) -> Passable<KRef> {
    Passable::Number(value as f64)
}

/// Milliseconds, rounded up: a timer is never early.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "in range"
)]
fn milliseconds(value: &Passable<KRef>, what: &str) -> Result<u64, Refusal> {
    match value {
        Passable::Number(ms) if (0.0..=MOMENT_MAX as f64).contains(ms) => Ok(ms.ceil() as u64),
        _ => wrong(&format!("{what} has to be a number of milliseconds, not negative")),
    }
}
