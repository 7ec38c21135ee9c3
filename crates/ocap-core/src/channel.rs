//! IO channels as vats see them: `read()`, `write(data)`, `readMany(n)`, `writeMany(list)`, `ready()`
//! and `status()` on an object that lives as long as its subcluster. A channel with many clients has
//! `accept()` instead of reads and writes, which its connections have ([`crate::connection`]).
//!
//! What has arrived and nobody has read is kept in memory: a crash loses exactly that. Taking a
//! unit is part of a turn, so a unit is back if the turn is undone, and its room at the driver is
//! free only once the batch is durable.

use std::collections::BTreeMap;

use ocap_types::config::{IoConfig, IoDirection};
use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, SubclusterId, smallcaps};

use crate::api::{ChannelCondition, ChannelEvent, ChannelId, CoreError, Effect};
use crate::core::{Channel, Core, Deferred, Inbound, Undo};
use crate::errors::Code;
use crate::keys;
use crate::limits;
use crate::rows::{Call, CallKind, Message, Party, corrupt};

/// A call of a channel.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Read,
    /// At most so many units, in an array.
    ReadMany(usize),
    Write(Vec<String>),
    Accept,
    Ready,
    Status,
    Close,
}

impl Core {
    /// Has the driver open a channel and begins to keep what arrives on it.
    pub(crate) fn open_channel(
        &mut self,
        subcluster: SubclusterId,
        name: &str,
        kref: KRef,
        config: &IoConfig,
    ) {
        let id = ChannelId::new(subcluster, name);
        let channel = Channel {
            direction: config.direction.unwrap_or(IoDirection::Inout),
            accepts: config.has_many_clients(),
            ..Channel::new(kref)
        };
        self.add_channel(id.clone(), channel);
        self.effects.push(Effect::OpenChannel { channel: id, config: config.clone() });
    }

    pub(crate) fn add_channel(&mut self, id: ChannelId, channel: Channel) {
        let before = self.channels.insert(id.clone(), channel);
        self.remember(Undo::Channel(id, before.map(Box::new)));
    }

    /// Closes a channel for good and ends the calls that wait for it.
    pub(crate) fn close_channel(&mut self, id: &ChannelId, number: u64) -> Result<(), CoreError> {
        let reason = Code::DeliveryFailed.rejection(closed(id));
        for prefix in [keys::reads(number), keys::readies(number)] {
            self.end_waiting(&prefix, true, &reason)?;
        }
        if let Some(channel) = self.channels.remove(id) {
            // A connection may be closed already.
            if channel.condition != ChannelCondition::Closed {
                self.effects.push(Effect::CloseChannel { channel: id.clone() });
            }
            self.remember(Undo::Channel(id.clone(), Some(Box::new(channel))));
        }
        Ok(())
    }

    pub(crate) fn end_waiting(
        &mut self,
        prefix: &str,
        rejected: bool,
        value: &KCapData,
    ) -> Result<(), CoreError> {
        for (key, _) in self.space.scan(prefix)? {
            let call = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
            self.end_call(call, rejected, value)?;
        }
        Ok(())
    }

