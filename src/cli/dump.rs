//! Books as text, order by order: what other book builders are compared with.
//!
//! A header line, then one line an order: `locate,symbol,side,price,order_ref,shares`. Side is `B` or `S`, the price an
//! integer in 1/10,000. Sorted by locate, buys before sells, best price first, then by place in the queue.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::book::Books;
use crate::market::Side;

/// Writes all orders of `books`.
///
/// # Errors
/// Those of `to`.
pub(super) fn write(books: &Books, to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "locate,symbol,side,price,order_ref,shares")?;
    for order in books.resting() {
        let locate = order.locate;
        let letter = match order.side {
            Side::Buy => 'B',
            Side::Sell => 'S',
        };
        match books.symbol(locate) {
            Some(symbol) => write!(to, "{locate},{symbol},{letter}")?,
            None => write!(to, "{locate},,{letter}")?,
        }
        writeln!(to, ",{},{},{}", order.price.0, order.order_ref, order.shares)?;
    }
    to.flush()
}

/// Writes all orders of `books` to a new file at `path`; an error says what could not be done.
pub(super) fn to_file(books: &Books, path: &Path) -> Result<(), String> {
    File::create(path).and_then(|file| write(books, &mut BufWriter::with_capacity(1 << 20, file))).map_err(
        |why| {
            format!(
                "{}: the books could not be written: {why}\n  give --dump a writable place",
                path.display()
            )
        },
    )
}
