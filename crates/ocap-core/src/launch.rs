//! Subclusters: launching one, undoing a launch that cannot succeed, and ending one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::passable::Passable;
use ocap_types::{KRef, SubclusterId, VRef, VatId, smallcaps};

use crate::api::{
    Answer, ChannelCondition, CodeHash, CoreError, Effect, Incarnation, Launch, Ticket,
    VatCondition,
};
use crate::core::{Core, Deferred};
use crate::errors;
use crate::keys;
use crate::limits;
use crate::parameters::parameters_data;
use crate::rows::{
    Imports, Launching, Message, Object, Party, Row, ServiceKind, State, Subcluster, Vat, Waiter,
    Work, corrupt,
};

impl Core {
    pub(crate) fn subcluster(&self, id: SubclusterId) -> Result<Subcluster, CoreError> {
        self.space.required(&keys::subcluster(id))
    }

    /// The subcluster launched under a name, also while its launch is under way.
    pub fn subcluster_by_name(&self, name: &str) -> Result<Option<SubclusterId>, CoreError> {
        self.named_subcluster(false, name)
    }

    pub(crate) fn named_subcluster(
        &self,
        system: bool,
        name: &str,
    ) -> Result<Option<SubclusterId>, CoreError> {
        self.space.row(&keys::subcluster_name(system, name))
    }

    /// The text of stored code.
    pub fn code(&self, hash: &CodeHash) -> Result<Option<String>, CoreError> {
        Ok(self.space.get(&keys::code(&hash.0))?.map(std::borrow::Cow::into_owned))
    }

    /// Begins a launch. The ticket gets [`Answer::Launched`] once `bootstrap` has answered, or
    /// [`Answer::Failed`]; then nothing of it is left.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if the config cannot be launched at all; the ticket is then unused.
    pub fn launch(&mut self, ticket: Ticket, launch: Launch) -> Result<SubclusterId, CoreError> {
        self.turn(|core| core.accept_launch(ticket, launch))
    }

    pub(crate) fn accept_launch(
        &mut self,
        ticket: Ticket,
        launch: Launch,
    ) -> Result<SubclusterId, CoreError> {
        self.validate_launch(&launch)?;
        self.begin_launch(ticket, launch)
    }

    fn validate_launch(&self, launch: &Launch) -> Result<(), CoreError> {
        let config = &launch.config;
        let invalid = |text: String| Err(CoreError::Invalid(text));
        if !config.vats.contains_key(&config.bootstrap) {
            return invalid(format!("invalid bootstrap vat name {:?}", config.bootstrap));
        }
        if config.vats.len() > limits::SUBCLUSTER_VATS_MAX {
            return invalid(format!("more than {} vats", limits::SUBCLUSTER_VATS_MAX));
        }
        let channels = config.io.as_ref().map_or(0, IndexMap::len);
        if channels > limits::SUBCLUSTER_CHANNELS_MAX {
            return invalid(format!("more than {} channels", limits::SUBCLUSTER_CHANNELS_MAX));
        }
        if channels > 0 && !self.io {
            return invalid(
                "Cluster config declares IO channels but no IO channel factory was provided to \
                 the kernel"
                    .to_owned(),
            );
        }
        for name in config.services.iter().flatten() {
            if config.io.as_ref().is_some_and(|io| io.contains_key(name)) {
                continue;
            }
            if !self.has_service(name, launch.system)? {
                return invalid(format!("no registered kernel service '{name}'"));
            }
        }
        for (name, vat) in &config.vats {
            if parameters_data(vat.parameters.as_ref()).is_none() {
                return invalid(format!("the parameters of vat '{name}' are nested too deep"));
            }
            if !launch.code.contains_key(name) {
                return invalid(format!("no code for vat '{name}'"));
            }
        }
        // What is stored has to be readable.
        if ClusterConfig::read(&config.write()).as_ref() != Some(config) {
            return invalid("the config cannot be stored: it is nested too deep".to_owned());
        }
        if let Some(name) = &launch.name
            && let Some(id) = self.named_subcluster(launch.system, name)?
        {
            return invalid(format!("the name '{name}' is taken by subcluster {id}"));
        }
        Ok(())
    }

