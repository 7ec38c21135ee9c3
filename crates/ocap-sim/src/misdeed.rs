//! What a vat may not do: each of these ends it.

use ocap_types::crank::{CrankReport, Request, Resolution, Syscall};
use ocap_types::{CapData, VCapData, VRef};

use crate::model::View;
use crate::rng::Rng;

/// Names far above anything the kernel has given out, or the vat has made.
const UNKNOWN: u64 = 1_000_000;

fn plain(slots: &[VRef]) -> VCapData {
    CapData { body: "#[\"m\",[]]".to_owned(), slots: slots.to_vec() }
}

fn send(target: VRef, slots: &[VRef], result: Option<VRef>) -> Syscall {
    Syscall::Send { target, methargs: plain(slots), result }
}

fn resolve(promises: &[VRef], slots: &[VRef]) -> Syscall {
    let one = |&promise: &VRef| Resolution { promise, rejected: false, data: plain(slots) };
    Syscall::Resolve { resolutions: promises.iter().map(one).collect() }
}

fn ask(result: VRef) -> Syscall {
    Syscall::Ask { request: Request::Timer { delay_ms: 1, since_ms: None }, result }
}

/// How many misdeeds there are.
pub(crate) const KINDS: usize = 30;

/// Adds a misdeed to a report; its name, or `None` if the vat has not what it takes. What the
/// kernel knows of collections is `ahead` of what the vat knows when another delivery is on its
/// way, or when the vat's last life was not told everything: then some misdeeds are none.
pub(crate) fn commit(
    rng: &mut Rng,
    view: &View,
    report: &mut CrankReport,
    ahead: bool,
) -> Option<&'static str> {
    let unknown = VRef::Import(UNKNOWN);
    let unknown_promise = VRef::ImportPromise(UNKNOWN);
    let fresh = VRef::ExportPromise(UNKNOWN);
    let fresh_object = VRef::Export(UNKNOWN);
    let import = |reachable: bool| {
        let found = view.imports.iter().find(|(_, flag)| **flag == reachable);
        found.map(|(&n, _)| VRef::Import(n))
    };
    let undecided = || {
        let found = view.promises.iter().find(|(_, decides)| !**decides);
        found.map(|(&vref, _)| vref)
    };
    let exported = || {
        let found = view.exports.iter().find(|(vref, flag)| **flag && **vref != VRef::ROOT);
        found.map(|(&vref, _)| vref)
    };
    let (name, syscalls) = match rng.below(KINDS) {
        3 | 4 | 19 | 21 if ahead => return None,
        0 => ("send to what it never had", vec![send(unknown, &[], None)]),
        1 => ("send to a promise it never had", vec![send(unknown_promise, &[], None)]),
        2 => ("pass on what it never had", vec![send(VRef::ROOT, &[unknown], None)]),
        3 => ("send to what it dropped", vec![send(import(false)?, &[], None)]),
        4 => ("pass on what it dropped", vec![send(VRef::ROOT, &[import(false)?], None)]),
        5 => ("object as result", vec![send(VRef::ROOT, &[], Some(fresh_object))]),
        6 => ("result it does not decide", vec![send(VRef::ROOT, &[], Some(undecided()?))]),
        7 => {
            let twice = send(VRef::ROOT, &[], Some(fresh));
            ("result twice", vec![twice.clone(), twice])
        }
        8 => ("subscribe to an object", vec![Syscall::Subscribe { promise: VRef::ROOT }]),
        9 => ("subscribe to nothing", vec![Syscall::Subscribe { promise: unknown_promise }]),
        10 => ("resolve an object", vec![resolve(&[VRef::ROOT], &[])]),
        11 => ("resolve what it does not decide", vec![resolve(&[undecided()?], &[])]),
        12 => ("resolve what it never had", vec![resolve(&[unknown_promise], &[])]),
        13 => ("resolve twice in a group", vec![resolve(&[fresh, fresh], &[])]),
        14 => ("resolve with what it never had", vec![resolve(&[fresh], &[unknown])]),
        15 => {
            let own = send(VRef::ROOT, &[], Some(fresh));
            ("resolve what it passed on", vec![own, resolve(&[fresh], &[])])
        }
        16 => ("drop an export", vec![Syscall::DropImports { vrefs: vec![VRef::ROOT] }]),
        17 => ("drop what it never had", vec![Syscall::DropImports { vrefs: vec![unknown] }]),
        18 => ("drop a promise", vec![Syscall::DropImports { vrefs: vec![fresh] }]),
        19 => {
            let vrefs = vec![import(true)?];
            ("retire an import not dropped", vec![Syscall::RetireImports { vrefs }])
        }
        20 => ("retire what it never had", vec![Syscall::RetireImports { vrefs: vec![unknown] }]),
        21 => {
            let vrefs = vec![exported()?];
            ("retire an export not dropped", vec![Syscall::RetireExports { vrefs }])
        }
        22 => ("retire the root", vec![Syscall::RetireExports { vrefs: vec![VRef::ROOT] }]),
        23 => ("abandon the root", vec![Syscall::AbandonExports { vrefs: vec![VRef::ROOT] }]),
        24 => {
            let vrefs = vec![fresh_object];
            ("abandon what it never exported", vec![Syscall::AbandonExports { vrefs }])
        }
        25 => ("ask for an object", vec![ask(fresh_object)]),
        26 => ("ask twice for one promise", vec![ask(fresh), ask(fresh)]),
        27 => {
            let withdraw = Syscall::Withdraw { result: VRef::ROOT };
            ("withdraw an object", vec![withdraw])
        }
        28 => {
            let twice = ("k".to_owned(), Some("1".to_owned()));
            report.vatstore = vec![twice.clone(), twice];
            ("store out of order", Vec::new())
        }
        _ => {
            report.vatstore.insert(0, (String::new(), Some("1".to_owned())));
            ("empty store key", Vec::new())
        }
    };
    report.syscalls.extend(syscalls);
    Some(name)
}