    /// Something happened to a channel. A channel that is not there any more is ignored.
    ///
    /// # Errors
    /// [`CoreError::Limit`] if the buffer is full: the driver has taken in more than
    /// [`Effect::ChannelConsumed`] has freed. The unit is not taken.
    pub fn channel_event(&mut self, id: &ChannelId, event: ChannelEvent) -> Result<(), CoreError> {
        self.turn(|core| {
            let Some(channel) = core.channels.get(id) else { return Ok(()) };
            let KRef::Object(number) = channel.kref else { return Ok(()) };
            let closed = channel.condition == ChannelCondition::Closed;
            match event {
                // What the driver says of clients is for channels that have many, all else is not;
                // and nothing comes of a connection that the vat has closed.
                ChannelEvent::Arrived(_) if !channel.accepts => Ok(()),
                ChannelEvent::Unit(_) | ChannelEvent::Bad(_) | ChannelEvent::End
                    if channel.accepts || closed =>
                {
                    Ok(())
                }
                ChannelEvent::Arrived(arrival) => {
                    core.arrived(id, number, Inbound::Client(arrival))
                }
                ChannelEvent::Gone => core.connection_gone(id, number),
                ChannelEvent::Unit(text) => core.arrived(id, number, Inbound::Unit(text)),
                ChannelEvent::Bad(why) => core.arrived(id, number, Inbound::Bad(why)),
                ChannelEvent::Connecting { reason, retry_ms } => {
                    core.set_condition(id, ChannelCondition::Connecting { reason, retry_ms })
                }
                ChannelEvent::End => core.arrived(id, number, Inbound::End),
                ChannelEvent::Listening => core.serves(id, number, ChannelCondition::Listening),
                ChannelEvent::Connected => core.serves(id, number, ChannelCondition::Connected),
                ChannelEvent::Unavailable { reason, retry_ms } => {
                    let condition =
                        ChannelCondition::Unavailable { reason: reason.clone(), retry_ms };
                    core.set_condition(id, condition)?;
                    let text = unavailable(id, &reason);
                    let error = Code::DeliveryFailed.rejection(&text);
                    core.end_waiting(&keys::reads(number), true, &error)?;
                    let subcluster = id.subcluster;
                    if core.subcluster(subcluster)?.launching.is_some() {
                        let message = text;
                        core.deferred.push_back(Deferred::LaunchFailed { subcluster, message });
                    }
                    Ok(())
                }
            }
        })
    }

    fn serves(
        &mut self,
        id: &ChannelId,
        number: u64,
        condition: ChannelCondition,
    ) -> Result<(), CoreError> {
        self.set_condition(id, condition)?;
        self.end_waiting(&keys::readies(number), false, &smallcaps::undefined())
    }

    pub(crate) fn set_condition(
        &mut self,
        id: &ChannelId,
        condition: ChannelCondition,
    ) -> Result<(), CoreError> {
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        let before = std::mem::replace(&mut channel.condition, condition);
        let first = before == ChannelCondition::Opening;
        self.remember(Undo::Condition(id.clone(), before));
        if first {
            // Vats may have waited for this before their start.
            for &vat in self.subcluster(id.subcluster)?.vats.values() {
                self.ready.insert(Party::Vat(vat));
            }
        }
        Ok(())
    }

    pub(crate) fn arrived(
        &mut self,
        id: &ChannelId,
        number: u64,
        inbound: Inbound,
    ) -> Result<(), CoreError> {
        // Nothing follows the end of a connection's input: all who wait for more get it.
        let for_all = inbound == Inbound::End && id.connection.is_some();
        let mut told = false;
        while let Some((key, _)) = self.space.next(&keys::reads(number), "")? {
            let call = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
            let Call { from, kind, .. } = self.space.required(&keys::call(call))?;
            if from.is_some_and(|from| self.has_left(from.vat)) {
                self.cancel_call(call, Code::VatTerminated, "whoever asked for this is gone")?;
                continue;
            }
            if for_all {
                self.end_call(call, false, &smallcaps::encode(&Passable::Null))?;
                told = true;
                continue;
            }
            let many = kind == CallKind::ReadMany;
            let (rejected, value) = self.consumed(id, vec![inbound], many)?;
            self.end_call(call, rejected, &value)?;
            return Ok(());
        }
        if told {
            self.end_input(id);
            return Ok(());
        }
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        // Peers that come and go without a word leave one mark.
        if inbound == Inbound::End && channel.inbound.back() == Some(&Inbound::End) {
            return Ok(());
        }
        let bytes = inbound.bytes();
        if channel.inbound.len() >= limits::CHANNEL_BUFFER_UNITS_MAX
            || channel.bytes + bytes > limits::CHANNEL_BUFFER_BYTES_MAX
        {
            return Err(CoreError::Limit(format!("the buffer of IO channel \"{id}\" is full")));
        }
        channel.bytes += bytes;
        channel.inbound.push_back(inbound);
        self.remember(Undo::Arrived(id.clone()));
        Ok(())
    }

