//! Everything there is to know about one reference, for people: what it is, and who holds it.
//!
//! Most of it is found by its keys. Queues and the values of settled promises are looked through
//! for mentions of it, as far as [`limits::INSPECT_ROWS_MAX`] goes; what was not looked through is
//! said.

use ocap_types::{KCapData, KRef, SubclusterId, VRef, VatId};
use serde::Serialize;

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;
use crate::limits;
use crate::once::Receipt;
use crate::rows::{Call, Item, Message, Party, Row, ServiceKind, State, corrupt};
use crate::timer::Timer;
use crate::url::Url;

/// What is known of a reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// The reference.
    pub kref: KRef,
    /// What it is.
    #[serde(flatten)]
    pub nature: Nature,
    /// What it says it is, where something that mentions it repeats that. Nobody vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iface: Option<String>,
    /// Who holds it.
    pub holders: Vec<Holder>,
    /// Whether there was more to look through, so that holders may be missing.
    pub partial: bool,
}

/// What a reference is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Nature {
    /// An object.
    Object {
        /// Whose it is; nobody's, if its vat has forgotten it or ended.
        owner: Option<Owner>,
        /// How many can reach it.
        reachable: u64,
        /// How many know it, reach it or not.
        recognizable: u64,
        /// Whether every message to it is rejected.
        revoked: bool,
    },
    /// A promise.
    Promise {
        /// `unresolved`, `fulfilled` or `rejected`.
        state: &'static str,
        /// Who is to settle it.
        #[serde(skip_serializing_if = "Option::is_none")]
        decider: Option<Owner>,
        /// The promise that the message whose result it is waits for.
        #[serde(skip_serializing_if = "Option::is_none")]
        behind: Option<KRef>,
        /// Vats that are told when it settles.
        subscribers: Vec<VatId>,
        /// How many hold it.
        references: u64,
        /// Messages that wait for it.
        parked: u64,
        /// What it was settled with.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<KCapData>,
    },
}

/// Whose something is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Owner {
    /// The kernel, as this service (channels are `io:s1:name`); as none, for a promise.
    Kernel {
        /// The service.
        #[serde(skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
    /// A vat.
    #[serde(rename_all = "camelCase")]
    Vat {
        /// Its id.
        id: VatId,
        /// Its name in its subcluster; none if it has ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// Its subcluster.
        #[serde(skip_serializing_if = "Option::is_none")]
        subcluster_id: Option<SubclusterId>,
        /// What the vat itself calls the reference.
        #[serde(skip_serializing_if = "Option::is_none")]
        vref: Option<VRef>,
    },
}

/// Who holds a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Holder {
    /// A vat that was given it.
    Vat {
        /// Its id.
        id: VatId,
        /// Its name.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// What it calls it.
        vref: VRef,
        /// Whether it can reach it, or only knows it again.
        reachable: bool,
    },
    /// The host: an answer mentioned it, or it was asked to be held.
    Host,
    /// The kernel, because it is a vat's root or a service.
    Kernel,
    /// Somebody outside who waits for it.
    Waiter,
    /// An item that waits in a queue.
    Queue {
        /// The vat whose queue it is; none for the kernel's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<VatId>,
        /// `target`, `result`, `argument` or `notify`.
        r#as: &'static str,
    },
    /// A message that waits for a promise.
    Parked {
        /// The promise.
        on: KRef,
        /// `target`, `result` or `argument`.
        r#as: &'static str,
    },
    /// The value of a settled promise.
    Value {
        /// The promise.
        of: KRef,
    },
    /// A call of a service or channel that is under way.
    Call {
        /// `target`, `result` or `argument`.
        r#as: &'static str,
    },
    /// A timer.
    Timer,
    /// The receipt of a request that is to happen once.
    Receipt,
    /// An OCAP URL that stands for it.
    Url {
        /// Its id.
        id: String,
    },
}

/// What a search has found so far.
struct Search {
    kref: KRef,
    rows_left: usize,
    holders: Vec<Holder>,
    partial: bool,
    iface: Option<String>,
}

impl Search {
    fn found(&mut self, holder: Holder) {
        if self.holders.len() < limits::INSPECT_HOLDERS_MAX {
            self.holders.push(holder);
        } else {
            self.partial = true;
        }
    }

