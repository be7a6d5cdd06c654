//! wirebook on emulated PCI NICs, each in a QEMU guest with its real poll-mode driver: bound by our wrapper, launched
//! as a user would, judged on the host by what comes out of the wire.
//!
//! Everything here is ignored unless asked for: `make test-nic`, or `cargo test --test nic -- --ignored --nocapture`.
//! `NICS=e1000e,virtio` selects among the NICs. What a guest said stays in `target/nic-guest/NAME`.
#![cfg(feature = "dpdk")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bed;
mod cable;
#[path = "../conformance/mod.rs"]
mod conformance;
mod direct;
mod guest;
mod raw;
mod refusals;
mod smoke;
mod static_build;
mod steps;
mod table;

use bed::{Bed, Kind};
use guest::{alone, possible, say};
use table::Row;

/// The NICs that are asked for: all, or those that `NICS` names.
fn wanted() -> Vec<Kind> {
    let Some(names) = std::env::var("NICS").ok().filter(|names| !names.is_empty()) else {
        return Kind::ALL.to_vec();
    };
    let named = |name: &str| {
        let all = Kind::ALL.map(Kind::name).join(", ");
        Kind::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .unwrap_or_else(|| panic!("NICS={name}: there are {all}"))
    };
    names.split(',').map(|name| named(name.trim())).collect()
}

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn every_nic_carries_the_whole_program() {
    let _machine = alone();
    let mut rows = Vec::new();
    for kind in wanted() {
        let mut row = Row::new(&kind.name());
        if let Err(why) = possible(kind.model) {
            row.impossible(why);
        } else if let Some(mut bed) =
            row.step("boot", || Bed::boot(kind).unwrap_or_else(|why| panic!("{why}")))
        {
            steps::all(&mut bed, &mut row);
            if !row.is_good() {
                say(&format!("{}: see {}", kind.name(), bed.guest.directory().display()));
            }
        }
        rows.push(row);
        say(&format!("\n{}", table::text(&rows)));
    }
    assert!(rows.iter().all(Row::is_good), "not every step went well: see above");
}