    /// What a read gets for what arrived, and whether as a rejection; tells the driver that there is
    /// room again. What is no unit, or an end, stands alone.
    fn consumed(
        &mut self,
        id: &ChannelId,
        inbound: Vec<Inbound>,
        many: bool,
    ) -> Result<(bool, KCapData), CoreError> {
        let (mut units, mut bytes) = (0, 0);
        let mut texts = Vec::new();
        let mut answer = None;
        for inbound in inbound {
            bytes += inbound.bytes() as u64;
            match inbound {
                Inbound::Unit(text) => {
                    units += 1;
                    texts.push(Passable::String(text));
                }
                Inbound::Bad(why) => {
                    units += 1;
                    answer = Some((true, Code::DeliveryFailed.rejection(&why)));
                }
                Inbound::End => answer = Some((false, smallcaps::encode(&Passable::Null))),
                Inbound::Client(arrival) => answer = Some((false, self.admit(id, arrival)?)),
            }
        }
        if units > 0 {
            self.effects.push(Effect::ChannelConsumed { channel: id.clone(), units, bytes });
        }
        Ok(answer.unwrap_or_else(|| {
            let value = if many { Some(Passable::Array(texts)) } else { texts.pop() };
            (false, smallcaps::encode(&value.unwrap_or(Passable::Null)))
        }))
    }

    /// A message for a channel. Answered in this turn if it can be. If the incarnation that sent
    /// it is `gone`, nothing is read for it.
    pub(crate) fn invoke_channel(
        &mut self,
        id: &ChannelId,
        message: Message,
        gone: bool,
    ) -> Result<(), CoreError> {
        let fail = |text: String| (true, Code::DeliveryFailed.rejection(&text));
        let request = match parse_request(&message.methargs) {
            Ok(request) => request,
            Err(problem) => {
                let (_, reason) = fail(format!("IO channel \"{id}\" {problem}"));
                return self.splat(&message, &reason);
            }
        };
        // A result that only this message holds can reach nobody, for example because whoever
        // waited for it outside is gone since a boot.
        let unseen = match message.result {
            Some(KRef::Promise(number)) => self.promise(number)?.refs == 1,
            _ => request == Request::Accept,
        };
        let waits = matches!(
            request,
            Request::Read | Request::ReadMany(_) | Request::Accept | Request::Ready
        );
        if (gone || unseen) && waits {
            let reason = Code::ReadCancelled.rejection("whoever asked for this is gone");
            return self.splat(&message, &reason);
        }
        let Some(channel) = self.channels.get(id) else {
            let (_, reason) = fail(unavailable(id, "this kernel was built without IO support"));
            return self.splat(&message, &reason);
        };
        let KRef::Object(number) = channel.kref else { return Ok(()) };
        if let Some(text) = misplaced(id, channel, &request) {
            let (rejected, value) = fail(text);
            return self.answer(&message, rejected, &value);
        }
        let broken = match &channel.condition {
            ChannelCondition::Unavailable { reason, .. } => Some(unavailable(id, reason)),
            ChannelCondition::Closed => Some(closed(id)),
            _ => None,
        };
        let serves =
            matches!(channel.condition, ChannelCondition::Listening | ChannelCondition::Connected);
        let is_closed = channel.condition == ChannelCondition::Closed;
        let ended = channel.ended;
        let answer = match request {
            Request::Status => (false, self.channel_status(id, channel)),
            Request::Close => {
                self.hang_up(id, number)?;
                (false, smallcaps::undefined())
            }
            Request::Ready if serves => (false, smallcaps::undefined()),
            Request::Ready if is_closed => fail(closed(id)),
            Request::Ready => return self.wait_at_channel(id, number, CallKind::Ready, message),
            Request::Read | Request::ReadMany(_) | Request::Accept => {
                let (most, kind) = match request {
                    Request::ReadMany(most) => (most, CallKind::ReadMany),
                    Request::Accept => (1, CallKind::Accept),
                    _ => (1, CallKind::Read),
                };
                let taken = self.take_inbound(id, most);
                match broken {
                    _ if !taken.is_empty() => {
                        self.consumed(id, taken, kind == CallKind::ReadMany)?
                    }
                    Some(text) => fail(text),
                    None if ended => fail(format!(
                        "IO channel \"{id}\" has no more input: its client has ended it"
                    )),
                    None => return self.wait_at_channel(id, number, kind, message),
                }
            }
            Request::Write(units) => {
                if let Some(text) = broken {
                    fail(text)
                } else {
                    let call = self.begin_call(CallKind::Released, message)?;
                    let channel = id.clone();
                    self.effects.push(Effect::WriteChannel { call, channel, units });
                    return Ok(());
                }
            }
        };
        self.answer(&message, answer.0, &answer.1)
    }

