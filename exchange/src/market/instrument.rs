//! One instrument: its book, what was said of it, and what the participants make of it.

use super::auction::Interest;
use crate::book::Book;
use crate::itch::Listing;
use crate::rng::Rng;
use crate::units::{CENT, DOLLAR, Symbol};

/// How an instrument comes to the market on this day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Debut {
    /// It traded yesterday.
    Known,
    /// An initial public offering: halted until it is released for quotation, then a cross.
    Offering,
    /// A direct listing with a capital raise: the same, told by other messages.
    Listing,
    /// In the directory, but no trading state is said before the opening: to be taken as halted.
    Late,
}

/// One instrument.
#[derive(Clone, Debug)]
pub(crate) struct Instrument {
    pub(super) symbol: Symbol,
    pub(super) book: Book,
    pub(super) debut: Debut,
    /// The directory of the day named it.
    pub(super) named: bool,
    /// The last trading state said: `H` halted, `P` paused, `Q` quotation only, `T` trading. None counts as halted.
    pub(super) state: Option<u8>,
    /// Why.
    pub(super) reason: [u8; 4],
    /// Halted by this market's own trouble, whatever the state.
    pub(super) operational_halt: bool,
    /// Halted by the market-wide breaker.
    pub(super) broken_off: bool,
    /// Something that was begun with it is not over: no further halt begins.
    pub(super) busy: bool,
    /// The last short-sale restriction said.
    pub(super) reg_sho: Option<u8>,
    /// Retail interest: `B`, `S`, `A` both, `N` none.
    pub(super) retail: u8,
    /// Orders for the next cross, which are never displayed.
    pub(super) interest: Vec<Interest>,
    /// What the participants think that it is worth; walks at random.
    pub(super) reference: u32,
    /// The walk stays between these.
    pub(super) bounds: (u32, u32),
    /// Orders that the participants like to have here.
    pub(super) target: u32,
}

impl Instrument {
    pub(super) fn new(symbol: Symbol, target: u32, rng: &mut Rng) -> Self {
        // 2 to 400 dollars, more often low than high.
        let doublings = rng.below(8);
        let dollars = 2u32 << doublings.min(6);
        let reference = (dollars * DOLLAR + rng.below(dollars * DOLLAR)) / CENT * CENT;
        Self {
            symbol,
            book: Book::default(),
            debut: Debut::Known,
            named: false,
            state: None,
            reason: *b"    ",
            operational_halt: false,
            broken_off: false,
            busy: false,
            reg_sho: None,
            retail: b'N',
            interest: Vec::new(),
            reference,
            bounds: ((reference / 2).max(DOLLAR), reference * 2),
            target,
        }
    }

    /// May its orders trade, as far as it alone is concerned?
    pub(super) const fn trades(&self) -> bool {
        matches!(self.state, Some(b'T')) && !self.operational_halt
    }

    /// May orders be displayed? Not before a new instrument is released for quotation.
    pub(super) fn quotes(&self) -> bool {
        !matches!(self.debut, Debut::Offering | Debut::Listing) || self.state != Some(b'H')
    }

    /// Its line of the directory.
    pub(super) const fn listing(&self) -> Listing {
        let ipo = match self.debut {
            Debut::Known | Debut::Late => b'N',
            Debut::Offering => b'Y',
            Debut::Listing => b'Z',
        };
        Listing { stock: self.symbol, ipo }
    }
}
