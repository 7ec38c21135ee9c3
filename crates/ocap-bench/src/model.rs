//! The core with a real store and vats that exist only here: what a figure says is about the
//! kernel's own rooms.

use std::sync::Arc;

use indexmap::IndexMap;
use ocap_core::Core;
use ocap_core::api::{BootOptions, CodeHash, Dispatch, Identity, Launch, Ticket};
use ocap_store::{Opened, Reader, Writer};
use ocap_types::config::{ClusterConfig, VatConfig};
use ocap_types::crank::{CrankReport, Outcome, Resolution, Syscall};
use ocap_types::{CapData, KCapData, KRef, Secret, VRef};

use crate::Failure;

/// A kernel without workers.
pub(crate) struct Model {
    pub(crate) core: Core,
    pub(crate) reader: Arc<dyn Reader>,
    writer: Box<dyn Writer>,
    tickets: u64,
}

/// What vats do with a delivery.
pub(crate) type Play<'a> = dyn FnMut(&Dispatch) -> CrankReport + 'a;

impl Model {
    /// Boots from a store.
    pub(crate) fn open(opened: Opened) -> Result<Self, Failure> {
        let Opened { reader, writer, last_seq, .. } = opened;
        let identity = Identity {
            peer_id: "12D3KooWModel".into(),
            seed: Secret::new(vec![7; 32]),
            entropy: None,
        };
        let options = BootOptions { identity: Some(identity), ..BootOptions::default() };
        let core = Core::open(Arc::clone(&reader), last_seq, options)?;
        Ok(Self { core, reader, writer, tickets: 0 })
    }

    /// Launches vats with these names, the first of which bootstraps. Answers with their roots.
    pub(crate) fn launch(
        &mut self,
        names: &[&str],
        play: &mut Play<'_>,
    ) -> Result<Vec<KRef>, Failure> {
        let vat = || VatConfig { bundle_spec: Some("model".into()), ..VatConfig::default() };
        let config = ClusterConfig {
            name: None,
            bootstrap: names.first().map_or("", |name| name).to_owned(),
            force_reset: None,
            services: None,
            io: None,
            vats: names.iter().map(|&name| (name.to_owned(), vat())).collect(),
            bundles: None,
        };
        let hash = || (CodeHash("c0de".into()), Arc::from("model"));
        let code: IndexMap<_, _> = names.iter().map(|&name| (name.to_owned(), hash())).collect();
        let ticket = self.ticket();
        self.core.launch(ticket, Launch { config, name: None, code, system: false })?;
        self.run(play)?;
        self.commit()?;
        let vats = self.core.status()?.vats;
        vats.iter().map(|vat| Ok(self.core.root(vat.id)?)).collect()
    }

    /// Sends a message from outside.
    pub(crate) fn send(
        &mut self,
        target: KRef,
        method: &str,
        slots: Vec<KRef>,
    ) -> Result<(), Failure> {
        let ticket = self.ticket();
        let body = methargs_body(method, slots.len());
        Ok(self.core.send(ticket, target, KCapData { body, slots })?)
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Until there is nothing to deliver.
    pub(crate) fn run(&mut self, play: &mut Play<'_>) -> Result<(), Failure> {
        while let Some(dispatch) = self.core.dispatch()? {
            let report = play(&dispatch);
            self.core.settle(dispatch.crank, Outcome::Done(report))?;
        }
        Ok(())
    }

    /// Until there is nothing to do at all, and vats have given up what they do not use.
    pub(crate) fn rest(&mut self, play: &mut Play<'_>) -> Result<(), Failure> {
        loop {
            self.run(play)?;
            self.commit()?;
            if self.core.has_chores() {
                continue;
            }
            if !self.core.has_unreaped() {
                return Ok(());
            }
            self.core.reap_at_rest()?;
        }
    }

    pub(crate) fn commit(&mut self) -> Result<(), Failure> {
        if let Some(sealed) = self.core.seal() {
            self.writer.commit(&sealed.batch)?;
            self.core.committed(sealed.batch.seq);
        }
        Ok(())
    }
}

/// The body of a message whose arguments are references only.
fn methargs_body(method: &str, slots: usize) -> String {
    let args: Vec<String> = (0..slots).map(|n| format!("\"${n}\"")).collect();
    format!("#[\"{method}\",[{}]]", args.join(","))
}

/// Sends a message whose arguments are references only.
pub(crate) fn send(target: VRef, method: &str, slots: Vec<VRef>, result: Option<VRef>) -> Syscall {
    let body = methargs_body(method, slots.len());
    Syscall::Send { target, methargs: CapData { body, slots }, result }
}

/// Fulfils a promise with a reference, or with nothing.
pub(crate) fn fulfil(promise: VRef, value: Option<VRef>) -> Syscall {
    let body = if value.is_some() { "#\"$0\"" } else { "#\"#undefined\"" };
    let data = CapData { body: body.into(), slots: value.into_iter().collect() };
    Syscall::Resolve { resolutions: vec![Resolution { promise, rejected: false, data }] }
}

/// A report of nothing but syscalls.
pub(crate) fn report(syscalls: Vec<Syscall>) -> CrankReport {
    CrankReport { syscalls, ..CrankReport::default() }
}
