#!/usr/bin/env bash
# Proves that a statically linked wirebook runs where there is no DPDK: from an empty directory, in a root directory that
# has nothing but the program, the few libraries of the system that it still asks for, /proc, /sys and /dev.
#
#   tools/static-check.sh [BINARY]           (default: target/static/release/wirebook, which "make static" builds)
#
# Says which libraries those are. Needs root, or a system where users may make namespaces.
# Exit: 0 it runs; 1 it does not, or it asks for a library of DPDK; 2 wrong arguments.
set -euo pipefail

say() { printf 'static-check: %s\n' "$*"; }
fail() { printf 'static-check: %s\n' "$*" >&2; exit 1; }

# What every Linux of glibc has.
SYSTEM='linux-vdso ld-linux-x86-64 libc libm libgcc_s libpthread libdl librt'

# Second half, in namespaces of its own: mounts what a program may expect, and goes there.
if [ "${1:-}" = --inside ]; then
    root=$2
    for place in proc sys dev; do
        mount --rbind "/$place" "$root/$place"
    done
    run() {
        say "in the empty directory: wirebook $*"
        env -i PATH="$PATH" LANG=C.UTF-8 TERM=dumb chroot "$root" /wirebook "$@" >"$root/said" 2>&1 </dev/null || {
            cat "$root/said" >&2
            fail "it failed: wirebook $*"
        }
        tail -n "$SHOW" "$root/said"
    }
    SHOW=6 run --version
    SHOW=3 run demo --seconds 5 --rate 20000
    exit
fi

case ${1:-} in
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit ;;
    -*) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
binary=${1:-$(dirname "$0")/../target/static/release/wirebook}
[ -x "$binary" ] || fail "there is no program $binary: make static"

libraries=$(ldd "$binary") || fail "ldd cannot read $binary"
! grep -q 'not found' <<<"$libraries" || fail "libraries are missing here: $(grep 'not found' <<<"$libraries")"
! grep -q 'librte_' <<<"$libraries" || fail "it asks for DPDK's shared libraries: $(grep -o 'librte_[a-z_0-9]*' <<<"$libraries" | tr '\n' ' ')"
names=$(sed -n 's/^[[:space:]]*\([^ ]*\).*/\1/p' <<<"$libraries" | sed 's|.*/||; s/\.so.*//')
more=
for name in $names; do
    case " $SYSTEM " in *" $name "*) ;; *) more+=" $name" ;; esac
done
say "$(stat -Lc %s "$binary" | numfmt --to=iec) program; it needs of the system: ${names//$'\n'/ }"
[ -z "$more" ] || say "not every system has:$more"

root=$(mktemp -d "${TMPDIR:-/tmp}/wirebook-static.XXXXXX")
trap 'rm -rf --one-file-system "$root"' EXIT
mkdir -p "$root"/{proc,sys,dev,tmp}
cp -L "$binary" "$root/wirebook"
while IFS= read -r file; do
    mkdir -p "$root$(dirname "$file")"
    cp -L "$file" "$root$file"
done < <(grep -o '/[^ ]*' <<<"$libraries")
spaces=(--mount --propagation private)
[ "$(id -u)" -eq 0 ] || spaces+=(--user --map-root-user)
unshare "${spaces[@]}" -- "$0" --inside "$root" || fail 'it does not run there: see above'
say 'runs without DPDK'