    /// Settles a message's result in the turn that takes it from its queue.
    pub(crate) fn answer(
        &mut self,
        message: &Message,
        rejected: bool,
        value: &KCapData,
    ) -> Result<(), CoreError> {
        if let Some(KRef::Promise(number)) = message.result {
            self.settle_promise(number, rejected, value)?;
        }
        self.release_message(message.target, message.result, &message.methargs.slots)
    }

    fn wait_at_channel(
        &mut self,
        id: &ChannelId,
        number: u64,
        kind: CallKind,
        message: Message,
    ) -> Result<(), CoreError> {
        let prefix = match kind {
            CallKind::Ready => keys::readies(number),
            CallKind::Read
            | CallKind::ReadMany
            | CallKind::Accept
            | CallKind::Released
            | CallKind::Asked => keys::reads(number),
        };
        if self.space.scan(&prefix)?.len() >= limits::CHANNEL_PENDING_MAX {
            let text = format!("too many calls wait for IO channel \"{id}\"");
            return self.splat(&message, &Code::LimitExceeded.rejection(&text));
        }
        self.begin_call(kind, message)?;
        Ok(())
    }

    /// Takes out what a read gets: units up to a number, or one thing that is none.
    fn take_inbound(&mut self, id: &ChannelId, most: usize) -> Vec<Inbound> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some(channel) = self.channels.get_mut(id) else { break };
            let is_unit = matches!(channel.inbound.front(), Some(Inbound::Unit(_)));
            if !is_unit && !taken.is_empty() {
                break;
            }
            let Some(inbound) = channel.inbound.pop_front() else { break };
            channel.bytes -= inbound.bytes();
            self.remember(Undo::Taken(id.clone(), inbound.clone()));
            if inbound == Inbound::End {
                self.end_input(id);
            }
            taken.push(inbound);
            if !is_unit {
                break;
            }
        }
        taken
    }

    /// What `status()` answers: `{ state, unread, reason?, retryMs? }`; with many clients
    /// `{ connections, waiting }` instead of `unread`.
    fn channel_status(&self, id: &ChannelId, channel: &Channel) -> KCapData {
        let mut record = condition_record(&channel.condition);
        if channel.accepts {
            record.insert("connections".to_owned(), number(self.open_connections(id)));
            record.insert("waiting".to_owned(), number(Core::waiting_clients(channel)));
        } else {
            record.insert("unread".to_owned(), number(channel.unread()));
        }
        smallcaps::encode(&Passable::Record(record))
    }
}

/// Why a channel of this kind, or its direction, has no such call, if so.
fn misplaced(id: &ChannelId, channel: &Channel, request: &Request) -> Option<String> {
    let reads = matches!(request, Request::Read | Request::ReadMany(_));
    let writes = matches!(request, Request::Write(_));
    let why = match request {
        Request::Accept if id.connection.is_some() => "is one connection, and accepts none",
        Request::Accept if !channel.accepts => {
            "has one client at a time, and accepts none; \"clients\": \"many\" makes it accept"
        }
        Request::Close if id.connection.is_none() => "has no method \"close\"",
        _ if channel.accepts && (reads || writes) => {
            "has many clients: call accept(), and read and write what it answers with"
        }
        _ if reads && channel.direction == IoDirection::Out => "is write-only",
        _ if writes && channel.direction == IoDirection::In => "is read-only",
        _ => return None,
    };
    Some(format!("IO channel \"{id}\" {why}"))
}

