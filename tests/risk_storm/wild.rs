//! A strategy that wants anything at all, and the session and the transmit queue that it ends in.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use wirebook::blotter::{OrderEvent, OrderUpdate, TimeInForce};
use wirebook::market::{Price, Side, Symbol};
use wirebook::nic::TxQueue;
use wirebook::order::venue::Venue;
use wirebook::order::{SendError, Session, SessionCounters};
use wirebook::risk::Cleared;
use wirebook::strategy::{Intent, Intents, MarketView, Strategy};

use super::support::{FakeTx, Rng, Slot};

/// Wants anything at all, of anything that it ever heard of.
pub(crate) struct Wild {
    pub(crate) rng: Rng,
    pub(crate) orders: VecDeque<(u16, u32)>,
}

impl Wild {
    fn want(&mut self, locate: u16, out: &mut Intents) {
        for _ in 0..self.rng.below(4) {
            let intent = self.intent(locate);
            out.push(intent);
        }
    }

    fn intent(&mut self, here: u16) -> Intent {
        let rng = &mut self.rng;
        let locate = if rng.one_in(30) { 1 + rng.below(7) as u16 } else { here };
        let shares = match rng.below(100) {
            0 => 0,
            1 => 999_998 + rng.below(4) as u32,
            2..10 => rng.below(2_000) as u32,
            _ => 1 + rng.below(300) as u32,
        };
        let price = Price(match rng.below(200) {
            0 => 0,
            1 => 1_999_999_900 + rng.below(3) as u32,
            2..20 => 70_000 + rng.below(70_000) as u32,
            _ => 98_000 + rng.below(6_000) as u32,
        });
        // One of its own, at home or not; now and then one that never was.
        let known =
            (!self.orders.is_empty()).then(|| self.orders[rng.below(self.orders.len() as u64) as usize]);
        let (home, order) = known.filter(|_| !rng.one_in(20)).unwrap_or((locate, rng.below(1 << 10) as u32));
        let home = if rng.one_in(20) { locate } else { home };
        match rng.below(10) {
            0 => Intent::Cancel { locate: home, order },
            1..4 => Intent::Replace { locate: home, order, shares, price },
            _ => {
                let side = if rng.one_in(2) { Side::Buy } else { Side::Sell };
                let time_in_force = if rng.one_in(2) { TimeInForce::Day } else { TimeInForce::Ioc };
                // A few plain orders, so that repetitions occur.
                let plain = rng.one_in(4);
                let (shares, price) = if plain { (100, Price(100_000)) } else { (shares, price) };
                Intent::Enter { locate, side, shares, price, time_in_force }
            }
        }
    }
}

impl Strategy for Wild {
    fn on_instrument(&mut self, _locate: u16, _symbol: Symbol) {}

    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        self.want(view.locate, out);
    }

    fn on_order(&mut self, update: &OrderUpdate, out: &mut Intents) {
        self.want(update.locate, out);
    }

    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        if self.orders.len() == 10 {
            self.orders.pop_front();
        }
        self.orders.push_back((intent.locate(), user_ref_num));
    }

    fn on_unsent(&mut self, _intent: &Intent) {}
}

/// A transmit queue that the test holds, too.
pub(crate) struct SharedTx(pub(crate) Rc<RefCell<FakeTx>>);

impl TxQueue for SharedTx {
    type Slot = Slot;

    fn reserve(&mut self) -> Option<Slot> {
        self.0.borrow_mut().reserve()
    }

    fn send(&mut self, slot: Slot, len: u16) -> Result<(), Slot> {
        self.0.borrow_mut().send(slot, len)
    }
}

/// A session that goes down and comes back without losing a word.
pub(crate) struct Moody {
    pub(crate) inner: Venue,
    pub(crate) up: Rc<Cell<bool>>,
}

impl Session for Moody {
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError> {
        self.inner.send(cleared, tx)
    }

    fn on_datagram(&mut self, payload: &[u8], on_event: &mut impl FnMut(OrderEvent)) {
        self.inner.on_datagram(payload, on_event);
    }

    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        self.inner.poll(now_ns, tx, on_event);
    }

    fn healthy(&self) -> bool {
        self.up.get() && self.inner.healthy()
    }

    fn resume(&mut self) {
        self.inner.resume();
    }

    fn counters(&self) -> &SessionCounters {
        self.inner.counters()
    }
}
