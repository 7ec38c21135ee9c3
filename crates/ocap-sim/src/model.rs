//! What is true, told without the core: what each vat's c-list holds, what each vat has stored, and
//! what became of every message. It goes with the state: it is copied with each batch and put back
//! with it at a crash, so a message done twice in the history that survives is seen.

use std::collections::{BTreeMap, BTreeSet};

use ocap_types::{KRef, VRef, VatId};

use crate::coverage::State;
use crate::urls::Issued;

/// What one vat knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The life it is about.
    pub incarnation: u64,
    /// `o-N`, and whether the vat can reach it.
    pub imports: BTreeMap<u64, bool>,
    /// Exports the kernel knows, and whether somebody may reach them.
    pub exports: BTreeMap<VRef, bool>,
    /// Exports given up in this life, which deliveries already on their way may still mention.
    pub abandoned: BTreeSet<VRef>,
    /// Promises in the c-list, and whether the vat decides them.
    pub promises: BTreeMap<VRef, bool>,
    /// The vat's own store.
    pub store: BTreeMap<String, String>,
    /// The next `p+N`.
    pub next_promise: u64,
}

/// The key under which a vat holds an import durably.
pub fn hold_key(import: u64) -> String {
    format!("vom.rc.o-{import}")
}

/// What a vat knows before its first start.
impl Default for View {
    fn default() -> View {
        View {
            incarnation: 0,
            imports: BTreeMap::new(),
            exports: [(VRef::ROOT, true)].into(),
            abandoned: BTreeSet::new(),
            promises: BTreeMap::new(),
            store: BTreeMap::new(),
            next_promise: 1,
        }
    }
}

impl View {
    /// A new life begins: what only the heap knew is gone.
    pub fn begin(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        self.promises.clear();
        self.abandoned.clear();
        self.exports.retain(|vref, _| vref.is_durable_export());
        let store = &self.store;
        self.imports.retain(|&import, _| store.contains_key(&hold_key(import)));
    }

    /// The kernel gives a reference; `Err` if it names something the vat does not have.
    pub fn given(&mut self, vref: VRef) -> Result<(), String> {
        match vref {
            VRef::Import(n) => {
                self.imports.insert(n, true);
            }
            VRef::ImportPromise(_) => {
                self.promises.entry(vref).or_insert(false);
            }
            VRef::ExportPromise(_) if self.promises.contains_key(&vref) => {}
            _ => match self.exports.get_mut(&vref) {
                Some(reachable) => *reachable = true,
                None if self.abandoned.contains(&vref) => {}
                None => return Err(format!("{vref} is not the vat's")),
            },
        }
        Ok(())
    }
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sender {
    /// The host.
    Host,
    /// A vat, in which of its lives.
    Vat(VatId, u64),
}

/// What a message was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// An object, so it went straight to its owner's queue.
    Object,
    /// A promise, by the sender's name for it.
    Promise(VRef),
    /// A promise, by the host.
    KernelPromise(KRef),
}

/// A message the kernel has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who sent it.
    pub sender: Sender,
    /// To what.
    pub target: Target,
    /// The vat that has to process it as long as nothing befalls it.
    pub bound_for: Option<VatId>,
    /// What its target was when it was accepted.
    pub state: State,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Vats that are there.
    pub vats: BTreeMap<VatId, View>,
    /// Messages accepted and not yet done, by tag.
    pub waiting: BTreeMap<u64, Sent>,
    /// Messages done: taken from a queue by a crank that was applied, or ended by its fault.
    pub done: BTreeSet<u64>,
    /// By receiver: the last message to an object done.
    last_direct: BTreeMap<VatId, u64>,
    /// By sender and promise: the last message done.
    last_piped: BTreeMap<(Sender, Target), u64>,
    /// Vats that something has befallen for which the kernel may refuse messages.
    pub refusing: BTreeSet<VatId>,
    /// Vats that were suspended, or could not start, and have not started since.
    pub suspended: BTreeSet<VatId>,
    /// Units of channels that a vat's read has got.
    pub units: BTreeSet<u64>,
    /// URLs the host has issued that are not void.
    pub urls: BTreeMap<String, Issued>,
}

impl Model {
    /// A crank that a message was delivered in has ended.
    pub fn message_done(&mut self, tag: u64, receiver: VatId) -> Result<(), String> {
        let Some(sent) = self.waiting.remove(&tag) else {
            return Err(if self.done.contains(&tag) {
                format!("message t{tag} was done twice")
            } else {
                format!("message t{tag} was done but never accepted")
            });
        };
        self.done.insert(tag);
        let last = match sent.target {
            Target::Object => self.last_direct.entry(receiver).or_default(),
            target => self.last_piped.entry((sent.sender, target)).or_default(),
        };
        if *last > tag {
            return Err(format!("message t{tag} was overtaken by t{last}"));
        }
        *last = tag;
        Ok(())
    }

    /// Messages that had to be done by now.
    pub fn lost(&self) -> Option<u64> {
        let lost = self.waiting.iter().find(|(_, sent)| {
            sent.bound_for
                .is_some_and(|vat| self.vats.contains_key(&vat) && !self.refusing.contains(&vat))
        });
        lost.map(|(&tag, _)| tag)
    }
}

/// The number behind a letter in a body's first such string: `t17` of `#["m",["t17"]]`.
pub fn tag_in(body: &str, letter: &str) -> Option<u64> {
    let (_, rest) = body.split_once(letter)?;
    number_at(rest)
}

/// The units of channels in a value: one, or a list of them.
pub fn units_in(body: &str) -> impl Iterator<Item = u64> {
    body.split("\"unit").skip(1).filter_map(number_at)
}

fn number_at(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}