impl Channel {
    /// Units that have not been read.
    pub(crate) fn unread(&self) -> u64 {
        let unit = |inbound: &&Inbound| matches!(inbound, Inbound::Unit(_) | Inbound::Bad(_));
        self.inbound.iter().filter(unit).count() as u64
    }
}

/// How a channel is: `{ state, reason?, retryMs? }`.
fn condition_record(condition: &ChannelCondition) -> BTreeMap<String, Passable<KRef>> {
    let (state, reason, retry_ms) = match condition {
        ChannelCondition::Opening => ("opening", None, None),
        ChannelCondition::Listening => ("listening", None, None),
        ChannelCondition::Connected => ("connected", None, None),
        ChannelCondition::Connecting { reason, retry_ms } => {
            ("connecting", reason.clone(), Some(*retry_ms))
        }
        ChannelCondition::Unavailable { reason, retry_ms } => {
            ("unavailable", Some(reason.clone()), *retry_ms)
        }
        ChannelCondition::Closed => ("closed", None, None),
    };
    let mut record = BTreeMap::from([("state".to_owned(), Passable::String(state.to_owned()))]);
    if let Some(reason) = reason {
        record.insert("reason".to_owned(), Passable::String(reason));
    }
    if let Some(retry_ms) = retry_ms {
        record.insert("retryMs".to_owned(), number(retry_ms));
    }
    record
}

#[allow(clippy::cast_precision_loss, reason = "counts and times far below 2^53")]
fn number(value: u64) -> Passable<KRef> {
    Passable::Number(value as f64)
}

fn closed(id: &ChannelId) -> String {
    format!("IO channel \"{id}\" is closed")
}

fn unavailable(id: &ChannelId, reason: &str) -> String {
    format!("IO channel \"{id}\" is unavailable: {reason}")
}

/// Reads `[method, args]`. The error continues the sentence `IO channel "x" ...`.
fn parse_request(methargs: &KCapData) -> Result<Request, String> {
    let Ok((method, args)) = smallcaps::decode_message(methargs) else {
        return Err("was called with what is no method and arguments".to_owned());
    };
    match method.as_str() {
        "read" => Ok(Request::Read),
        "accept" => Ok(Request::Accept),
        "ready" => Ok(Request::Ready),
        "close" => Ok(Request::Close),
        "status" => Ok(Request::Status),
        "write" => match args.into_iter().next() {
            Some(Passable::String(data)) => Ok(Request::Write(vec![data])),
            _ => Err("was given something to write that is no string".to_owned()),
        },
        "readMany" => match args.into_iter().next() {
            None | Some(Passable::Undefined) => {
                Ok(Request::ReadMany(limits::CHANNEL_BUFFER_UNITS_MAX))
            }
            Some(Passable::Number(count)) if count >= 1.0 && count.fract() == 0.0 => {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
                Ok(Request::ReadMany(count as usize))
            }
            Some(_) => Err("was asked for a number of units that is none from 1 on".to_owned()),
        },
        "writeMany" => match args.into_iter().next() {
            Some(Passable::Array(list)) => {
                let units = list.into_iter().map(|unit| match unit {
                    Passable::String(unit) => Ok(unit),
                    _ => Err("was given something to write that is no string".to_owned()),
                });
                units.collect::<Result<_, _>>().map(Request::Write)
            }
            _ => Err("was given something to write that is no array of strings".to_owned()),
        },
        other => {
            let other: String = other.chars().take(100).collect();
            Err(format!("has no method {other:?}"))
        }
    }
}
