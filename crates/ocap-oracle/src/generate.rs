//! Sequences from seeds: each step is chosen among what the kernel could deliver then.

use std::collections::BTreeMap;

use ocap_types::capdata::{CapData, VCapData};
use ocap_types::crank::Resolution;
use ocap_types::refs::VRef;
use serde_json::{Value, json};

use crate::model::{Decider, Model};
use crate::program::{Held, Kind, Writer, settle_all};
use crate::rng::Rng;
use crate::script::{Arg, Step, reference};

/// Chooses the steps of one sequence.
pub struct Generator {
    rng: Rng,
    held: Held,
    has_kinds: bool,
    left: usize,
    /// Steps of the ending so far.
    ending: usize,
    /// References given out within one step that the model has not seen yet.
    given: u64,
}

impl Generator {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Generator {
        let mut rng = Rng::new(seed);
        let left = 6 + rng.below(24);
        // One in three is about messages and promises alone.
        let has_kinds = !seed.is_multiple_of(3);
        Generator { rng, held: Held::default(), has_kinds, left, ending: 0, given: 0 }
    }

    /// The first step.
    pub fn first(&mut self, model: &Model) -> Step {
        self.start(model, true)
    }

    /// The next step, or `None` at the end.
    pub fn next(&mut self, model: &Model) -> Option<Step> {
        if model.ended {
            return None;
        }
        self.given = 0;
        if self.left == 0 {
            self.ending += 1;
            return self.end(model);
        }
        self.left -= 1;
        let step = match self.rng.below(40) {
            0..=9 => self.notify(model),
            10..=13 => Some(Step::BringOutYourDead),
            14 | 15 => self.some(&model.exports, true).map(Step::DropExports),
            16 | 17 => self.some(&model.exports, false).map(Step::RetireExports),
            18 | 19 => self.some(&model.imports, false).map(Step::RetireImports),
            20 => Some(self.start(model, false)),
            _ => None,
        };
        Some(step.filter(|step| model.is_legal(step)).unwrap_or_else(|| self.message(model)))
    }

    /// Everything settles and is let go of, so that both sides have to end with the same.
    fn end(&mut self, model: &Model) -> Option<Step> {
        const ROUNDS: usize = 3;
        let rest = ROUNDS * 2;
        match self.ending {
            1 => {
                let result = None;
                Some(Step::Do { target: VRef::ROOT, program: settle_all(), args: vec![], result })
            }
            n if n <= rest => {
                let resolutions: Vec<Resolution<VRef>> = model
                    .promises
                    .iter()
                    .filter(|(_, p)| p.decider == Decider::Kernel && p.subscribed)
                    .map(|(promise, _)| Resolution {
                        promise: *promise,
                        rejected: false,
                        data: CapData { body: "#5".into(), slots: Vec::new() },
                    })
                    .collect();
                if resolutions.is_empty() {
                    self.ending = rest;
                    return Some(Step::BringOutYourDead);
                }
                Some(Step::Notify { resolutions })
            }
            n if n == rest + 1 => {
                let step = Step::DropExports(of_state(&model.exports, true));
                Some(if model.is_legal(&step) { step } else { Step::BringOutYourDead })
            }
            // Liveslots may need several to follow a chain of weak keys.
            n if n <= rest + 4 => Some(Step::BringOutYourDead),
            _ => None,
        }
    }

    fn start(&mut self, model: &Model, first: bool) -> Step {
        self.held = Held::default();
        if !first && self.rng.one_in(2) {
            return Step::Start { program: Vec::new(), args: Vec::new() };
        }
        let (args, kinds) = if first { self.args(model, None) } else { (Vec::new(), Vec::new()) };
        let mut program = self.program(&kinds);
        // A start that fails is the end.
        if !self.rng.one_in(20) {
            program.iter_mut().for_each(try_it);
            program.retain(|step| step.get(0) != Some(&json!("throw")));
        }
        Step::Start { program, args }
    }

    fn program(&mut self, args: &[Kind]) -> Vec<Value> {
        let has_kinds = self.has_kinds;
        Writer { rng: &mut self.rng, held: &mut self.held, args, has_kinds }.program(0)
    }

    fn fresh(&mut self, model: &Model) -> u64 {
        self.given += 1;
        model.fresh() + self.given - 1
    }

    fn some(&mut self, map: &BTreeMap<VRef, bool>, wanted: bool) -> Option<Vec<VRef>> {
        let mut vrefs = of_state(map, wanted);
        while vrefs.len() > 1 && self.rng.one_in(2) {
            vrefs.remove(self.rng.below(vrefs.len()));
        }
        (!vrefs.is_empty()).then_some(vrefs)
    }

    fn import(&mut self, model: &Model) -> VRef {
        let known: Vec<VRef> = model.imports.keys().copied().collect();
        match self.rng.pick(&known) {
            Some(vref) if !self.rng.one_in(3) => vref,
            _ => VRef::Import(self.fresh(model)),
        }
    }

    fn promise(&mut self, model: &Model) -> VRef {
        let known: Vec<VRef> = model.promises.keys().copied().collect();
        match self.rng.pick(&known) {
            Some(vref) if !self.rng.one_in(3) => vref,
            _ => VRef::ImportPromise(self.fresh(model)),
        }
    }

