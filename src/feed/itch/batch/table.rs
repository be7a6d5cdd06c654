//! What becomes of each byte: one [`Map`] for each of the seven types, made at compile time from the layouts of
//! [`crate::wire::itch`] and the fields of [`OrderMessage`]. Every path takes its own tables from these.

use std::mem::offset_of;

use crate::market::OrderMessage;
use crate::wire::itch::{
    AddOrder, AddOrderMpid, Message, OrderCancel, OrderDelete, OrderExecuted, OrderExecutedWithPrice,
    OrderReplace,
};
use crate::wire::{Field, FieldKind};

/// Bytes that any of the seven types may have: as many must be readable where a path reads a fixed number.
pub(super) const WINDOW: usize = AddOrderMpid::LEN;

/// Number of [`Class`]es.
pub(super) const CLASSES: usize = 8;

/// The row of every table that a block chooses. As wide as an index, which saves widening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Class {
    /// No order message, or none that is valid.
    None = 0,
    Add,
    AddMpid,
    Execute,
    ExecutePriced,
    Cancel,
    Delete,
    Replace,
}

impl Class {
    const ORDERS: [Self; CLASSES - 1] = [
        Self::Add,
        Self::AddMpid,
        Self::Execute,
        Self::ExecutePriced,
        Self::Cancel,
        Self::Delete,
        Self::Replace,
    ];

    const fn message_type(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Add => AddOrder::TYPE,
            Self::AddMpid => AddOrderMpid::TYPE,
            Self::Execute => OrderExecuted::TYPE,
            Self::ExecutePriced => OrderExecutedWithPrice::TYPE,
            Self::Cancel => OrderCancel::TYPE,
            Self::Delete => OrderDelete::TYPE,
            Self::Replace => OrderReplace::TYPE,
        }
    }
}

/// All that a path looks up.
///
/// Paths hold a reference to theirs, of which the compiler knows nothing: it then keeps the one address in a register,
/// where it would else compute those of single tables again and again.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Tables<R> {
    /// By class: what is done to the bytes.
    pub(super) rows: [R; CLASSES],
    choice: Choice,
}

impl<R> Tables<R> {
    pub(super) const fn new(rows: [R; CLASSES]) -> Self {
        Self { rows, choice: Choice::new() }
    }

    /// The row of a block: by type byte, length and side. `window` has its first bytes, and others where it is shorter.
    ///
    /// Which type it is, is never asked by a branch. Branches ask only for what never is: another length than a type has
    /// (those that make no record included), or a side that is none.
    #[inline(always)]
    pub(super) fn row<const N: usize>(&self, len: usize, window: &[u8; N]) -> &R {
        const { assert!(N > SIDE) };
        let choice = &self.choice;
        let message_type = usize::from(window[0]);
        let class = choice.class[message_type];
        let fits = choice.len[message_type] == len
            && choice.sided[usize::from(window[SIDE])] >> class as u8 & 1 != 0;
        &self.rows[if fits { class } else { none() } as usize]
    }
}

/// Apart, or the compiler would make a conditional move of the branch, and have everything wait for the checks.
#[cold]
#[inline(never)]
const fn none() -> Class {
    Class::None
}

/// Where orders that are added have their side.
pub(super) const SIDE: usize = offset(AddOrder::LAYOUT, "side");

/// What chooses the class.
#[derive(Debug)]
struct Choice {
    /// By type byte.
    class: [Class; 256],
    /// By type byte: the length that a block must have. Unknown types have one that no block has.
    len: [usize; 256],
    /// By the byte at [`SIDE`], bit `class`: that class may have this side, or has something else there.
    sided: [u8; 256],
}

impl Choice {
    const fn new() -> Self {
        let mut choice = Self { class: [Class::None; 256], len: [usize::MAX; 256], sided: [0; 256] };
        let mut i = 0;
        while i < Message::LAYOUTS.len() {
            let (_, message_type, len, _) = Message::LAYOUTS[i];
            choice.len[message_type as usize] = len;
            i += 1;
        }
        let mut sides = 0;
        let mut i = 0;
        while i < Class::ORDERS.len() {
            let class = Class::ORDERS[i];
            choice.class[class.message_type() as usize] = class;
            match MAPS[class as usize].from[offset_of!(OrderMessage, side)] {
                NOWHERE => {}
                side => {
                    assert!(side as usize == SIDE);
                    sides |= 1 << class as u8;
                }
            }
            i += 1;
        }
        choice.sided = [!sides; 256];
        choice.sided[b'B' as usize] = u8::MAX;
        choice.sided[b'S' as usize] = u8::MAX;
        choice
    }
}

/// [`Map::from`] of a byte that does not come from the block.
pub(super) const NOWHERE: u8 = u8::MAX;

