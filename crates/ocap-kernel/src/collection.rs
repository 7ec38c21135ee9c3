//! Collecting garbage now, all over the kernel, instead of in its own time.
//!
//! A round has every vat give up what it no longer needs. What one gives up may be the last that
//! another held for it, so rounds go on until one has set nothing in motion.

use ocap_types::crank::Delivery;

use crate::api::KernelError;
use crate::driver::{Driver, fatal};
use crate::inbox::Reply;
use crate::limits;

/// A collection under way.
#[derive(Default)]
pub(crate) struct Collection {
    replies: Vec<Reply<()>>,
    rounds: u32,
    /// Whether this round told a vat of something another gave up.
    spread: bool,
}

impl Collection {
    /// A delivery is handed out.
    pub(crate) fn hands_out(&mut self, delivery: &Delivery) {
        self.spread |= matches!(
            delivery,
            Delivery::DropExports { .. }
                | Delivery::RetireExports { .. }
                | Delivery::RetireImports { .. }
        );
    }
}

impl Driver {
    /// Answers once no vat has anything left to give up.
    pub(crate) fn begin_collection(&mut self, reply: Reply<()>) -> Result<(), KernelError> {
        self.core.reap_all().map_err(fatal)?;
        let collection = self.collection.get_or_insert_default();
        collection.rounds = 1;
        collection.replies.push(reply);
        Ok(())
    }

    /// Ends the round, if it is over, and begins the next, if one is needed.
    pub(crate) fn advance_collection(&mut self) -> Result<(), KernelError> {
        if self.collection.is_none() || self.core.is_collecting().map_err(fatal)? {
            return Ok(());
        }
        let Some(mut collection) = self.collection.take() else { return Ok(()) };
        if collection.spread && collection.rounds < limits::COLLECTION_ROUNDS_MAX {
            collection.spread = false;
            collection.rounds += 1;
            self.core.reap_all().map_err(fatal)?;
            self.collection = Some(collection);
        } else {
            self.after_commit.push(Box::new(move |result| {
                for reply in collection.replies {
                    let _ = reply.send(result.clone());
                }
            }));
        }
        // Something to hand out, or to commit.
        self.mailbox.inbox.wake();
        Ok(())
    }
}
