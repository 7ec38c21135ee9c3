//! What a listening channel with many clients does while its door is open: lets clients in to wait
//! until the vat accepts them. Each then has a task of its own ([`crate::connection`]).

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::channel::{Channel, ChannelEvent};
use crate::door::Door;
use crate::limits::{ACCEPT_PAUSE_MS, CHECK_MS};
use crate::lobby::Lobby;

/// Returns when the channel is closed, or when it cannot listen any more.
pub(crate) async fn serve(channel: &Channel, lobby: &Lobby, mut door: Door) {
    channel.emit(ChannelEvent::Listening);
    let mut check = interval(Duration::from_millis(CHECK_MS));
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            () = channel.closed() => break,
            accepted = door.next_peer() => accepted,
            _ = check.tick() => {
                let Some(renewed) = door.renewed(&channel.key).await else { return };
                door = renewed;
                continue;
            }
        };
        match accepted.map(|stream| lobby.admit(stream)) {
            Ok(Ok(number)) => channel.emit(ChannelEvent::Arrived(number)),
            Ok(Err(why)) => tracing::debug!("{}: a client is turned away: {why}", channel.key),
            Err(error) => {
                tracing::warn!("{}: cannot accept a client: {error}", channel.key);
                tokio::select! {
                    () = channel.closed() => break,
                    () = sleep(Duration::from_millis(ACCEPT_PAUSE_MS)) => {}
                }
            }
        }
    }
    lobby.clear();
}
