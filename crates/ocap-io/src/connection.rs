//! The task of one connection of a channel with many clients. It ends with the connection, which
//! does not come back.
//!
//! A peer that has ended its input is written to for as long as it is there: the vat, which hears
//! of the end, closes or drops the connection when it has nothing more to say.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::channel::{Channel, ChannelEvent};
use crate::client::{Client, readable, writable};
use crate::framing::Flow;
use crate::limits::{CHECK_MS, CLOSE_FLUSH_MS, CONNECTION_CHUNK_BYTES};
use crate::lobby::Guest;
use crate::socket::{Presence, presence};

/// Runs until the connection is over or its channel closed.
pub(crate) async fn run(channel: &Channel, guest: Guest) {
    // The seats are free again at the end.
    let Guest { stream, seats: _seats } = guest;
    let mut client = Client::new(stream, channel);
    let mut buffer = vec![0; CONNECTION_CHUNK_BYTES];
    let mut check = interval(Duration::from_millis(CHECK_MS));
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !channel.is_closed() {
        if !client.finished {
            client.flow = client.inbound.deliver(channel);
            if client.flow == Flow::Ended {
                client.finished = true;
                if channel.reads() {
                    channel.emit(ChannelEvent::End);
                }
            }
        }
        if client.finished && (!client.takes_writes || presence(&client.stream) == Presence::Gone) {
            break;
        }
        let reads = client.flow == Flow::Input;
        let writes = client.has_writes(channel);
        tokio::select! {
            () = channel.closed() => {}
            _ = readable(Some(&client)), if reads => client.read(channel, &mut buffer),
            _ = writable(Some(&client)), if writes => {
                if !client.write(channel) {
                    client.refuse_writes(channel);
                }
            }
            () = channel.written.notified() => {}
            () = channel.consumed.notified() => {}
            // A peer that left silently is noticed in time.
            _ = check.tick(), if client.finished => {}
        }
    }
    let closed = channel.is_closed();
    if closed {
        let flushed = flush(channel, &mut client);
        let _ = timeout(Duration::from_millis(CLOSE_FLUSH_MS), flushed).await;
    }
    channel.close();
    client.refuse_writes(channel);
    channel.reject_queued();
    client.stream.part();
    // Who has closed it knows.
    if !closed {
        channel.emit(ChannelEvent::Gone);
    }
}

/// Writes what was accepted, as far as the peer takes it.
async fn flush(channel: &Channel, client: &mut Client) {
    while client.has_writes(channel) {
        if writable(Some(client)).await.is_err() || !client.write(channel) {
            return;
        }
    }
}
