//! Where holdings are kept: by locate, and for symbols that the feed has not named yet, by symbol.
//!
//! Replies name a symbol, the feed names its locate, and either may come first. A *place* is given to a symbol once: its
//! locate, or one of as many places without one, which find their locate as soon as the feed names it. What was kept under
//! the place goes to the locate then, and whoever still knows the place is led there.

use super::Holding;
use crate::blotter::table::{FixedTable, Key, mix};
use crate::market::Symbol;
use crate::prefetch;

/// A holding's place: a locate, or beyond all of those a symbol without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// The first place that is no locate.
const NAMELESS: u32 = 1 << 16;

impl Place {
    /// That of a locate.
    pub(super) const fn of(locate: u16) -> Self {
        Self(locate as u32)
    }

    fn nameless(self) -> Option<usize> {
        self.0.checked_sub(NAMELESS).map(|at| at as usize)
    }
}

impl Key for Symbol {
    fn hash(self) -> u64 {
        mix(u64::from_be_bytes(self.0))
    }
}

/// A symbol that came in a reply before the feed named it.
#[derive(Clone, Copy, Debug)]
struct Nameless {
    symbol: Symbol,
    /// What the feed called it since.
    locate: Option<u16>,
    /// Empty once it has a locate.
    holding: Holding,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Places {
    by_locate: Box<[Holding]>,
    nameless: Box<[Nameless]>,
    used: usize,
    by_symbol: FixedTable<Symbol, Place>,
    /// Places without a locate where something is held or open.
    waiting: u32,
}

impl Places {
    /// For locates `0 .. locates`, and as many symbols without one.
    pub(super) fn new(locates: u32) -> Self {
        let locates = locates as usize;
        let nameless = Nameless { symbol: Symbol([0; 8]), locate: None, holding: Holding::default() };
        Self {
            by_locate: vec![Holding::default(); locates].into_boxed_slice(),
            nameless: vec![nameless; locates].into_boxed_slice(),
            used: 0,
            by_symbol: FixedTable::new(locates * 2),
            waiting: 0,
        }
    }

    /// Is there such a locate?
    pub(super) const fn knows(&self, locate: u16) -> bool {
        (locate as usize) < self.by_locate.len()
    }

    /// Places where something is held or open, and whose locate is not known.
    pub(super) const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// The holding of a locate; nothing for an unknown one.
    #[inline]
    pub(super) fn holding(&self, locate: u16) -> Holding {
        self.by_locate.get(usize::from(locate)).copied().unwrap_or_default()
    }

    /// Asks for the holding of a locate.
    pub(super) fn prefetch(&self, locate: u16) {
        prefetch::lines(self.by_locate.as_ptr().wrapping_add(usize::from(locate)));
    }

    /// The locate of a place, if it has one.
    #[inline]
    pub(super) fn locate(&self, place: Place) -> Option<u16> {
        match place.nameless() {
            None => u16::try_from(place.0).ok(),
            Some(at) => self.nameless.get(at)?.locate,
        }
    }

    /// Changes what is held at a place. Its value before and after; `None` where there is no such place.
    #[inline]
    pub(super) fn change(&mut self, place: Place, change: impl FnOnce(&mut Holding)) -> Option<(u128, u128)> {
        let nameless = place.nameless().and_then(|at| self.nameless.get_mut(at));
        let (holding, waits) = match nameless {
            Some(Nameless { locate: None, holding, .. }) => (holding, true),
            Some(Nameless { locate: Some(locate), .. }) => {
                (self.by_locate.get_mut(usize::from(*locate))?, false)
            }
            None => (self.by_locate.get_mut(place.0 as usize)?, false),
        };
        let (before, was_flat) = (holding.value(), holding.is_flat());
        change(holding);
        if waits {
            self.waiting += u32::from(was_flat);
            self.waiting -= u32::from(holding.is_flat());
        }
        Some((before, holding.value()))
    }

    /// The place of a symbol, made where there is none; `None` where there is no room for one.
    pub(super) fn of_symbol(&mut self, symbol: Symbol) -> Option<Place> {
        if let Some(place) = self.by_symbol.get(symbol) {
            return Some(*place);
        }
        let slot = self.nameless.get_mut(self.used)?;
        // Fewer than locates.
        let place = Place(NAMELESS + self.used as u32);
        if !self.by_symbol.insert(symbol, place) {
            return None;
        }
        *slot = Nameless { symbol, locate: None, holding: Holding::default() };
        self.used += 1;
        Some(place)
    }

    /// The feed calls `symbol` `locate`. Where the symbol had a place without one, what was kept there is kept under the
    /// locate from now on; how the sum of the values changed by that, and what moved.
    pub(super) fn name(&mut self, locate: u16, symbol: Symbol) -> Option<Moved> {
        let before = self.by_symbol.get(symbol).copied();
        // Without room a symbol that comes in a reply later finds no locate, waits, and nothing leaves.
        self.by_symbol.insert(symbol, Place::of(locate));
        let place = before?;
        let slot = self.nameless.get_mut(place.nameless()?)?;
        let home = self.by_locate.get_mut(usize::from(locate))?;
        if slot.locate.is_some() {
            return None;
        }
        slot.locate = Some(locate);
        let moved = std::mem::take(&mut slot.holding);
        self.waiting -= u32::from(!moved.is_flat());
        let before = home.value() + moved.value();
        home.position = home.position.saturating_add(moved.position);
        home.open_buy += moved.open_buy;
        home.open_sell += moved.open_sell;
        if moved.mark.0 > 0 {
            home.mark = moved.mark;
        }
        Some(Moved { place, before, after: home.value(), open: moved.open_buy + moved.open_sell > 0 })
    }

    /// Locates are named anew from here on.
    pub(super) fn forget_names(&mut self) {
        self.by_symbol.clear();
        for (at, slot) in self.nameless.iter().take(self.used).enumerate() {
            if slot.locate.is_none() {
                self.by_symbol.insert(slot.symbol, Place(NAMELESS + at as u32));
            }
        }
    }
}

/// What came of naming a symbol that was held without a locate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) place: Place,
    /// Values before and after, of place and locate together.
    pub(super) before: u128,
    pub(super) after: u128,
    /// Some of it are open orders.
    pub(super) open: bool,
}
