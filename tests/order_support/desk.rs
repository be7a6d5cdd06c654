//! Strategy, risk and session put together as the loop puts them together.

#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

use wirebook::market::Symbol;
use wirebook::nic::{Frame, TxQueue};
use wirebook::order::Session;
use wirebook::order::ouch::OuchProfile;
use wirebook::order::wutf::WutfSession;
use wirebook::risk::{Rate, Risk, RiskLimits};
use wirebook::strategy::imbalance::{Imbalance, ImbalanceParams, Style};
use wirebook::strategy::{Intent, Intents, MarketView, Strategy};

use super::support::ADDRESSING;

pub(crate) const LOCATES: u16 = 8;

pub(crate) struct Desk<O = WutfSession> {
    pub(crate) strategy: Imbalance,
    pub(crate) risk: Risk,
    pub(crate) session: O,
    intents: Intents,
}

pub(crate) fn symbol(locate: u16) -> Symbol {
    Symbol::new(&format!("SYM{locate}")).unwrap()
}

pub(crate) fn wide_limits() -> RiskLimits {
    let rate = Rate { per_second: 1_000_000, burst: 100_000 };
    RiskLimits {
        max_order_shares: 1_000,
        max_order_value: 100_000_000,
        collar_bps: 500,
        reference_collar_bps: None,
        max_long_shares: 5_000,
        max_short_shares: 5_000,
        max_gross_value: 10_000_000_000,
        max_open_orders: 64,
        port_rate: rate,
        symbol_rate: rate,
        repeat_window_ns: 0,
        restricted: Vec::new(),
        hours: None,
        fills_remembered: 1_024,
    }
}

impl Desk {
    pub(crate) fn new(style: Style, max_spread: u32, limits: RiskLimits) -> Self {
        let session = WutfSession::new(&ADDRESSING, &OuchProfile::default()).unwrap();
        Self::with(session, style, max_spread, limits)
    }

    /// A reply packet came.
    pub(crate) fn on_reply(&mut self, payload: &[u8]) {
        let (risk, strategy, intents) = (&mut self.risk, &mut self.strategy, &mut self.intents);
        self.session.on_datagram(payload, &mut |event| {
            if let Some(update) = risk.on_event(&event) {
                strategy.on_order(&update, intents);
            }
        });
        assert!(self.intents.is_empty());
    }
}

impl<O: Session> Desk<O> {
    pub(crate) fn with(session: O, style: Style, max_spread: u32, limits: RiskLimits) -> Self {
        let params = ImbalanceParams {
            entry: 5_000,
            exit: 1_000,
            order_shares: 100,
            style,
            max_spread,
            cooldown_ns: 1_000,
            symbols: None,
        };
        let mut strategy = Imbalance::new(params, u32::from(LOCATES));
        let mut risk = Risk::new(limits, u32::from(LOCATES)).unwrap();
        for locate in 0..LOCATES {
            strategy.on_instrument(locate, symbol(locate));
            assert!(risk.set_symbol(locate, symbol(locate)));
        }
        risk.arm();
        risk.set_session_healthy(true);
        Self { strategy, risk, session, intents: Intents::new() }
    }

    /// A top changed: decide, check, send.
    pub(crate) fn on_top<T: TxQueue>(&mut self, view: &MarketView, tx: &mut T) {
        self.risk.set_session_healthy(self.session.healthy());
        self.strategy.on_top(view, &mut self.intents);
        for intent in self.intents.iter() {
            match self.risk.check(intent, view, view.now_ns) {
                Ok(cleared) => match self.session.send(&cleared, tx) {
                    Ok(()) => self.strategy.on_sent(&intent, cleared.user_ref_num()),
                    Err(_) => {
                        self.risk.release(&cleared);
                        self.strategy.on_unsent(&intent);
                    }
                },
                Err(_) => self.strategy.on_unsent(&intent),
            }
        }
        self.intents.clear();
    }

    /// A frame came that may be the session's.
    pub(crate) fn on_frame<T: TxQueue>(
        &mut self,
        frame: Frame<'_>,
        now_ns: u64,
        tx: &mut T,
        heard: &mut impl FnMut(&wirebook::blotter::OrderEvent),
    ) -> bool {
        let (risk, strategy, intents) = (&mut self.risk, &mut self.strategy, &mut self.intents);
        self.session.on_frame(frame, now_ns, tx, &mut |event| {
            heard(&event);
            if let Some(update) = risk.on_event(&event) {
                strategy.on_order(&update, intents);
            }
        })
    }

    /// Checks and sends what somebody wants; its number, or `None` where it did not leave.
    pub(crate) fn place<T: TxQueue>(&mut self, intent: Intent, view: &MarketView, tx: &mut T) -> Option<u32> {
        self.risk.set_session_healthy(self.session.healthy());
        let cleared = self.risk.check(intent, view, view.now_ns).ok()?;
        if self.session.send(&cleared, tx).is_err() {
            self.risk.release(&cleared);
            return None;
        }
        Some(cleared.user_ref_num())
    }

    /// What the loop does about orders of a process before: takes them back once all are known. How many that were.
    pub(crate) fn cancel_adopted<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T) -> usize {
        if self.risk.blotter().adopting() {
            return 0;
        }
        let orders = self.risk.blotter().orders().filter(|(_, order)| order.adopted && !order.cancel_sent);
        let orders: Vec<_> = orders.map(|(id, order)| (id, order.locate)).collect();
        for (order, locate) in &orders {
            let view = MarketView { locate: *locate, now_ns, ..MarketView::default() };
            let cancel = Intent::Cancel { locate: *locate, order: *order };
            let cleared = self.risk.check(cancel, &view, now_ns).unwrap();
            if self.session.send(&cleared, tx).is_err() {
                self.risk.release(&cleared);
            }
        }
        orders.len()
    }

    /// A round of the loop.
    pub(crate) fn poll<T: TxQueue>(
        &mut self,
        now_ns: u64,
        tx: &mut T,
        heard: &mut impl FnMut(&wirebook::blotter::OrderEvent),
    ) {
        let (risk, strategy, intents) = (&mut self.risk, &mut self.strategy, &mut self.intents);
        self.session.poll(now_ns, tx, &mut |event| {
            heard(&event);
            if let Some(update) = risk.on_event(&event) {
                strategy.on_order(&update, intents);
            }
        });
        assert!(self.intents.is_empty());
    }
}
