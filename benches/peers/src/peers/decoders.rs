//! Decoders. Each gives all fields of every order message, as far as it decodes them, to somebody who looks at them.

use std::hint::black_box;
use std::io::{self, Read};
use std::ops::ControlFlow;

use itch5::messages as m;
use itch5::{MessageHandler, Parser};
use itchy::MessageStream;

use crate::contest::{Contestant, Entry};
use crate::packets::Packet;

pub(super) fn itch5<'a>() -> Entry<'a> {
    Entry {
        name: "itch5 0.1.5",
        keeps: "every field, read through its overlays",
        at_most: u64::MAX,
        make: Box::new(|_, messages| Box::new(Overlay { fields: Fields::default(), expected: messages })),
    }
}

pub(super) fn itchy<'a>() -> Entry<'a> {
    Entry {
        name: "itchy 0.3.4",
        keeps: "every field, as an enum",
        at_most: u64::MAX,
        make: Box::new(|_, messages| Box::new(Nom { seen: 0, expected: messages })),
    }
}

fn missed(seen: u64, expected: u64) -> Option<String> {
    (seen != expected).then(|| format!("{seen} of {expected} messages read"))
}

#[derive(Default)]
struct Fields {
    seen: u64,
}

struct Overlay {
    fields: Fields,
    expected: u64,
}

/// Each field is read once, and all of them are wanted at the same place.
macro_rules! look_at {
    ($self:ident, $($field:expr),+ $(,)?) => {{
        black_box(($($field),+));
        $self.seen += 1;
        ControlFlow::Continue(())
    }};
}

/// What all messages begin with.
macro_rules! head {
    ($message:ident) => {
        ($message.stock_locate(), $message.tracking_number(), *$message.timestamp())
    };
}

impl MessageHandler for Fields {
    fn on_add_order_no_mpid_attribution(&mut self, add: &m::AddOrderNoMPIDAttribution) -> ControlFlow<()> {
        let (shares, price) = (add.shares(), add.price().into_u32());
        look_at!(
            self,
            head!(add),
            add.order_reference_number(),
            add.buy_sell_indicator(),
            shares,
            *add.stock(),
            price
        )
    }

    fn on_add_order_with_mpid_attribution(
        &mut self,
        add: &m::AddOrderWithMPIDAttribution,
    ) -> ControlFlow<()> {
        let attribution: [u8; 4] = add.attribution().try_into().unwrap_or_default();
        let (side, price) = (add.buy_sell_indicator(), add.price().into_u32());
        look_at!(
            self,
            head!(add),
            add.order_reference_number(),
            side,
            add.shares(),
            *add.stock(),
            price,
            attribution
        )
    }

    fn on_order_executed(&mut self, done: &m::OrderExecuted) -> ControlFlow<()> {
        look_at!(
            self,
            head!(done),
            done.order_reference_number(),
            done.executed_shares(),
            done.match_number()
        )
    }

    fn on_order_executed_with_price(&mut self, done: &m::OrderExecutedWithPrice) -> ControlFlow<()> {
        let (shares, number) = (done.executed_shares(), done.match_number());
        let (printable, price) = (done.printable(), done.execution_price().into_u32());
        look_at!(self, head!(done), done.order_reference_number(), shares, number, printable, price)
    }

    fn on_order_cancel(&mut self, cancel: &m::OrderCancel) -> ControlFlow<()> {
        look_at!(self, head!(cancel), cancel.order_reference_number(), cancel.cancelled_shares())
    }

    fn on_order_delete(&mut self, delete: &m::OrderDelete) -> ControlFlow<()> {
        look_at!(self, head!(delete), delete.order_reference_number())
    }

    fn on_order_replace(&mut self, replace: &m::OrderReplace) -> ControlFlow<()> {
        let (old, new) = (replace.original_order_reference_number(), replace.new_order_reference_number());
        look_at!(self, head!(replace), old, new, replace.shares(), replace.price().into_u32())
    }

    fn on_trade(&mut self, trade: &m::Trade) -> ControlFlow<()> {
        let (side, shares, price) = (trade.buy_sell_indicator(), trade.shares(), trade.price().into_u32());
        let (reference, number) = (trade.order_reference_number(), trade.match_number());
        look_at!(self, head!(trade), reference, side, shares, *trade.stock(), price, number)
    }

    fn on_net_order_imbalance_indicator(
        &mut self,
        imbalance: &m::NetOrderImbalanceIndicator,
    ) -> ControlFlow<()> {
        look_at!(self, head!(imbalance), 0)
    }

    fn on_system_event(&mut self, event: &m::SystemEvent) -> ControlFlow<()> {
        look_at!(self, head!(event), 0)
    }

    fn on_stock_directory(&mut self, directory: &m::StockDirectory) -> ControlFlow<()> {
        look_at!(self, head!(directory), 0)
    }

    fn on_stock_trading_action(&mut self, action: &m::StockTradingAction) -> ControlFlow<()> {
        look_at!(self, head!(action), 0)
    }
}

impl Contestant for Overlay {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for packet in packets {
            if Parser::new(packet.body()).parse_stream(&mut self.fields).is_err() {
                return;
            }
        }
    }

    fn complaint(&self) -> Option<String> {
        missed(self.fields.seen, self.expected)
    }
}

struct Nom {
    seen: u64,
    expected: u64,
}

/// The bodies of packets, as this decoder wants them: to be read.
struct Bodies<'p, 'a> {
    packets: &'p [Packet<'a>],
    rest: &'a [u8],
}

impl Read for Bodies<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            if self.rest.is_empty() {
                let Some((first, others)) = self.packets.split_first() else { break };
                (self.rest, self.packets) = (first.body(), others);
            }
            filled += self.rest.read(&mut into[filled..])?;
        }
        Ok(filled)
    }
}

impl Contestant for Nom {
    fn burst(&mut self, packets: &[Packet<'_>]) {
        for message in MessageStream::from_reader(Bodies { packets, rest: &[] }) {
            let Ok(message) = message else { return };
            black_box(&message);
            self.seen += 1;
        }
    }

    fn complaint(&self) -> Option<String> {
        missed(self.seen, self.expected)
    }
}
