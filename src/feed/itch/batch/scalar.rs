//! Any processor: each field from its place in the block, and zero by a mask where the class does not have it.
//!
//! Only shares and price stand at different places in different types. All other fields that two types share stand at
//! the same one, which is asserted below.

use super::table::{CLASSES, MAPS, Map, NOWHERE, Tables, WINDOW};
use super::{Lines, fill_with};
use crate::market::{OrderMessage, Price, Symbol};
use crate::wire::layout::{chunk, u48};
use crate::wire::moldudp64::Blocks;

/// This path, which every processor has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Any(&'static Tables<Row>);

impl Any {
    pub(super) const fn new() -> Self {
        Self(&TABLES)
    }

    /// As [`fill_with`]; number of blocks taken.
    pub(super) fn fill(self, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
        fill(self.0, lines, blocks)
    }
}

/// Places of the fields that have one place only, from the type byte.
mod at {
    use super::super::table::offset;
    use crate::wire::itch::{AddOrderMpid, OrderExecutedWithPrice, OrderReplace};

    pub(super) const LOCATE: usize = offset(AddOrderMpid::LAYOUT, "stock_locate");
    pub(super) const TRACKING: usize = offset(AddOrderMpid::LAYOUT, "tracking_number");
    pub(super) const TIMESTAMP: usize = offset(AddOrderMpid::LAYOUT, "timestamp");
    pub(super) const ORDER_REF: usize = offset(AddOrderMpid::LAYOUT, "order_ref");
    pub(super) const SIDE: usize = offset(AddOrderMpid::LAYOUT, "side");
    pub(super) const SYMBOL: usize = offset(AddOrderMpid::LAYOUT, "stock");
    pub(super) const ATTRIBUTION: usize = offset(AddOrderMpid::LAYOUT, "attribution");
    pub(super) const NEW_ORDER_REF: usize = offset(OrderReplace::LAYOUT, "new_order_ref");
    pub(super) const MATCH_NUMBER: usize = offset(OrderExecutedWithPrice::LAYOUT, "match_number");
    pub(super) const PRINTABLE: usize = offset(OrderExecutedWithPrice::LAYOUT, "printable");
}

/// What a class does to its blocks: where shares and price stand, what is kept, what is set.
#[derive(Debug)]
#[repr(C, align(64))]
struct Row {
    all: u64,
    new_order_ref: u64,
    match_number: u64,
    symbol: u64,
    price: u32,
    attribution: u32,
    shares: u32,
    shares_fixed: u32,
    /// Where shares and price begin, from [`TAIL`] on.
    shares_at: u8,
    price_at: u8,
    kind: u8,
    side: u8,
    printable: u8,
    printable_fixed: u8,
}

/// Where the fields after the order's reference begin.
const TAIL: usize = at::SIDE;
/// No field begins further behind [`TAIL`]: so four bytes from there are always in the window.
const FURTHEST: usize = 15;
const _: () = assert!(TAIL + FURTHEST + 4 <= WINDOW);

static TABLES: Tables<Row> = {
    let mut rows = [const { row(&MAPS[0]) }; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        rows[class] = row(&MAPS[class]);
        class += 1;
    }
    Tables::new(rows)
};

const fn row(map: &Map) -> Row {
    use std::mem::offset_of;
    const fn mask(there: bool) -> u64 {
        if there { u64::MAX } else { 0 }
    }
    /// The record's number of four bytes: whether the block has it, and where.
    const fn number(map: &Map, to: usize) -> (u64, u8) {
        let first = map.from[to + 3];
        if first == NOWHERE {
            return (0, 0);
        }
        assert!(first as usize >= TAIL && first as usize <= TAIL + FURTHEST);
        (u64::MAX, first - TAIL as u8)
    }
    /// Whether the block has the field, which then begins at `place`: a number's first byte is the record's last.
    const fn fixed_place(map: &Map, to: usize, place: usize) -> u64 {
        assert!(map.from[to] == NOWHERE || map.from[to] as usize == place);
        mask(map.from[to] != NOWHERE)
    }
    let all = fixed_place(map, offset_of!(OrderMessage, order_ref) + 7, at::ORDER_REF);
    assert!(all == fixed_place(map, offset_of!(OrderMessage, timestamp) + 5, at::TIMESTAMP));
    assert!(all == fixed_place(map, offset_of!(OrderMessage, locate) + 1, at::LOCATE));
    assert!(all == fixed_place(map, offset_of!(OrderMessage, tracking) + 1, at::TRACKING));
    let (shares, shares_at) = number(map, offset_of!(OrderMessage, shares));
    let (price, price_at) = number(map, offset_of!(OrderMessage, price));
    let shares_fixed = map.fixed[offset_of!(OrderMessage, shares)];
    Row {
        all,
        new_order_ref: fixed_place(map, offset_of!(OrderMessage, new_order_ref) + 7, at::NEW_ORDER_REF),
        match_number: fixed_place(map, offset_of!(OrderMessage, match_number) + 7, at::MATCH_NUMBER),
        symbol: fixed_place(map, offset_of!(OrderMessage, symbol), at::SYMBOL),
        attribution: fixed_place(map, offset_of!(OrderMessage, attribution), at::ATTRIBUTION) as u32,
        price: price as u32,
        shares: shares as u32,
        shares_fixed: u32::from_ne_bytes([shares_fixed; 4]),
        shares_at,
        price_at,
        kind: map.fixed[offset_of!(OrderMessage, kind)],
        side: fixed_place(map, offset_of!(OrderMessage, side), at::SIDE) as u8,
        printable: fixed_place(map, offset_of!(OrderMessage, printable), at::PRINTABLE) as u8,
        printable_fixed: map.fixed[offset_of!(OrderMessage, printable)],
    }
}

fn fill(tables: &Tables<Row>, lines: &mut Lines, blocks: &mut Blocks<'_>) -> usize {
    fill_with(tables, lines, blocks, |row, _, block: &[u8; WINDOW], record| {
        *record = OrderMessage {
            order_ref: u64::from_be_bytes(chunk(block, at::ORDER_REF)) & row.all,
            new_order_ref: u64::from_be_bytes(chunk(block, at::NEW_ORDER_REF)) & row.new_order_ref,
            timestamp: u48(chunk(block, at::TIMESTAMP)) & row.all,
            shares: number_at(block, row.shares_at) & row.shares | row.shares_fixed,
            price: Price(number_at(block, row.price_at) & row.price),
            locate: u16::from_be_bytes(chunk(block, at::LOCATE)) & row.all as u16,
            tracking: u16::from_be_bytes(chunk(block, at::TRACKING)) & row.all as u16,
            kind: row.kind,
            side: block[at::SIDE] & row.side,
            printable: block[at::PRINTABLE] & row.printable | row.printable_fixed,
            pad: 0,
            match_number: u64::from_be_bytes(chunk(block, at::MATCH_NUMBER)) & row.match_number,
            symbol: Symbol((u64::from_ne_bytes(chunk(block, at::SYMBOL)) & row.symbol).to_ne_bytes()),
            attribution: (u32::from_ne_bytes(chunk(block, at::ATTRIBUTION)) & row.attribution).to_ne_bytes(),
            pad2: [0; 4],
        };
    })
}

/// Four bytes from `at` behind [`TAIL`], which is at most [`FURTHEST`].
#[inline(always)]
fn number_at(block: &[u8; WINDOW], at: u8) -> u32 {
    let at = TAIL + (usize::from(at) & FURTHEST);
    let bytes = block.get(at..).and_then(<[u8]>::first_chunk);
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