    /// What a message, or anything like one, has to do with the reference.
    fn role(
        &mut self,
        target: Option<KRef>,
        result: Option<KRef>,
        slots: &[KRef],
        body: &str,
    ) -> Vec<&'static str> {
        self.look_for_iface(slots, body);
        let parts = [
            (target == Some(self.kref), "target"),
            (result == Some(self.kref), "result"),
            (slots.contains(&self.kref), "argument"),
        ];
        parts.into_iter().filter(|(is, _)| *is).map(|(_, role)| role).collect()
    }

    /// What the reference is said to be where it is mentioned.
    fn look_for_iface(&mut self, slots: &[KRef], body: &str) {
        let Some(index) = slots.iter().position(|slot| *slot == self.kref) else { return };
        if self.iface.is_some() {
            return;
        }
        let mark = format!("\"${index}.");
        let iface = body.split_once(&mark).and_then(|(_, rest)| rest.split('"').next());
        self.iface =
            iface.map(|iface| iface.chars().take(limits::INSPECT_IFACE_CHARS_MAX).collect());
    }
}

impl Core {
    /// What is known of a reference; `None` if it names nothing.
    pub fn inspect(&self, kref: KRef) -> Result<Option<Inspection>, CoreError> {
        let nature = match kref {
            KRef::Object(number) => self.nature_of_object(number)?,
            KRef::Promise(number) => self.nature_of_promise(number)?,
        };
        let Some(nature) = nature else { return Ok(None) };
        let mut search = Search {
            kref,
            rows_left: limits::INSPECT_ROWS_MAX,
            holders: Vec::new(),
            partial: false,
            iface: None,
        };
        self.holders_by_key(&mut search)?;
        self.holders_by_mention(&mut search)?;
        let Search { holders, partial, iface, .. } = search;
        Ok(Some(Inspection { kref, nature, iface, holders, partial }))
    }

    fn nature_of_object(&self, number: u64) -> Result<Option<Nature>, CoreError> {
        let Some(row) = self.object(number)? else { return Ok(None) };
        let owner = match row.owner {
            Some(party) => Some(self.owner(party, KRef::Object(number))?),
            None => None,
        };
        let (reachable, recognizable, revoked) = (row.reachable, row.recognizable, row.revoked);
        Ok(Some(Nature::Object { owner, reachable, recognizable, revoked }))
    }

    fn nature_of_promise(&self, number: u64) -> Result<Option<Nature>, CoreError> {
        let key = keys::promise(number);
        let Some(row) = self.space.row::<crate::rows::Promise>(&key)? else { return Ok(None) };
        let decider = match row.decider {
            Some(party) => Some(self.owner(party, KRef::Promise(number))?),
            None => None,
        };
        let (state, value) = match row.state {
            State::Unresolved => ("unresolved", None),
            State::Fulfilled => ("fulfilled", Some(self.promise_value(number)?)),
            State::Rejected => ("rejected", Some(self.promise_value(number)?)),
        };
        Ok(Some(Nature::Promise {
            state,
            decider,
            behind: row.behind.map(KRef::Promise),
            subscribers: row.subscribers,
            references: row.refs,
            parked: row.parked,
            value: value.map(|value| (*value).clone()),
        }))
    }

    fn owner(&self, party: Party, kref: KRef) -> Result<Owner, CoreError> {
        let id = match party {
            Party::Vat(id) => id,
            Party::Kernel => {
                let service = match kref {
                    KRef::Object(number) => self.space.row(&keys::service_of(number))?,
                    KRef::Promise(_) => None,
                };
                let service = service.map(|kind| match kind {
                    ServiceKind::Service { name } => name,
                    ServiceKind::Channel { subcluster, name } => format!("io:{subcluster}:{name}"),
                    ServiceKind::Connection { subcluster, name } => {
                        format!("io:{subcluster}:{name}, one connection")
                    }
                });
                return Ok(Owner::Kernel { service });
            }
        };
        let row: Option<crate::rows::Vat> = self.space.row(&keys::vat(id))?;
        let (name, subcluster_id) = row.map(|row| (row.name, row.subcluster)).unzip();
        let vref = self.entry(id, kref)?.map(|entry| entry.vref);
        Ok(Owner::Vat { id, name, subcluster_id, vref })
    }

