//! Orders and books that cannot be believed: nothing but cancels leaves, and what is open is taken back, once.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use wirebook::blotter::OrderUpdate;
use wirebook::feed::handover::Item;
use wirebook::market::{BookState, Price, Side, Symbol};
use wirebook::order::Session;
use wirebook::strategy::{Intent, Intents, MarketView, Strategy, TimeInForce};
use wirebook::wire::ouch::inbound::Inbound;
use wirebook::wire::wutf::{Request, Upstream};

use crate::day::{Day, SYMBOLS, locate};
use crate::rig::{HOLE_WAIT, Options, Rig, STEP};

/// What the strategy was told.
#[derive(Default)]
struct Told {
    /// Which order is of which instrument.
    sent: BTreeMap<u32, u16>,
    unsent: u32,
    orders: u32,
}

/// Wants to buy a little now and then when anything moves, whatever the state of the book.
struct Keen(Rc<RefCell<Told>>, [u32; 64]);

impl Strategy for Keen {
    fn on_instrument(&mut self, _locate: u16, _symbol: Symbol) {}
    fn on_top(&mut self, view: &MarketView, out: &mut Intents) {
        let Some(bid) = view.top.bid else { return };
        let seen = &mut self.1[usize::from(view.locate)];
        *seen += 1;
        if !seen.is_multiple_of(6) {
            return;
        }
        out.push(Intent::Enter {
            locate: view.locate,
            side: Side::Buy,
            shares: *seen % 50 + 1,
            price: Price(bid.price.0 / 100 * 100),
            time_in_force: TimeInForce::Day,
        });
    }
    fn on_order(&mut self, _update: &OrderUpdate, _out: &mut Intents) {
        self.0.borrow_mut().orders += 1;
    }
    fn on_sent(&mut self, intent: &Intent, user_ref_num: u32) {
        assert!(matches!(intent, Intent::Enter { .. }), "it never asks for a cancel");
        assert!(self.0.borrow_mut().sent.insert(user_ref_num, intent.locate()).is_none());
    }
    fn on_unsent(&mut self, _intent: &Intent) {
        self.0.borrow_mut().unsent += 1;
    }
}

fn keen(options: &Options) -> (Rig<Keen>, Rc<RefCell<Told>>) {
    let told = Rc::new(RefCell::new(Told::default()));
    (Rig::with(options, Keen(Rc::clone(&told), [0; 64])), told)
}

/// References that entered and that were cancelled, as the far end of the wire sees them.
pub(crate) fn requests<S: Strategy, O: Session>(rig: &mut Rig<S, O>) -> (Vec<u32>, Vec<u32>) {
    let (mut entered, mut cancelled) = (Vec::new(), Vec::new());
    rig.far.drain(|frame| {
        let datagram = exchange::frames::parse(frame).unwrap();
        for request in Upstream::new_checked(datagram.payload).unwrap() {
            let Request::Order(message) = request else { continue };
            match Inbound::parse(message).unwrap() {
                Inbound::EnterOrder(enter, _) => entered.push(enter.user_ref_num),
                Inbound::CancelOrder(cancel, _) => {
                    assert_eq!(cancel.quantity, 0);
                    cancelled.push(cancel.user_ref_num);
                }
                other => panic!("{other:?}"),
            }
        }
    });
    (entered, cancelled)
}

#[test]
fn a_gap_takes_back_every_open_order_once_and_lets_none_leave() {
    let day = Day::new(41, 4_000);
    let (mut rig, told) = keen(&Options::default());
    rig.play(&day, 1, 2_000, 7);
    let (entered, cancelled) = requests(&mut rig);
    assert!(entered.len() > 40, "{}", entered.len());
    assert_eq!(cancelled, [0_u32; 0]);
    rig.play(&day, 2_001, 2_500, 7);
    rig.turns(100);
    // Only what was sent before the gap was known.
    let (later, cancelled) = requests(&mut rig);
    let open: BTreeSet<_> = entered.into_iter().chain(later).collect();
    assert_eq!(cancelled.len(), open.len(), "each once");
    assert_eq!(BTreeSet::from_iter(cancelled), open);
    assert_eq!(rig.count("desk_withdrawn"), open.len() as u64);
    assert_eq!(told.borrow().sent.len(), open.len(), "the cancels were not its own");
    let before = told.borrow().sent.len();
    // No answer comes: nothing is asked twice.
    rig.turns(20_000);
    assert_eq!(requests(&mut rig), (vec![], vec![]));
    // Live again: it may trade again.
    rig.snapshot(&day.teller(2_500).snapshot(), 2_500);
    rig.play(&day, 2_500, 3_000, 7);
    assert_eq!(rig.agrees(&day.teller(3_000)), usize::from(SYMBOLS));
    assert!(told.borrow().sent.len() > before);
    assert_eq!(rig.count("desk_withdrawn"), before as u64);
}

