#!/usr/bin/env bash
# Installs what wirebook needs to build, run, be tested and be checked, on Debian and Ubuntu; elsewhere says what is missing.
#
#   tools/setup.sh [--dry-run] [build|demo|test|lint|nic|gate]...      (default: demo)
#
# Does nothing, and asks the network nothing, where everything is there. Uses sudo where it is not run by root.
# Exit: 0 everything is there; 1 something is missing and could not be installed; 2 wrong arguments.
set -euo pipefail

# The lists. build takes the first; demo, test and nic add RUN; test adds TEST, lint LINT, nic NIC, and gate GATE.
# @ABI@ and @CLANG@ are filled in below.
BUILD='gcc libc6-dev make pkg-config libdpdk-dev libclang1-@CLANG@ libclang-common-@CLANG@-dev'
# Virtual devices: EAL loads each driver as a plugin, so nothing but its package brings it.
RUN='librte-bus-vdev@ABI@ librte-mempool-ring@ABI@ librte-net-af-packet@ABI@ librte-net-af-xdp@ABI@
     librte-net-memif@ABI@ librte-net-null@ABI@ librte-net-pcap@ABI@ librte-net-ring@ABI@ librte-net-tap@ABI@'
TEST='dpdk-dev ethtool iproute2 procps python3 tshark'
LINT='shellcheck'
# Counts instructions.
GATE='valgrind'
# A guest with emulated NICs: its kernel and its busybox are fetched by tests/nic/guest/prepare.sh, and not installed.
NIC='qemu-system-x86 util-linux xz-utils
     librte-bus-pci@ABI@ librte-net-e1000@ABI@ librte-net-virtio@ABI@ librte-net-vmxnet3@ABI@'
RUST_LEAST=1.89

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

usage() {
    sed -n '2,7s/^# \{0,1\}//p' "$0"
    exit "$1"
}

dry_run=no
modes=
for argument; do
    case $argument in
        --dry-run) dry_run=yes ;;
        -h | --help) usage 0 ;;
        build | demo | test | lint | nic | gate) modes+=" $argument" ;;
        *) printf 'setup: unknown argument %s\n' "$argument" >&2; usage 2 >&2 ;;
    esac
done
modes=${modes:- demo}

templates=$BUILD
case $modes in *demo* | *test* | *nic*) templates+=" $RUN" ;; esac
case $modes in *test*) templates+=" $TEST" ;; esac
case $modes in *lint*) templates+=" $LINT" ;; esac
case $modes in *nic*) templates+=" $NIC" ;; esac
case $modes in *gate*) templates+=" $GATE" ;; esac

# Rust comes from rustup or the distribution and is not ours to install.
rust_complaint() {
    local version
    if ! version=$(rustc --version 2>/dev/null); then
        printf 'Rust %s or newer (rustc, cargo): see https://www.rust-lang.org/tools/install' "$RUST_LEAST"
        return
    fi
    version=${version#rustc }
    version=${version%%[ -]*}
    if [ "$(printf '%s\n%s\n' "$RUST_LEAST" "$version" | sort -V | head -n 1)" != "$RUST_LEAST" ]; then
        printf 'Rust %s or newer; here is %s: run "rustup update"' "$RUST_LEAST" "$version"
    elif ! command -v cargo >/dev/null; then
        printf 'cargo, of Rust %s or newer' "$RUST_LEAST"
    elif [[ $modes == *lint* ]] && ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
        printf 'rustfmt and clippy: run "rustup component add rustfmt clippy"'
    fi
}

# Other systems: tell by what is there, not by package names that we cannot know.
other_system() {
    local missing=()
    command -v cc >/dev/null || missing+=('a C compiler (cc)')
    command -v make >/dev/null || missing+=('make')
    command -v pkg-config >/dev/null || missing+=('pkg-config')
    pkg-config --exists libdpdk 2>/dev/null || missing+=('DPDK 22.11 to 25.11 with its headers (pkg-config libdpdk)')
    if [ -z "${LIBCLANG_PATH:-}" ] && ! command -v llvm-config >/dev/null && ! command -v clang >/dev/null &&
        ! /sbin/ldconfig -p 2>/dev/null | grep -q libclang; then
        missing+=('libclang with its own headers (stddef.h), for bindgen')
    fi
    case $modes in *test*) command -v ip >/dev/null || missing+=('ip (iproute2)') ;; esac
    case $modes in *lint*) command -v shellcheck >/dev/null || missing+=('shellcheck') ;; esac
    case $modes in *gate*) command -v valgrind >/dev/null || missing+=('valgrind') ;; esac
    case $modes in *nic*) missing+=('Debian: the guest is made from its packages') ;; esac
    [ -z "$rust" ] || missing+=("$rust")
    if [ ${#missing[@]} -eq 0 ]; then
        say "everything needed for$modes is there"
        exit 0
    fi
    printf 'setup: this is neither Debian nor Ubuntu, so nothing is installed; missing for%s:\n' "$modes" >&2
    printf 'setup:   %s\n' "${missing[@]}" >&2
    exit 1
}

rust=$(rust_complaint)
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    other_system
fi

installed() {
    local status
    status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) || return 1
    case $status in ii*) return 0 ;; *) return 1 ;; esac
}

