#!/usr/bin/env bash
# Builds, tests and runs this repository on several releases of DPDK, each in a Debian of its own, and prints a table.
#
#   tools/dpdk-matrix.sh [--fresh] [--mirror URL]
#
#   RELEASES='22.11 24.11 25.11'            which
#   TESTS='build test shim demo static'     which columns
#   QUICK=1                                 in "test" only those tests that touch DPDK, hardly optimised; "shim" likewise
#   CELL_SECONDS=5400                       how long one cell of the table may take
#   --fresh                                 makes the systems anew; they are kept in target/dpdk-matrix otherwise
#   --mirror                                where their packages come from (default: as this machine's Debian packages)
#
# build    bindings are generated and everything is built
# test     the tests of the whole workspace, as root, where none of them may be skipped
# shim     the ports, the conformance suite of the NIC seam and the whole loop, with every burst through the C shim
#          (DPDK_SYS_FORCE_SHIM=1), as on a release that was not audited
# demo     make demo
# static   make static: a program without shared DPDK, and that it runs where there is none
#
# What is built is what is committed. The Rust toolchain and the crates are this machine's (tools/lib/bare.sh). Needs
# root, debootstrap, and about 6 GB of disk a release. What each cell said stands in target/dpdk-matrix/logs.
# Exit: 0 all passed; 1 something failed; 2 wrong arguments.
set -euo pipefail

say() { printf 'dpdk-matrix: %s\n' "$*"; }
fail() { printf 'dpdk-matrix: %s\n' "$*" >&2; exit 1; }
usage() {
    sed -n '2,23s/^# \{0,1\}//p' "$0"
    exit "$1"
}

# shellcheck source=tools/lib/bare.sh
. "$(dirname "$0")/lib/bare.sh"

COLUMNS_ALL='build test shim demo static'

# The Debian that has this release of DPDK.
suite_of() {
    case $1 in
        22.11) echo bookworm ;;
        24.11) echo trixie ;;
        25.11) echo forky ;;
        *) return 1 ;;
    esac
}

# The tests that touch DPDK.
TOUCHING='--test dpdk_ports --test dpdk_preflight --test dpdk_release --test nic_alloc --test nic_conformance_dpdk --test trade'

# The shell command of a column.
command_of() {
    local quickly=
    # These need little speed, and compile faster so.
    [ -z "${QUICK:-}" ] || quickly='CARGO_PROFILE_TEST_OPT_LEVEL=1 CARGO_PROFILE_TEST_DEBUG=0'
    case $1 in
        build) echo 'cargo build --release --workspace' ;;
        test)
            if [ -n "${QUICK:-}" ]; then
                echo "export $quickly WIREBOOK_REQUIRE_LIVE=1; cargo test -p dpdk-sys && cargo test $TOUCHING --test live"
            else
                echo 'WIREBOOK_REQUIRE_LIVE=1 cargo test --workspace'
            fi
            ;;
        shim) echo "DPDK_SYS_FORCE_SHIM=1 $quickly cargo test $TOUCHING" ;;
        demo) echo 'make demo' ;;
        static) echo 'make static' ;;
    esac
}

# One cell: says how it ended and adds "column result seconds" to the results.
cell() {
    local root=$1 release=$2 column=$3 command log began seconds result=ok
    command=$(command_of "$column")
    log=$cache/logs/$release-$column.log
    began=$SECONDS
    # shellcheck disable=SC2016 # $0 is the inner shell's
    bare_run "$root" root "timeout --kill-after=20 ${CELL_SECONDS:-5400} bash -c $(printf %q "$command")" >"$log" 2>&1 ||
        result=FAILED
    seconds=$((SECONDS - began))
    say "$release $column: $result after $seconds s"
    if [ $result = FAILED ]; then
        say "the end of $log:"
        tail -n 15 "$log" | sed 's/^/    /'
    fi
    printf '%s %s %s\n' "$column" "$result" "$seconds" >>"$cache/$release.results"
}

# Second half: runs in namespaces of its own, with everything in the environment.
inside() {
    local root=$1 release=$2 found column
    bare_mounts "$root"
    if ! bare_run "$root" root 'tools/setup.sh build demo test' >"$cache/logs/$release-packages.log" 2>&1; then
        tail -n 15 "$cache/logs/$release-packages.log" >&2
        fail "$release: its packages could not be installed"
    fi
    found=$(bare_run "$root" root 'pkg-config --modversion libdpdk')
    # shellcheck disable=SC2016 # for the shell in there
    bare_run "$root" root 'printf "DPDK %s, libclang %s, gcc %s, glibc %s" "$(pkg-config --modversion libdpdk)" \
        "$(dpkg-query -W -f "\${Version}\n" "libclang1-*" | sort -V | tail -n 1 | sed "s/^[0-9]*://; s/-.*//")" \
        "$(gcc -dumpfullversion)" "$(ldd --version | sed -n "1s/.* //p")"' >"$cache/$release.found"
    say "$release: $(cat "$cache/$release.found")"
    case $found in
        "$release".*) ;;
        *) fail "$release: its Debian has moved on to DPDK $found: which one has $release now? (suite_of in $0)" ;;
    esac
    for column in $columns; do
        cell "$root" "$release" "$column"
    done
}

