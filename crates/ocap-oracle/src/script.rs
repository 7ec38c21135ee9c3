//! A sequence as data: what is delivered, with the parts of messages apart so that a failing
//! sequence can be made short.

use ocap_types::capdata::{CapData, VCapData};
use ocap_types::crank::{Delivery, Resolution};
use ocap_types::refs::VRef;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// A new incarnation. The first step is one.
    Start {
        /// What `buildRootObject` does.
        program: Vec<Value>,
        /// The arguments of the program.
        args: Vec<Arg>,
    },
    /// `do(program, ...args)`.
    Do {
        /// An object of the vat.
        target: VRef,
        /// What the method does.
        program: Vec<Value>,
        /// Its arguments.
        args: Vec<Arg>,
        /// The promise for its answer.
        result: Option<VRef>,
    },
    /// Any other message.
    Message {
        /// An object of the vat.
        target: VRef,
        /// `[method, args]`.
        methargs: VCapData,
        /// The promise for its answer.
        result: Option<VRef>,
    },
    /// Promises settle.
    Notify {
        /// All at once.
        resolutions: Vec<Resolution<VRef>>,
    },
    /// Exports are no longer reachable.
    DropExports(Vec<VRef>),
    /// Exports are no longer recognizable.
    RetireExports(Vec<VRef>),
    /// Imports are no more.
    RetireImports(Vec<VRef>),
    /// Garbage is collected.
    BringOutYourDead,
}

/// An argument of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Arg {
    /// An object or a promise.
    Ref(VRef),
    /// Plain data: an array, a record, a number or a string that needs no escape.
    Data(Value),
}

/// A reference in the body of a message whose slot is `index`.
pub fn reference(vref: VRef, index: usize) -> String {
    match vref {
        VRef::ImportPromise(_) | VRef::ExportPromise(_) => format!("&{index}"),
        VRef::Import(n) => format!("${index}.Alleged: import {n}"),
        // What the vat itself calls it does not matter to the vat.
        _ => format!("${index}.Alleged: export"),
    }
}

/// Arguments in smallcaps, without the leading `#`.
fn encode(args: &[Arg]) -> (Vec<Value>, Vec<VRef>) {
    let mut slots: Vec<VRef> = Vec::new();
    let values = args.iter().map(|arg| match arg {
        Arg::Data(value) => value.clone(),
        Arg::Ref(vref) => match slots.iter().position(|slot| slot == vref) {
            Some(index) if vref.is_promise() => json!(format!("&{index}")),
            Some(index) => json!(format!("${index}")),
            None => {
                slots.push(*vref);
                json!(reference(*vref, slots.len() - 1))
            }
        },
    });
    (values.collect(), slots)
}

/// What a step mentions besides what it is about.
pub fn slots(step: &Step) -> Vec<VRef> {
    match delivery(step) {
        Delivery::Message { methargs, .. } => methargs.slots,
        Delivery::Notify { resolutions } => {
            resolutions.into_iter().flat_map(|resolution| resolution.data.slots).collect()
        }
        _ => Vec::new(),
    }
}

/// The delivery that a step is.
pub fn delivery(step: &Step) -> Delivery {
    match step {
        Step::Start { program, args } => {
            let (args, slots) = encode(args);
            let body = format!("#{}", json!({ "args": args, "steps": program }));
            Delivery::Start { parameters: CapData { body, slots } }
        }
        Step::Do { target, program, args, result } => {
            let (args, slots) = encode(args);
            let all: Vec<Value> = std::iter::once(json!(program)).chain(args).collect();
            let body = format!("#{}", json!(["do", all]));
            let methargs = CapData { body, slots };
            Delivery::Message { target: *target, methargs, result: *result }
        }
        Step::Message { target, methargs, result } => {
            Delivery::Message { target: *target, methargs: methargs.clone(), result: *result }
        }
        Step::Notify { resolutions } => Delivery::Notify { resolutions: resolutions.clone() },
        Step::DropExports(vrefs) => Delivery::DropExports { vrefs: vrefs.clone() },
        Step::RetireExports(vrefs) => Delivery::RetireExports { vrefs: vrefs.clone() },
        Step::RetireImports(vrefs) => Delivery::RetireImports { vrefs: vrefs.clone() },
        Step::BringOutYourDead => Delivery::BringOutYourDead,
    }
}
