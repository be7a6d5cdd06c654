//! Looking ahead inside a received burst.
//!
//! A message that comes alone waits for memory twice: for the line of the index that its reference belongs to, and then for
//! the segment that the index names. Messages that come together can wait together. [`look_ahead`](Books::look_ahead)
//! walks a group of messages once for each step of the way, asking for the next line of all of them before it comes back
//! to the first:
//!
//! | walk | asks for |
//! |---|---|
//! | 1 | the index line of every reference, the first line of every instrument, the near levels where an order joins |
//! | 2 | the segment that the index names, the level that an order will join |
//! | 3 | the near levels where a replacement will join, and the index line of its new order |
//! | 4 | the level that the replacement will join |
//! | then | for orders that will join behind the near levels: the tree, its nodes from the root down, the level |
//!
//! Nothing is kept but what the cache holds: every message is applied as if nobody had looked, so an order that joins,
//! leaves or moves within the group costs a wasted line and nothing else. Each walk goes over messages of one kind, listed
//! without a branch, since a mispredicted branch costs as much as all of the rest.

use crate::market::{OrderMessage, Price, Side};

use super::Books;
use super::instrument::Instrument;
use super::node::Node;
use super::pool::{Handle, Pool};
use super::segment::Segment;
use super::tree::key;
use super::vectors::Vectors;

/// Most messages that are looked at together.
pub(super) const GROUP: usize = 64;

/// Messages of a group, by their place in it.
struct List {
    places: [u8; GROUP],
    len: usize,
}

impl List {
    const fn new() -> Self {
        Self { places: [0; GROUP], len: 0 }
    }

    /// Adds a place, if it is wanted, without a branch.
    #[inline(always)]
    fn push_if(&mut self, place: usize, wanted: bool) {
        self.places[self.len & (GROUP - 1)] = place as u8;
        self.len += usize::from(wanted);
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.iter().take(self.len).map(|place| usize::from(*place) & (GROUP - 1))
    }
}

/// Orders that will join levels behind the near ones, each on its way down the tree.
struct Deep {
    orders: [(u16, Side, u32); GROUP],
    nodes: [Handle<Node>; GROUP],
    /// Inner nodes that are still above the leaf.
    inner: [u32; GROUP],
    len: usize,
}

impl Deep {
    const fn new() -> Self {
        Self { orders: [(0, Side::Buy, 0); GROUP], nodes: [Handle::NIL; GROUP], inner: [0; GROUP], len: 0 }
    }

    /// Adds an order, if it is wanted, without a branch.
    #[inline(always)]
    fn push_if(&mut self, order: (u16, Side, u32), wanted: bool) {
        self.orders[self.len & (GROUP - 1)] = order;
        self.len += usize::from(wanted);
    }

    /// Goes down with all of them, a step at a time.
    #[inline(always)]
    fn walk<V: Vectors>(&mut self, instruments: &[Instrument], nodes: &Pool<Node>, segments: &Pool<Segment>) {
        let len = self.len.min(GROUP);
        let (orders, nodes_of, inner) = (&self.orders[..len], &mut self.nodes[..len], &mut self.inner[..len]);
        let instrument = |locate: u16| instruments.get(usize::from(locate));
        for (locate, ..) in orders {
            instrument(*locate).inspect(|instrument| instrument.prefetch_trees());
        }
        let mut steps = 0;
        for (at, (locate, side, _)) in orders.iter().enumerate() {
            let Some(instrument) = instrument(*locate) else { continue };
            let tree = instrument.tree(*side);
            (nodes_of[at], inner[at]) = (tree.root(), tree.inner());
            nodes.prefetch(tree.root());
            steps = steps.max(tree.inner());
        }
        for _ in 0..steps {
            for (at, (.., key)) in orders.iter().enumerate() {
                let Some(node) = nodes.get(nodes_of[at]) else { continue };
                if inner[at] > 0 {
                    inner[at] -= 1;
                    nodes_of[at] = node.child(node.child_for::<V>(*key));
                    nodes.prefetch(nodes_of[at]);
                }
            }
        }
        for (at, (.., key)) in orders.iter().enumerate() {
            if let Some(level) =
                nodes.get(nodes_of[at]).and_then(|leaf| leaf.find::<V>(*key).map(|at| leaf.level(at)))
            {
                segments.prefetch(level);
            }
        }
    }
}

/// The key of an order that joins, from the side's code.
#[inline(always)]
fn key_of(side: u8, price: Price) -> (Side, u32) {
    let side = if side & 1 == 0 { Side::Buy } else { Side::Sell };
    (side, key(side, price))
}

impl Books {
    /// [`Books::look_ahead`] over at most [`GROUP`] messages.
    #[inline(always)]
    pub(super) fn look_ahead_in<V: Vectors>(&self, messages: &[OrderMessage]) {
        let (mut joining, mut leaving, mut replacing) = (List::new(), List::new(), List::new());
        let store = &self.store;
        for (place, message) in messages.iter().enumerate().take(GROUP) {
            let kind = message.kind;
            joining.push_if(place, kind == OrderMessage::ADD);
            leaving.push_if(place, kind > OrderMessage::ADD);
            replacing.push_if(place, kind == OrderMessage::REPLACE);
            store.index.prefetch(message.order_ref);
            crate::prefetch::line(self.instruments.as_ptr().wrapping_add(usize::from(message.locate)));
        }
        for message in joining.iter().filter_map(|place| messages.get(place)) {
            self.prefetch_near(message.locate, usize::from(message.side & 1 == 1));
        }
        let mut segments = [Handle::<Segment>::NIL; GROUP];
        for place in leaving.iter() {
            let Some(message) = messages.get(place) else { break };
            segments[place] = store.index.hint::<V>(message.order_ref);
            store.queues.segments.prefetch(segments[place]);
        }
        let mut deep = Deep::new();
        for place in joining.iter() {
            let Some(message) = messages.get(place) else { break };
            let (side, key) = key_of(message.side, message.price);
            self.look_at_level::<V>(&mut deep, message.locate, side, key);
        }
        for place in replacing.iter() {
            let Some(message) = messages.get(place) else { break };
            store.index.prefetch(message.new_order_ref);
            let Some(segment) = store.queues.segments.get(segments[place]) else { continue };
            self.prefetch_near(message.locate, segment.side() as usize);
        }
        for place in replacing.iter() {
            let Some(message) = messages.get(place) else { break };
            let Some(segment) = store.queues.segments.get(segments[place]) else { continue };
            let side = segment.side();
            self.look_at_level::<V>(&mut deep, message.locate, side, key(side, message.price));
        }
        deep.walk::<V>(&self.instruments, &store.nodes, &store.queues.segments);
    }

    /// Asks for what a message about this order looks at first. A hint: whatever is given, the books stay the same.
    #[inline]
    pub fn expect(&self, locate: u16, order_ref: u64) {
        self.store.index.prefetch(order_ref);
        for side in 0..2 {
            self.prefetch_near(locate, side);
        }
    }

    #[inline(always)]
    fn prefetch_near(&self, locate: u16, side: usize) {
        Instrument::prefetch_near(&self.instruments, locate, side);
    }

    /// Asks for the level that an order will join, or for the way there.
    #[inline(always)]
    fn look_at_level<V: Vectors>(&self, deep: &mut Deep, locate: u16, side: Side, key: u32) {
        let Some(instrument) = self.instruments.get(usize::from(locate)) else { return };
        let (segment, is_deep) = instrument.hint::<V>(side, key);
        self.store.queues.segments.prefetch(segment);
        deep.push_if((locate, side, key), is_deep);
    }
}
