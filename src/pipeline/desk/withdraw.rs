//! Takes back open orders that should not be there any more: those of books that cannot be believed, those of a process
//! before this one, those from before a connection broke where that is wished, and, at the end or once the kill switch was
//! thrown, all.
//!
//! The strategy did not ask for these cancels and is not told of them; it hears of the order's end by
//! [`Strategy::on_order`], as of any other. They go through risk and the session like its own.

use super::Desk;
use crate::blotter::OpenOrder;
use crate::journal::flags;
use crate::market::BookState;
use crate::nic::TxQueue;
use crate::order::Session;
use crate::strategy::{Intent, MarketView, Strategy};
use crate::tsc::TimeSource;

/// Cancels of one round.
const AT_ONCE: usize = 16;

/// Time between two looks through the open orders when another book went out of use or there was no room to send, ns.
const SOON: u64 = 1_000_000;

/// The same while any book is in doubt and nothing new happens, ns: cancels that the venue refused are tried again.
const AGAIN: u64 = 100_000_000;

/// Rounds without any order sent before the end does without.
const PATIENCE: u32 = 1_000;

/// When to look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch {
    /// Some book is in doubt.
    in_doubt: bool,
    /// When the open orders were last looked through, ns.
    looked: u64,
    /// How long not to look again, ns.
    pause: u64,
    /// Orders from before the session came up have to go, each time.
    cancels_left_over: bool,
    /// Open orders with a number below this have to go.
    left_below: u32,
    /// When to look for them again, ns.
    left_at: u64,
}

impl Watch {
    pub(super) fn new(cancels_left_over: bool) -> Self {
        Self { cancels_left_over, ..Self::default() }
    }
}

impl<T: TxQueue, S: Strategy, O: Session, C: TimeSource> Desk<T, S, O, C> {
    /// Some book went out of use: its open orders must go.
    pub(in crate::pipeline) const fn doubt(&mut self) {
        let pause = if self.watch.in_doubt { SOON } else { 0 };
        self.watch.in_doubt = true;
        if pause < self.watch.pause {
            self.watch.pause = pause;
        }
    }

    /// The next look through the open orders is due now.
    pub(super) const fn withdraw_at_once(&mut self) {
        self.watch.pause = 0;
    }

    /// Withdraws open orders of books that are not live, and of a process before this one, a few at a time; after the kill
    /// switch all orders, all at once.
    pub(super) fn withdraw(&mut self, now_ns: u64) {
        let Watch { in_doubt, looked, pause, .. } = self.watch;
        let killed = self.risk.killed();
        // Before the venue has told of all of them there is no session to cancel them in.
        let left_behind = self.risk.blotter().adopted_orders() > 0 && !self.risk.blotter().adopting();
        if !(in_doubt || killed || left_behind) || now_ns.saturating_sub(looked) < pause {
            return;
        }
        let (mut found, mut sent) = (0, 0);
        if self.risk.blotter().open_orders() > 0 {
            let concerned = |desk: &Self, _: u32, order: &OpenOrder| {
                killed || order.adopted || desk.book_state(order.locate) != BookState::Live
            };
            (found, sent) = self.cancel_some(now_ns, concerned);
            // Ends: what was cancelled is not found again.
            while killed && found == AT_ONCE && sent == found {
                (found, sent) = self.cancel_some(now_ns, concerned);
            }
        }
        let pause = match found {
            _ if sent < found => SOON,
            // There may be more of them: the next round goes on.
            AT_ONCE => 0,
            _ => AGAIN,
        };
        // Where nothing mends books they stay in doubt, and the watch goes on.
        let well = self.repair.is_mending() && !self.repair.is_busy() && !self.in_the_dark();
        self.watch = Watch { in_doubt: !well || pause != AGAIN, looked: now_ns, pause, ..self.watch };
    }

    /// The session has come up, and the state of every order is known.
    #[cold]
    pub(super) fn note_resumed(&mut self) {
        let next = std::mem::take(&mut self.resumed);
        if self.watch.cancels_left_over {
            self.watch.left_below = next;
            self.watch.left_at = 0;
        }
    }

    /// Cancels what is open from before the session came up, a few orders at a time.
    pub(super) fn withdraw_left_over(&mut self, now_ns: u64) {
        let Watch { left_below, left_at, .. } = self.watch;
        if left_below == 0 || now_ns < left_at || !self.session.healthy() {
            return;
        }
        let (found, sent) = self.cancel_some(now_ns, |_, order, _| order < left_below);
        if found == 0 && !self.risk.blotter().orders().any(|(order, _)| order < left_below) {
            self.watch.left_below = 0;
        } else if sent < AT_ONCE {
            // Those that are left are being cancelled, or found no room.
            self.watch.left_at = now_ns.saturating_add(SOON);
        }
    }

    /// Withdraws every open order, as far as the transmit queue takes it. For the end of the loop.
    pub(in crate::pipeline) fn withdraw_all(&mut self) {
        let mut idle = 0;
        while idle < PATIENCE && self.risk.blotter().open_orders() > 0 {
            let now_ns = self.clock.ns(self.time.now());
            let (found, sent) = self.cancel_some(now_ns, |_, _, _| true);
            if found == 0 {
                break;
            }
            idle = if sent == 0 { idle + 1 } else { 0 };
            self.tx.reclaim();
        }
    }

    /// Cancels orders that are `concerned` (by number and state), but no order for which a cancel is under way. Returns how
    /// many were found (at most [`AT_ONCE`]) and how many cancels left.
    fn cancel_some(
        &mut self,
        now_ns: u64,
        concerned: impl Fn(&Self, u32, &OpenOrder) -> bool,
    ) -> (usize, usize) {
        let mut chosen = [None; AT_ONCE];
        let orders = self.risk.blotter().orders();
        let to_cancel = orders.filter(|(id, order)| !order.cancel_sent && concerned(self, *id, order));
        let intents = to_cancel.map(|(order, open)| Intent::Cancel { locate: open.locate, order });
        let found = chosen.iter_mut().zip(intents).map(|(slot, intent)| *slot = Some(intent)).count();
        let mut sent = 0;
        for intent in chosen.into_iter().flatten() {
            // For a cancel, risk does not look at the market.
            let view = MarketView { locate: intent.locate(), now_ns, ..MarketView::default() };
            let checked = self.risk.check(intent, &view, now_ns);
            self.note_decision(&intent, &view, &checked, flags::WITHDRAWN);
            let Ok(order) = checked else { continue };
            let outcome = self.session.send(&order, &mut self.tx);
            if outcome.is_ok() {
                sent += 1;
                self.counters.orders_sent += 1;
                self.counters.withdrawn += 1;
            } else {
                self.counters.orders_unsent += 1;
                self.risk.release(&order);
            }
            self.note_sending(&order, outcome, now_ns);
        }
        (found, sent)
    }
}
