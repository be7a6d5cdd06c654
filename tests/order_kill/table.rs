//! Every step of an order's life, times every kind of end.

use wirebook::order::Session;
use wirebook::order::ouch_session::Phase;
use wirebook::strategy::Intent;

use crate::cable::{LATENCY, MS, SECOND};
use crate::world::World;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Connect,
    LogIn,
    Replay,
    Query,
    Enter,
    Take,
    Replace,
    Cancel,
    Heartbeat,
    LogOut,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    InQueue,
    OnTheWire,
    InVenuesSocket,
    AnswerOnTheWire,
    AnswerHeard,
}

/// What ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Our process is killed; what stood in its transmit queue is gone with it.
    Killed,
    /// The same, but the NIC still sends what stood there.
    KilledLate,
    /// The venue closes its connections.
    Closed,
    /// It resets them.
    Reset,
    /// Its host forgets them and says nothing.
    Forgotten,
    /// Nothing passes either way until both have given up.
    HalfOpen,
    /// Nothing comes from the venue, until we have given up.
    Deaf,
    /// The gateway does nothing until we have given up.
    Silent,
    /// Our process is killed, and the venue's host has forgotten the connections.
    Both,
    /// A fifth of all frames is lost, others come doubled and late, and our process is killed.
    Lossy,
}

const ACTS: [Act; 10] = [
    Act::Connect,
    Act::LogIn,
    Act::Replay,
    Act::Query,
    Act::Enter,
    Act::Take,
    Act::Replace,
    Act::Cancel,
    Act::Heartbeat,
    Act::LogOut,
];

/// The stages that there are of an act.
const fn stages(act: Act) -> &'static [Stage] {
    use Stage::{AnswerHeard, AnswerOnTheWire, InQueue, InVenuesSocket, OnTheWire};
    match act {
        // Nothing of it reaches the gateway.
        Act::Connect => &[InQueue, OnTheWire, AnswerOnTheWire, AnswerHeard],
        // It is all answers.
        Act::Replay => &[AnswerOnTheWire, AnswerHeard],
        // Nobody answers.
        Act::Heartbeat => &[InQueue, OnTheWire, InVenuesSocket],
        _ => &[InQueue, OnTheWire, InVenuesSocket, AnswerOnTheWire, AnswerHeard],
    }
}

pub(crate) const ENDS: [End; 10] = [
    End::Killed,
    End::KilledLate,
    End::Closed,
    End::Reset,
    End::Forgotten,
    End::HalfOpen,
    End::Deaf,
    End::Silent,
    End::Both,
    End::Lossy,
];

/// A day so far: an earlier process has traded, left two orders open, and was killed.
fn day(cancel_on_disconnect: bool, seed: u64) -> World {
    let mut world = World::new(cancel_on_disconnect, seed);
    assert!(world.within(10 * SECOND, |w| w.phase() == Phase::Up));
    for round in 0..30_u16 {
        let order = world.enter(round % 3, true).unwrap();
        assert!(world.within(SECOND, |w| w.is_settled()));
        if round < 28 {
            let view = world.view(round % 3);
            let cancel = Intent::Cancel { locate: round % 3, order };
            assert!(world.ours.place(cancel, &view, &mut world.tx).is_some());
            assert!(world.within(SECOND, |w| w.is_settled()));
        }
    }
    world.enter(1, false).unwrap();
    assert!(world.within(SECOND, |w| w.is_settled()));
    world.within(50 * MS, |_| false);
    world.agrees().unwrap();
    assert_eq!(world.ours.risk.blotter().open_orders(), 2);
    assert_eq!(world.ours.risk.blotter().holding(1).position, 100);
    world.kill(false);
    world
}

/// Goes on to where `act` stands in our transmit queue. False where it does not come to that.
fn begin(world: &mut World, act: Act) -> bool {
    let phase = |phase| move |w: &mut World| w.phase() == phase;
    match act {
        Act::Connect => return world.within(SECOND, phase(Phase::Connecting)),
        Act::LogIn => return world.within(5 * SECOND, phase(Phase::LoggingIn)),
        Act::Replay => {
            return world.within(5 * SECOND, |w| {
                (5..25).contains(&w.ours.risk.blotter().counters().adopted) && w.phase() == Phase::Replaying
            });
        }
        Act::Query => return world.within(5 * SECOND, phase(Phase::Asking)),
        _ => assert!(world.within(30 * SECOND, |w| w.is_settled())),
    }
    match act {
        Act::Enter => world.enter(0, true).is_some(),
        Act::Take => world.enter(0, false).is_some(),
        Act::Replace | Act::Cancel => {
            let order = world.enter(2, true).unwrap();
            assert!(world.within(SECOND, |w| w.is_settled()));
            let view = world.view(2);
            let price = world.ours.risk.blotter().order(order).unwrap().price;
            let lower = wirebook::market::Price(price.0 - 100);
            let intent = match act {
                Act::Cancel => Intent::Cancel { locate: 2, order },
                _ => Intent::Replace { locate: 2, order, shares: 150, price: lower },
            };
            world.ours.place(intent, &view, &mut world.tx).is_some()
        }
        Act::Heartbeat => {
            let before = world.ours.session.counters().heartbeats;
            world.within(3 * SECOND, |w| w.ours.session.counters().heartbeats > before)
        }
        _ => {
            let now = world.now;
            world.ours.session.log_out(now, &mut world.tx);
            true
        }
    }
}

