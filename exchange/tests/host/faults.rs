//! Each fault shows in what comes out and in the counters, and ends when it should.

use exchange::host::{Config, Exchange, Fault, Output, Roll};
use exchange::lines::Line;
use exchange::publisher;

use super::feed::{send, some_order};
use super::receiver::{Receiver, agree};
use super::{MS, play, small, venue};

fn planned(seed: u64, plan: &[(u64, Fault)]) -> Config {
    Config { plan: plan.to_vec(), ..small(seed) }
}

/// Plays until a time and half a second more after the close.
fn day(config: &Config, length: u64, out: &mut impl FnMut(u64, Output<'_>)) -> Exchange {
    let mut exchange = venue(config);
    play(&mut exchange, 0, length, MS, out);
    exchange.close(length, &mut |output| out(length, output));
    play(&mut exchange, length, length + 500 * MS, MS, out);
    exchange
}

#[test]
fn exactly_the_messages_asked_for_are_lost_on_both_lines() {
    let plan = [
        (150 * MS, Fault::LoseOnBoth { messages: 1 }),
        (60 * MS, Fault::LoseOnBoth { messages: 500 }),
        (150 * MS, Fault::LoseOnBoth { messages: 2 }),
    ];
    let mut receiver = Receiver::default();
    let exchange = day(&planned(1, &plan), 200 * MS, &mut |_, output| receiver.take(output));
    let missing = receiver.missing(exchange.publisher().session());
    assert_eq!(missing.len(), 503);
    assert_eq!(missing[499] - missing[0], 499);
    assert_eq!(missing[502] - missing[500], 2);
    // Message 6,000 is due at 60 ms; several may be said at once.
    assert!(missing[0].abs_diff(6_001) <= 50 && missing[500].abs_diff(15_001) <= 50);
    assert_eq!(exchange.faults().doomed, 503);
}

#[test]
fn a_burst_on_command_multiplies_the_rate() {
    let plan = [(50 * MS, Fault::Burst { factor: 10, length: 20 * MS })];
    let mut exchange = venue(&planned(1, &plan));
    play(&mut exchange, 0, 100 * MS, MS, &mut |_, _| {});
    let said = exchange.market().counters().messages;
    assert!(said.abs_diff(5_000 + 20_000 + 3_000) <= 50, "{said}");
    assert_eq!(exchange.faults().bursts, 1);
}

#[test]
fn a_dead_line_is_made_good_by_the_other() {
    let plan = [(50 * MS, Fault::LineDead { line: Line::A, length: 40 * MS })];
    let (mut receiver, mut silent) = (Receiver::default(), 0);
    let exchange = day(&planned(2, &plan), 150 * MS, &mut |now, output| {
        let meanwhile = (52 * MS..90 * MS).contains(&now);
        match output {
            Output::Line(Line::A, _) => assert!(!meanwhile),
            Output::Line(Line::B, _) => silent += u64::from(meanwhile),
            _ => {}
        }
        receiver.take(output);
    });
    let dead = exchange.publisher().lines().counters(Line::A).expect("line A").dead;
    assert!(silent > 100 && dead > 100 && exchange.faults().deaths == 1);
    assert!(agree(&receiver.books(exchange.publisher().session()), &exchange));
}

#[test]
fn nothing_comes_in_or_goes_out_while_the_link_is_down() {
    let plan = [(50 * MS, Fault::LinkFlap { length: 40 * MS })];
    let mut exchange = venue(&planned(2, &plan));
    let (mut receiver, mut replies) = (Receiver::default(), [0u64; 2]);
    let mut user_ref = 0;
    for ms in 1..=120 {
        let down = (50..90).contains(&ms);
        let mut out = |now: u64, output: Output<'_>| {
            // Line B is 3 µs long.
            assert!(!down || now <= 50 * MS + 3_000, "{output:?}");
            replies[usize::from(ms > 90)] += u64::from(matches!(output, Output::Reply { .. }));
            receiver.take(output);
        };
        play(&mut exchange, (ms - 1) * MS, ms * MS, MS, &mut out);
        user_ref += 1;
        if let Some(payload) = some_order(&exchange, user_ref) {
            send(&mut exchange, ms * MS, &payload, &mut out);
        }
    }
    assert!(replies[0] > 10 && replies[1] > 20, "{replies:?}");
    let faults = *exchange.faults();
    assert!(faults.flaps == 1 && faults.swallowed_in > 30, "{faults:?}");
    let missing = receiver.missing(exchange.publisher().session());
    assert!(missing.len().abs_diff(4_000) < 200, "{}", missing.len());
}

