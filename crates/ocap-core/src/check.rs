//! The walk over the whole key space: recomputes every count from its holders and tests every
//! invariant that the modules state. What `ocap doctor` and the tests rest on; shares no
//! bookkeeping with the code it checks.
//!
//! A walk takes up every row and tests every subject they concern (`seen`). A [`Watch`] goes on
//! from there: it takes up only the rows that turns have written, and tests only what those
//! concern, so that a test can afford to look after every turn.

mod endpoints;
mod references;
mod rows;
mod seen;
mod urls;

use std::collections::BTreeMap;
use std::sync::Arc;

use ocap_store::Reader;
use ocap_types::{KRef, SubclusterId, VatId};

use crate::api::{CoreError, Finding, Incarnation, VatCondition};
use crate::check::seen::Seen;
use crate::core::Core;
use crate::limits;
use crate::space::Space;

/// Walks over a store nobody has open, as it was last committed.
pub fn check_store(reader: Arc<dyn Reader>) -> Result<Vec<Finding>, CoreError> {
    let core = Core::empty(Space::new(reader, 0), BTreeMap::new(), false);
    let mut findings = core.walk()?;
    findings.extend(core.check_format()?);
    Ok(findings)
}

impl Core {
    /// Recomputes every count and invariant from the key space, and whether what is in memory
    /// agrees. Empty if all is well. Reads every row; changes nothing.
    pub fn check(&self) -> Result<Vec<Finding>, CoreError> {
        let mut findings = self.walk()?;
        findings.extend(self.check_connections()?);
        findings.truncate(limits::FINDINGS_MAX);
        Ok(findings)
    }

    fn walk(&self) -> Result<Vec<Finding>, CoreError> {
        let mut seen = Seen::default();
        let mut after = String::new();
        while let Some((key, value)) = self.space.next("", &after)? {
            seen.take_up(&key, false, Some(&value));
            after = key;
            if seen.has_enough() {
                return Ok(seen.findings());
            }
        }
        seen.test();
        Ok(seen.findings())
    }

    /// Walks over the key space, and begins to note what turns write from now on.
    pub fn watch(&mut self) -> Result<(Watch, Vec<Finding>), CoreError> {
        self.space.note_writes();
        let mut watch = Watch::default();
        for (key, value) in self.space.scan("")? {
            watch.take_up(&key, Some(&value));
        }
        let findings = watch.test();
        Ok((watch, findings))
    }

    /// Takes up what turns have written since the watch began, or was last followed up.
    pub fn follow(&mut self, watch: &mut Watch) -> Result<Vec<Finding>, CoreError> {
        let mut written = self.space.take_written();
        written.sort_unstable();
        written.dedup();
        for key in written {
            watch.take_up(&key.text(), self.space.get(&key)?.as_deref());
        }
        Ok(watch.test())
    }
}

/// A walk that goes on, see [`Core::watch`]. Holds a copy of every row.
#[derive(Default)]
pub struct Watch {
    rows: BTreeMap<String, String>,
    seen: Seen,
}

/// A vat as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedVat<'a> {
    /// Its id.
    pub id: VatId,
    /// Where it belongs.
    pub subcluster: SubclusterId,
    /// Its root.
    pub root: KRef,
    /// Its current incarnation.
    pub incarnation: Incarnation,
    /// How it is.
    pub condition: &'a VatCondition,
    /// Faults since it was launched.
    pub faults: u64,
}

/// A subcluster as its row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedSubcluster<'a> {
    /// Its id.
    pub id: SubclusterId,
    /// Its name, if it has one.
    pub name: Option<&'a str>,
    /// Whether the host declares it.
    pub system: bool,
    /// Whether its launch is still under way.
    pub launching: bool,
}

impl Watch {
    fn take_up(&mut self, key: &str, value: Option<&str>) {
        if self.row(key) == value {
            return;
        }
        let before = match value {
            Some(value) => self.rows.insert(key.to_owned(), value.to_owned()),
            None => self.rows.remove(key),
        };
        self.seen.take_up(key, before.is_some(), value);
    }

    fn test(&mut self) -> Vec<Finding> {
        self.seen.test();
        self.seen.findings()
    }

    /// Takes up one row that has changed, and tests what that touches.
    pub fn write(&mut self, key: &str, value: Option<&str>) -> Vec<Finding> {
        self.take_up(key, value);
        self.test()
    }

    /// A row's text.
    pub fn row(&self, key: &str) -> Option<&str> {
        self.rows.get(key).map(String::as_str)
    }

    /// Every row whose key begins with this, in key order.
    pub fn rows(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let from = self
            .rows
            .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded));
        let rows = from.map(|(key, value)| (key.as_str(), value.as_str()));
        rows.take_while(move |(key, _)| key.starts_with(prefix))
    }

    /// Every vat, by number.
    pub fn vats(&self) -> impl Iterator<Item = WatchedVat<'_>> {
        self.seen.vats.keys().filter_map(|&id| self.vat(id))
    }

    /// One vat.
    pub fn vat(&self, id: VatId) -> Option<WatchedVat<'_>> {
        let row = self.seen.vats.get(&id)?.row.as_ref()?;
        Some(WatchedVat {
            id,
            subcluster: row.subcluster,
            root: row.root,
            incarnation: row.incarnation,
            condition: &row.condition,
            faults: row.faults,
        })
    }

    /// The vat whose root this is.
    pub fn vat_of_root(&self, root: KRef) -> Option<WatchedVat<'_>> {
        self.vats().find(|vat| vat.root == root)
    }

    /// The vat that owned an object last, if it was seen to own it.
    pub fn last_owner(&self, object: KRef) -> Option<VatId> {
        let KRef::Object(number) = object else { return None };
        self.seen.objects.get(&number)?.last_owner
    }

    /// Every subcluster, by number.
    pub fn subclusters(&self) -> impl Iterator<Item = WatchedSubcluster<'_>> {
        self.seen.subclusters.keys().filter_map(|&id| self.subcluster(id))
    }

    /// One subcluster.
    pub fn subcluster(&self, id: SubclusterId) -> Option<WatchedSubcluster<'_>> {
        let row = self.seen.subclusters.get(&id)?.row.as_ref()?;
        Some(WatchedSubcluster {
            id,
            name: row.name.as_deref(),
            system: row.system,
            launching: row.launching.is_some(),
        })
    }
}

impl Seen {
    /// Whether more findings would say nothing new.
    fn has_enough(&self) -> bool {
        self.findings.len() >= limits::FINDINGS_MAX
    }

    fn findings(&mut self) -> Vec<Finding> {
        self.findings.truncate(limits::FINDINGS_MAX);
        std::mem::take(&mut self.findings)
    }
}
