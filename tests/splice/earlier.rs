//! Orders of a process before this one, in the loop: taken back once all of them are known, and what is held because of
//! them is told to the strategy under the name that the feed gives it.

use std::cell::RefCell;
use std::rc::Rc;

use wirebook::blotter::{OrderEvent, OrderEventKind, OrderUpdate, TimeInForce};
use wirebook::market::{Price, Side, Symbol};
use wirebook::nic::TxQueue;
use wirebook::order::venue::Venue;
use wirebook::order::{SendError, Session, SessionCounters};
use wirebook::risk::Cleared;
use wirebook::strategy::{Intent, Intents, MarketView, Strategy};

use crate::day::Day;
use crate::orders::requests;
use crate::rig::{Options, Rig};

/// A session that says what it is given to say, and sends as the UDP test framing does.
struct Repeats(Venue, Rc<RefCell<Vec<OrderEvent>>>);

impl Session for Repeats {
    fn send<T: TxQueue>(&mut self, cleared: &Cleared, tx: &mut T) -> Result<(), SendError> {
        self.0.send(cleared, tx)
    }
    fn poll<T: TxQueue>(&mut self, now_ns: u64, tx: &mut T, on_event: &mut impl FnMut(OrderEvent)) {
        self.1.borrow_mut().drain(..).for_each(&mut *on_event);
        self.0.poll(now_ns, tx, on_event);
    }
    fn healthy(&self) -> bool {
        self.0.healthy()
    }
    fn resume(&mut self) {
        self.0.resume();
    }
    fn counters(&self) -> &SessionCounters {
        self.0.counters()
    }
}

/// An instrument was announced, or its position told.
type Told = Vec<(u16, Option<i64>)>;

/// What it was told, in order.
#[derive(Default)]
struct Listener(Rc<RefCell<Told>>);

impl Strategy for Listener {
    fn on_instrument(&mut self, locate: u16, _symbol: Symbol) {
        self.0.borrow_mut().push((locate, None));
    }
    fn on_top(&mut self, _view: &MarketView, _out: &mut Intents) {}
    fn on_order(&mut self, update: &OrderUpdate, _out: &mut Intents) {
        panic!("not of an order of its own: {update:?}");
    }
    fn on_position(&mut self, locate: u16, position: i64) {
        self.0.borrow_mut().push((locate, Some(position)));
    }
    fn on_sent(&mut self, _intent: &Intent, _user_ref_num: u32) {}
    fn on_unsent(&mut self, _intent: &Intent) {}
}

/// The ticker of locate 3, as the feed says it.
fn symbol(day: &Day) -> Symbol {
    let named = |message: &&Vec<u8>| message[0] == b'R' && message[1..3] == [0, 3];
    let message = (1..500).map(|at| &day.range(at, at + 1)[0]).find(named).unwrap();
    Symbol(message[11..19].try_into().unwrap())
}

fn event(user_ref_num: u32, kind: OrderEventKind) -> OrderEvent {
    OrderEvent { user_ref_num, timestamp: 1, kind }
}

fn adopted(symbol: Symbol) -> OrderEventKind {
    let (side, short, time_in_force) = (Side::Buy, false, TimeInForce::Day);
    let (shares, price, order_ref, live) = (100, Price(500_000), 9, true);
    OrderEventKind::Adopted { symbol, side, short, time_in_force, shares, price, order_ref, live }
}

fn executed(shares: u32) -> OrderEventKind {
    let (price, match_number, liquidity) = (Price(490_000), u64::from(shares), b'A');
    OrderEventKind::Executed { shares, price, match_number, liquidity }
}

#[test]
fn earlier_orders_are_taken_back_when_all_are_known_and_positions_find_their_names() {
    let day = Day::new(61, 4_000);
    let symbol = symbol(&day);
    let said = Rc::new(RefCell::new(Vec::new()));
    let listener = Listener::default();
    let told = Rc::clone(&listener.0);
    let mut rig =
        Rig::with_session(&Options::default(), listener, |session| Repeats(session, Rc::clone(&said)));
    said.borrow_mut().extend([event(5, adopted(symbol)), event(5, executed(40)), event(8, adopted(symbol))]);
    rig.turns(10_000);
    assert_eq!(requests(&mut rig), (vec![], vec![]), "not all are known yet");
    assert!(rig.pipeline.blotter().uncertain());
    said.borrow_mut().push(event(0, OrderEventKind::Resumed { next: 9 }));
    rig.turns(10_000);
    let (entered, mut cancelled) = requests(&mut rig);
    cancelled.sort_unstable();
    assert_eq!((entered, cancelled), (vec![], vec![5, 8]), "each once");
    assert_eq!(rig.count("desk_withdrawn"), 2);
    assert_eq!(told.borrow().len(), 0);
    // It is refused once: asked again.
    said.borrow_mut().push(event(8, OrderEventKind::CancelReject));
    rig.turns(10_000);
    assert_eq!(requests(&mut rig).1, [8]);

    rig.play(&day, 1, 500, 7);
    let at = told.borrow().iter().position(|told| *told == (3, Some(40)));
    assert_eq!(told.borrow()[at.unwrap() - 1], (3, None), "after the instrument itself");
    said.borrow_mut().push(event(8, executed(10)));
    rig.turns(1);
    assert_eq!(told.borrow().last(), Some(&(3, Some(50))));
    assert!(!rig.pipeline.blotter().uncertain());
    assert_eq!(rig.pipeline.blotter().holding(3).position, 50);
}

#[test]
fn earlier_orders_are_taken_back_where_the_books_are_good_too() {
    let day = Day::new(62, 4_000);
    let said = Rc::new(RefCell::new(Vec::new()));
    let mut rig = Rig::with_session(&Options::default(), Listener::default(), |session| {
        Repeats(session, Rc::clone(&said))
    });
    rig.play(&day, 1, 1_000, 7);
    assert!(rig.live().contains(&3));
    said.borrow_mut().push(event(5, adopted(symbol(&day))));
    said.borrow_mut().push(event(0, OrderEventKind::Resumed { next: 6 }));
    rig.turns(10_000);
    assert_eq!(requests(&mut rig), (vec![], vec![5]));
}
