//! Orders over SoupBinTCP, beside those over datagrams: one market, one feed. A datagram of the test framing has the
//! shape of an unsequenced data packet, so that the same bytes serve for both.

use std::collections::BTreeSet;

use exchange::gateway::Owner;
use exchange::host::{Config, ConnId, Exchange, Fault, Output, Service};
use exchange::reference::Books;

use super::feed::{send, some_order};
use super::receiver::{Receiver, agree};
use super::soup::Client;
use super::{MS, play, small, venue};

/// Everything that came, to the receiver and to one client.
fn both<'a>(
    receiver: &'a mut Receiver,
    client: &'a mut Client,
    conn: ConnId,
) -> impl FnMut(u64, Output<'_>) + 'a {
    move |_, output| {
        client.take(conn, output);
        receiver.take(output);
    }
}

fn finish(mut exchange: Exchange, now: u64, receiver: &mut Receiver) {
    exchange.close(now, &mut |output| receiver.take(output));
    play(&mut exchange, now, now + 500 * MS, MS, &mut |_, output| receiver.take(output));
    assert!(agree(&receiver.books(exchange.publisher().session()), &exchange));
}

#[test]
fn orders_over_tcp_trade_and_come_back_in_the_feed() {
    let config = small(6);
    let session = config.publisher.session;
    let mut exchange = venue(&config);
    let (mut receiver, mut client, conn) = (Receiver::default(), Client::default(), ConnId(1));
    play(&mut exchange, 0, 50 * MS, MS, &mut both(&mut receiver, &mut client, conn));
    exchange.on_connect(50 * MS, Service::Orders, conn);
    exchange.on_bytes(50 * MS, conn, &Client::login(1), &mut |output| client.take(conn, output));
    for ms in 50..250 {
        let payload = some_order(&exchange, ms as u32 - 49);
        let mut out = both(&mut receiver, &mut client, conn);
        if let Some(payload) = payload {
            exchange.on_bytes(ms * MS, conn, &payload, &mut |output| out(ms * MS, output));
        }
        play(&mut exchange, ms * MS, (ms + 1) * MS, MS, &mut out);
    }
    let packets = client.packets();
    assert_eq!(packets[0].0, b'A');
    let count = |kind| packets.iter().filter(|(packet, said)| *packet == b'S' && said[0] == kind).count();
    assert!(count(b'A') > 100 && count(b'E') > 50, "{} {}", count(b'A'), count(b'E'));
    let account = exchange.gateway().account_of("reader").expect("an account");
    let owned: Vec<_> = account
        .positions()
        .map(|(symbol, position)| (symbol, position.shares()))
        .filter(|(_, own)| *own != 0)
        .collect();
    assert!(!owned.is_empty() && exchange.positions() == owned);
    // What rests of the orders is in the feed.
    let mut books = Books::new();
    for message in receiver.messages[&session].values() {
        books.apply(message).expect("a right feed");
    }
    let open: Vec<u64> = account.open_orders().map(|order| order.order_ref).collect();
    assert!(!open.is_empty());
    let seen: Vec<u64> = books.resting().map(|order| order.order_ref).collect();
    let shown = open.iter().filter(|order_ref| seen.contains(order_ref)).count();
    // The last ms of the feed may still wait for its packet.
    assert!(shown + 2 >= open.len(), "{shown} of {}", open.len());
    // They are orders of the day, and it ends: the closing cross may fill some, the others expire.
    let user_refs: BTreeSet<u32> = account.open_orders().map(|order| order.entered.user_ref).collect();
    let before = packets.len();
    let mut out = both(&mut receiver, &mut client, conn);
    exchange.close(250 * MS, &mut |output| out(250 * MS, output));
    play(&mut exchange, 250 * MS, 750 * MS, MS, &mut out);
    drop(out);
    assert!(agree(&receiver.books(exchange.publisher().session()), &exchange));
    let account = exchange.gateway().account_of("reader").expect("an account");
    assert_eq!(account.open_orders().count(), 0);
    let packets = client.packets();
    let named = |kind: u8, reason: Option<u8>| -> BTreeSet<u32> {
        let late = packets[before..].iter().map(|(_, said)| said);
        late.filter(|said| said[0] == kind && reason.is_none_or(|reason| said[17] == reason))
            .map(|said| u32::from_be_bytes(said[9..13].try_into().unwrap()))
            .collect()
    };
    let (expired, filled) = (named(b'C', Some(b'T')), named(b'E', None));
    assert!(expired.len() > 10 && expired.is_subset(&user_refs), "{expired:?}");
    assert_eq!(&expired | &filled, user_refs);
}

#[test]
fn who_is_dropped_logs_in_again_and_misses_nothing() {
    let plan = vec![(100 * MS, Fault::DropOrders)];
    let mut config = Config { plan, ..small(6) };
    config.gateway.cancel_on_disconnect = false;
    let mut exchange = venue(&config);
    let (mut receiver, mut first, mut second) = (Receiver::default(), Client::default(), Client::default());
    play(&mut exchange, 0, 60 * MS, MS, &mut |_, output| receiver.take(output));
    exchange.on_connect(60 * MS, Service::Orders, ConnId(1));
    exchange.on_bytes(60 * MS, ConnId(1), &Client::login(1), &mut |output| first.take(ConnId(1), output));
    for ms in 60..120 {
        let payload = some_order(&exchange, ms as u32 - 59);
        let mut out = both(&mut receiver, &mut first, ConnId(1));
        if let Some(payload) = payload {
            exchange.on_bytes(ms * MS, ConnId(1), &payload, &mut |output| out(ms * MS, output));
        }
        play(&mut exchange, ms * MS, (ms + 1) * MS, MS, &mut out);
    }
    assert!(first.closed && exchange.faults().drops == 1);
    // Everything again from the start, and what happened since.
    exchange.on_connect(120 * MS, Service::Orders, ConnId(2));
    exchange.on_bytes(120 * MS, ConnId(2), &Client::login(1), &mut |output| second.take(ConnId(2), output));
    play(&mut exchange, 120 * MS, 140 * MS, MS, &mut both(&mut receiver, &mut second, ConnId(2)));
    let said = |client: &Client| -> Vec<Vec<u8>> {
        client.packets().iter().filter(|(kind, _)| *kind == b'S').map(|(_, said)| said.to_vec()).collect()
    };
    let (before, after) = (said(&first), said(&second));
    assert!(before.len() > 30 && after.len() >= before.len() && after.starts_with(&before));
    finish(exchange, 140 * MS, &mut receiver);
}

#[test]
fn a_client_of_datagrams_is_told_what_an_order_over_tcp_did_to_its_own() {
    let mut exchange = venue(&small(6));
    let (mut receiver, mut client, mut told) = (Receiver::default(), Client::default(), 0);
    play(&mut exchange, 0, 50 * MS, MS, &mut |_, output| receiver.take(output));
    exchange.on_connect(50 * MS, Service::Orders, ConnId(1));
    exchange.on_bytes(50 * MS, ConnId(1), &Client::login(1), &mut |output| client.take(ConnId(1), output));
    for ms in 50..150u64 {
        // The one joins the bid behind nobody it knows; the other hits whatever is there.
        let number = ms as u32 - 49;
        if let Some(join) = some_order(&exchange, number * 6) {
            send(&mut exchange, ms * MS, &join, &mut |_, output| receiver.take(output));
        }
        let before = fills(&exchange, false);
        if let Some(mut hit) = some_order(&exchange, number * 6) {
            hit[4..8].copy_from_slice(&number.to_be_bytes());
            hit[8] = b'S';
            // Enough to reach the end of any queue there.
            hit[9..13].copy_from_slice(&50_000u32.to_be_bytes());
            exchange.on_bytes(ms * MS, ConnId(1), &hit, &mut |output| {
                told += u64::from(matches!(output, Output::Reply { .. }));
                receiver.take(output);
            });
        }
        assert!(fills(&exchange, false) == before || told > 0);
        play(&mut exchange, ms * MS, (ms + 1) * MS, MS, &mut |_, output| receiver.take(output));
    }
    assert!(told > 20 && fills(&exchange, true) > 20, "{told}");
    finish(exchange, 150 * MS, &mut receiver);
}

/// Shares bought and sold by users, or by addresses.
fn fills(exchange: &Exchange, users: bool) -> u64 {
    let of = |owner: &Owner| matches!(owner, Owner::User(_)) == users;
    let clients = exchange.gateway().clients().filter(|(owner, _)| of(owner));
    clients.flat_map(|(_, account)| account.positions()).map(|(_, own)| own.bought + own.sold).sum()
}

#[test]
fn orders_left_behind_by_a_broken_connection_are_cancelled_in_the_feed() {
    let plan = vec![(100 * MS, Fault::LinkFlap { length: 20 * MS })];
    let mut config = Config { plan, ..small(6) };
    config.gateway.cancel_on_disconnect = true;
    let mut exchange = venue(&config);
    let mut client = Client::default();
    play(&mut exchange, 0, 60 * MS, MS, &mut |_, _| {});
    exchange.on_connect(60 * MS, Service::Orders, ConnId(1));
    exchange.on_bytes(60 * MS, ConnId(1), &Client::login(1), &mut |output| client.take(ConnId(1), output));
    let open = |exchange: &Exchange| {
        exchange.gateway().account_of("reader").map_or(0, |account| account.open_orders().len())
    };
    for ms in 60..99 {
        if let Some(payload) = some_order(&exchange, ms as u32 - 59) {
            exchange.on_bytes(ms * MS, ConnId(1), &payload, &mut |output| client.take(ConnId(1), output));
        }
        play(&mut exchange, ms * MS, (ms + 1) * MS, MS, &mut |_, output| client.take(ConnId(1), output));
    }
    let before = open(&exchange);
    assert!(before > 0);
    play(&mut exchange, 99 * MS, 101 * MS, MS, &mut |_, output| client.take(ConnId(1), output));
    assert!(client.closed && open(&exchange) == 0);
    assert_eq!(exchange.faults().broken, 1);
}
