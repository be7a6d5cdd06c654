//! TotalView-ITCH 5.0 messages as the exchange writes them (Nasdaq document of 2026-02-19).
//!
//! This crate's own encoder: it shares nothing with the decoders it feeds. Each function returns the whole message;
//! integers are big-endian, symbols are padded with spaces, prices are 1/10,000 dollars, times ns since midnight.

use crate::units::{Side, Symbol};

/// What every message begins with after its type.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// Instrument, 0 for none.
    pub locate: u16,
    /// The exchange's internal tracking number.
    pub tracking: u16,
    /// Ns since local midnight; 48 bits are sent.
    pub time: u64,
}

/// The longest message, NOII.
pub const MAX_LEN: usize = 50;

/// Fills an array from front to back.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
}

impl<const N: usize> Writer<N> {
    #[inline(always)]
    fn new(kind: u8, stamp: Stamp) -> Self {
        let mut writer = Self { bytes: [0; N], at: 0 };
        let time = stamp.time.to_be_bytes();
        writer.put([kind]).put(stamp.locate.to_be_bytes()).put(stamp.tracking.to_be_bytes());
        writer.put([time[2], time[3], time[4], time[5], time[6], time[7]]);
        writer
    }

    #[inline(always)]
    fn put<const M: usize>(&mut self, field: [u8; M]) -> &mut Self {
        // Every length is a constant, so a message that does not fit fails in the first test that builds it.
        self.bytes[self.at..self.at + M].copy_from_slice(&field);
        self.at += M;
        self
    }

    #[inline(always)]
    fn end(&self) -> [u8; N] {
        debug_assert_eq!(self.at, N, "fields fill the message");
        self.bytes
    }
}

/// `S`: `O` start of messages, `S` system hours, `Q` market hours, `M`, `E`, `C` their ends.
#[must_use]
pub fn system_event(stamp: Stamp, code: u8) -> [u8; 12] {
    Writer::new(b'S', stamp).put([code]).end()
}

/// What `R` says of an instrument. The rest is the same for all: a common stock of the top tier, round lots of 100.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Ticker.
    pub stock: Symbol,
    /// `Y` comes to the market today, `Z` the same but not by an IPO, `N` neither.
    pub ipo: u8,
}

/// `R`: one line of the directory.
#[must_use]
pub fn directory(stamp: Stamp, listing: &Listing) -> [u8; 39] {
    let mut message = Writer::new(b'R', stamp);
    message.put(listing.stock.0).put([b'Q', b'N']).put(100u32.to_be_bytes()).put([b'N', b'C']).put(*b"Z ");
    message.put([b'P', b'N', listing.ipo, b'1', b'N']).put(0u32.to_be_bytes()).put([b'N']).end()
}

/// `H`: the trading state (`H` halted, `P` paused, `Q` quotation only, `T` trading) and its reason.
#[must_use]
pub fn trading_action(stamp: Stamp, stock: Symbol, state: u8, reason: [u8; 4]) -> [u8; 25] {
    Writer::new(b'H', stamp).put(stock.0).put([state, b' ']).put(reason).end()
}

/// `Y`: short-sale price test, `0` none.
#[must_use]
pub fn reg_sho(stamp: Stamp, stock: Symbol, action: u8) -> [u8; 20] {
    Writer::new(b'Y', stamp).put(stock.0).put([action]).end()
}

/// `L`: a primary market maker's registration in one stock, `A` active, `E` excused, `W` withdrawn, …
#[must_use]
pub fn participant_position(stamp: Stamp, mpid: [u8; 4], stock: Symbol, state: u8) -> [u8; 26] {
    Writer::new(b'L', stamp).put(mpid).put(stock.0).put([b'Y', b'N', state]).end()
}

/// `V`: the three market-wide decline levels, with **eight** implied decimals.
#[must_use]
pub fn decline_levels(stamp: Stamp, levels: [u64; 3]) -> [u8; 35] {
    let mut message = Writer::new(b'V', stamp);
    for level in levels {
        message.put(level.to_be_bytes());
    }
    message.end()
}

/// `W`: a market-wide decline level was breached, `1` to `3`.
#[must_use]
pub fn breaker(stamp: Stamp, level: u8) -> [u8; 12] {
    Writer::new(b'W', stamp).put([level]).end()
}

