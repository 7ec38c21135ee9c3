//! Connections of channels with many clients: each an object of the kernel's own, which `accept()`
//! answers with.
//!
//! A connection begins when a client that waited is accepted, and its object lives as long as
//! somebody holds it: nothing pins it, so the object that nobody reaches any more is closed, with
//! whatever nobody can read now. Its client lives no longer than this run of the kernel. Who kept
//! the object longer reads the end of its input, once, and is told that it is closed.

use std::collections::VecDeque;

use ocap_types::passable::Passable;
use ocap_types::{KCapData, KRef, smallcaps};

use crate::api::{ChannelCondition, ChannelId, CoreError, Effect, Finding};
use crate::core::{Channel, Core, Inbound, Undo};
use crate::keys;
use crate::rows::{Party, Row, ServiceKind, corrupt};

impl Core {
    /// At boot: connections of the last run are over.
    pub(crate) fn find_connections(&mut self) -> Result<(), CoreError> {
        for (key, _) in self.space.scan(keys::CONNECTIONS)? {
            let number = object_number(&key)?;
            let kind = self.space.required(&keys::service_of(number))?;
            let ServiceKind::Connection { subcluster, name } = kind else {
                return Err(corrupt(&key, "not a connection"));
            };
            let id = ChannelId::new(subcluster, name).connection(number);
            let over = Channel {
                condition: ChannelCondition::Closed,
                inbound: VecDeque::from([Inbound::End]),
                ..Channel::new(KRef::Object(number))
            };
            self.add_channel(id, over);
        }
        Ok(())
    }

    /// Makes a connection of a client that waited; its object, as an answer.
    pub(crate) fn admit(
        &mut self,
        listening: &ChannelId,
        arrival: u64,
    ) -> Result<KCapData, CoreError> {
        let number = self.new_object(Party::Kernel)?;
        let kref = KRef::Object(number);
        let ChannelId { subcluster, name, .. } = listening.clone();
        let iface = Some(format!("Alleged: {name} connection"));
        let kind = ServiceKind::Connection { subcluster, name };
        self.space.put_new(keys::service_of(number), kind.write());
        let mut channel = Channel::new(kref);
        channel.condition = ChannelCondition::Connected;
        if let Some(at) = self.channels.get(listening) {
            channel.direction = at.direction;
            if let KRef::Object(of) = at.kref {
                self.space.put_new(keys::connection(of, number), String::new());
            }
        }
        let id = listening.connection(number);
        self.add_channel(id.clone(), channel);
        self.effects.push(Effect::AcceptConnection { channel: id, arrival });
        // Should the answer reach nobody, the connection ends with this turn.
        self.maybe_free.push(kref);
        Ok(smallcaps::encode(&Passable::Remotable { slot: kref, iface }))
    }

    /// An object of the kernel's own that nobody reaches.
    pub(crate) fn drop_connection(&mut self, number: u64) -> Result<(), CoreError> {
        let kind: Option<ServiceKind> = self.space.row(&keys::service_of(number))?;
        let Some(ServiceKind::Connection { subcluster, name }) = kind else { return Ok(()) };
        let listening = self.subcluster(subcluster)?.channels.get(&name).copied();
        let Some(KRef::Object(of)) = listening else {
            return Err(corrupt(&keys::service_of(number), "connection of no channel"));
        };
        self.end_connection(&ChannelId::new(subcluster, name), of, number)
    }

    /// Ends every connection of a channel, whose object has this number.
    pub(crate) fn end_connections(&mut self, of: &ChannelId, number: u64) -> Result<(), CoreError> {
        for (key, _) in self.space.scan(&keys::connections(number))? {
            self.end_connection(of, number, object_number(&key)?)?;
        }
        Ok(())
    }

    fn end_connection(
        &mut self,
        listening: &ChannelId,
        of: u64,
        number: u64,
    ) -> Result<(), CoreError> {
        self.close_channel(&listening.connection(number), number)?;
        self.space.delete(keys::connection(of, number))?;
        self.disown(number)?;
        self.host_release(KRef::Object(number)).map(|_| ())
    }

