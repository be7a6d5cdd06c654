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

# Second half: runs in the mount namespace made below, with everything in the environment.
inside() {
    local root=$1 passes=$2 user=$3 pass command began failed=0
    shift 3
    # A mount point of its own: "ip netns exec" remounts what it finds at the root.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mkdir -p "$root/opt/rust"
    mount --bind "$BARE_SYSROOT" "$root/opt/rust"
    mount -o remount,bind,ro "$root/opt/rust"

    local enter=(chroot "$root")
    [ "$user" = root ] || enter=(chroot --userspec="$user:$user" "$root")
    local home=/root
    [ "$user" = root ] || home=/home/$user
    for ((pass = 1; pass <= passes; pass++)); do
        for command; do
            say "pass $pass of $passes, as $user: $command"
            began=$SECONDS
            if env -i "${pass_on[@]}" HOME="$home" USER="$user" LANG=C.UTF-8 TERM=dumb \
                PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                "${enter[@]}" bash -c "cd ~/wirebook && $command" </dev/null; then
                say "ok after $((SECONDS - began)) s: $command"
            else
                say "FAILED after $((SECONDS - began)) s: $command"
                failed=1
            fi
        done
    done
    return $failed
}

# Proxies, certificates and cargo's settings of this machine, but no token and nothing that names a directory of it.
pass_on=()
collect_environment() {
    local name
    while IFS= read -r name; do
        case $name in
            *TOKEN* | *SECRET* | *PASSWORD* | CARGO_HOME | CARGO_TARGET_DIR | CARGO_BUILD_* | CARGO_PKG_* | CARGO_MANIFEST*) ;;
            CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTRIES_* | CARGO_REGISTRY_* | CARGO_SOURCE_* | \
                [hH][tT][tT][pP]_[pP][rR][oO][xX][yY] | [hH][tT][tT][pP][sS]_[pP][rR][oO][xX][yY] | \
                [nN][oO]_[pP][rR][oO][xX][yY] | [aA][lL][lL]_[pP][rR][oO][xX][yY] | \
                SSL_CERT_FILE | SSL_CERT_DIR | CURL_CA_BUNDLE | GIT_SSL_CAINFO)
                pass_on+=("$name=${!name}")
                ;;
        esac
    done < <(compgen -e)
}

collect_environment
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

[ "$(id -u)" -eq 0 ] || fail 'needs root, for debootstrap and chroot: sudo tools/bare-check.sh'
for tool in debootstrap git unshare chroot rustc; do
    command -v "$tool" >/dev/null || fail "needs $tool: on Debian, apt-get install debootstrap git util-linux; Rust from rustup"
done
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
BARE_SYSROOT=$(rustc --print sysroot)
export BARE_SYSROOT
[ -x "$BARE_SYSROOT/bin/cargo" ] || fail "there is no cargo in rustc's own directory, $BARE_SYSROOT"

# The archive that this machine's own Debian packages come from.
archive() {
    apt-get indextargets --format "\$(LABEL)|\$(REPO_URI)" 'Created-By: Packages' "Label: $1" 2>/dev/null |
        sed -n 's/^[^|]*|//p' | head -n 1
}
mirror=${mirror:-$(archive Debian)}
[ -n "$mirror" ] || fail 'this machine has no Debian archive to take the packages from: give --mirror URL'
security=$(archive Debian-Security)

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
debootstrap --variant=minbase --include="$include" "$suite" "$root" "$mirror" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; fail 'debootstrap failed: see above'; }

# How this machine reaches the network.
[ -z "$security" ] || printf 'deb %s %s-security main\n' "$security" "$suite" >>"$root/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|ForceIPv[46])' >"$root/etc/apt/apt.conf.d/00-network" || :
for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt "${SSL_CERT_FILE:-}" "${CURL_CA_BUNDLE:-}" "${CARGO_HTTP_CAINFO:-}"; do
    if [ -n "$file" ] && [ -e "$file" ]; then
        mkdir -p "$root$(dirname "$file")"
        rm -f "$root$file"
        cp -L "$file" "$root$file"
    fi
done

home=$root/root
if [ "$user" != root ]; then
    chroot "$root" useradd --create-home --shell /bin/bash "$user"
    printf '%s ALL=(ALL) NOPASSWD: ALL\n' "$user" >"$root/etc/sudoers.d/$user"
    home=$root/home/$user
fi
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$home/.cargo"
for file in config.toml config; do
    [ ! -e "$cargo_home/$file" ] || cp -L "$cargo_home/$file" "$home/.cargo/$file"
done
if [ $crates = yes ]; then
    mkdir -p "$home/.cargo/registry"
    for part in index cache; do
        [ ! -d "$cargo_home/registry/$part" ] || cp -a "$cargo_home/registry/$part" "$home/.cargo/registry/"
    done
fi
git clone --quiet --no-hardlinks "$repository" "$home/wirebook"
[ "$user" = root ] || chroot "$root" chown -R "$user:$user" "/home/$user"

say "commit $(git -C "$home/wirebook" -c safe.directory='*' rev-parse --short HEAD), $("$BARE_SYSROOT/bin/rustc" --version)"
if unshare --mount --propagation private -- "$0" --inside "$root" "$passes" "$user" "$@"; then
    say 'all passed'
else
    fail 'not all passed: see above'
fi