/// `K`: when a new issue is expected to be released for quotation (seconds since midnight) and its price; `None` when
/// that is put off.
#[must_use]
pub fn ipo_release(stamp: Stamp, stock: Symbol, expected: Option<(u32, u32)>) -> [u8; 28] {
    let (time, price) = expected.unwrap_or_default();
    let mut message = Writer::new(b'K', stamp);
    message.put(stock.0).put(time.to_be_bytes());
    message.put([if expected.is_some() { b'A' } else { b'C' }]).put(price.to_be_bytes()).end()
}

/// `J`: the collar (upper, lower) of a volatility auction, and how often it was extended.
#[must_use]
pub fn auction_collar(
    stamp: Stamp,
    stock: Symbol,
    reference: u32,
    (upper, lower): (u32, u32),
    extension: u32,
) -> [u8; 35] {
    let mut message = Writer::new(b'J', stamp);
    message.put(stock.0).put(reference.to_be_bytes()).put(upper.to_be_bytes()).put(lower.to_be_bytes());
    message.put(extension.to_be_bytes()).end()
}

/// What `O` says of a direct listing with a capital raise.
#[derive(Clone, Copy, Debug)]
pub struct Offering {
    /// Ticker.
    pub stock: Symbol,
    /// May it open at the prices below?
    pub eligible: bool,
    /// Lowest price that it may open at.
    pub least: u32,
    /// Highest price that it may open at.
    pub most: u32,
    /// Where it would open now; 0 when it would not.
    pub near: u32,
    /// When that was found, ns since midnight; 0 when it was not.
    pub near_time: u64,
    /// Lower end of the auction's collar.
    pub lower: u32,
    /// Upper end of it.
    pub upper: u32,
}

/// `O`: a direct listing with a capital raise.
#[must_use]
pub fn direct_listing(stamp: Stamp, offering: &Offering) -> [u8; 48] {
    let Offering { stock, eligible, least, most, near, near_time, lower, upper } = *offering;
    let mut message = Writer::new(b'O', stamp);
    message.put(stock.0).put([if eligible { b'Y' } else { b'N' }]).put(least.to_be_bytes());
    message.put(most.to_be_bytes()).put(near.to_be_bytes()).put(near_time.to_be_bytes());
    message.put(lower.to_be_bytes()).put(upper.to_be_bytes()).end()
}

/// `h`: an operational halt of one market (`Q` this one, `B` and `X` its sisters), `H` halted or `T` lifted.
#[must_use]
pub fn operational_halt(stamp: Stamp, stock: Symbol, market: u8, action: u8) -> [u8; 21] {
    Writer::new(b'h', stamp).put(stock.0).put([market, action]).end()
}

/// `N`: retail interest, `B` to buy, `S` to sell, `A` both, `N` none.
#[must_use]
pub fn retail_interest(stamp: Stamp, stock: Symbol, interest: u8) -> [u8; 20] {
    Writer::new(b'N', stamp).put(stock.0).put([interest]).end()
}

/// What `A` and `F` say of a new displayed order.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    /// Day-unique reference.
    pub order_ref: u64,
    /// Side.
    pub side: Side,
    /// Displayed shares.
    pub shares: u32,
    /// Ticker.
    pub stock: Symbol,
    /// Display price.
    pub price: u32,
}

#[inline(always)]
fn put_order<const N: usize>(message: &mut Writer<N>, order: &NewOrder) {
    message.put(order.order_ref.to_be_bytes()).put([order.side.code()]).put(order.shares.to_be_bytes());
    message.put(order.stock.0).put(order.price.to_be_bytes());
}

/// `A`: a new order.
#[must_use]
pub fn add(stamp: Stamp, order: &NewOrder) -> [u8; 36] {
    let mut message = Writer::new(b'A', stamp);
    put_order(&mut message, order);
    message.end()
}

/// `F`: a new order that names its market participant.
#[must_use]
pub fn add_attributed(stamp: Stamp, order: &NewOrder, mpid: [u8; 4]) -> [u8; 40] {
    let mut message = Writer::new(b'F', stamp);
    put_order(&mut message, order);
    message.put(mpid).end()
}

/// `E`: executed at its display price.
#[must_use]
pub fn executed(stamp: Stamp, order_ref: u64, shares: u32, match_number: u64) -> [u8; 31] {
    let mut message = Writer::new(b'E', stamp);
    message.put(order_ref.to_be_bytes()).put(shares.to_be_bytes()).put(match_number.to_be_bytes()).end()
}

