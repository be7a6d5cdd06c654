//! The recovery client between a hostile loop and hostile servers: the input is a list of what they do.
#![no_main]

use wirebook::feed::handover::{Hole, Item, Need, link};
use wirebook::feed::recovery::{Action, Recovery, RecoveryConfig, RequestsConfig, SnapshotConfig, Stated};

const MS: u64 = 1_000_000;

const CONFIG: RecoveryConfig = RecoveryConfig {
    requests: Some(RequestsConfig {
        servers: 2,
        max_messages: 50,
        timeout: 20 * MS,
        retries: 3,
        per_second: 1_000,
        outstanding: 4,
        max_hole: 1_000,
    }),
    snapshot: Some(SnapshotConfig {
        username: *b"fuzz  ",
        password: *b"fuzz      ",
        check_session: false,
        stated: Stated::Next,
        login_timeout: 100 * MS,
        silence_timeout: 100 * MS,
        total_timeout: 1_000 * MS,
        max_messages: 100,
        back_off: MS,
        back_off_max: 8 * MS,
    }),
};

/// Takes up to `N` bytes off the front; what is missing is 0.
fn take<const N: usize>(input: &mut &[u8]) -> [u8; N] {
    let (now, later) = input.split_at((*input).len().min(N));
    *input = later;
    std::array::from_fn(|at| now.get(at).copied().unwrap_or(0))
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let (mut of_loop, mut of_client) = link(0);
    let giver = &mut of_client.giver;
    let mut client = Recovery::new(CONFIG);
    let mut need = Need { epoch: 1, ..Need::default() };
    let (mut now, mut loading) = (0_u64, None);
    while !input.is_empty() {
        let [what, size] = take(&mut input);
        now += u64::from(size) * MS / 16;
        let len = usize::from(size).min(input.len());
        match what % 8 {
            0 => {
                let at = usize::from(size) % need.holes.len();
                let first = u64::from_be_bytes(take(&mut input));
                let len = u64::from(u16::from_be_bytes(take(&mut input)));
                need.holes[at] = Hole { first, end: first.saturating_add(len) };
            }
            1 => need.epoch += u64::from(size % 2),
            2 => (need.snapshot, need.oldest) = (u64::from(size % 3), u64::from(size)),
            3 => client.on_connected(now, &mut |_| ()),
            4 => client.on_disconnected(now, giver),
            5 => {
                let (bytes, later) = input.split_at(len);
                input = later;
                assert!(client.on_bytes(now, bytes, giver, &mut |_| ()) <= len);
            }
            6 => {
                let (payload, later) = input.split_at(len);
                input = later;
                client.on_answer(now, usize::from(what / 8 % 3), payload, giver);
            }
            _ => {}
        }
        client.on_need(now, &need, giver, &mut |action| {
            if let Action::Request { server, .. } = action {
                assert!(server < 2);
            }
        });
        assert!(client.status().outstanding <= 4);
        while let Some(item) = of_loop.taker.take() {
            match (item, &mut loading) {
                (Item::SnapshotBegin { .. }, _) => loading = Some(0),
                (Item::SnapshotMessage { .. }, Some(count)) => {
                    *count += 1;
                    assert!(*count <= 100);
                }
                (Item::SnapshotEnd { .. } | Item::SnapshotFailed, Some(_)) => loading = None,
                (Item::Packet { .. } | Item::Abandon { .. }, _) => {}
                (item, None) => panic!("{item:?} out of place"),
            }
        }
    }
    assert!(client.notices().count() < 1_000);
});