/// Lets it come so far.
fn go(world: &mut World, stage: Stage) {
    if stage == Stage::InQueue {
        return;
    }
    let before = world.answers;
    world.venue.asleep = stage == Stage::InVenuesSocket;
    world.collect();
    match stage {
        Stage::InQueue | Stage::OnTheWire => {}
        Stage::InVenuesSocket => world.pass(LATENCY),
        Stage::AnswerOnTheWire => {
            world.within(5 * MS, |w| {
                w.collect();
                w.answers > before
            });
        }
        Stage::AnswerHeard => {
            world.within(5 * MS, |w| w.answers > before);
            world.pass(LATENCY);
        }
    }
    world.venue.asleep = false;
}

pub(crate) fn end(world: &mut World, end: End) {
    match end {
        End::Killed => world.kill(false),
        End::KilledLate => world.kill(true),
        End::Closed => world.venue.close_all(),
        End::Reset => {
            let now = world.now;
            world.venue.reset_all(now);
        }
        End::Forgotten => world.venue.forget_all(),
        End::HalfOpen => {
            world.cut = (true, true);
            world.within(17 * SECOND, |_| false);
            world.cut = (false, false);
        }
        End::Deaf => {
            world.cut.1 = true;
            world.within(17 * SECOND, |_| false);
            world.cut.1 = false;
        }
        End::Silent => {
            world.venue.asleep = true;
            world.within(17 * SECOND, |_| false);
            world.venue.asleep = false;
        }
        End::Both => {
            world.kill(true);
            world.venue.forget_all();
        }
        End::Lossy => {
            world.cable = crate::cable::Cable { lost: 200, doubled: 100, late: 200 };
            world.kill(true);
        }
    }
}

/// One cell: `Err` says what is wrong.
fn cell(act: Act, stage: Stage, kind: End, cancel_on_disconnect: bool) -> Result<(), String> {
    let mut world = day(cancel_on_disconnect, 3 + stage as u64);
    if !begin(&mut world, act) {
        return Err("was never begun".to_owned());
    }
    go(&mut world, stage);
    end(&mut world, kind);
    if act == Act::LogOut {
        // Whoever logs out does not come back by himself.
        world.within(5 * SECOND, |w| w.phase() == Phase::Stopped || kind == End::Lossy);
        world.ours.session.resume();
    }
    for round in 0..2 {
        if !world.within(300 * SECOND, |w| w.is_settled()) {
            return Err(format!("round {round}: {:?} after {} s", world.phase(), world.now / SECOND));
        }
        // Whatever is late has come by now.
        world.within(50 * MS, |_| false);
        if !world.within(300 * SECOND, |w| w.is_settled()) {
            return Err(format!("round {round}: not settled for long"));
        }
        world.agrees()?;
        let account = world.venue.gateway.account_of("WBOOK").unwrap();
        if round == 0 && world.next > account.next_user_ref() {
            return Err("the next number is not the venue's".to_owned());
        }
        // And life goes on.
        if round == 0 && world.enter(1, false).is_none() {
            return Err("nothing leaves any more".to_owned());
        }
    }
    Ok(())
}

#[test]
fn whatever_ends_when_both_sides_agree_afterwards() {
    let mut wrong = Vec::new();
    let title: Vec<String> = ENDS.iter().map(|end| format!("{end:?}")).collect();
    println!("{:28}{}", "step", title.iter().map(|end| format!("{end:>11}")).collect::<String>());
    for act in ACTS {
        for stage in stages(act).iter().copied() {
            let mut row = String::new();
            for kind in ENDS {
                let mut said = "ok";
                for cancel_on_disconnect in [false, true] {
                    if let Err(why) = cell(act, stage, kind, cancel_on_disconnect) {
                        said = "WRONG";
                        wrong.push(format!("{act:?} {stage:?} {kind:?} {cancel_on_disconnect}: {why}"));
                    }
                }
                row += &format!("{said:>11}");
            }
            println!("{:28}{row}", format!("{act:?} {stage:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cells:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}