# The libclang that is installed together with its headers, else the one the release builds with.
clang_version() {
    local package version
    while read -r package; do
        version=${package#libclang1-}
        if [[ $version =~ ^[0-9]+$ ]] && installed "$package" && installed "libclang-common-$version-dev"; then
            printf '%s' "$version"
            return
        fi
    done < <(dpkg-query -W -f '${Package}\n' 'libclang1-*' 2>/dev/null | sort -rV)
    apt-cache depends libclang-dev 2>/dev/null | sed -n 's/.*Depends: libclang-\([0-9][0-9]*\)-dev$/\1/p' | head -n 1
}

# The number in the names of the runtime packages: 23 for DPDK 22.11, 24 for 23.11, 25 for 24.11, …
dpdk_abi() {
    if installed libdpdk-dev; then
        dpkg-query -W -f '${Depends}' libdpdk-dev
    else
        apt-cache depends libdpdk-dev 2>/dev/null
    fi | grep -o 'librte-eal[0-9.]*' | head -n 1 | sed 's/^librte-eal//'
}

# A name that ends in a digit takes a hyphen before the number (librte-net-e1000-23).
fill_in() {
    local name
    packages=()
    for name in $templates; do
        name=${name//@CLANG@/$clang}
        case $name in
            *[0-9]@ABI@) name=${name/@ABI@/-$abi} ;;
            *) name=${name/@ABI@/$abi} ;;
        esac
        packages+=("$name")
        # dpdk-telemetry.py moved out of dpdk-dev after 22.11 (ABI 23).
        [ "$name" != dpdk-dev ] || [ "${abi%%.*}" -le 23 ] || packages+=(dpdk)
    done
}

find_missing() {
    local package
    clang=$(clang_version)
    abi=$(dpdk_abi)
    missing=()
    if [ -z "$clang" ] || [ -z "$abi" ]; then
        return 1
    fi
    fill_in
    for package in "${packages[@]}"; do
        installed "$package" || missing+=("$package")
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

release=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"')
release=${release:-this system}

known=yes
find_missing || known=no
if [ $known = yes ] && [ ${#missing[@]} -eq 0 ]; then
    [ -z "$rust" ] || fail "missing: $rust"
    say "everything needed for$modes is there"
    exit 0
fi

if [ $dry_run = yes ]; then
    if [ $known = yes ]; then
        say "would install on $release: ${missing[*]}"
    else
        say "would run apt-get update on $release, to learn the names of its packages"
    fi
    [ -z "$rust" ] || fail "missing: $rust"
    exit 1
fi

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    if [ $known = yes ]; then
        fail "this user is not root and there is no sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
    fi
    fail "this user is not root and there is no sudo; as root: apt-get update; then run this again"
fi

if [ $known = no ]; then
    say "$release has no package lists yet: apt-get update"
    as_root apt-get -q update || fail "apt-get update failed: see above"
    find_missing || fail "$release offers no libdpdk-dev or no libclang-dev: enable its main (Debian) or universe (Ubuntu) component"
fi
say "installing on $release: ${missing[*]}"
if ! as_root apt-get -q -y install --no-install-recommends "${missing[@]}"; then
    say "that failed; once more with fresh package lists"
    as_root apt-get -q update || fail "apt-get update failed: see above"
    as_root apt-get -q -y install --no-install-recommends "${missing[@]}" || fail "apt-get install failed: see above"
fi
find_missing || fail "the packages were installed, but libdpdk-dev or libclang cannot be found"
[ ${#missing[@]} -eq 0 ] || fail "still missing: ${missing[*]}"
[ -z "$rust" ] || fail "missing: $rust"
say "everything needed for$modes is there now"