/// `C`: executed at another price; not `printable` means that it counts into no volume.
#[must_use]
pub fn executed_with_price(
    stamp: Stamp,
    order_ref: u64,
    shares: u32,
    match_number: u64,
    printable: bool,
    price: u32,
) -> [u8; 36] {
    let mut message = Writer::new(b'C', stamp);
    message.put(order_ref.to_be_bytes()).put(shares.to_be_bytes()).put(match_number.to_be_bytes());
    message.put([if printable { b'Y' } else { b'N' }]).put(price.to_be_bytes()).end()
}

/// `X`: so many shares fewer, priority kept.
#[must_use]
pub fn cancelled(stamp: Stamp, order_ref: u64, shares: u32) -> [u8; 23] {
    Writer::new(b'X', stamp).put(order_ref.to_be_bytes()).put(shares.to_be_bytes()).end()
}

/// `D`: gone.
#[must_use]
pub fn deleted(stamp: Stamp, order_ref: u64) -> [u8; 19] {
    Writer::new(b'D', stamp).put(order_ref.to_be_bytes()).end()
}

/// `U`: the old order gone, a new one at the back of its queue.
#[must_use]
pub fn replaced(stamp: Stamp, old_ref: u64, new_ref: u64, shares: u32, price: u32) -> [u8; 35] {
    let mut message = Writer::new(b'U', stamp);
    message.put(old_ref.to_be_bytes()).put(new_ref.to_be_bytes());
    message.put(shares.to_be_bytes()).put(price.to_be_bytes()).end()
}

/// `P`: a trade against an order that was never displayed. No reference; the side is always `B`.
#[must_use]
pub fn trade(stamp: Stamp, shares: u32, stock: Symbol, price: u32, match_number: u64) -> [u8; 44] {
    let mut message = Writer::new(b'P', stamp);
    message.put(0u64.to_be_bytes()).put([b'B']).put(shares.to_be_bytes()).put(stock.0);
    message.put(price.to_be_bytes()).put(match_number.to_be_bytes()).end()
}

/// `Q`: a cross, `O` opening, `C` closing, `H` after a halt and of a new issue. The shares may be none.
#[must_use]
pub fn cross(stamp: Stamp, shares: u64, stock: Symbol, price: u32, match_number: u64, kind: u8) -> [u8; 40] {
    let mut message = Writer::new(b'Q', stamp);
    message.put(shares.to_be_bytes()).put(stock.0).put(price.to_be_bytes());
    message.put(match_number.to_be_bytes()).put([kind]).end()
}

/// `B`: an earlier trade does not count.
#[must_use]
pub fn broken_trade(stamp: Stamp, match_number: u64) -> [u8; 19] {
    Writer::new(b'B', stamp).put(match_number.to_be_bytes()).end()
}

/// What `I` says before a cross.
#[derive(Clone, Copy, Debug)]
pub struct Imbalance {
    /// Ticker.
    pub stock: Symbol,
    /// Shares that would trade.
    pub paired: u64,
    /// Shares that would not.
    pub imbalance: u64,
    /// Their side, `B` or `S`; `N` none, `O` too few orders, `P` paused.
    pub direction: u8,
    /// Where orders for the cross alone would trade; 0 nowhere.
    pub far: u32,
    /// Where they and the displayed orders would; 0 nowhere.
    pub near: u32,
    /// The reference price.
    pub reference: u32,
    /// The cross: `O` opening, `C` closing, `H` after a halt and of a new issue, `A` extended close.
    pub cross: u8,
    /// How far the near price is from the reference: `L` below one per cent, `1` …, a space when there is none.
    pub variation: u8,
}

/// `I`: net order imbalance before a cross.
#[must_use]
pub fn imbalance(stamp: Stamp, what: &Imbalance) -> [u8; 50] {
    let Imbalance { stock, paired, imbalance, direction, far, near, reference, cross, variation } = *what;
    let mut message = Writer::new(b'I', stamp);
    message.put(paired.to_be_bytes()).put(imbalance.to_be_bytes()).put([direction]).put(stock.0);
    message.put(far.to_be_bytes()).put(near.to_be_bytes()).put(reference.to_be_bytes());
    message.put([cross, variation]).end()
}