    fn begin_launch(&mut self, ticket: Ticket, launch: Launch) -> Result<SubclusterId, CoreError> {
        let Launch { config, name, code: texts, system } = launch;
        let id = SubclusterId(self.take_number(keys::NEXT_SUBCLUSTER)?);
        let mut channels = IndexMap::new();
        for (channel, io) in config.io.iter().flatten() {
            let number = self.new_object(Party::Kernel)?;
            let kind = ServiceKind::Channel { subcluster: id, name: channel.clone() };
            self.space.put_new(keys::service_of(number), kind.write());
            let service = keys::service(format_args!("io:{id}:{channel}"));
            self.space.put_new(service, KRef::Object(number).to_string());
            self.pin(number)?;
            channels.insert(channel.clone(), KRef::Object(number));
            self.open_channel(id, channel, KRef::Object(number), io);
        }
        let mut vats = IndexMap::new();
        let mut code = IndexMap::new();
        let mut root = None;
        for (vat_name, vat_config) in &config.vats {
            let Some((hash, text)) = texts.get(vat_name) else {
                return Err(CoreError::Invalid(format!("no code for vat '{vat_name}'")));
            };
            self.keep_code(hash, text)?;
            code.insert(vat_name.clone(), hash.clone());
            let (vat, object) = self.new_vat(id, vat_name, vat_config, hash)?;
            vats.insert(vat_name.clone(), vat);
            if *vat_name == config.bootstrap {
                root = Some(object);
            }
        }
        let Some(root) = root else {
            return Err(CoreError::Invalid("invalid bootstrap vat name".to_owned()));
        };
        if let Some(name) = &name {
            self.space.put_new(keys::subcluster_name(system, name), id.to_string());
        }
        let launching = Some(Launching {
            ticket,
            joined: Vec::new(),
            once: None,
            started: BTreeSet::new(),
            bootstrapping: false,
        });
        let former = IndexMap::new();
        let row = Subcluster { name, system, vats, root, code, former, channels, launching };
        self.space.put_new(keys::subcluster(id), row.write());
        self.space.put_new(keys::config(id), config.write());
        Ok(id)
    }

    fn new_vat(
        &mut self,
        subcluster: SubclusterId,
        name: &str,
        config: &VatConfig,
        code: &CodeHash,
    ) -> Result<(VatId, KRef), CoreError> {
        let vat = VatId(self.take_number(keys::NEXT_VAT)?);
        let number = self.new_object(Party::Vat(vat))?;
        let root = KRef::Object(number);
        self.space
            .put_new(keys::imports(vat), Imports { object: 1, promise: 1, entries: 1 }.write());
        self.add_entry(vat, root, VRef::ROOT);
        self.pin(number)?;
        let row = Vat {
            name: name.to_owned(),
            subcluster,
            root,
            code: code.clone(),
            incarnation: Incarnation(1),
            condition: VatCondition::Starting,
            faults: 0,
            faults_in_row: 0,
            last_fault: None,
            restart: None,
        };
        self.space.put_new(keys::vat(vat), row.write());
        self.space.put_new(keys::vat_config(vat), config.write());
        self.write_work(Party::Vat(vat), &Work { start: true, ..Work::default() })?;
        Ok((vat, root))
    }

    /// A vat has started; when all of a launch have, the bootstrap message is sent.
    pub(crate) fn launched_vat(&mut self, id: SubclusterId, vat: VatId) -> Result<(), CoreError> {
        let mut row = self.subcluster(id)?;
        let Some(launching) = &mut row.launching else { return Ok(()) };
        if launching.bootstrapping || !launching.started.insert(vat) {
            return Ok(());
        }
        launching.bootstrapping = row.vats.values().all(|vat| launching.started.contains(vat));
        let ready = launching.bootstrapping;
        self.space.write(keys::subcluster(id), &row);
        if ready { self.send_bootstrap(id, &row) } else { Ok(()) }
    }

