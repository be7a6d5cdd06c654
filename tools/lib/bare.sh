# shellcheck shell=bash
# Bare Debian systems in directories: making one, giving it this machine's way to the network, Rust and this repository,
# and running commands in it. For tools/bare-check.sh and tools/dpdk-matrix.sh, which source this and have `say` and `fail`.
#
# The Rust toolchain is this machine's, mounted read-only. Package mirror, proxies, certificates and cargo's
# configuration are this machine's as well; its credentials are not taken along. Mounts live in a namespace of their own
# and vanish with it.

# Proxies, certificates and cargo's settings of this machine, as NAME=VALUE in the array BARE_ENVIRONMENT, but no token
# and nothing that names a directory of it.
bare_collect_environment() {
    local name
    BARE_ENVIRONMENT=()
    while IFS= read -r name; do
        case $name in
            *TOKEN* | *SECRET* | *PASSWORD* | CARGO_HOME | CARGO_TARGET_DIR | CARGO_BUILD_* | CARGO_PKG_* | CARGO_MANIFEST*) ;;
            CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTRIES_* | CARGO_REGISTRY_* | CARGO_SOURCE_* | \
                [hH][tT][tT][pP]_[pP][rR][oO][xX][yY] | [hH][tT][tT][pP][sS]_[pP][rR][oO][xX][yY] | \
                [nN][oO]_[pP][rR][oO][xX][yY] | [aA][lL][lL]_[pP][rR][oO][xX][yY] | \
                SSL_CERT_FILE | SSL_CERT_DIR | CURL_CA_BUNDLE | GIT_SSL_CAINFO)
                BARE_ENVIRONMENT+=("$name=${!name}")
                ;;
        esac
    done < <(compgen -e)
}

# Ends the program unless the machine has what these functions need. Sets BARE_SYSROOT, the Rust toolchain.
bare_require() {
    local tool
    [ "$(id -u)" -eq 0 ] || fail "needs root, for debootstrap and chroot: sudo $0"
    for tool in debootstrap git unshare chroot rustc; do
        command -v "$tool" >/dev/null || fail "needs $tool: on Debian, apt-get install debootstrap git util-linux; Rust from rustup"
    done
    BARE_SYSROOT=$(rustc --print sysroot)
    export BARE_SYSROOT
    [ -x "$BARE_SYSROOT/bin/cargo" ] || fail "there is no cargo in rustc's own directory, $BARE_SYSROOT"
}

# bare_archive LABEL: where this machine's own Debian packages come from (Debian, Debian-Security); nothing if unknown.
bare_archive() {
    apt-get indextargets --format "\$(LABEL)|\$(REPO_URI)" 'Created-By: Packages' "Label: $1" 2>/dev/null |
        sed -n 's/^[^|]*|//p' | head -n 1
}

# bare_mirror [URL]: the URL, else this machine's archive.
bare_mirror() {
    local mirror=${1:-$(bare_archive Debian)}
    [ -n "$mirror" ] || fail 'this machine has no Debian archive to take the packages from: give --mirror URL'
    printf '%s' "$mirror"
}

# bare_make SUITE ROOT MIRROR PACKAGES LOG: a minimal system with these packages (a,b,c), able to reach the network.
bare_make() {
    local suite=$1 root=$2 mirror=$3 include=$4 log=$5 security file script=()
    # A debootstrap that is older than the suite has no script of that name: all later suites are made like sid.
    [ -e "/usr/share/debootstrap/scripts/$suite" ] || script=(sid)
    debootstrap --variant=minbase --include="$include" "$suite" "$root" "$mirror" "${script[@]}" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail 'debootstrap failed: see above'; }
    security=$(bare_archive Debian-Security)
    # Suites that are not released yet have none.
    if [ -n "$security" ] && [ ${#script[@]} -eq 0 ] && [ "$suite" != sid ]; then
        printf 'deb %s %s-security main\n' "$security" "$suite" >>"$root/etc/apt/sources.list"
    fi
    apt-config dump | grep -E '^Acquire::(http|https|ftp|Retries|ForceIPv[46])' >"$root/etc/apt/apt.conf.d/00-network" || :
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt "${SSL_CERT_FILE:-}" "${CURL_CA_BUNDLE:-}" "${CARGO_HTTP_CAINFO:-}"; do
        if [ -n "$file" ] && [ -e "$file" ]; then
            mkdir -p "$root$(dirname "$file")"
            rm -f "$root$file"
            cp -L "$file" "$root$file"
        fi
    done
}

# bare_cargo HOME [crates]: cargo's configuration of this machine, with `crates` also the crates that it has downloaded.
bare_cargo() {
    local home=$1 cargo_home=${CARGO_HOME:-$HOME/.cargo} file part
    mkdir -p "$home/.cargo"
    for file in config.toml config; do
        [ ! -e "$cargo_home/$file" ] || cp -L "$cargo_home/$file" "$home/.cargo/$file"
    done
    if [ "${2:-}" = crates ]; then
        mkdir -p "$home/.cargo/registry"
        for part in index cache; do
            [ ! -d "$cargo_home/registry/$part" ] || cp -a "$cargo_home/registry/$part" "$home/.cargo/registry/"
        done
    fi
}

# bare_mounts ROOT: what the system needs to live. In a mount namespace of one's own, please.
bare_mounts() {
    local root=$1
    # A mount point of its own: "ip netns exec" remounts what it finds at the root.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/run"
    mkdir -p "$root/opt/rust"
    mount --bind "$BARE_SYSROOT" "$root/opt/rust"
    mount -o remount,bind,ro "$root/opt/rust"
}

# bare_run ROOT USER COMMAND: runs the shell command in the system's ~/wirebook, with a clean environment.
bare_run() {
    local root=$1 user=$2 command=$3 enter home
    enter=(chroot "$root")
    [ "$user" = root ] || enter=(chroot --userspec="$user:$user" "$root")
    home=/root
    [ "$user" = root ] || home=/home/$user
    env -i "${BARE_ENVIRONMENT[@]}" HOME="$home" USER="$user" LANG=C.UTF-8 TERM=dumb \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        "${enter[@]}" bash -c "cd ~/wirebook && $command" </dev/null
}