#[test]
fn a_roll_begins_a_new_session_with_other_locates_and_cancels_outside_orders() {
    for roll in [Roll::Said, Roll::Skipped] {
        let plan = [(100 * MS, Fault::SessionRoll), (200 * MS, Fault::SessionRoll)];
        let config = Config { roll, roll_pause_ns: 5 * MS, ..planned(5, &plan) };
        let mut exchange = venue(&config);
        let (mut receiver, mut canceled, mut quiet) = (Receiver::default(), 0u64, true);
        let mut resting = 0;
        for ms in 1..=300 {
            if ms == 200 {
                resting = exchange.gateway().accounts().map(|(_, account)| account.open_orders().len()).sum();
            }
            play(&mut exchange, (ms - 1) * MS, ms * MS, MS, &mut |now, output| {
                if let Output::Reply { payload, .. } = output
                    && (now == 100 * MS || now == 200 * MS)
                {
                    let packet = exchange::mold::Packet::parse(payload).expect("a packet");
                    canceled += packet.messages().filter(|message| message.starts_with(b"C")).count() as u64;
                }
                if let Output::Line(_, payload) = output
                    && (102 * MS..=105 * MS).contains(&now)
                {
                    quiet &= payload.ends_with(&[0, 0]);
                }
                receiver.take(output);
            });
            if ms % 100 != 99
                && ms % 100 != 0
                && let Some(payload) = some_order(&exchange, ms as u32)
            {
                send(&mut exchange, ms * MS, &payload, &mut |_, output| receiver.take(output));
            }
        }
        exchange.close(300 * MS, &mut |output| receiver.take(output));
        play(&mut exchange, 300 * MS, 800 * MS, MS, &mut |_, output| receiver.take(output));

        let sessions: Vec<[u8; 10]> = receiver.messages.keys().copied().collect();
        assert_eq!(sessions, [*b"WIREBOOK01", *b"WIREBOOK02", *b"WIREBOOK03"]);
        let said = if roll == Roll::Said { Some(&6) } else { None };
        assert_eq!(receiver.ends.get(b"WIREBOOK01"), said);
        assert_eq!(receiver.ends.get(b"WIREBOOK02"), said);
        assert_eq!(receiver.ends.get(b"WIREBOOK03"), Some(&6));
        assert!(quiet);
        // Each session is whole, from 1 on, and the last one's books are the market's.
        receiver.books(sessions[0]);
        receiver.books(sessions[1]);
        assert!(agree(&receiver.books(sessions[2]), &exchange));
        let directory = |session| -> Vec<Vec<u8>> {
            let all = receiver.messages[&session].values();
            all.filter(|message| message[0] == b'R').map(|message| message[1..3].to_vec()).collect()
        };
        let symbols = |session| -> Vec<Vec<u8>> {
            let all = receiver.messages[&session].values();
            all.filter(|message| message[0] == b'R').map(|message| message[11..19].to_vec()).collect()
        };
        assert!(directory(sessions[0]).len() == 20 && symbols(sessions[0]) != symbols(sessions[1]));
        let faults = *exchange.faults();
        assert!(faults.rolls == 2 && faults.purged > 0 && resting > 0);
        assert_eq!(canceled, faults.purged);
    }
}

#[test]
fn a_day_after_the_close_begins_with_a_roll() {
    let config = Config { roll: Roll::Skipped, ..small(1) };
    let mut receiver = Receiver::default();
    let mut exchange = day(&config, 50 * MS, &mut |_, output| receiver.take(output));
    assert!(exchange.is_over());
    exchange.inject(600 * MS, Fault::SessionRoll, &mut |output| receiver.take(output));
    assert!(!exchange.is_over());
    play(&mut exchange, 600 * MS, 650 * MS, MS, &mut |_, output| receiver.take(output));
    exchange.close(650 * MS, &mut |output| receiver.take(output));
    play(&mut exchange, 650 * MS, 1_200 * MS, MS, &mut |_, output| receiver.take(output));
    assert!(exchange.is_over());
    assert!(agree(&receiver.books(*b"WIREBOOK02"), &exchange));
}

#[test]
fn an_idle_venue_has_a_heartbeat() {
    let publisher = publisher::Config { heartbeat_ns: 10 * MS, ..publisher::Config::default() };
    let config = Config { rate: 5, publisher, ..small(1) };
    let mut exchange = venue(&config);
    let mut receiver = Receiver::default();
    play(&mut exchange, 0, 1_000 * MS, MS, &mut |_, output| receiver.take(output));
    // Messages at 200, 400, … ms; 9 or 10 heartbeats on each line after each but the last.
    assert_eq!(exchange.market().counters().messages, 5);
    assert!((150..=162).contains(&receiver.heartbeats), "{}", receiver.heartbeats);
}