/// Where each byte of a record comes from, on a little-endian machine.
#[derive(Clone, Copy)]
pub(super) struct Map {
    /// Length of the block.
    pub(super) len: u8,
    /// Byte of the block, or [`NOWHERE`].
    pub(super) from: [u8; 64],
    /// What the byte is, where it comes from nowhere; else zero.
    pub(super) fixed: [u8; 64],
}

/// By class.
pub(super) const MAPS: [Map; CLASSES] = {
    const SHARES: Fixed = Fixed { at: offset_of!(OrderMessage, shares), bytes: &[u8::MAX; 4] };
    const PRINTS: Fixed = Fixed { at: offset_of!(OrderMessage, printable), bytes: b"Y" };
    [
        Map { len: 0, from: [NOWHERE; 64], fixed: [0; 64] },
        map(OrderMessage::ADD, AddOrder::LAYOUT, &[]),
        map(OrderMessage::ADD, AddOrderMpid::LAYOUT, &[]),
        map(OrderMessage::EXECUTE, OrderExecuted::LAYOUT, &[PRINTS]),
        map(OrderMessage::EXECUTE_PRICED, OrderExecutedWithPrice::LAYOUT, &[]),
        map(OrderMessage::CANCEL, OrderCancel::LAYOUT, &[]),
        map(OrderMessage::DELETE, OrderDelete::LAYOUT, &[SHARES]),
        map(OrderMessage::REPLACE, OrderReplace::LAYOUT, &[]),
    ]
};

/// Bytes that a class gives its records.
struct Fixed {
    at: usize,
    bytes: &'static [u8],
}

/// Names of a field in the layouts, its offset in a record, and its width there.
type Place = (&'static [&'static str], usize, usize);

macro_rules! place {
    ($field:ident : $width:literal from $($name:literal)|+) => {
        (&[$($name),+], offset_of!(OrderMessage, $field), $width)
    };
}

const PLACES: &[Place] = &[
    place!(order_ref: 8 from "order_ref" | "orig_order_ref"),
    place!(new_order_ref: 8 from "new_order_ref"),
    place!(timestamp: 8 from "timestamp"),
    place!(shares: 4 from "shares" | "executed_shares" | "cancelled_shares"),
    place!(price: 4 from "price" | "execution_price"),
    place!(locate: 2 from "stock_locate"),
    place!(tracking: 2 from "tracking_number"),
    place!(side: 1 from "side"),
    place!(printable: 1 from "printable"),
    place!(match_number: 8 from "match_number"),
    place!(symbol: 8 from "stock"),
    place!(attribution: 4 from "attribution"),
];

/// The map of one layout: every field of it has its place, or this does not compile.
const fn map(kind: u8, layout: &[Field], constants: &[Fixed]) -> Map {
    let mut map = Map { len: 0, from: [NOWHERE; 64], fixed: [0; 64] };
    // Field 0 is the type byte.
    let mut i = 1;
    while i < layout.len() {
        let field = &layout[i];
        let (_, at, width) = place_of(field.name);
        assert!(field.len <= width, "a field is wider than its place");
        let mut byte = 0;
        while byte < field.len {
            let text = matches!(field.kind, FieldKind::Alpha);
            let from = if text { byte } else { field.len - 1 - byte };
            map.from[at + byte] = (field.offset + from) as u8;
            byte += 1;
        }
        map.len = (field.offset + field.len) as u8;
        i += 1;
    }
    map.fixed[offset_of!(OrderMessage, kind)] = kind;
    let mut i = 0;
    while i < constants.len() {
        let Fixed { at, bytes } = constants[i];
        let mut byte = 0;
        while byte < bytes.len() {
            assert!(map.from[at + byte] == NOWHERE, "a constant where a field stands");
            map.fixed[at + byte] = bytes[byte];
            byte += 1;
        }
        i += 1;
    }
    map
}

const fn place_of(field: &str) -> Place {
    let mut i = 0;
    loop {
        assert!(i < PLACES.len(), "a field of the layouts has no place in a record");
        let names = PLACES[i].0;
        let mut name = 0;
        while name < names.len() {
            if equal(names[name].as_bytes(), field.as_bytes()) {
                return PLACES[i];
            }
            name += 1;
        }
        i += 1;
    }
}

const fn equal(left: &[u8], right: &[u8]) -> bool {
    let mut same = left.len() == right.len();
    let mut i = 0;
    while same && i < left.len() {
        same = left[i] == right[i];
        i += 1;
    }
    same
}

/// Where a field of a layout begins.
pub(super) const fn offset(layout: &[Field], name: &str) -> usize {
    let mut i = 0;
    loop {
        assert!(i < layout.len(), "no such field");
        if equal(layout[i].name.as_bytes(), name.as_bytes()) {
            return layout[i].offset;
        }
        i += 1;
    }
}

/// `bytes`, padded with zeros to a window: for the last blocks of a packet, behind which there is not enough.
#[cold]
#[inline(never)]
pub(super) fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut window = [0; N];
    for (to, from) in window.iter_mut().zip(bytes) {
        *to = *from;
    }
    window
}
