//! The whole code of the books, once for each [`Path`].
//!
//! The functions below are compiled for the processor that they are entered on, and everything they call is compiled
//! into them; which one is entered is decided when the books are made.
#![cfg_attr(
    target_arch = "x86_64",
    allow(
        unsafe_code,
        reason = "functions for processors with more than the baseline; the path says which this one has"
    )
)]

use crate::market::{Event, OrderMessage};

use super::ahead::GROUP;
#[cfg(target_arch = "x86_64")]
use super::vectors::{Avx2, Avx512};
use super::vectors::{Path, Portable};
use super::{Books, Change};

/// Defines a method that goes by the path, and its copies.
macro_rules! by_path {
    ($(#[$doc:meta])* $name:ident, $avx2:ident, $avx512:ident, $body:ident,
     ($me:ident: $receiver:ty), $argument:ident: $type:ty $(, $result:ty)?) => {
        $(#[$doc])*
        #[inline]
        pub(super) fn $name($me: $receiver, $argument: $type) $(-> $result)? {
            match $me.path {
                Path::Portable => $me.$body::<Portable>($argument),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: a path is taken only where `Path::is_available` has found its features.
                Path::Avx2 => unsafe { $me.$avx2($argument) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Path::Avx512 => unsafe { $me.$avx512($argument) },
                #[cfg(not(target_arch = "x86_64"))]
                Path::Avx2 | Path::Avx512 => $me.$body::<Portable>($argument),
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn $avx2($me: $receiver, $argument: $type) $(-> $result)? {
            $me.$body::<Avx2>($argument)
        }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn $avx512($me: $receiver, $argument: $type) $(-> $result)? {
            $me.$body::<Avx512>($argument)
        }
    };
}

impl Books {
    by_path!(apply_on_path, apply_avx2, apply_avx512, apply_event, (self: &mut Self), event: &Event, Change);
    by_path!(
        apply_order_on_path, apply_order_avx2, apply_order_avx512, apply_message,
        (self: &mut Self), message: &OrderMessage, Change
    );
    by_path!(look_on_path, look_avx2, look_avx512, look_ahead_in, (self: &Self), messages: &[OrderMessage]);

    /// Asks the memory for all that `messages` will touch, so that they wait for it together and not one after the other. To
    /// be called once for the messages of a packet, before the first of them is applied: from then until it is called for a
    /// single message the totals of long levels are brought up to date later (see [`Books::settle`]). What the books hold
    /// stays the same.
    #[inline]
    pub fn look_ahead(&mut self, messages: &[OrderMessage]) {
        let many = messages.len() > 1;
        self.store.queues.set_owes(many);
        // A message by itself has no other to wait together with.
        if many {
            for group in messages.chunks(GROUP) {
                self.look_on_path(group);
            }
        }
    }
}