    fn send_bootstrap(&mut self, id: SubclusterId, row: &Subcluster) -> Result<(), CoreError> {
        let config: ClusterConfig = self.space.required(&keys::config(id))?;
        let mut roots = BTreeMap::new();
        for (name, &vat) in &row.vats {
            roots.insert(name.clone(), remotable(self.vat(vat)?.root, "vatRoot"));
        }
        let mut services = BTreeMap::new();
        for name in config.services.iter().flatten() {
            if let Some(kref) = self.service_for(name, row.system)? {
                services.insert(name.clone(), remotable(kref, name));
            }
        }
        // A channel shadows a service of the same name.
        for (name, &kref) in &row.channels {
            services.insert(name.clone(), remotable(kref, name));
        }
        let args = vec![Passable::Record(roots), Passable::Record(services)];
        let methargs = smallcaps::message("bootstrap", args);
        let result = self.new_promise(None)?;
        self.wait_for(result, Waiter::Launch(id))?;
        let result = KRef::Promise(result);
        self.hold(row.root)?;
        self.hold(result)?;
        self.hold_all(&methargs.slots)?;
        self.note_sent(row.root, Some(result), &methargs);
        self.accept(Message {
            target: row.root,
            methargs,
            result: Some(result),
            from: None,
            wake: None,
        })
    }

    /// The bootstrap message's result has settled; the launch has succeeded or failed. Ends the
    /// launch's hold on the promise.
    pub(crate) fn bootstrap_settled(
        &mut self,
        id: SubclusterId,
        promise: KRef,
    ) -> Result<(), CoreError> {
        let KRef::Promise(number) = promise else {
            return Err(corrupt(&promise.to_string(), "an object as a result"));
        };
        let rejected = self.promise(number)?.state == State::Rejected;
        let value = self.promise_value(number)?;
        let row: Option<Subcluster> = self.space.row(&keys::subcluster(id))?;
        if let Some(mut row) = row
            && let Some(launching) = row.launching.take()
        {
            let failure = match smallcaps::error_message(&value).map(|text| errors::clipped(&text))
            {
                Some(message) => Some(message),
                None => rejected.then(|| errors::reason_text(&value)),
            };
            match failure {
                Some(message) => self.undo_launch(id, &message)?,
                None if !self.host_hold(&value.slots)? => {
                    self.undo_launch(id, "the host holds too many references; release some")?;
                }
                None => {
                    let root = row.root;
                    self.space.write(keys::subcluster(id), &row);
                    // Its only vat may have ended itself after it had answered.
                    if row.vats.is_empty() {
                        self.erase_subcluster(id)?;
                    }
                    if let Some(once) = &launching.once {
                        self.note_launched(once, promise)?;
                    }
                    let bootstrap = Arc::unwrap_or_clone(value);
                    let answer = Answer::Launched { subcluster: id, root, bootstrap };
                    self.answer_launch(&launching, &answer);
                }
            }
        }
        self.release(promise)
    }

    /// Removes every trace of a launch under way and tells who waits for it.
    pub(crate) fn undo_launch(&mut self, id: SubclusterId, why: &str) -> Result<(), CoreError> {
        let row: Option<Subcluster> = self.space.row(&keys::subcluster(id))?;
        let Some(launching) = row.and_then(|row| row.launching) else {
            return Ok(());
        };
        self.erase_subcluster(id)?;
        self.answer_launch(&launching, &Answer::Failed { message: why.to_owned() });
        Ok(())
    }

    /// Tells everybody who waits for a launch.
    fn answer_launch(&mut self, launching: &Launching, answer: &Answer) {
        for &ticket in std::iter::once(&launching.ticket).chain(&launching.joined) {
            self.effects.push(Effect::Answer { ticket, answer: answer.clone() });
        }
    }

    /// Ends a subcluster for good: its vats in reverse order, then its channels and its record.
    pub fn terminate_subcluster(&mut self, id: SubclusterId) -> Result<(), CoreError> {
        self.turn(|core| {
            if !core.space.contains(&keys::subcluster(id))? {
                return Err(CoreError::SubclusterNotFound(id));
            }
            core.end_subcluster(id, "the subcluster was terminated")
        })
    }

    pub(crate) fn end_subcluster(&mut self, id: SubclusterId, why: &str) -> Result<(), CoreError> {
        match self.subcluster(id)?.launching {
            Some(_) => self.undo_launch(id, why),
            None => self.erase_subcluster(id),
        }
    }

