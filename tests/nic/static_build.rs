//! The statically linked program, in a guest from which all of DPDK is removed: it does the whole way on an e1000e, started
//! in a directory that has nothing but itself.
//!
//! `make static` builds it; `WIREBOOK_STATIC` names another one.

use std::path::{Path, PathBuf};

use crate::bed::{Bed, Subject};
use crate::guest::{Model, alone, also, possible, say};
use crate::steps;
use crate::table::{self, Row};

/// The program, if it was built.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("WIREBOOK_STATIC").filter(|path| !path.is_empty()).map(PathBuf::from);
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/static/release/wirebook");
    if let Some(path) = &named {
        assert!(path.is_file(), "WIREBOOK_STATIC={}: there is no such program", path.display());
    }
    Some(named.unwrap_or_else(built)).filter(|path| path.is_file())
}

#[test]
#[ignore = "needs QEMU and `make static`: make test-nic"]
fn a_program_without_dpdk_carries_everything_too() {
    let _machine = alone();
    let mut row = Row::new("static");
    let Some(program) = program() else {
        let skipped = "a_program_without_dpdk_carries_everything_too: build it with `make static`";
        let required =
            std::env::var_os("WIREBOOK_REQUIRE_LIVE").is_some_and(|value| !value.is_empty() && value != "0");
        assert!(!required, "WIREBOOK_REQUIRE_LIVE is set and there is no program for {skipped}");
        return say(&format!("SKIPPED {skipped}"));
    };
    if let Err(why) = possible(Model::E1000e) {
        row.impossible(why);
    } else if let Some(mut bed) = row.step("boot", || {
        let mut bed =
            Bed::boot(Subject::new("static", &[Model::E1000e])).unwrap_or_else(|why| panic!("{why}"));
        take_dpdk_away(&mut bed, &program);
        bed
    }) {
        steps::all(&mut bed, &mut row);
        if !row.is_good() {
            say(&format!("static: see {}", bed.guest.directory().display()));
        }
    }
    say(&format!("\n{}", table::text(std::slice::from_ref(&row))));
    assert!(row.is_good(), "not every step went well: see above");
}

/// `wirebook` in the guest is the static program from here on.
fn take_dpdk_away(bed: &mut Bed, program: &Path) {
    let shipped = bed.guest.host().join("static");
    std::fs::create_dir_all(shipped.join("bin")).unwrap();
    also(&shipped, program, "wirebook").unwrap();
    // The few libraries of the system that it asks for are there: the shared program wants them too.
    bed.guest.must("mkdir /only && cp /host/static/bin/wirebook /only/ && rm /bin/wirebook");
    bed.guest
        .must("find / -xdev -name 'librte_*' -exec rm -f {} +; ! find / -xdev -name 'librte_*' | grep .");
    // In place of itself, so that a signal to the one reaches the other.
    bed.guest.must(
        "printf '#!/bin/sh\\ncd /only && exec ./wirebook \"$@\"\\n' >/bin/wirebook && chmod 755 /bin/wirebook",
    );
    let version = bed.guest.must("wirebook --version");
    assert!(version.contains("linked into this program") && version.contains(" net_e1000 "), "{version}");
    assert_eq!(bed.guest.must("ls /only").trim(), "wirebook");
}
