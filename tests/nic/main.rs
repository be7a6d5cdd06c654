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
mod workers;

use bed::{Bed, Subject};
use guest::{alone, say};
use table::Row;

/// What is asked for: everything, or what `NICS` names.
fn wanted() -> Vec<Subject> {
    let Some(names) = std::env::var("NICS").ok().filter(|names| !names.is_empty()) else {
        return Subject::ALL.to_vec();
    };
    let named = |name: &str| {
        let known = Subject::ALL.map(|subject| subject.name).join(", ");
        let found = Subject::ALL.into_iter().find(|subject| subject.name == name);
        found.unwrap_or_else(|| panic!("NICS={name}: there are {known}"))
    };
    names.split(',').map(|name| named(name.trim())).collect()
}

#[test]
#[ignore = "needs QEMU: make test-nic"]
fn every_nic_carries_the_whole_program() {
    let _machine = alone();
    let mut rows = Vec::new();
    for subject in wanted() {
        let mut row = Row::new(subject.name);
        let boot = || Bed::boot(subject).unwrap_or_else(|why| panic!("{why}"));
        if let Err(why) = subject.possible() {
            row.impossible(why);
        } else if let Some(mut bed) = row.step("boot", boot) {
            steps::all(&mut bed, &mut row);
            if !row.is_good() {
                say(&format!("{}: see {}", subject.name, bed.guest.directory().display()));
            }
        }
        rows.push(row);
        say(&format!("\n{}", table::text(&rows)));
    }
    assert!(rows.iter().all(Row::is_good), "not every step went well: see above");
}