#[test]
fn a_new_session_over_open_orders_lets_none_leave_until_somebody_has_looked() {
    let day = Day::new(46, 4_000);
    let (mut rig, _told) = keen(&Options::default());
    rig.play(&day, 1, 2_000, 7);
    assert!(!requests(&mut rig).0.is_empty());
    // Positions are kept by locate, and a locate may be another instrument now.
    rig.time.set(rig.time.get() + 4_000_000_000);
    rig.session(*b"NEXT      ");
    rig.play(&day, 1, 1_000, 7);
    assert_eq!(rig.live().len(), usize::from(SYMBOLS));
    assert_eq!(requests(&mut rig).0, [0_u32; 0]);
    assert!(rig.count("refused_uncertain") > 0);
}

#[test]
fn one_wrong_book_costs_its_own_orders_and_no_others() {
    let day = Day::new(42, 4_000);
    let (mut rig, told) = keen(&Options::default());
    rig.play(&day, 1, 2_000, 7);
    requests(&mut rig);
    let bad = (2_000..)
        .find(|at| {
            let message = &day.messages[*at as usize - 1];
            let open = told.borrow().sent.values().filter(|of| **of == locate(message)).count();
            message[0] == b'A' && open > 1
        })
        .unwrap();
    rig.play(&day, 2_000, bad, 7);
    let wrong = locate(&day.messages[bad as usize - 1]);
    let ours = |told: &Told| -> BTreeSet<u32> {
        told.sent.iter().filter(|(_, of)| **of == wrong).map(|(order, _)| *order).collect()
    };
    let open = ours(&told.borrow());
    rig.send(bad, &[day.messages[bad as usize - 1][..12].to_vec()]);
    requests(&mut rig);
    rig.turn();
    rig.play(&day, bad + 1, bad + 500, 7);
    let (entered, cancelled) = requests(&mut rig);
    assert_eq!(BTreeSet::from_iter(cancelled), open);
    assert_eq!(ours(&told.borrow()), open, "nothing leaves on it");
    assert!(entered.len() > 5, "the others go on: {}", entered.len());
    rig.snapshot(&day.teller(bad + 500).snapshot(), bad + 500);
    rig.play(&day, bad + 500, bad + 1_900, 7);
    assert_eq!(rig.agrees(&day.teller(bad + 1_900)), usize::from(SYMBOLS));
    assert!(ours(&told.borrow()).len() > open.len());
}

#[test]
fn while_messages_are_asked_for_again_orders_are_taken_back_and_refused() {
    let day = Day::new(43, 4_000);
    let (mut rig, told) = keen(&Options { requests: true, ..Options::default() });
    rig.play(&day, 1, 2_000, 7);
    let (entered, _) = requests(&mut rig);
    rig.play(&day, 2_020, 2_100, 25);
    assert_eq!(requests(&mut rig), (vec![], vec![]), "it may only be late");
    rig.turns((HOLE_WAIT / STEP) as u32 + 100);
    let (later, cancelled) = requests(&mut rig);
    assert_eq!((later, cancelled.len()), (vec![], entered.len()));
    let shown = rig.board_after_publishing();
    assert!(!shown.is_empty() && shown.iter().all(|state| *state == BookState::Recovering));
    let packet = rig.packet(2_000, day.range(2_000, 2_020));
    let epoch = rig.need().epoch;
    let sent = told.borrow().sent.len();
    rig.give(&Item::Packet { epoch, payload: &packet });
    rig.turns(10);
    assert_eq!(rig.agrees(&day.teller(2_100)), usize::from(SYMBOLS));
    // What was held was brought in before anything was decided on it.
    let (entered, _) = requests(&mut rig);
    assert_eq!(told.borrow().sent.len() - sent, entered.len());
    rig.play(&day, 2_100, 2_500, 7);
    assert!(told.borrow().sent.len() > sent);
    assert!(rig.board_after_publishing().iter().all(|state| *state == BookState::Live));
}

