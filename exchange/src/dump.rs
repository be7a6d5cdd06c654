//! Books as text, order by order, for comparing two builders with `cmp` or `diff`.
//!
//! A header line, then one order a line: `locate,symbol,side,price_int,order_ref,shares`. Sorted by locate, bids
//! (`B`) before offers (`S`), best price first, in queue order. Prices are integers of 1/10,000 dollar.

use std::io::{self, Write};

use crate::units::{Side, Symbol};

/// The header line.
pub const HEADER: &str = "locate,symbol,side,price_int,order_ref,shares";

/// One line of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Locate code.
    pub locate: u16,
    /// Ticker.
    pub symbol: Symbol,
    /// Side.
    pub side: Side,
    /// Display price.
    pub price: u32,
    /// Reference.
    pub order_ref: u64,
    /// Shares left.
    pub shares: u32,
}

/// Writes the header and one line for each order, in the order given.
///
/// # Errors
/// Those of the writer.
pub fn write(orders: impl Iterator<Item = Resting>, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "{HEADER}")?;
    for order in orders {
        let Resting { locate, symbol, side, price, order_ref, shares } = order;
        writeln!(to, "{locate},{symbol},{},{price},{order_ref},{shares}", char::from(side.code()))?;
    }
    Ok(())
}
