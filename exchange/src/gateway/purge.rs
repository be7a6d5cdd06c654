//! What clients are told of orders that the market dropped without a message in the feed.

use super::Gateway;
use crate::ouch::BY_SYSTEM;

impl Gateway {
    /// The orders with these tags rest no more: their clients are told that they were cancelled by the system. `time`
    /// is that of the market. Fills from before have to be settled first.
    pub fn purge(&mut self, tags: &[u64], time: u64) {
        for tag in tags {
            let user_ref = *tag as u32;
            if let Some(client) = ((*tag >> 32) as usize).checked_sub(1)
                && let Some(known) = self.clients.get_mut(client)
                && let Some(open) = known.account.remove(user_ref)
            {
                self.canceled(client, user_ref, open.left(), BY_SYSTEM, time);
            }
        }
    }
}
