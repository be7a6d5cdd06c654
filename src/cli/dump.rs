//! Books as text, order by order: what other book builders are compared with.
//!
//! A header line, then one line an order: `locate,symbol,side,price,order_ref,shares`. Side is `B` or `S`, the price an
//! integer in 1/10,000. Sorted by locate, buys before sells, best price first, then by place in the queue.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::book::Books;
use crate::market::Side;

/// Writes all orders of `books`; where these are several workers', each book is in one of them.
///
/// # Errors
/// Those of `to`.
pub(super) fn write(books: &[&Books], to: &mut impl Write) -> io::Result<()> {
    writeln!(to, "locate,symbol,side,price,order_ref,shares")?;
    let mut all: Vec<_> = books.iter().map(|books| (*books, books.resting().peekable())).collect();
    // Each gives its orders by rising locate, and no locate is in two.
    while let Some((books, order)) = (all.iter_mut())
        .filter_map(|(books, resting)| {
            resting.peek().map(|order| order.locate).map(|at| (at, books, resting))
        })
        .min_by_key(|(locate, ..)| *locate)
        .and_then(|(_, books, resting)| Some((*books, resting.next()?)))
    {
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
pub(super) fn to_file(books: &[&Books], path: &Path) -> Result<(), String> {
    File::create(path).and_then(|file| write(books, &mut BufWriter::with_capacity(1 << 20, file))).map_err(
        |why| {
            format!(
                "{}: the books could not be written: {why}\n  give --dump a writable place",
                path.display()
            )
        },
    )
}
