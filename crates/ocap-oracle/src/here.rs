//! Our side: the engine in this process, on a vatstore in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;

use ocap_types::crank::Delivery;
use ocap_types::refs::VRef;
use ocap_vat::engine::{
    Bytecode, Compiled, Engine, LogLevel, Module, ModuleGraph, Platform, PreparedEngine, UpCalls,
    VatCode, WorkerInit,
};
use ocap_vat::quickjs::Prepared;

use crate::compare::Difference;
use crate::generate::Generator;
use crate::model::Model;
use crate::numbers::Numbers;
use crate::script::{Step, delivery};
use crate::{Crank, Trace, limits};

const VAT: &str = include_str!("../../../fixtures/oracle/vat.js");

#[derive(Default)]
struct Store(RefCell<BTreeMap<String, String>>);

impl UpCalls for Store {
    fn vatstore_get(&self, key: &str) -> Option<String> {
        self.0.borrow().get(key).cloned()
    }

    fn vatstore_next_key(&self, prior: &str) -> Option<String> {
        let after = (Bound::Excluded(prior), Bound::Unbounded);
        self.0.borrow().range::<str, _>(after).next().map(|(key, _)| key.clone())
    }

    fn exists(&self, _: &str) -> bool {
        false
    }

    fn log(&self, _: LogLevel, _: &str) {}

    fn compiled(&self, _: Bytecode) {}
}

/// A vat and its vatstore.
#[derive(Default)]
pub struct Here {
    store: Rc<Store>,
    engine: Option<Box<dyn Engine>>,
    numbers: Numbers,
    cranks: Vec<Crank>,
}

impl Here {
    /// Delivers; an error is about the delivery or the engine, not about the vat.
    pub fn deliver(&mut self, delivery: &Delivery) -> Result<&Crank, String> {
        let unknown = || format!("the vat has not exported what is delivered: {delivery:?}");
        let delivery = self.numbers.delivery(delivery).ok_or_else(unknown)?;
        if matches!(delivery, Delivery::Start { .. }) {
            self.engine = None;
            self.engine = Some(Box::new(Prepared::new()?).into_vat(init(), self.store.clone()));
        }
        let engine = self.engine.as_mut().ok_or("the vat is not started")?;
        let report = engine.deliver(delivery).map_err(|fault| format!("{fault:?}"))?;
        let mut store = self.store.0.borrow_mut();
        for (key, value) in report.vatstore {
            match value {
                Some(value) => store.insert(key, value),
                None => store.remove(&key),
            };
        }
        let syscalls = report.syscalls.iter().map(|s| self.numbers.syscall(s)).collect();
        self.cranks.push(Crank { syscalls, error: report.error });
        self.cranks.last().ok_or_else(|| "no crank".to_owned())
    }

    /// Whether durable data holds an import, or (`false`) only knows it as the key of a weak
    /// collection.
    pub fn holds(&self, import: VRef) -> Option<bool> {
        if self.store.vatstore_get(&format!("vom.rc.{import}")).is_some() {
            return Some(true);
        }
        let prefix = format!("vom.ir.{import}|");
        let key = self.store.vatstore_next_key(&prefix)?;
        key.starts_with(&prefix).then_some(false)
    }

    /// What all of it led to.
    pub fn finish(self) -> Trace {
        let store = self.store.0.borrow().clone();
        Trace { cranks: self.cranks, store, numbers: self.numbers.into_map() }
    }
}

fn init() -> WorkerInit {
    let module = Module { source: VAT.into(), imports: BTreeMap::new() };
    let code = VatCode::Modules(ModuleGraph {
        entry: "vat.js".into(),
        modules: [("vat.js".into(), module)].into(),
    });
    WorkerInit {
        vat: "v1".into(),
        name: "oracle".into(),
        code,
        compiled: Compiled::Unknown,
        globals: Vec::new(),
        allowed_globals: None,
        platform: Platform::default(),
        limits: limits::ENGINE,
    }
}

/// A sequence our side has run.
#[derive(Clone, Debug)]
pub struct Played {
    /// The steps that were legal.
    pub steps: Vec<Step>,
    /// What they led to.
    pub trace: Trace,
    /// The promises that are still open at the end.
    pub open: BTreeSet<VRef>,
    /// Set if our side did what no kernel would accept.
    pub wrong: Option<Difference>,
}

/// Runs the sequence of a seed.
pub fn generate(seed: u64) -> Played {
    let mut generator = Generator::new(seed);
    let mut is_first = true;
    run(|model| {
        if std::mem::take(&mut is_first) {
            Some(generator.first(model))
        } else {
            generator.next(model)
        }
    })
}

/// Runs these steps, leaving out those that are not legal.
pub fn play(steps: &[Step]) -> Played {
    let mut steps = steps.iter();
    run(|model| steps.by_ref().find(|step| model.is_legal(step)).cloned())
}

fn run(mut next: impl FnMut(&Model) -> Option<Step>) -> Played {
    let mut here = Here::default();
    let mut model = Model::default();
    let mut steps: Vec<Step> = Vec::new();
    let mut wrong = None;
    while let Some(step) = next(&model) {
        let fail = |kind: &str, detail: String| {
            Some(Difference {
                step: steps.len(),
                kind: kind.into(),
                detail: format!("  {detail}\n"),
            })
        };
        if !model.is_legal(&step) {
            wrong = fail("the generator chose an illegal step", format!("{step:?}"));
            break;
        }
        model.deliver(&step, |vref| here.holds(vref));
        if model.returning.front() == Some(&step) {
            model.returning.pop_front();
        }
        let crank = match here.deliver(&delivery(&step)) {
            Ok(crank) => crank,
            Err(error) => {
                wrong = fail("our engine failed", error);
                break;
            }
        };
        let illegal = crank.syscalls.iter().find_map(|syscall| {
            model.syscall(syscall).err().map(|why| format!("{why}: {syscall:?}"))
        });
        let failed = crank.error.is_some();
        if let Some(why) = illegal {
            wrong = fail("our vat made an illegal syscall", why);
        }
        steps.push(step);
        if wrong.is_some() || failed {
            break;
        }
    }
    let open = model.promises.into_keys().collect();
    Played { steps, open, trace: here.finish(), wrong }
}
