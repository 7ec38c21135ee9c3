//! One vat's engine: deliveries in, reports out.

use std::rc::Rc;

use ocap_types::crank::{CrankReport, Delivery, Fault, Usage};
use rquickjs::Ctx;

use super::code::{self, Endowments};
use super::errors::{caught, describe, stack};
use super::machine::Machine;
use super::shared::Shared;
use super::supervisor::{body, call, resolutions, vrefs};
use crate::engine::{Compiled, Engine, LogLevel, UpCalls, VatCode, WorkerInit};

/// A machine that runs one vat.
pub(super) struct Vat {
    machine: Machine,
    id: String,
    endowments: Endowments,
    /// Until the start delivery.
    code: Option<(VatCode, Compiled)>,
}

impl Vat {
    pub(super) fn new(machine: Machine, init: WorkerInit, up: Rc<dyn UpCalls>) -> Self {
        machine.limit(&init.limits);
        machine.shared.crank.borrow_mut().connect(up, &init.limits);
        let endowments = Endowments {
            globals: init.globals,
            allowed: init.allowed_globals,
            platform: init.platform,
        };
        Vat { machine, id: init.vat, endowments, code: Some((init.code, init.compiled)) }
    }

    fn start(&mut self, parameters: &ocap_types::capdata::VCapData) -> Result<(), String> {
        let Some((code, compiled)) = self.code.take() else {
            return Err("the vat was started already".into());
        };
        let supervisor = self.machine.supervisor();
        self.machine.with(|ctx, shared| {
            call::<()>(ctx, &supervisor.set_vat, (self.id.as_str(),))
                .map_err(|error| caught(ctx, &error))?;
            code::provide_globals(ctx, supervisor, &self.id, &self.endowments)?;
            let build = code::load(ctx, shared, code, &compiled)?;
            let start = || {
                let parameters = (body(ctx, parameters)?, vrefs(ctx, &parameters.slots)?);
                call::<()>(ctx, &supervisor.start, (build, parameters.0, parameters.1))?;
                drain(ctx, shared);
                call::<String>(ctx, &supervisor.start_error, ())
            };
            match start() {
                Ok(error) if error.is_empty() => Ok(()),
                Ok(error) => Err(error),
                Err(error) => Err(caught(ctx, &error)),
            }
        })
    }

    fn run(&mut self, delivery: Delivery) -> Result<(), String> {
        let supervisor = self.machine.supervisor();
        match delivery {
            Delivery::Start { parameters } => self.start(&parameters),
            Delivery::Message { target, methargs, result } => self.turn(|ctx| {
                let args = (
                    target.to_string(),
                    body(ctx, &methargs)?,
                    vrefs(ctx, &methargs.slots)?,
                    result.map(|result| result.to_string()),
                );
                call(ctx, &supervisor.message, args)
            }),
            Delivery::Notify { resolutions: settled } => {
                self.turn(|ctx| call(ctx, &supervisor.notify, (resolutions(ctx, &settled)?,)))
            }
            Delivery::DropExports { vrefs: list } => {
                self.turn(|ctx| call(ctx, &supervisor.drop_exports, (vrefs(ctx, &list)?,)))
            }
            Delivery::RetireExports { vrefs: list } => {
                self.turn(|ctx| call(ctx, &supervisor.retire_exports, (vrefs(ctx, &list)?,)))
            }
            Delivery::RetireImports { vrefs: list } => {
                self.turn(|ctx| call(ctx, &supervisor.retire_imports, (vrefs(ctx, &list)?,)))
            }
            Delivery::BringOutYourDead => self.turn(|ctx| {
                call::<()>(ctx, &supervisor.begin_sweep, ())?;
                loop {
                    // Finalisers run as jobs and may free more.
                    for _ in 0..2 {
                        ctx.run_gc();
                        drain(ctx, &self.machine.shared);
                    }
                    if !call::<bool>(ctx, &supervisor.sweep, ())? {
                        break;
                    }
                }
                call(ctx, &supervisor.report_dead, ())
            }),
        }
    }

    /// One call into the supervisor and all that follows from it.
    fn turn(&self, deliver: impl FnOnce(&Ctx<'_>) -> rquickjs::Result<()>) -> Result<(), String> {
        self.machine.with(|ctx, shared| {
            deliver(ctx).map_err(|error| caught(ctx, &error))?;
            drain(ctx, shared);
            Ok(())
        })
    }

    /// What remains to be done when nothing runs any more.
    fn finish(&self) -> Result<(), String> {
        let supervisor = self.machine.supervisor();
        self.machine.with(|ctx, shared| {
            for reason in shared.take_rejections() {
                if let Ok(reason) = reason.restore(ctx) {
                    let (what, stack) = (describe(ctx, &reason), stack(ctx, &reason));
                    let text = format!("unhandled rejection: {what}\n{stack}");
                    shared.log(LogLevel::Error, text.trim_end());
                }
            }
            // Describing may have run code of the vat's; nothing of it is left for the next crank.
            drain(ctx, shared);
            call::<()>(ctx, &supervisor.flush, ()).map_err(|error| caught(ctx, &error))
        })
    }
}

/// Runs promise jobs until there are none.
fn drain(ctx: &Ctx<'_>, shared: &Shared) {
    while !shared.meter.is_faulted() && ctx.execute_pending_job() {}
}

impl Engine for Vat {
    fn deliver(&mut self, delivery: Delivery) -> Result<CrankReport, Fault> {
        let shared = self.machine.shared.clone();
        if let Some(fault) = shared.meter.fault() {
            return Err(fault);
        }
        shared.meter.begin();
        shared.crank.borrow_mut().begin();
        let error = self.run(delivery).and_then(|()| self.finish()).err();
        if let Some(fault) = shared.meter.fault() {
            return Err(fault);
        }
        let (syscalls, vatstore) = shared.crank.borrow_mut().finish();
        let usage = Usage {
            ticks: shared.meter.ticks(),
            cpu_us: u64::try_from(shared.meter.cpu().as_micros()).unwrap_or(u64::MAX),
            heap_bytes: shared.meter.heap_bytes(),
        };
        Ok(CrankReport { syscalls, vatstore, error, usage })
    }
}