    fn export(&mut self, model: &Model) -> Option<VRef> {
        let known: Vec<VRef> =
            model.exports.iter().filter(|(_, live)| **live).map(|(vref, _)| *vref).collect();
        self.rng.pick(&known)
    }

    fn args(&mut self, model: &Model, result: Option<VRef>) -> (Vec<Arg>, Vec<Kind>) {
        let mut args = Vec::new();
        let mut kinds = Vec::new();
        for _ in 0..self.rng.below(4) {
            let (vref, kind) = match self.rng.below(8) {
                0..=2 => (self.import(model), Kind::Durable),
                3 => match self.export(model) {
                    Some(vref) => (vref, Kind::Object),
                    None => (VRef::ROOT, Kind::Object),
                },
                4..=6 => (self.promise(model), Kind::Promise),
                _ => {
                    args.push(Arg::Data(json!(self.rng.below(50))));
                    kinds.push(Kind::Data);
                    continue;
                }
            };
            if Some(vref) != result {
                args.push(Arg::Ref(vref));
                kinds.push(kind);
            }
        }
        if model.imports.is_empty() && model.exports.is_empty() && model.promises.is_empty() {
            args.retain(|arg| *arg != Arg::Ref(VRef::ROOT));
            kinds.truncate(args.len());
        }
        (args, kinds)
    }

    fn message(&mut self, model: &Model) -> Step {
        if let Some(step) = model.returning.front().filter(|step| model.is_legal(step))
            && !self.rng.one_in(3)
        {
            return step.clone();
        }
        let target = match self.export(model) {
            Some(vref) if self.rng.one_in(3) => vref,
            _ => VRef::ROOT,
        };
        let open: Vec<VRef> = model
            .promises
            .iter()
            .filter(|(vref, p)| !vref.is_export() && p.decider == Decider::Kernel)
            .map(|(vref, _)| *vref)
            .collect();
        let result = match self.rng.below(8) {
            0 => None,
            1 => self.rng.pick(&open),
            _ => Some(VRef::ImportPromise(self.fresh(model))),
        };
        let (args, kinds) = self.args(model, result);
        let mut program = self.program(&kinds);
        for step in &mut program {
            if self.rng.one_in(2) {
                try_it(step);
            }
        }
        if result.is_some_and(|result| model.promises.contains_key(&result)) {
            // A promise that becomes itself sends Liveslots into an endless loop.
            program.retain(|step| step.get(0) != Some(&json!("return")));
            program.push(json!(["return", ["new", "thing"]]));
        }
        Step::Do { target, program, args, result }
    }

    fn notify(&mut self, model: &Model) -> Option<Step> {
        let mut open: Vec<VRef> = model
            .promises
            .iter()
            .filter(|(_, p)| p.decider == Decider::Kernel && p.subscribed)
            .map(|(vref, _)| *vref)
            .collect();
        if open.is_empty() {
            return None;
        }
        let mut batch = Vec::new();
        while let Some(vref) = (!open.is_empty()).then(|| open.remove(self.rng.below(open.len()))) {
            batch.push(vref);
            if batch.len() >= 3 || self.rng.one_in(2) {
                break;
            }
        }
        let mut resolutions: Vec<Resolution<VRef>> = Vec::new();
        let mut at = 0;
        while at < batch.len() {
            let promise = batch[at];
            at += 1;
            let is_stale = model.promises.get(&promise).is_some_and(|p| !p.known);
            let rejected = self.rng.one_in(4);
            let data = if is_stale {
                CapData { body: "#5".into(), slots: Vec::new() }
            } else {
                self.outcome(model, &mut batch)
            };
            resolutions.push(Resolution { promise, rejected, data });
        }
        Some(Step::Notify { resolutions })
    }

    /// What a promise becomes. May mention promises of the same batch, and add to it.
    fn outcome(&mut self, model: &Model, batch: &mut Vec<VRef>) -> VCapData {
        let mut slots = Vec::new();
        let mut slot = |vref: VRef| {
            slots.push(vref);
            json!(reference(vref, slots.len() - 1))
        };
        let body = match self.rng.below(8) {
            0 | 1 => json!(self.rng.below(50)),
            2 => json!({ "#error": "failed elsewhere", "name": "Error" }),
            3 => slot(self.import(model)),
            4 => slot(self.export(model).unwrap_or(VRef::ROOT)),
            5 => {
                let object = slot(self.import(model));
                let promise = slot(self.promise(model));
                json!([object, promise])
            }
            6 => json!([slot(batch[self.rng.below(batch.len())])]),
            _ => {
                let promise = VRef::ImportPromise(self.fresh(model));
                if batch.len() < 5 && self.rng.one_in(2) {
                    batch.push(promise);
                }
                json!({ "next": slot(promise) })
            }
        };
        CapData { body: format!("#{body}"), slots }
    }
}

/// Lets the program go on if the step fails.
fn try_it(step: &mut Value) {
    const MAY_FAIL: [&str; 4] = ["baggage", "keep", "local", "make"];
    if step.get(0).and_then(Value::as_str).is_some_and(|name| MAY_FAIL.contains(&name)) {
        *step = json!(["try", step.take()]);
    }
}

fn of_state(map: &BTreeMap<VRef, bool>, wanted: bool) -> Vec<VRef> {
    map.iter().filter(|(_, state)| **state == wanted).map(|(vref, _)| *vref).collect()
}
