//! What is counted: messages of one kind on books in a state that decides what they cost, and a mix of all.
//!
//! Every stream is the same on every machine. The books of most cases: 32 instruments, 20 levels a side, five orders a level.

use crate::itch::{Message, add, cancel, delete, directory, execute, execute_priced, replace};

/// Instruments.
const LOCATES: u16 = 32;
/// Levels of each side, and the orders of each.
const LEVELS: u32 = 20;
const QUEUE: u32 = 5;
/// Prices are whole cents: best bid, best ask, 1/10,000.
const BID: u32 = 1_000_000;
const ASK: u32 = 1_000_100;
const CENT: u32 = 100;
/// Shares of each order.
const SHARES: u32 = 300;
/// Messages counted in a case.
const COUNT: usize = 2_048;
/// Levels of the deep side, and orders of the long queue.
const DEEP: u32 = 15_000;
const LONG: u32 = 5_000;
/// Messages of the mix that bring the books into motion, and those that are counted.
const DAY: usize = 12_000;

/// Messages that make the books, and those that are counted.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Levels that there are more after what is counted, where that is the point of it.
    pub(crate) levels: Option<i64>,
    pub(crate) before: Vec<Message>,
    pub(crate) counted: Vec<Message>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (((self.0 >> 32) * limit as u64) >> 32) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}

/// An order that rests.
#[derive(Clone, Copy)]
struct Order {
    locate: u16,
    reference: u64,
    side: u8,
    price: u32,
    shares: u32,
}

/// Makes streams: knows what rests, and numbers new orders.
struct Maker {
    random: Random,
    next: u64,
    said: Vec<Message>,
}

/// The price `level` levels behind the best, and `more` beside it.
const fn price(side: u8, level: u32, more: u32) -> u32 {
    if side == b'B' { BID - level * CENT - more } else { ASK + level * CENT + more }
}

impl Maker {
    fn new() -> Self {
        let random = Random(0x9E37_79B9_7F4A_7C15);
        Self { random, next: 1_000_000, said: (1..=LOCATES).map(directory).collect() }
    }

    /// As on a day: rising, with gaps.
    fn reference(&mut self) -> u64 {
        self.next += 1 + self.random.below(3) as u64;
        self.next
    }

    fn add(&mut self, locate: u16, side: u8, price: u32) -> Order {
        let reference = self.reference();
        self.said.push(add(b'A', locate, reference, side, SHARES, price));
        Order { locate, reference, side, price, shares: SHARES }
    }

    fn anywhere(&mut self) -> (u16, u8) {
        (1 + self.random.below(LOCATES.into()) as u16, b"BS"[self.random.below(2)])
    }

    /// The usual books.
    fn fill(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        for _ in 0..QUEUE {
            for level in 0..LEVELS {
                for locate in 1..=LOCATES {
                    orders.extend([b'B', b'S'].map(|side| self.add(locate, side, price(side, level, 0))));
                }
            }
        }
        orders
    }

    /// New orders where a level is already.
    fn at_levels(&mut self) -> Vec<Order> {
        let each = |_| {
            let (locate, side) = self.anywhere();
            let level = self.random.below(LEVELS as usize) as u32;
            self.add(locate, side, price(side, level, 0))
        };
        (0..COUNT).map(each).collect()
    }

    /// New orders between the levels, each at a price of its own.
    fn between_levels(&mut self) -> Vec<Order> {
        let sides = usize::from(LOCATES) * 2;
        let mut places: Vec<_> = (0..COUNT).map(|at| (at % sides, at / sides)).collect();
        self.random.shuffle(&mut places);
        let each = |(side, n): (usize, usize)| {
            let (locate, side) = (1 + (side / 2) as u16, b"BS"[side % 2]);
            // 7 is prime to the number of levels.
            self.add(locate, side, price(side, n as u32 * 7 % LEVELS, 1 + n as u32))
        };
        places.into_iter().map(each).collect()
    }