#[test]
fn while_the_feed_is_silent_no_book_is_live_and_orders_are_taken_back() {
    const QUIET: u64 = 3_000_000_000;
    let day = Day::new(47, 4_000);
    let (mut rig, told) = keen(&Options::default());
    rig.play(&day, 1, 2_000, 7);
    let (entered, _) = requests(&mut rig);
    assert!(entered.len() > 40, "{}", entered.len());
    // Nothing but heartbeats is no silence.
    for _ in 0..5 {
        rig.time.set(rig.time.get() + QUIET / 2);
        rig.send(2_000, &[]);
        rig.turn();
    }
    rig.turns(100);
    assert_eq!((requests(&mut rig), rig.count("desk_silences")), ((vec![], vec![]), 0));
    rig.time.set(rig.time.get() + QUIET);
    rig.turns(100);
    let (later, cancelled) = requests(&mut rig);
    assert_eq!(later, [0_u32; 0]);
    assert_eq!(BTreeSet::from_iter(cancelled), BTreeSet::from_iter(entered));
    assert_eq!(
        (rig.count("desk_silences"), rig.count("desk_withdrawn")),
        (1, told.borrow().sent.len() as u64)
    );
    assert!(rig.board_after_publishing().iter().all(|state| *state == BookState::Recovering));
    // It goes on where it was: nothing is lost, and the very next change may be acted on.
    let sent = told.borrow().sent.len();
    rig.play(&day, 2_000, 2_500, 7);
    assert!(told.borrow().sent.len() > sent);
    assert_eq!(rig.count("refused_book_not_live"), 0);
    assert_eq!(rig.agrees(&day.teller(2_500)), usize::from(SYMBOLS));
    assert!(rig.board_after_publishing().iter().all(|state| *state == BookState::Live));
    assert_eq!(rig.count("desk_silences"), 1);
}

#[test]
fn the_end_of_the_loop_takes_back_everything() {
    let day = Day::new(44, 4_000);
    let (mut rig, told) = keen(&Options::default());
    rig.play(&day, 1, 2_000, 7);
    let (entered, cancelled) = requests(&mut rig);
    assert!(cancelled.is_empty() && entered.len() > 40);
    rig.switches.stop.store(true, Ordering::Relaxed);
    rig.time.set(rig.time.get() + 1_000_000);
    rig.pipeline.run();
    let (later, cancelled) = requests(&mut rig);
    assert_eq!((later, cancelled.len()), (vec![], entered.len()));
    assert_eq!(BTreeSet::from_iter(cancelled), BTreeSet::from_iter(entered));
    assert_eq!(told.borrow().orders, 0);
}

#[test]
fn a_full_transmit_queue_only_delays_what_must_be_taken_back() {
    let day = Day::new(45, 4_000);
    let (mut rig, told) = keen(&Options { ring: 40, ..Options::default() });
    // Nobody empties the far end.
    rig.play(&day, 1, 2_000, 7);
    assert!(rig.count("desk_orders_unsent") > 0, "the ring was not full");
    let open: BTreeSet<_> = told.borrow().sent.keys().copied().collect();
    rig.play(&day, 2_001, 2_100, 7);
    rig.turns(20_000);
    assert_eq!(rig.count("desk_withdrawn"), 0);
    let (_, mut cancelled) = requests(&mut rig);
    for _ in 0..10 {
        rig.turns(6_000);
        cancelled.extend(requests(&mut rig).1);
    }
    assert_eq!(cancelled.len(), open.len(), "each once");
    assert_eq!(BTreeSet::from_iter(cancelled), open);
}
