//! Bindings from the installed headers, by an allow-list.

use std::{panic, path::Path};

use crate::{find::Dpdk, help};

/// Functions that wirebook calls, by name. Inlines are in the shim.
const FUNCTIONS: &[&str] = &[
    "shim_.*",
    // EAL: life, threads, log
    "rte_eal_init",
    "rte_eal_cleanup",
    "rte_eal_process_type",
    "rte_eal_remote_launch",
    "rte_eal_wait_lcore",
    "rte_eal_get_lcore_state",
    "rte_get_main_lcore",
    "rte_get_next_lcore",
    "rte_lcore_to_cpu_id",
    "rte_lcore_to_socket_id",
    "rte_thread_register",
    "rte_thread_unregister",
    "rte_log_set_global_level",
    "rte_strerror",
    "rte_version",
    // Buffers
    "rte_pktmbuf_pool_create",
    "rte_pktmbuf_alloc_bulk",
    "rte_pktmbuf_free_bulk",
    "rte_mempool_free",
    "rte_mempool_avail_count",
    "rte_mempool_in_use_count",
    "rte_mbuf_dyn_rx_timestamp_register",
    "rte_mbuf_dynfield_lookup",
    "rte_mbuf_dynflag_lookup",
    // Ports
    "rte_eth_dev_count_avail",
    "rte_eth_find_next_owned_by",
    "rte_eth_dev_is_valid_port",
    "rte_eth_dev_get_port_by_name",
    "rte_eth_dev_get_name_by_port",
    "rte_eth_dev_socket_id",
    "rte_eth_dev_info_get",
    "rte_eth_dev_configure",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_dev_start",
    "rte_eth_dev_stop",
    "rte_eth_dev_close",
    "rte_eth_dev_get_mtu",
    "rte_eth_dev_set_mtu",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_enable",
    "rte_eth_promiscuous_disable",
    "rte_eth_allmulticast_enable",
    "rte_eth_allmulticast_disable",
    "rte_eth_dev_set_mc_addr_list",
    "rte_eth_stats_get",
    "rte_eth_stats_reset",
    "rte_eth_xstats_get",
    "rte_eth_xstats_get_names",
    "rte_eth_tx_done_cleanup",
    "rte_eth_call_rx_callbacks",
    "rte_eth_call_tx_callbacks",
    // Capture and telemetry
    "rte_pdump_init",
    "rte_pdump_uninit",
    "rte_telemetry_register_cmd",
    "rte_tel_data_start_dict",
    "rte_tel_data_add_dict_string",
];

/// Variables and constants, by name.
const VARIABLES: &[&str] = &[
    "SHIM_.*",
    "rte_eth_fp_ops",
    "RTE_MAX_ETHPORTS",
    "RTE_MAX_QUEUES_PER_PORT",
    "RTE_MAX_LCORE",
    "RTE_PKTMBUF_HEADROOM",
    "RTE_MEMPOOL_CACHE_MAX_SIZE",
    "RTE_ETH_NAME_MAX_LEN",
    "RTE_LOG_.*",
    "RTE_MBUF_DYN.*_NAME",
];

pub(crate) fn generate(dpdk: &Dpdk, out: &Path) -> Result<(), String> {
    libclang_loads()?;
    let mut builder = bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_args(dpdk.include_paths.iter().map(|p| format!("-I{}", p.display())))
        .clang_args(&dpdk.other_cflags)
        // Thread-locals: bound as plain statics they would link and then crash.
        .blocklist_item("per_lcore_.*")
        // Its nesting differs between releases: read by the offsets in the shim header, never by field.
        .opaque_type("rte_mbuf")
        .opaque_type("rte_mempool")
        .derive_default(true)
        .layout_tests(true)
        .generate_comments(false)
        .formatter(bindgen::Formatter::None);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in VARIABLES {
        builder = builder.allowlist_var(name);
    }
    let bindings = builder.generate().map_err(|e| {
        let text = e.to_string();
        if text.contains("stddef.h") || text.contains("stdint.h") {
            format!("libclang has no C headers of its own (stddef.h).\n{}", help::install())
        } else {
            format!("DPDK {}'s headers could not be read: {}", dpdk.version, text)
        }
    })?;
    bindings.write_to_file(out.join("bindings.rs")).map_err(|e| e.to_string())
}

/// bindgen panics where libclang is missing; this says it in words.
fn libclang_loads() -> Result<(), String> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let loaded = panic::catch_unwind(bindgen::clang_version);
    panic::set_hook(hook);
    loaded
        .map(drop)
        .map_err(|_| format!("libclang was not found; bindings cannot be generated.\n{}", help::install()))
}