    /// One side with very many levels, in no order.
    fn deep(&mut self) -> Vec<Order> {
        let mut levels: Vec<u32> = (0..DEEP).collect();
        self.random.shuffle(&mut levels);
        levels.into_iter().map(|level| self.add(1, b'S', price(b'S', level, 0))).collect()
    }

    /// One price with very many orders.
    fn long(&mut self) -> Vec<Order> {
        (0..LONG).map(|_| self.add(1, b'B', BID)).collect()
    }

    /// What was said so far comes before, what follows is counted.
    fn then(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.said)
    }

    fn say(&mut self, orders: &[Order], message: impl Fn(&mut Self, &Order) -> Message) {
        for order in orders {
            let message = message(self, order);
            self.said.push(message);
        }
    }
}

/// Makes a case: `before` returns what the counted messages are about; each of them makes `levels` levels.
fn case<T>(
    name: &'static str,
    levels: i64,
    before: impl FnOnce(&mut Maker) -> T,
    counted: impl FnOnce(&mut Maker, T),
) -> Case {
    let mut maker = Maker::new();
    let about = before(&mut maker);
    let before = maker.then();
    counted(&mut maker, about);
    let counted = maker.then();
    Case { name, levels: Some(levels * counted.len() as i64), before, counted }
}

/// So many of them, in no order.
fn some(maker: &mut Maker, mut orders: Vec<Order>) -> Vec<Order> {
    maker.random.shuffle(&mut orders);
    orders.truncate(COUNT);
    orders
}

/// Random orders of the usual books, none of them the last of its queue.
fn usual(maker: &mut Maker) -> Vec<Order> {
    let mut orders = maker.fill();
    orders.truncate(orders.len() / QUEUE as usize * (QUEUE as usize - 1));
    some(maker, orders)
}

/// Orders that are alone at their prices, between the usual levels.
fn alone(maker: &mut Maker) -> Vec<Order> {
    maker.fill();
    let orders = maker.between_levels();
    some(maker, orders)
}

/// Everything that is counted of books.
pub(crate) fn books() -> Vec<Case> {
    let deletes = |maker: &mut Maker, orders: Vec<Order>| {
        maker.say(&orders, |_, order| delete(order.locate, order.reference));
    };
    let executes = |shares| {
        move |maker: &mut Maker, orders: Vec<Order>| {
            maker.say(&orders, |_, order| execute(order.locate, order.reference, shares));
        }
    };
    let replaces = |price: fn(&mut Maker, &Order) -> u32| {
        move |maker: &mut Maker, orders: Vec<Order>| {
            maker.say(&orders, |maker, order| {
                let (price, new) = (price(maker, order), maker.reference());
                replace(order.locate, order.reference, new, SHARES, price)
            });
        }
    };
    vec![
        case("add_to_level", 0, Maker::fill, |maker, _| drop(maker.at_levels())),
        case("add_new_level", 1, Maker::fill, |maker, _| drop(maker.between_levels())),
        case("add_new_best", 1, Maker::fill, |maker, _| {
            // 32 steps towards the other side, by every one.
            for at in 0..COUNT {
                let (locate, side) = (1 + (at % 32) as u16, b"BS"[at / 32 % 2]);
                let step = 1 + (at / 64) as u32;
                maker.add(locate, side, if side == b'B' { BID + step } else { ASK - step });
            }
        }),
        case("add_new_level_of_15000", 1, Maker::deep, |maker, orders| {
            let orders = some(maker, orders);
            for order in orders {
                maker.add(1, b'S', order.price + 50);
            }
        }),
        case("add_to_queue_of_5000", 0, Maker::long, |maker, _| {
            for _ in 0..COUNT {
                maker.add(1, b'B', BID);
            }
        }),
        case(
            "delete_from_level",
            0,
            |maker| {
                maker.fill();
                let orders = maker.at_levels();
                some(maker, orders)
            },
            deletes,
        ),
        case("delete_last_of_level", -1, alone, deletes),
        case(
            "delete_best_level",
            -1,
            |maker| {
                maker.fill();
                let mut orders = Vec::new();
                for step in 1..=COUNT as u32 / 64 {
                    for locate in 1..=LOCATES {
                        orders.push(maker.add(locate, b'B', BID + step));
                        orders.push(maker.add(locate, b'S', ASK - step));
                    }
                }
                orders.reverse();
                orders
            },
            deletes,
        ),
        case(
            "delete_level_of_15000",
            -1,
            |maker| {
                let orders = maker.deep();
                some(maker, orders)
            },
            deletes,
        ),
        case(
            "delete_from_queue_of_5000",
            0,
            |maker| {
                let orders = maker.long();
                some(maker, orders)
            },
            deletes,
        ),
        case("execute_part", 0, usual, executes(10)),
        case("execute_all", 0, usual, executes(SHARES)),
        case("execute_last_of_level", -1, alone, executes(SHARES)),
        case("cancel_part", 0, usual, |maker, orders| {
            maker.say(&orders, |_, order| cancel(order.locate, order.reference, 10));
        }),
        case(
            "replace_to_level",
            0,
            usual,
            replaces(|maker, order| price(order.side, maker.random.below(LEVELS as usize) as u32, 0)),
        ),
        case("replace_same_price", 0, usual, replaces(|_, order| order.price)),
        // The level of the order that goes goes with it, and a new one comes.
        case(
            "replace_level_by_level",
            0,
            alone,
            replaces(|_, order| {
                if order.side == b'B' { order.price - 1_000 * CENT } else { order.price + 1_000 * CENT }
            }),
        ),
        day(),
    ]
}

