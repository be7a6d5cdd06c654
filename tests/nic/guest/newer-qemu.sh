#!/bin/sh
# Installs QEMU 8 or newer, which has the NIC igb, from the backports of this machine's own Debian where the release has an
# older one. The machine's list of sources stays as it is. Does nothing where QEMU is new enough.
# Exit: always 0; where it cannot be had, it says so: tests say then that igb is not possible.
set -eu
export LC_ALL=C

say() { printf 'newer-qemu: %s\n' "$*"; }
leave() { say "$*: no igb"; exit 0; }

version=$(qemu-system-x86_64 --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
[ "${version:-0}" -lt 8 ] || exit 0
id=$(sed -n 's/^ID=//p' /etc/os-release)
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
if [ "$id" != debian ] || [ -z "$suite" ]; then
    leave "QEMU is ${version:-missing}, and this is no release of Debian"
fi
root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || leave "QEMU is ${version:-missing}, and installing takes root"
    root=sudo
fi

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
mkdir -p "$private/sources" "$private/lists/partial"
# The machine's own sources, and the same place's backports.
for list in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list; do
    [ -e "$list" ] || continue
    cp "$list" "$private/sources/"
    [ -z "$(cat "$private"/found.* 2>/dev/null)" ] || continue
    case $list in
        *.sources)
            # The first stanza that names the release itself.
            awk -v suite="$suite" 'BEGIN { RS = ""; FS = "\n" }
                $0 ~ "(^|\n)Suites:([^\n]* )?" suite "( |\n|$)" && $0 !~ /(^|\n)Enabled: *no/ {
                    gsub("Suites:[^\n]*", "Suites: " suite "-backports"); print; exit
                }' "$list" >"$private/found.sources"
            ;;
        *)
            awk -v suite="$suite" '$1 == "deb" {
                for (i = 2; i <= NF; i++) if ($i == suite) { $i = suite "-backports"; print; exit }
            }' "$list" >"$private/found.list"
            ;;
    esac
done
[ -n "$(cat "$private"/found.* 2>/dev/null)" ] || leave "QEMU is ${version:-missing}, and no source of $suite is known"
for found in sources list; do
    [ ! -s "$private/found.$found" ] || mv "$private/found.$found" "$private/sources/zz-backports.$found"
done

apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dir::Etc::sourcelist=/dev/null \
        -o Dir::Etc::sourceparts="$private/sources" -o Dir::State::lists="$private/lists" \
        -o APT::Sandbox::User=root "$@" >"$private/log" 2>&1
}
say "QEMU is ${version:-missing}; installing a newer one from $suite-backports"
if ! apt update || ! apt install -y --no-install-recommends -t "$suite-backports" qemu-system-x86; then
    tail -n 5 "$private/log"
    leave "that failed"
fi
