//! `tools/dpdk-devbind-wrapper.sh` and `tools/hugepages.sh` on a made-up sysfs tree, with a thread that answers their
//! writes as the kernel does; under dash, bash, and busybox with nothing but its own applets.
#![expect(clippy::unwrap_used, reason = "a test stops at what it did not expect; its helper functions too")]

mod cases;
mod hugepages;
mod interrupted;
mod machine;
mod ports;

/// Each case in each shell.
macro_rules! in_each_shell {
    ($($module:ident::$case:ident,)*) => {
        in_each_shell!(in dash, Shell::Dash, $($module::$case,)*);
        in_each_shell!(in bash, Shell::Bash, $($module::$case,)*);
        in_each_shell!(in busybox, Shell::Busybox, $($module::$case,)*);
    };
    (in $name:ident, $shell:expr, $($module:ident::$case:ident,)*) => {
        mod $name {
            use crate::machine::Shell;
            $(
                #[test]
                fn $case() {
                    if $shell.is_installed() {
                        crate::$module::$case($shell);
                    } else {
                        eprintln!("skipped: {} is not installed", stringify!($name));
                    }
                }
            )*
        }
    };
}

in_each_shell! {
    cases::binds_and_restores,
    cases::unbind_then_bind_still_restores_the_first_driver,
    cases::a_driver_that_the_kernel_would_not_choose_is_restored_by_name,
    cases::a_port_that_vfio_does_not_take_goes_back,
    cases::a_dry_run_prints_each_write_and_does_none,
    cases::never_takes_the_default_route,
    cases::takes_an_interface_with_an_address_only_by_force,
    cases::an_ipv6_address_counts_unless_it_is_link_local,
    cases::bifurcated_ports_stay_with_their_kernel_driver,
    cases::wants_an_iommu_and_the_whole_group,
    cases::leaves_a_port_that_is_in_use,
    cases::checks_everything_before_it_changes_anything,
    cases::says_what_a_device_is_not,
    cases::wrong_arguments_exit_2,
    ports::loads_what_is_missing,
    ports::an_override_that_was_there_comes_back,
    ports::a_port_that_is_gone_is_forgotten,
    ports::an_interface_in_another_namespace_is_seen_by_its_absence,
    ports::virtual_functions,
    ports::solarflare_and_virtio_are_told_what_matters,
    ports::status_is_a_table,
    hugepages::reserves_and_mounts,
    hugepages::says_what_was_not_granted,
    hugepages::shows_what_there_is,
    hugepages::refuses_what_it_cannot_read,
    interrupted::a_bind_that_is_killed_is_finished_or_undone,
    interrupted::a_restore_that_is_killed_is_finished,
    interrupted::a_signal_ends_it_between_two_ports,
}