# A system that stands ready, and this commit in it.
prepare() {
    local release=$1 suite=$2 root=$3 clone=$3/root/wirebook
    if [ ! -e "$cache/$release.made" ]; then
        rm -rf --one-file-system "$root"
        mkdir -p "$root"
        chmod 755 "$root"
        say "$release: making a bare $suite in $root"
        bare_make "$suite" "$root" "$mirror" ca-certificates,git,make "$cache/logs/$release-debootstrap.log"
        touch "$cache/$release.made"
    fi
    bare_cargo "$root/root" crates
    [ -d "$clone/.git" ] || git init --quiet "$clone"
    git -C "$clone" fetch --quiet --depth 1 "file://$repository" "$commit"
    git -C "$clone" checkout --quiet --force --detach FETCH_HEAD
}

bare_collect_environment
BARE_ENVIRONMENT+=(CARGO_NET_OFFLINE=true CARGO_TERM_COLOR=never)
if [ "${1:-}" = --inside ]; then
    cache=$2 columns=$5
    inside "$3" "$4"
    exit
fi

fresh=no
mirror=
while [ $# -gt 0 ]; do
    case $1 in
        --fresh) fresh=yes ;;
        --mirror)
            [ $# -gt 1 ] || usage 2 >&2
            mirror=$2
            shift
            ;;
        -h | --help) usage 0 ;;
        *) printf 'dpdk-matrix: unknown argument %s\n' "$1" >&2; usage 2 >&2 ;;
    esac
    shift
done
releases=${RELEASES:-22.11 24.11 25.11}
columns=${TESTS:-$COLUMNS_ALL}
for release in $releases; do
    suite_of "$release" >/dev/null || { printf 'dpdk-matrix: no Debian is known for DPDK %s\n' "$release" >&2; exit 2; }
done
for column in $columns; do
    [ -n "$(command_of "$column")" ] || { printf 'dpdk-matrix: no column %s: %s\n' "$column" "$COLUMNS_ALL" >&2; exit 2; }
done

bare_require
mirror=$(bare_mirror "$mirror")
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
commit=$(git -C "$repository" rev-parse HEAD)
cache=$repository/target/dpdk-matrix
mkdir -p "$cache/logs"
# They are brought from here: nothing is downloaded in there.
(cd "$repository" && cargo fetch --quiet --locked) || fail 'the crates could not be fetched'

# What runs in there ignores a Ctrl-C, as the first process of a namespace does.
inner=
trap '[ -z "$inner" ] || kill -KILL "$inner" 2>/dev/null; exit 130' INT TERM

failed=0
for release in $releases; do
    suite=$(suite_of "$release")
    root=$cache/$release
    [ $fresh = no ] || rm -f "$cache/$release.made"
    rm -f "$cache/$release.results" "$cache/$release.found"
    prepare "$release" "$suite" "$root"
    unshare --mount --pid --fork --kill-child --propagation private -- \
        "$0" --inside "$cache" "$root" "$release" "$columns" &
    inner=$!
    wait "$inner" || failed=1
    inner=
done

# The table. "not run" stands where the system itself was no use.
tests='all of the workspace, none skipped'
[ -z "${QUICK:-}" ] || tests='only those that touch DPDK, hardly optimised (QUICK)'
printf '\nDPDK releases: commit %.12s, %s, Linux %s\n' "$commit" "$(rustc --version | cut -d' ' -f1,2)" "$(uname -r)"
printf 'test: %s; shim: ports, seam and loop with every burst through C; seconds include compiling\n\n' "$tests"
printf '%-8s' release
for column in $columns; do printf ' %-13s' "$column"; done
printf ' found\n'
for release in $releases; do
    printf '%-8s' "$release"
    for column in $columns; do
        result=$(sed -n "s/^$column //p" "$cache/$release.results" 2>/dev/null || :)
        case $result in ok\ *) ;; *) failed=1 ;; esac
        printf ' %-13s' "${result:-not run}${result:+ s}"
    done
    printf ' %s, Debian %s\n' "$(cat "$cache/$release.found" 2>/dev/null || echo nothing)" "$(suite_of "$release")"
done
exit $failed
