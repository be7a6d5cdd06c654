#!/usr/bin/env bash
# Proves that a bare system needs nothing but git, make and Rust: makes one with debootstrap, clones this repository
# into it (what is committed, not what is edited) and runs "make demo" and "make test" there, twice in a row.
#
#   tools/bare-check.sh [--suite bookworm] [--mirror URL] [--root DIR] [--user] [--crates] [--once] [--keep] [COMMAND...]
#
#   --suite   the Debian release to make (default: bookworm, which is Debian 12)
#   --mirror  where its packages come from (default: where this machine's Debian packages come from)
#   --root    the directory to make it in, which must be empty or not exist (default: a new one in TMPDIR)
#   --user    runs the commands as an ordinary user who may use sudo, instead of as root
#   --crates  brings the crates that this machine has downloaded, instead of downloading them again
#   --once    one pass instead of two
#   --keep    does not remove the system afterwards
#   COMMAND   a shell command to run there, instead of "make demo" and "make test"
#
# The Rust toolchain is this machine's, mounted read-only. Package mirror, proxies, certificates and cargo's
# configuration are this machine's as well; its credentials are not taken along. Needs root and debootstrap.
# Mounts live in a namespace of their own and vanish with it. Exit: 0 all passed; 1 something failed; 2 wrong arguments.
set -euo pipefail

say() { printf 'bare-check: %s\n' "$*"; }
fail() { printf 'bare-check: %s\n' "$*" >&2; exit 1; }
usage() {
    sed -n '2,18s/^# \{0,1\}//p' "$0"
    exit "$1"
}

# shellcheck source=tools/lib/bare.sh
. "$(dirname "$0")/lib/bare.sh"

# Second half: runs in the mount namespace made below, with everything in the environment.
inside() {
    local root=$1 passes=$2 user=$3 pass command began failed=0
    shift 3
    bare_mounts "$root"
    for ((pass = 1; pass <= passes; pass++)); do
        for command; do
            say "pass $pass of $passes, as $user: $command"
            began=$SECONDS
            if bare_run "$root" "$user" "$command"; then
                say "ok after $((SECONDS - began)) s: $command"
            else
                say "FAILED after $((SECONDS - began)) s: $command"
                failed=1
            fi
        done
    done
    return $failed
}

bare_collect_environment
if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
    exit
fi

suite=bookworm
mirror=
root=
user=root
crates=no
passes=2
keep=no
while [ $# -gt 0 ]; do
    case $1 in
        --suite | --mirror | --root)
            [ $# -gt 1 ] || { printf 'bare-check: %s needs a value\n' "$1" >&2; usage 2 >&2; }
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        --user) user=wire ;;
        --crates) crates=yes ;;
        --once) passes=1 ;;
        --keep) keep=yes ;;
        -h | --help) usage 0 ;;
        -*) printf 'bare-check: unknown option %s\n' "$1" >&2; usage 2 >&2 ;;
        *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || set -- 'make demo' 'make test'

bare_require
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
mirror=$(bare_mirror "$mirror")

if [ -z "$root" ]; then
    root=$(mktemp -d "${TMPDIR:-/tmp}/wirebook-bare.XXXXXX")
elif [ -e "$root" ] && [ -n "$(ls -A "$root")" ]; then
    fail "$root is not empty"
else
    mkdir -p "$root"
fi
root=$(cd "$root" && pwd -P)
# debootstrap's own files have to be readable by an ordinary user in there.
chmod 755 "$root"

log=$(mktemp)
clean_up() {
    rm -f "$log"
    if [ $keep = yes ]; then
        say "kept: $root"
    else
        rm -rf --one-file-system "$root"
    fi
}
trap clean_up EXIT

include=ca-certificates,git,make
[ "$user" = root ] || include+=,sudo
say "making a bare $suite with $include in $root"
bare_make "$suite" "$root" "$mirror" "$include" "$log"

home=$root/root
if [ "$user" != root ]; then
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$root/etc/sudoers.d/$user"
    home=$root/home/$user
fi
bare_cargo "$home" "$([ $crates = no ] || echo crates)"
git clone --quiet --no-hardlinks "$repository" "$home/wirebook"
[ "$user" = root ] || chroot "$root" chown -R "$user:$user" "/home/$user"

say "commit $(git -C "$home/wirebook" -c safe.directory='*' rev-parse --short HEAD), $("$BARE_SYSROOT/bin/rustc" --version)"
if unshare --mount --propagation private -- "$0" --inside "$root" "$passes" "$user" "$@"; then
    say 'all passed'
else
    fail 'not all passed: see above'
fi
