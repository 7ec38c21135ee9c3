//! What hosts ask of the driver.

use ocap_core::Core;
use ocap_core::api::{Answer, CoreError, Ticket, VatCondition};
use ocap_types::VatId;

use crate::api::{ErrorKind, KernelError};
use crate::driver::{Driver, fatal};
use crate::inbox::{Reply, Request};

impl Driver {
    pub(crate) fn request(&mut self, request: Request) -> Result<(), KernelError> {
        match request {
            Request::Launch(launch, once, reply) => {
                self.ticketed(reply, |core, ticket| match once {
                    Some(once) => core.launch_once(ticket, *launch, &once),
                    None => core.launch(ticket, *launch).map(|_| ()),
                })
            }
            Request::Send(target, methargs, once, reply) => {
                self.ticketed(reply, |core, ticket| match once {
                    Some(once) => core.send_once(ticket, target, methargs, &once),
                    None => core.send(ticket, target, methargs),
                })
            }
            Request::Join(once, reply) => {
                self.ticketed(reply, |core, ticket| core.join(ticket, &once))
            }
            Request::When(kref, reply) => {
                self.ticketed(reply, |core, ticket| core.when(ticket, kref))
            }
            Request::RestartVat(vat, reply) => {
                self.ticketed(reply, |core, ticket| core.restart_vat(ticket, vat))
            }
            Request::ReplaceCode(vat, hash, text, reply) => {
                self.ticketed(reply, |core, ticket| core.replace_code(ticket, vat, (hash, text)))
            }
            Request::Turn(turn) => turn(self),
            Request::CollectGarbage(reply) => self.begin_collection(reply),
            Request::PingVat(vat, reply) => {
                let result = self.ping(vat)?;
                let _ = reply.send(result);
                Ok(())
            }
            Request::Status(reply) => {
                let status = self.core.status().map_err(fatal)?;
                let _ = reply.send(Ok(status));
                Ok(())
            }
            Request::Settled(reply) => {
                self.settled_waiters.push(reply);
                Ok(())
            }
            Request::Cleared(reply) => {
                self.cleared_waiters.push(reply);
                Ok(())
            }
            Request::Check(reply) => {
                let findings = self.core.check().map_err(fatal)?;
                let _ = reply.send(Ok(findings));
                Ok(())
            }
            Request::Stop(reply) => {
                self.stopping.push(reply);
                Ok(())
            }
        }
    }

    /// A turn whose answer the core gives later, as an effect.
    pub(crate) fn ticketed(
        &mut self,
        reply: Reply<Answer>,
        turn: impl FnOnce(&mut Core, Ticket) -> Result<(), CoreError>,
    ) -> Result<(), KernelError> {
        if self.full_since.is_some() {
            let _ = reply.send(Err(full()));
            return Ok(());
        }
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        match turn(&mut self.core, ticket) {
            Ok(()) => {
                self.answers.insert(ticket, reply);
                Ok(())
            }
            Err(error) => refuse(error, reply),
        }
    }

    /// A turn that is answered once it is durable.
    pub(crate) fn durable<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        turn: impl FnOnce(&mut Core) -> Result<T, CoreError>,
    ) -> Result<(), KernelError> {
        if self.full_since.is_some() {
            let _ = reply.send(Err(full()));
            return Ok(());
        }
        match turn(&mut self.core) {
            Ok(value) => {
                self.after_commit.push(Box::new(move |result| {
                    let _ = reply.send(result.map(|()| value));
                }));
                Ok(())
            }
            Err(error) => refuse(error, reply),
        }
    }

    /// Answers at once what the core says.
    pub(crate) fn look<T>(
        &mut self,
        reply: Reply<T>,
        look: impl FnOnce(&Core) -> Result<T, CoreError>,
    ) -> Result<(), KernelError> {
        self.publish();
        match look(&self.core) {
            Ok(value) => {
                let _ = reply.send(Ok(value));
                Ok(())
            }
            Err(error) => refuse(error, reply),
        }
    }

    fn ping(&mut self, vat: VatId) -> Result<Result<(), KernelError>, KernelError> {
        let status = self.core.status().map_err(fatal)?;
        let Some(found) = status.vats.iter().find(|v| v.id == vat) else {
            return Ok(Err(KernelError::new(ErrorKind::NotFound, "Vat does not exist.")));
        };
        Ok(match &found.condition {
            VatCondition::Running if self.workers.has(vat, found.incarnation) => Ok(()),
            VatCondition::Running | VatCondition::Starting => {
                Err(KernelError::new(ErrorKind::Rejected, format!("vat {vat} is starting")))
            }
            VatCondition::Failed { reason } | VatCondition::Suspended { reason } => {
                let message = format!("vat {vat} does not run: {reason}");
                Err(KernelError::new(ErrorKind::Rejected, message))
            }
        })
    }
}

fn full() -> KernelError {
    KernelError::new(ErrorKind::Limit, "the disk is full; make room and try again")
}

/// Answers a refused turn. Only a failing store ends the kernel.
fn refuse<T>(error: CoreError, reply: Reply<T>) -> Result<(), KernelError> {
    let kind = match &error {
        CoreError::VatNotFound(_) | CoreError::SubclusterNotFound(_) | CoreError::NotRemembered => {
            ErrorKind::NotFound
        }
        CoreError::Limit(_) => ErrorKind::Limit,
        CoreError::Store(_) | CoreError::Corrupt { .. } => {
            let error = fatal(error);
            let _ = reply.send(Err(error.clone()));
            return Err(error);
        }
        _ => ErrorKind::Invalid,
    };
    let _ = reply.send(Err(KernelError::new(kind, error.to_string())));
    Ok(())
}