/// Half adds; what leaves is mostly young. Numbers of each kind about as on a day of 2019.
fn day() -> Case {
    let mut maker = Maker::new();
    let mut live = maker.fill();
    let mut before = Vec::new();
    for said in 0..2 * DAY {
        if said == DAY {
            before = maker.then();
        }
        let choice = maker.random.below(1_000);
        if choice < 470 {
            let (locate, side) = maker.anywhere();
            let level = maker.random.below(LEVELS as usize * 2) as u32;
            let level = maker.random.below(level as usize + 1) as u32;
            live.push(maker.add(locate, side, price(side, level, 0)));
            continue;
        }
        let young = if maker.random.below(10) < 8 { live.len().min(500) } else { live.len() };
        let at = live.len() - 1 - maker.random.below(young);
        let order = live[at];
        let Order { locate, reference, side, price: at_price, shares } = order;
        let message = match choice {
            470..880 => {
                live.swap_remove(at);
                delete(locate, reference)
            }
            880..955 => {
                let new = maker.reference();
                let level = maker.random.below(LEVELS as usize) as u32;
                live[at] = Order { reference: new, price: price(side, level, 0), shares: SHARES, ..order };
                replace(locate, reference, new, SHARES, live[at].price)
            }
            955..980 => {
                live.swap_remove(at);
                execute(locate, reference, shares)
            }
            980..990 => {
                live[at].shares -= 1;
                execute_priced(locate, reference, 1, at_price)
            }
            _ => {
                live[at].shares -= 1;
                cancel(locate, reference, 1)
            }
        };
        maker.said.push(message);
    }
    Case { name: "day", levels: None, before, counted: maker.then() }
}

/// Messages of one kind each, to be decoded.
pub(crate) fn kinds() -> Vec<(&'static str, Vec<Message>)> {
    let of = |message: &dyn Fn(u64) -> Message| (0..COUNT as u64).map(message).collect::<Vec<_>>();
    let locate = |n: u64| 1 + (n % 30) as u16;
    vec![
        ("add", of(&|n| add(b'A', locate(n), n, b"BS"[(n % 2) as usize], 100, 1_000_000))),
        ("add_mpid", of(&|n| add(b'F', locate(n), n, b"BS"[(n % 2) as usize], 100, 1_000_000))),
        ("execute", of(&|n| execute(locate(n), n, 100))),
        ("execute_priced", of(&|n| execute_priced(locate(n), n, 100, 1_000_000))),
        ("cancel", of(&|n| cancel(locate(n), n, 100))),
        ("delete", of(&|n| delete(locate(n), n))),
        ("replace", of(&|n| replace(locate(n), n, n + 1, 100, 1_000_000))),
    ]
}