    /// Ends a vat for good, and with the last one its subcluster.
    pub fn terminate_vat(&mut self, id: VatId) -> Result<(), CoreError> {
        self.turn(|core| {
            let row: Option<Vat> = core.space.row(&keys::vat(id))?;
            let row = row.ok_or(CoreError::VatNotFound(id))?;
            let subcluster = row.subcluster;
            if core.subcluster(subcluster)?.launching.is_some() {
                let message = format!("Failed to launch vat {id} ({}): terminated", row.name);
                core.deferred.push_back(Deferred::LaunchFailed { subcluster, message });
                return Ok(());
            }
            core.remove_vat(id, "Vat terminated")
        })
    }

    /// Starts a vat anew, whatever it is doing. The ticket gets [`Answer::Restarted`] or
    /// [`Answer::Failed`].
    pub fn restart_vat(&mut self, ticket: Ticket, id: VatId) -> Result<(), CoreError> {
        self.turn(|core| {
            let row: Option<Vat> = core.space.row(&keys::vat(id))?;
            let row = row.ok_or(CoreError::VatNotFound(id))?;
            if core.subcluster(row.subcluster)?.launching.is_some() {
                let text = format!("vat {id} is being launched; wait for the launch to end");
                return Err(CoreError::Invalid(text));
            }
            core.restart(ticket, id, row, "its vat is restarted")
        })
    }

    /// Starts a vat anew for a ticket.
    pub(crate) fn restart(
        &mut self,
        ticket: Ticket,
        id: VatId,
        mut row: Vat,
        why: &str,
    ) -> Result<(), CoreError> {
        if let Some(ticket) = row.restart.replace(ticket) {
            let message = format!("vat {id} is restarted once more");
            self.effects.push(Effect::Answer { ticket, answer: Answer::Failed { message } });
        }
        row.faults_in_row = 0;
        self.space.write(keys::vat(id), &row);
        self.new_incarnation(id, why, None)
    }

    pub(crate) fn erase_subcluster(&mut self, id: SubclusterId) -> Result<(), CoreError> {
        let row = self.subcluster(id)?;
        self.forget_launch(row.launching.as_ref().and_then(|launching| launching.once.as_deref()))?;
        for &vat in row.vats.values().rev() {
            self.erase_vat(vat, "Vat terminated")?;
        }
        for (channel, kref) in row.channel_ids(id) {
            let KRef::Object(number) = kref else { continue };
            self.end_connections(&channel, number)?;
            self.close_channel(&channel, number)?;
            self.space.delete(keys::service(&channel))?;
            self.disown(number)?;
            self.unpin(number)?;
            self.host_release(kref)?;
        }
        if let Some(name) = &row.name {
            self.space.delete(keys::subcluster_name(row.system, name))?;
        }
        self.space.delete(keys::subcluster(id))?;
        self.space.delete(keys::config(id))?;
        self.forget_code(row.codes().cloned().collect())
    }

    /// An object of the kernel's is one no more. Whoever still holds it has a reference to nothing.
    pub(crate) fn disown(&mut self, number: u64) -> Result<(), CoreError> {
        self.space.delete(keys::service_of(number))?;
        let key = keys::object(number);
        let mut object: Object = self.space.required(&key)?;
        object.owner = None;
        self.space.write(key, &object);
        self.maybe_free.push(KRef::Object(number));
        self.void_urls_of(number)
    }

    /// Whether every channel of a subcluster has said once how it is. Without, its vats wait.
    pub(crate) fn channels_reported(&self, id: SubclusterId) -> Result<bool, CoreError> {
        let row = self.subcluster(id)?;
        Ok(row.channel_ids(id).iter().all(|(channel, _)| {
            let channel = self.channels.get(channel);
            channel.is_none_or(|channel| channel.condition != ChannelCondition::Opening)
        }))
    }
}

fn remotable(kref: KRef, name: &str) -> Passable<KRef> {
    Passable::Remotable { slot: kref, iface: Some(format!("Alleged: {name}")) }
}
