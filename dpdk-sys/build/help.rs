//! What to install, in one line.

use std::{fmt::Display, fs};

/// The install command for this system, or the names to look for where it is not known.
pub(crate) fn install() -> String {
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        os.lines()
            .find_map(|l| l.strip_prefix(key))
            .map(|v| v.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    let (id, version) = (field("ID="), field("VERSION_ID="));
    let clang = match (id.as_str(), version.as_str()) {
        ("debian", "12") => "libclang1-14 libclang-common-14-dev",
        ("debian", "13") => "libclang1-19 libclang-common-19-dev",
        ("ubuntu", "24.04") => "libclang1-18 libclang-common-18-dev",
        ("debian", _) => "libclang1-21 libclang-common-21-dev",
        ("ubuntu", _) => "libclang-dev",
        _ => {
            return "needed: a C compiler, pkg-config, the DPDK development files (libdpdk.pc), libclang with its \
                    headers; to build without DPDK: --no-default-features"
                .into();
        }
    };
    format!(
        "install it: apt install --no-install-recommends gcc libc6-dev make pkg-config libdpdk-dev {clang}\n\
         or build without DPDK: --no-default-features"
    )
}

pub(crate) fn first_line(text: &impl Display) -> String {
    text.to_string().lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default().to_owned()
}
