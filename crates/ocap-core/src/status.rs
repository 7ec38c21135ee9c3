//! Everything at a glance.

use indexmap::IndexMap;
use ocap_types::config::ClusterConfig;
use ocap_types::{SubclusterId, VatId};

use crate::api::{
    ChannelCondition, ChannelStatus, CoreError, Status, SubclusterStatus, VatStatus, VatUsage,
};
use crate::core::{Channel, Core};
use crate::keys;
use crate::rows::{Party, Row, Subcluster, Vat, corrupt};

impl Core {
    pub(crate) fn collect_status(&self) -> Result<Status, CoreError> {
        let mut vats = Vec::new();
        for (key, text) in self.space.scan(keys::VATS)? {
            let id = key.strip_prefix(keys::VATS).and_then(|id| id.parse().ok());
            let id: VatId = id.ok_or_else(|| corrupt(&key, "no vat id"))?;
            let row = Vat::read(&text).ok_or_else(|| corrupt(&key, "no vat"))?;
            vats.push(VatStatus {
                id,
                name: row.name,
                config: self.space.required(&keys::vat_config(id))?,
                subcluster_id: row.subcluster,
                condition: row.condition,
                incarnation: row.incarnation,
                faults: row.faults,
                last_fault: row.last_fault,
                queued: self.work(Party::Vat(id))?.len,
                usage: self.usage(id)?,
            });
        }
        vats.sort_unstable_by_key(|vat| vat.id);
        let mut subclusters = Vec::new();
        let mut channels = Vec::new();
        for (key, text) in self.space.scan(keys::SUBCLUSTERS)? {
            let id = key.strip_prefix(keys::SUBCLUSTERS).and_then(|id| id.parse().ok());
            let id: SubclusterId = id.ok_or_else(|| corrupt(&key, "no subcluster id"))?;
            let row = Subcluster::read(&text).ok_or_else(|| corrupt(&key, "no subcluster"))?;
            let config: ClusterConfig = self.space.required(&keys::config(id))?;
            self.collect_channels(id, &row, &config, &mut channels)?;
            let of_it = vats.iter().filter(|vat: &&VatStatus| vat.subcluster_id == id);
            let usage = of_it.fold(VatUsage::default(), |sum, vat| sum.plus(vat.usage));
            subclusters.push(SubclusterStatus {
                id,
                name: row.name,
                system: row.system,
                config,
                vats: row.vats,
                root_kref: row.root,
                usage,
                code: row.code,
                launching: row.launching.is_some(),
            });
        }
        subclusters.sort_unstable_by_key(|subcluster| subcluster.id);
        channels.sort_by_key(|channel| channel.subcluster_id);
        Ok(Status { vats, subclusters, channels })
    }

    fn collect_channels(
        &self,
        id: SubclusterId,
        row: &Subcluster,
        config: &ClusterConfig,
        channels: &mut Vec<ChannelStatus>,
    ) -> Result<(), CoreError> {
        let none = IndexMap::new();
        let io = config.io.as_ref().unwrap_or(&none);
        for (channel, kref) in row.channel_ids(id) {
            let key = keys::config(id);
            let config = io.get(&channel.name);
            let config = config.ok_or_else(|| corrupt(&key, "a channel without config"))?;
            let state = self.channels.get(&channel);
            let condition = match state {
                Some(state) => state.condition.clone(),
                None => ChannelCondition::Unavailable {
                    reason: "this kernel was built without IO support".to_owned(),
                    retry_ms: None,
                },
            };
            let many = config.has_many_clients();
            let buffered = if many {
                self.connections_of(&channel).map(Channel::unread).sum()
            } else {
                state.map_or(0, Channel::unread)
            };
            let connections = many.then(|| self.open_connections(&channel));
            let waiting = many.then(|| state.map_or(0, Core::waiting_clients));
            let pending = match kref {
                ocap_types::KRef::Object(number) => self.space.scan(&keys::reads(number))?.len(),
                ocap_types::KRef::Promise(_) => 0,
            };
            channels.push(ChannelStatus {
                subcluster_id: id,
                name: channel.name,
                kref,
                config: config.clone(),
                condition,
                buffered_units: buffered,
                pending_reads: pending as u64,
                connections,
                waiting,
            });
        }
        Ok(())
    }
}
