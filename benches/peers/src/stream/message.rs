//! The messages of a stream as TotalView-ITCH 5.0 (document of 2026-02-19) lays them out, each behind its length.

/// What all messages begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// 0: none in particular.
    pub(super) locate: u16,
    /// ns since midnight.
    pub(super) timestamp: u64,
}

/// An order in the units of the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewOrder {
    pub(super) order_ref: u64,
    /// `B` or `S`.
    pub(super) side: u8,
    pub(super) shares: u32,
    pub(super) stock: [u8; 8],
    pub(super) price: u32,
}

/// A message of `N` bytes with its length before it.
#[derive(Debug)]
struct Message<const N: usize> {
    bytes: [u8; 52],
}

impl<const N: usize> Message<N> {
    #[inline]
    fn new(kind: u8, header: Header) -> Self {
        const { assert!(N <= 50) };
        let mut message = Self { bytes: [0; 52] };
        message.bytes[..2].copy_from_slice(&(N as u16).to_be_bytes());
        message.with(0, [kind]).with(1, header.locate.to_be_bytes()).time(header.timestamp)
    }

    #[inline]
    fn with<const W: usize>(mut self, offset: usize, field: [u8; W]) -> Self {
        self.bytes[2 + offset..2 + offset + W].copy_from_slice(&field);
        self
    }

    #[inline]
    fn time(self, timestamp: u64) -> Self {
        let [_, _, time @ ..] = timestamp.to_be_bytes();
        self.with(5, time)
    }

    #[inline]
    fn append(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..2 + N]);
    }
}

pub(super) fn system_event(out: &mut Vec<u8>, header: Header, code: u8) {
    Message::<12>::new(b'S', header).with(11, [code]).append(out);
}

/// A common stock of the Nasdaq Capital Market, traded in lots of 100.
pub(super) fn directory(out: &mut Vec<u8>, header: Header, stock: [u8; 8]) {
    Message::<39>::new(b'R', header)
        .with(11, stock)
        .with(19, *b"SN")
        .with(21, 100_u32.to_be_bytes())
        .with(25, *b"NCZ PNN1N")
        .with(38, *b"N")
        .append(out);
}

pub(super) fn trades(out: &mut Vec<u8>, header: Header, stock: [u8; 8]) {
    Message::<25>::new(b'H', header).with(11, stock).with(19, *b"T     ").append(out);
}

#[inline]
pub(super) fn add(out: &mut Vec<u8>, header: Header, order: &NewOrder) {
    joining::<36>(b'A', header, order).append(out);
}

#[inline]
pub(super) fn add_attributed(out: &mut Vec<u8>, header: Header, order: &NewOrder, mpid: [u8; 4]) {
    joining::<40>(b'F', header, order).with(36, mpid).append(out);
}

#[inline]
fn joining<const N: usize>(kind: u8, header: Header, order: &NewOrder) -> Message<N> {
    Message::new(kind, header)
        .with(11, order.order_ref.to_be_bytes())
        .with(19, [order.side])
        .with(20, order.shares.to_be_bytes())
        .with(24, order.stock)
        .with(32, order.price.to_be_bytes())
}

#[inline]
pub(super) fn execute(out: &mut Vec<u8>, header: Header, order_ref: u64, shares: u32, match_number: u64) {
    executed::<31>(b'E', header, order_ref, shares, match_number).append(out);
}

#[inline]
pub(super) fn execute_priced(
    out: &mut Vec<u8>,
    header: Header,
    order_ref: u64,
    shares: u32,
    (match_number, price): (u64, u32),
) {
    executed::<36>(b'C', header, order_ref, shares, match_number)
        .with(31, *b"Y")
        .with(32, price.to_be_bytes())
        .append(out);
}

#[inline]
fn executed<const N: usize>(
    kind: u8,
    header: Header,
    order_ref: u64,
    shares: u32,
    match_number: u64,
) -> Message<N> {
    Message::new(kind, header)
        .with(11, order_ref.to_be_bytes())
        .with(19, shares.to_be_bytes())
        .with(23, match_number.to_be_bytes())
}

#[inline]
pub(super) fn cancel(out: &mut Vec<u8>, header: Header, order_ref: u64, shares: u32) {
    Message::<23>::new(b'X', header)
        .with(11, order_ref.to_be_bytes())
        .with(19, shares.to_be_bytes())
        .append(out);
}

#[inline]
pub(super) fn delete(out: &mut Vec<u8>, header: Header, order_ref: u64) {
    Message::<19>::new(b'D', header).with(11, order_ref.to_be_bytes()).append(out);
}

/// `order` replaces the order `old`; side and stock are not said.
#[inline]
pub(super) fn replace(out: &mut Vec<u8>, header: Header, old: u64, order: &NewOrder) {
    Message::<35>::new(b'U', header)
        .with(11, old.to_be_bytes())
        .with(19, order.order_ref.to_be_bytes())
        .with(27, order.shares.to_be_bytes())
        .with(31, order.price.to_be_bytes())
        .append(out);
}

/// A trade against an order that was not displayed.
pub(super) fn trade(out: &mut Vec<u8>, header: Header, stock: [u8; 8], price: u32, match_number: u64) {
    Message::<44>::new(b'P', header)
        .with(19, *b"B")
        .with(20, 100_u32.to_be_bytes())
        .with(24, stock)
        .with(32, price.to_be_bytes())
        .with(36, match_number.to_be_bytes())
        .append(out);
}

/// No imbalance that could be computed.
pub(super) fn imbalance(out: &mut Vec<u8>, header: Header, stock: [u8; 8]) {
    Message::<50>::new(b'I', header).with(27, *b"O").with(28, stock).with(48, *b"OL").append(out);
}
