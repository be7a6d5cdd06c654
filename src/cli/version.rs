//! What `wirebook --version` says below the number: which DPDK this program is tied to, and where its drivers are.

use std::sync::LazyLock;

static LONG: LazyLock<String> = LazyLock::new(|| format!("{}\n{}", env!("CARGO_PKG_VERSION"), facts()));

/// The number of the program, then a line for each fact of its DPDK.
pub(super) fn long() -> &'static str {
    &LONG
}

#[cfg(feature = "dpdk")]
fn facts() -> String {
    use crate::{eal::Linked, pmd::burst};

    let dpdk = Linked::dpdk();
    let how = if dpdk.drivers.is_empty() { "shared" } else { "linked into this program" };
    let bursts =
        if burst::OWN { "written in Rust, as this release was audited" } else { "through the C shim" };
    let drivers = if dpdk.drivers.is_empty() { dpdk.plugin_dir } else { dpdk.drivers.join(" ") };
    let headers = if dpdk.running.starts_with(&dpdk.headers) {
        String::new()
    } else {
        format!(", built with the headers of {}", dpdk.headers)
    };
    format!("{}, {how}{headers}\nbursts: {bursts}\ndrivers: {drivers}", dpdk.running)
}

#[cfg(not(feature = "dpdk"))]
fn facts() -> String {
    "built without DPDK".to_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_line_is_the_number_alone() {
        let mut lines = super::long().lines();
        assert_eq!(lines.next(), Some(env!("CARGO_PKG_VERSION")));
        let dpdk = lines.next().unwrap();
        if cfg!(feature = "dpdk") {
            assert!(dpdk.starts_with("DPDK 2"), "{dpdk}");
            assert_eq!(lines.count(), 2);
        } else {
            assert_eq!(dpdk, "built without DPDK");
        }
    }
}
