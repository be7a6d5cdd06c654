//! What becomes of each byte: one [`Map`] for each of the seven types, made at compile time from the layouts of
//! [`crate::wire::itch`] and the fields of [`OrderMessage`]. Every path takes its own tables from these.

use std::hint::select_unpredictable;
use std::mem::offset_of;

use crate::market::OrderMessage;
use crate::wire::itch::{
    AddOrder, AddOrderMpid, OrderCancel, OrderDelete, OrderExecuted, OrderExecutedWithPrice, OrderReplace,
};
use crate::wire::{Field, FieldKind};

/// Bytes that any of the seven types may have: as many must be readable where a path reads a fixed number.
pub(super) const WINDOW: usize = AddOrderMpid::LEN;

/// Number of [`Class`]es.
pub(super) const CLASSES: usize = 8;

/// The row of every table that a block chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// No order message, or one of a wrong length.
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

    /// By type byte, length and side.
    #[inline(always)]
    pub(super) fn of(block: &[u8]) -> Self {
        let Some(&message_type) = block.first() else { return Self::None };
        let class = CHOICE.class[usize::from(message_type)];
        // Other types come at random times as well: no branch. That a side is wrong can be one, it never happens.
        let fits = usize::from(CHOICE.len[class as usize]) == block.len();
        let class = select_unpredictable(fits, class, Self::None);
        let Some(&guard) = block.get(usize::from(CHOICE.guard[class as usize])) else { return Self::None };
        if CHOICE.guarded[usize::from(guard)] >> class as u8 & 1 == 0 {
            return Self::None;
        }
        class
    }

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

/// What chooses the class.
struct Choice {
    /// By type byte.
    class: [Class; 256],
    /// By the value of the guard byte: bit `class`, if that class may have it.
    guarded: [u8; 256],
    /// Length that blocks of a class have.
    len: [u8; CLASSES],
    /// Which byte of its blocks is the guard: the side, where there is one, else the type byte itself, which is right.
    guard: [u8; CLASSES],
}

static CHOICE: Choice = {
    // Anything is no order message.
    let mut choice =
        Choice { class: [Class::None; 256], guarded: [1; 256], len: [0; CLASSES], guard: [0; CLASSES] };
    let mut i = 0;
    while i < Class::ORDERS.len() {
        let class = Class::ORDERS[i];
        let (row, map) = (class as usize, &MAPS[class as usize]);
        choice.class[class.message_type() as usize] = class;
        choice.len[row] = map.len;
        match map.from[offset_of!(OrderMessage, side)] {
            NOWHERE => choice.guarded[class.message_type() as usize] |= 1 << row,
            side => {
                choice.guard[row] = side;
                choice.guarded[b'B' as usize] |= 1 << row;
                choice.guarded[b'S' as usize] |= 1 << row;
            }
        }
        i += 1;
    }
    choice
};

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
    while i < PLACES.len() {
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
    panic!("a field of the layouts has no place in a record")
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
    while i < layout.len() {
        if equal(layout[i].name.as_bytes(), name.as_bytes()) {
            return layout[i].offset;
        }
        i += 1;
    }
    panic!("no such field")
}

/// The bytes from a block on as a window: its own and those behind it; or, near the end of the packet, a copy padded
/// with zeros.
#[inline(always)]
pub(super) fn window<'w>(bytes: &'w [u8], pad: &'w mut [u8; WINDOW]) -> &'w [u8; WINDOW] {
    match bytes.first_chunk() {
        Some(window) => window,
        None => {
            padded(bytes, pad);
            pad
        }
    }
}

#[cold]
#[inline(never)]
fn padded(bytes: &[u8], pad: &mut [u8; WINDOW]) {
    pad.fill(0);
    for (to, from) in pad.iter_mut().zip(bytes) {
        *to = *from;
    }
}
