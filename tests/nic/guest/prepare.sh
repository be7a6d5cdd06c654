#!/bin/sh
# Makes what a guest boots from: a kernel with the modules it needs, and an initramfs with busybox and an init of ours.
#
#   prepare.sh DIRECTORY
#
# DIRECTORY gets vmlinuz and initramfs.cpio. Kernel and busybox come from packages of this machine's own Debian, downloaded
# by apt-get and unpacked, not installed; no root is needed. Does nothing where both are there and this directory is as it was.
# Exit: 0 both are there; 1 not, and why.
set -eu
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
target=$(cd "$1" && pwd)
# With all that they depend on. 9p carries files between host and guest.
MODULES='9p 9pnet_virtio virtio_pci virtio_net e1000 e1000e igb vmxnet3 vfio_iommu_type1 vfio-pci'

fail() { printf 'guest: %s\n' "$*" >&2; exit 1; }

for tool in apt-get apt-cache dpkg-deb awk xz flock; do
    command -v $tool >/dev/null || fail "$tool is not here: the guest is made on Debian only"
done

# Several test runs may come at once.
exec 9>"$target/lock"
flock 9
stamp=$(cat "$here/prepare.sh" "$here/init" | cksum)
if [ -e "$target/initramfs.cpio" ] && [ "$(cat "$target/stamp" 2>/dev/null)" = "$stamp" ]; then
    exit 0
fi
rm -rf "$target/stamp" "$target/tree" "$target/packages" "$target/root"
mkdir "$target/packages" "$target/tree" "$target/root"

# The package that stands for the newest kernel names it.
kernel=$(apt-cache depends "linux-image-$(dpkg --print-architecture)" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9]\)/\1/p' | head -n 1)
[ -n "$kernel" ] || fail 'apt knows no kernel package: run tools/setup.sh nic'
cd "$target/packages"
apt-get -q -o APT::Sandbox::User= download "$kernel" busybox-static >log 2>&1 ||
    fail "$kernel and busybox-static cannot be downloaded: run apt-get update; see $target/packages/log"
for package in ./*.deb; do
    dpkg-deb -x "$package" "$target/tree"
done
busybox=$(find "$target/tree" -name busybox -type f -perm -u+x | head -n 1)
release=${kernel#linux-image-}
modules=$(find "$target/tree" -path "*/lib/modules/$release" -type d | head -n 1)
if [ -z "$busybox" ] || [ -z "$modules" ]; then
    fail "unknown contents of $kernel or busybox-static: see $target/tree"
fi

find "$modules" -name '*.ko.xz' -exec xz -d {} +
mkdir -p "$target/root/bin" "$target/root/lib/modules"
[ "$modules" = "$target/tree/lib/modules/$release" ] || { mkdir -p "$target/tree/lib/modules" && mv "$modules" "$target/tree/lib/modules/"; }
cd "$target/tree"
"$busybox" depmod -b "$target/tree" "$release"
# A line is 'module: what it needs, nearest first'. Some are built in, and then have no line.
awk -v wanted="$MODULES" '
    BEGIN { count = split(wanted, name, " "); for (i = 1; i <= count; i++) { gsub("-", "_", name[i]); want[name[i]] = 1 } }
    {
        sub(":", "", $1)
        base = $1
        sub(".*/", "", base)
        sub("[.]ko$", "", base)
        gsub("-", "_", base)
        if (base in want) for (i = 1; i <= NF; i++) print $i
    }' "lib/modules/$release/modules.dep" | sort -u |
    while read -r module; do
        mkdir -p "$target/root/lib/modules/$release/$(dirname "$module")"
        cp "lib/modules/$release/$module" "$target/root/lib/modules/$release/$module"
    done
"$busybox" depmod -b "$target/root" "$release"

cp "$busybox" "$target/root/bin/busybox"
ln -s busybox "$target/root/bin/sh"
cp "$here/init" "$target/root/init"
chmod 755 "$target/root/init"
cd "$target/root"
find . | "$busybox" cpio -o -H newc >"$target/initramfs.part" 2>/dev/null
cp "$target/tree/boot/vmlinuz-$release" "$target/vmlinuz"
mv "$target/initramfs.part" "$target/initramfs.cpio"
printf '%s\n' "$stamp" >"$target/stamp"
# Hundreds of megabytes that nobody needs again.
rm -rf "$target/tree" "$target/packages" "$target/root"
