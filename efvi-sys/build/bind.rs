//! Bindings from the headers, by an allow-list.

use std::{panic, path::Path};

/// Functions that wirebook calls, by name. Inlines are in the shim.
const FUNCTIONS: &[&str] = &[
    "shim_.*",
    // Setting up
    "ef_driver_open",
    "ef_driver_close",
    "ef_pd_alloc_by_name",
    "ef_pd_free",
    "ef_vi_alloc_from_pd",
    "ef_vi_free",
    "ef_vi_get_mac",
    "ef_vi_mtu",
    "ef_vi_capabilities_get",
    "ef_memreg_alloc",
    "ef_memreg_free",
    "ef_filter_spec_init",
    "ef_filter_spec_set_ip4_local",
    "ef_filter_spec_set_ip4_full",
    "ef_vi_filter_add",
    // In the loop
    "ef_vi_receive_unbundle",
    "ef_vi_receive_get_bytes",
    "ef_vi_transmit_unbundle",
    "efct_vi_rxpkt_get",
    "efct_vi_rxpkt_release",
];

/// Types whose fields are read: the operations of a VI, and events.
const TYPES: &[&str] = &[
    "ef_vi",
    "ef_event",
    "ef_precisetime",
    "ef_vi_rx_discard_err_flags",
    "ef_vi_flags",
    "ef_pd_flags",
    "ef_filter_flags",
    "ef_vi_capability",
];

/// Constants, by name.
const VARIABLES: &[&str] = &["SHIM_.*", "EF_EVENT_.*", "EF_VI_.*", "EF_PD_.*", "EF_FILTER_FLAG_NONE"];

pub(crate) fn generate(include: &Path, out: &Path) -> Result<(), String> {
    libclang_loads()?;
    let mut builder = bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_arg(format!("-I{}", include.display()))
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        // Names as in C, without the name of the enumeration before them.
        .prepend_enum_name(false)
        .formatter(bindgen::Formatter::None);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in VARIABLES {
        builder = builder.allowlist_var(name);
    }
    let bindings = builder.generate().map_err(|e| format!("ef_vi's headers could not be read: {e}"))?;
    bindings.write_to_file(out.join("bindings.rs")).map_err(|e| e.to_string())
}

/// bindgen panics where libclang is missing; this says it in words.
fn libclang_loads() -> Result<(), String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let loaded = panic::catch_unwind(bindgen::clang_version);
    panic::set_hook(hook);
    loaded.map(drop).map_err(|_| {
        "libclang was not found; bindings cannot be generated: install it with its C headers (Debian 12: \
         libclang1-14 libclang-common-14-dev)"
            .to_owned()
    })
}
