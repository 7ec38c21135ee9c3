//! Queues of endpoints and the row that says what work an endpoint has.

use crate::api::CoreError;
use crate::core::Core;
use crate::keys;
use crate::rows::{Item, Party, Row, Work, corrupt};

impl Core {
    pub(crate) fn work(&self, party: Party) -> Result<Work, CoreError> {
        Ok(self.space.row(&keys::work(party))?.unwrap_or_default())
    }

    pub(crate) fn write_work(&mut self, party: Party, work: &Work) -> Result<(), CoreError> {
        if work.is_none() {
            return self.space.delete(keys::work(party));
        }
        self.space.write(keys::work(party), work);
        self.ready.insert(party);
        Ok(())
    }

    /// Appends an item that already holds its references.
    pub(crate) fn enqueue(&mut self, party: Party, item: Item) -> Result<(), CoreError> {
        let mut work = self.work(party)?;
        if work.len == 0 {
            (work.head, work.tail) = (1, 1);
        }
        let seq = work.tail;
        work.tail += 1;
        work.len += 1;
        self.space.put_new(keys::queued(party, seq), item);
        self.write_work(party, &work)
    }

    /// The first item of a queue, with its number.
    pub(crate) fn first_item(
        &self,
        party: Party,
        work: &Work,
    ) -> Result<Option<(u64, Item)>, CoreError> {
        if work.len == 0 {
            return Ok(None);
        }
        self.item_from(party, work.head)?
            .map(Some)
            .ok_or_else(|| corrupt(&keys::work(party), "counts items that are not there"))
    }

    /// The first item of a queue whose number is at least `from`.
    pub(crate) fn item_from(
        &self,
        party: Party,
        from: u64,
    ) -> Result<Option<(u64, Item)>, CoreError> {
        let after = keys::queued(party, from);
        if let Some(item) = self.space.row(&after)? {
            return Ok(Some((from, item)));
        }
        let Some((key, text)) = self.space.next(&keys::queue(party), &after.text())? else {
            return Ok(None);
        };
        let item = Item::read(&text).ok_or_else(|| corrupt(&key, "no queue item"))?;
        let seq = keys::padded_number(&key).ok_or_else(|| corrupt(&key, "no number"))?;
        Ok(Some((seq, item)))
    }

    /// Takes an item out of a queue. What it held stays held.
    pub(crate) fn remove_item(&mut self, party: Party, seq: u64) -> Result<(), CoreError> {
        let mut work = self.work(party)?;
        let len = work.len.checked_sub(1);
        work.len = len.ok_or_else(|| corrupt(&keys::work(party), "counts too few items"))?;
        if work.len == 0 {
            (work.head, work.tail) = (0, 0);
        } else if seq == work.head {
            work.head += 1;
        }
        self.space.delete(keys::queued(party, seq))?;
        self.write_work(party, &work)
    }
}