    /// The vat closes a connection. What was written before goes out, what is unread does not count
    /// any more, and who waits for input gets its end.
    pub(crate) fn hang_up(&mut self, id: &ChannelId, number: u64) -> Result<(), CoreError> {
        let Some(channel) = self.channels.get(id) else { return Ok(()) };
        if channel.condition == ChannelCondition::Closed {
            return Ok(());
        }
        self.set_condition(id, ChannelCondition::Closed)?;
        while let Some(channel) = self.channels.get_mut(id)
            && let Some(inbound) = channel.inbound.pop_front()
        {
            channel.bytes -= inbound.bytes();
            self.remember(Undo::Taken(id.clone(), inbound));
        }
        self.end_waiting(&keys::reads(number), false, &smallcaps::encode(&Passable::Null))?;
        self.end_input(id);
        self.effects.push(Effect::CloseChannel { channel: id.clone() });
        Ok(())
    }

    /// The driver says that a connection is over. What has arrived can still be read.
    pub(crate) fn connection_gone(&mut self, id: &ChannelId, number: u64) -> Result<(), CoreError> {
        let Some(channel) = self.channels.get(id) else { return Ok(()) };
        if id.connection.is_none() || channel.condition == ChannelCondition::Closed {
            return Ok(());
        }
        let told = channel.ended;
        self.set_condition(id, ChannelCondition::Closed)?;
        if told { Ok(()) } else { self.arrived(id, number, Inbound::End) }
    }

    /// The end of a connection's input has been read: later reads are refused.
    pub(crate) fn end_input(&mut self, id: &ChannelId) {
        if let Some(channel) = self.channels.get_mut(id)
            && id.connection.is_some()
            && !std::mem::replace(&mut channel.ended, true)
        {
            self.remember(Undo::Ended(id.clone()));
        }
    }

    /// A channel's connections, those that are over included.
    pub(crate) fn connections_of(&self, id: &ChannelId) -> impl Iterator<Item = &Channel> {
        let later = self.channels.range(id.connection(0)..);
        let own = later.take_while(|(other, _)| other.listening() == *id);
        own.map(|(_, channel)| channel)
    }

    /// How many of a channel's connections are not over.
    pub(crate) fn open_connections(&self, id: &ChannelId) -> u64 {
        let open = self.connections_of(id);
        open.filter(|channel| channel.condition != ChannelCondition::Closed).count() as u64
    }

    /// Clients that wait for a channel to accept them.
    pub(crate) fn waiting_clients(channel: &Channel) -> u64 {
        let inbound = channel.inbound.iter();
        inbound.filter(|inbound| matches!(inbound, Inbound::Client(_))).count() as u64
    }

    /// The connections in memory are those of the store.
    pub(crate) fn check_connections(&self) -> Result<Vec<Finding>, CoreError> {
        let mut stored = std::collections::BTreeMap::new();
        for (key, _) in self.space.scan(keys::CONNECTIONS)? {
            stored.insert(object_number(&key)?, key);
        }
        let mut findings = Vec::new();
        for number in self.channels.keys().filter_map(|id| id.connection) {
            if stored.remove(&number).is_none() {
                let key = keys::service_of(number).text().into_owned();
                findings.push(Finding { key, problem: "is served, but has no row".to_owned() });
            }
        }
        for key in stored.into_values() {
            let problem = "has a row, but is not known".to_owned();
            findings.push(Finding { key, problem });
        }
        Ok(findings)
    }
}

/// The object a connection's row ends with.
fn object_number(key: &str) -> Result<u64, CoreError> {
    match key.rsplit('.').next().and_then(|kref| kref.parse().ok()) {
        Some(KRef::Object(number)) => Ok(number),
        _ => Err(corrupt(key, "no object")),
    }
}