    /// Holders whose rows have keys that can be told from the reference.
    fn holders_by_key(&self, search: &mut Search) -> Result<(), CoreError> {
        let kref = search.kref;
        if self.space.contains(&keys::host(kref))? {
            search.found(Holder::Host);
        }
        match kref {
            KRef::Object(number) => {
                if self.space.contains(&keys::pin(number))? {
                    search.found(Holder::Kernel);
                }
            }
            KRef::Promise(number) => {
                if self.space.contains(&keys::wait(number))? {
                    search.found(Holder::Waiter);
                }
            }
        }
        let mut after = String::new();
        while let Some((key, text)) = self.space.next(keys::VATS, &after)? {
            let id: Option<VatId> = key.strip_prefix(keys::VATS).and_then(|id| id.parse().ok());
            let id = id.ok_or_else(|| corrupt(&key, "no vat id"))?;
            // The owner's own entry holds no object, and either entry holds a promise.
            if let Some(entry) = self.entry(id, kref)?
                && (kref.is_promise() || !entry.vref.is_export())
            {
                let row = crate::rows::Vat::read(&text).ok_or_else(|| corrupt(&key, "no vat"))?;
                let (vref, reachable) = (entry.vref, entry.reachable);
                search.found(Holder::Vat { id, name: Some(row.name), vref, reachable });
            }
            after = key;
        }
        Ok(())
    }

    /// Holders among what waits and what has settled.
    fn holders_by_mention(&self, search: &mut Search) -> Result<(), CoreError> {
        self.each_row::<Item>("q.", search, |search, key, item| match item {
            Item::Notify(promise) => {
                if promise == search.kref {
                    search.found(Holder::Queue { of: vat_in(key), r#as: "notify" });
                }
            }
            Item::Send(Message { target, methargs, result, .. }) => {
                for role in search.role(Some(target), result, &methargs.slots, &methargs.body) {
                    search.found(Holder::Queue { of: vat_in(key), r#as: role });
                }
            }
        })?;
        self.each_row::<Message>("pq.", search, |search, key, message| {
            let Some(on) = key.split('.').nth(1).and_then(|on| on.parse().ok()) else { return };
            let Message { target, methargs, result, .. } = message;
            for role in search.role(Some(target), result, &methargs.slots, &methargs.body) {
                search.found(Holder::Parked { on, r#as: role });
            }
        })?;
        self.each_row::<KCapData>("pv.", search, |search, key, value| {
            let Some(of) = key.strip_prefix("pv.").and_then(|of| of.parse().ok()) else { return };
            search.look_for_iface(&value.slots, &value.body);
            if value.slots.contains(&search.kref) {
                search.found(Holder::Value { of });
            }
        })?;
        self.each_row::<Call>(keys::CALL, search, |search, _, call| {
            for role in search.role(call.target, call.result, &call.slots, "") {
                search.found(Holder::Call { r#as: role });
            }
        })?;
        self.each_row::<Timer>(keys::TIMERS, search, |search, _, timer| {
            if timer.handler == search.kref {
                search.found(Holder::Timer);
            }
        })?;
        self.each_row::<Receipt>(keys::ONCE, search, |search, _, receipt| {
            let root = receipt.launch.map(|launch| launch.root);
            if receipt.outcome == Some(search.kref) || root == Some(search.kref) {
                search.found(Holder::Receipt);
            }
        })?;
        self.urls_that_hold(search)
    }

    fn urls_that_hold(&self, search: &mut Search) -> Result<(), CoreError> {
        let KRef::Object(number) = search.kref else {
            return self.each_row::<Url>(keys::URLS, search, |search, key, url| {
                if url.target == search.kref {
                    let id = key.strip_prefix(keys::URLS).unwrap_or_default().to_owned();
                    search.found(Holder::Url { id });
                }
            });
        };
        let prefix = keys::urls_of(number);
        let mut after = String::new();
        while let Some((key, _)) = self.space.next(&prefix, &after)? {
            if search.rows_left == 0 {
                search.partial = true;
                break;
            }
            search.rows_left -= 1;
            let id = key.strip_prefix(&prefix).unwrap_or_default().to_owned();
            search.found(Holder::Url { id });
            after = key;
        }
        Ok(())
    }

    fn each_row<T: Row>(
        &self,
        prefix: &str,
        search: &mut Search,
        mut look: impl FnMut(&mut Search, &str, T),
    ) -> Result<(), CoreError> {
        let mut after = String::new();
        while let Some((key, text)) = self.space.next(prefix, &after)? {
            if search.rows_left == 0 {
                search.partial = true;
                return Ok(());
            }
            search.rows_left -= 1;
            let row = T::read(&text).ok_or_else(|| corrupt(&key, "no such row"))?;
            look(search, &key, row);
            after = key;
        }
        Ok(())
    }
}

/// The vat in a queue's key.
fn vat_in(key: &str) -> Option<VatId> {
    key.split('.').nth(1)?.parse().ok()
}
