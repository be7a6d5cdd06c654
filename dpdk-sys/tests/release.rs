//! What the build script decides from the version of DPDK alone.
#![expect(clippy::unwrap_used, reason = "a test's helpers")]

#[path = "../build/release.rs"]
mod release;

use release::Release;

fn release(version: &str) -> Release {
    Release::read(version).unwrap()
}

#[test]
fn bursts_of_audited_releases_are_our_own() {
    for version in ["22.11.11", "22.11", "23.11.0", "24.11.4", "25.11.4"] {
        assert!(release(version).bursts_audited(false), "{version}");
        assert!(!release(version).bursts_audited(true), "{version}, shim forced");
    }
}

#[test]
fn any_other_release_goes_through_the_shim() {
    // Not long-term, not released yet, after all that was read.
    for version in
        ["23.03.0", "23.07", "24.03.1", "25.07.0", "25.11.0-rc1", "26.03.0", "26.11.0-rc3", "27.11.2", "31.5"]
    {
        assert!(!release(version).bursts_audited(false), "{version}");
        assert!(!release(version).bursts_audited(true), "{version}, shim forced");
    }
}

#[test]
fn what_distributions_add_to_a_version_changes_nothing() {
    assert!(release("24.11.4-0+deb13u1").bursts_audited(false));
}

#[test]
fn old_releases_are_refused_by_name() {
    for version in ["22.10.9", "21.11.5", "20.11", "19.11.14", "2.2.0"] {
        let why = Release::read(version).unwrap_err();
        assert_eq!(why, format!("DPDK {version} is too old: 22.11 or later is needed."));
    }
}

#[test]
fn what_is_no_version_is_refused() {
    for version in ["", "25", "x.y", "22.", "v25.11", "25.-rc1", "-25.11", "99999999999.11"] {
        let why = Release::read(version).unwrap_err();
        assert_eq!(why, format!("pkg-config gives '{version}' as DPDK's version"));
    }
}

#[test]
fn the_log_is_a_library_of_its_own_since_23_11() {
    assert!(!release("22.11.11").has_log_library());
    assert!(!release("23.07.0").has_log_library());
    for version in ["23.11.0", "24.11.4", "25.11.4", "26.03.0"] {
        assert!(release(version).has_log_library(), "{version}");
    }
}
