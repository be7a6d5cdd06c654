#!/bin/sh
# Gives a NIC port to DPDK and gives it back, by sysfs alone, in POSIX sh: needs no python, no dpdk-devbind.py and no
# lspci, and runs under dash, bash and busybox.
#
#   dpdk-devbind-wrapper.sh status
#   dpdk-devbind-wrapper.sh bind [--driver vfio-pci] [--force] [--dry-run] DEV...
#   dpdk-devbind-wrapper.sh unbind [--force] [--dry-run] DEV...
#   dpdk-devbind-wrapper.sh restore [--dry-run] [DEV...]
#   dpdk-devbind-wrapper.sh hugepages [ARGUMENT...]
#
# DEV is a PCI address (0000:01:00.0, 01:00.0) or the name of a network interface.
#   status     the network ports of this machine: address, vendor:device, driver, interface, NUMA node, IOMMU group,
#              use (route: carries the default route; address: has one; held: a process has it), name, remarks
#   bind       takes the port from its kernel driver and gives it to vfio-pci; the former driver is remembered
#   unbind     takes the port from its driver and leaves it without one; the former driver is remembered
#   restore    gives the port back to its former driver; without DEV, every port that is remembered
#   hugepages  shows or reserves hugepages: hugepages.sh beside this script, which says more with --help
#   --dry-run  makes all checks and prints each change instead of making it
#   --force    does it although the interface has an address, the port has virtual functions, or it is not a NIC
# Nothing makes it touch the interface that carries the default route, or a port that a process holds open.
# Everything is checked for all DEVs, and the way back written down, before anything is changed. Stopped halfway, even by
# kill -9, it leaves nothing that 'restore', or 'bind' again, would not finish.
# Exit: 0 done; 1 refused or failed; 2 wrong arguments; 130, 143: stopped by SIGINT, SIGTERM after the port in hand.
#
# SYSFS_ROOT (/sys), PROC_ROOT (/proc), STATE_DIR (/run/wirebook-devbind: a reboot restores drivers too) and PCI_IDS (the
# list of names) can be set, for tests.
set -u
export LC_ALL=C

SYSFS_ROOT=${SYSFS_ROOT:-/sys}
PROC_ROOT=${PROC_ROOT:-/proc}
STATE_DIR=${STATE_DIR:-/run/wirebook-devbind}
PCI=$SYSFS_ROOT/bus/pci
# Drivers that DPDK works through (bifurcated): the port stays with them, and the kernel keeps its interface.
BIFURCATED='mlx4_core mlx5_core mana'
# How often, each 0.1 s, the kernel is looked at until a driver has come or gone.
WAIT_STEPS=50

dry_run=no
force=no
driver=vfio-pci
failed=no
stopped=

# Functions in ( ) keep their variables for themselves; those in { } share them with the whole script.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

wrong() {
    printf 'devbind: %s\n' "$1" >&2
    usage 2 >&2
}

say() { printf '%s\n' "$*"; }

warn() { printf 'devbind: %s: warning: %s\n' "$1" "$2" >&2; }

# complain WHERE WHAT WHY FIX
complain() {
    printf 'devbind: %s: %s\n' "$1" "$2" >&2
    [ -z "$3" ] || printf '    why: %s\n' "$3" >&2
    [ -z "$4" ] || printf '    fix: %s\n' "$4" >&2
    failed=yes
}

# read_line FILE [NUMBER]: one line, the first unless told; nothing where there is none.
read_line() (
    text=
    [ -r "$1" ] || exit 0
    { i=0; while [ $i -lt "${2:-1}" ]; do text=; IFS= read -r text || break; i=$((i + 1)); done; } <"$1" 2>/dev/null
    printf '%s' "$text"
)

link_name() (
    target=$(readlink "$1" 2>/dev/null) && printf '%s' "${target##*/}"
)

driver_of() { link_name "$PCI/devices/$1/driver"; }

id_of() (
    vendor=$(read_line "$PCI/devices/$1/vendor")
    device=$(read_line "$PCI/devices/$1/device")
    printf '%s:%s' "${vendor#0x}" "${device#0x}"
)

# Domains have four hexadecimal digits, behind some host bridges more.
is_address() {
    case ${1%%:*} in
        *[!0-9a-f]* | '' | ? | ?? | ??? | ?????????*) return 1 ;;
    esac
    case ${1#*:} in
        [0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]) return 0 ;;
    esac
    return 1
}

is_listed() {
    [ -n "$1" ] || return 1
    case " $2 " in *" $1 "*) return 0 ;; esac
    return 1
}

# The network interfaces of a port, one a line; a virtio port has them one level deeper.
interfaces_of() (
    for entry in "$PCI/devices/$1"/net/* "$PCI/devices/$1"/virtio*/net/*; do
        [ ! -e "$entry" ] || printf '%s\n' "${entry##*/}"
    done
)

# An interface and all that stand on it: VLANs, bonds, bridges. Bounded: stacks are shallow.
stack_of() (
    level=$1
    all=$1
    for _ in 1 2 3 4 5 6 7 8; do
        next=
        for name in $level; do
            for upper in "$SYSFS_ROOT/class/net/$name"/upper_*; do
                [ -e "$upper" ] || [ -L "$upper" ] || continue
                upper=${upper##*/upper_}
                is_listed "$upper" "$all" || { next="$next $upper"; all="$all $upper"; }
            done
        done
        [ -n "$next" ] || break
        level=$next
    done
    printf '%s' "$all"
)

carries_default_route() (
    all=$(stack_of "$1")
    if [ -r "$PROC_ROOT/net/route" ]; then
        while read -r name destination _ _ _ _ _ mask _; do
            [ "$destination/$mask" != 00000000/00000000 ] || ! is_listed "$name" "$all" || exit 0
        done <"$PROC_ROOT/net/route"
    fi
    if [ -r "$PROC_ROOT/net/ipv6_route" ]; then
        while read -r destination length _ _ _ _ _ _ _ name; do
            case $destination$length in *[!0]*) continue ;; esac
            ! is_listed "$name" "$all" || exit 0
        done <"$PROC_ROOT/net/ipv6_route"
    fi
    exit 1
)

# An IPv4 route through it, an IPv6 address wider than the link, or whatever ip(8) sees.
has_address() (
    all=$(stack_of "$1")
    if [ -r "$PROC_ROOT/net/route" ]; then
        while read -r name _; do
            ! is_listed "$name" "$all" || exit 0
        done <"$PROC_ROOT/net/route"
    fi
    if [ -r "$PROC_ROOT/net/if_inet6" ]; then
        while read -r _ _ _ scope _ name; do
            [ "$scope" = 20 ] || ! is_listed "$name" "$all" || exit 0
        done <"$PROC_ROOT/net/if_inet6"
    fi
    if [ "$PROC_ROOT" = /proc ] && command -v ip >/dev/null; then
        for name in $all; do
            [ -z "$(ip -4 -o address show dev "$name" 2>/dev/null)" ] || exit 0
        done
    fi
    exit 1
)

# The PCI address that DEV means, in full.
resolve() (
    lower=$(printf '%s' "$1" | tr '[:upper:]' '[:lower:]')
    ! is_address "0000:$lower" || lower=0000:$lower
    if is_address "$lower"; then
        if [ ! -d "$PCI/devices/$lower" ]; then
            complain "$1" 'there is no such PCI device' '' "'$0 status' lists what is there"
            exit 1
        fi
        printf '%s' "$lower"
        exit 0
    fi
    case $1 in
        . | .. | '' | *[!A-Za-z0-9_.@-]*) interface= ;;
        *) interface=$1 ;;
    esac
    if [ -z "$interface" ] || [ ! -e "$SYSFS_ROOT/class/net/$interface" ]; then
        complain "$1" 'is neither a PCI address nor a network interface' '' "'$0 status' lists what is there"
        exit 1
    fi
    address=
    path=$(cd -P "$SYSFS_ROOT/class/net/$1/device" 2>/dev/null && pwd -P)
    IFS=/
    for part in $path; do
        ! is_address "$part" || address=$part
    done
    if [ -z "$address" ]; then
        complain "$1" 'is not a PCI device, so no driver can be taken from it' \
            'virtual interfaces reach DPDK by a virtual device' "run wirebook with --vdev net_af_packet0,iface=$1"
        exit 1
    fi
    printf '%s' "$address"
)

# A Mellanox/NVIDIA NIC whose kernel driver is not loaded is one all the same.
is_bifurcated() {
    is_listed "$(driver_of "$1")" "$BIFURCATED" || [ "$(read_line "$PCI/devices/$1/vendor")" = 0x15b3 ]
}

# Which devices of /dev each process holds, of those by which a port is reached: lines of process and file. Read once.
find_held() {
    # shellcheck disable=SC2012 # names of /dev and numbers; a readlink for each of thousands would take seconds
    # The second argument makes ls write the directory's name above its entries, even if it is the only one.
    held=$(ls -l "$PROC_ROOT"/[0-9]*/fd /dev/null 2>/dev/null | while read -r line; do
        case $line in
            "$PROC_ROOT"/*:) process=${line#"$PROC_ROOT"/} process=${process%%/*} ;;
            *' -> /dev/vfio/'* | *' -> /dev/uio'*) printf '%s %s\n' "$process" "${line##* -> }" ;;
        esac
    done)
}

# Processes that hold the port through VFIO or UIO.
holders_of() (
    group=$(link_name "$PCI/devices/$1/iommu_group")
    nodes="/dev/vfio/${group:-none} /dev/vfio/noiommu-${group:-none}"
    for entry in "$PCI/devices/$1"/vfio-dev/* "$PCI/devices/$1"/uio/*; do
        case $entry in
            */vfio-dev/*) nodes="$nodes /dev/vfio/devices/${entry##*/}" ;;
            *) nodes="$nodes /dev/${entry##*/}" ;;
        esac
    done
    last=
    text=
    while read -r process file; do
        if [ -n "$process" ] && [ "$process" != "$last" ] && is_listed "$file" "$nodes"; then
            last=$process
            text="$text${text:+, }$process ($(read_line "$PROC_ROOT/$process/comm"))"
        fi
    done <<END
$held
END
    printf '%s' "$text"
)

# Those of the port's IOMMU group that other drivers have, so that VFIO hands out none of it: lines of address and driver.
# $2: ports that will leave their drivers.
strangers_of() (
    for entry in "$PCI/devices/$1/iommu_group/devices"/*; do
        other=${entry##*/}
        is_address "$other" || continue
        ! is_listed "$other" "$1 $2" || continue
        case $(read_line "$PCI/devices/$other/class") in 0x0604*) continue ;; esac
        its=$(driver_of "$other")
        case $its in
            '' | pci-stub | *vfio*) ;;
            *) printf '%s %s\n' "$other" "$its" ;;
        esac
    done
)

no_iommu_mode() { [ "$(read_line "$SYSFS_ROOT/module/vfio/parameters/enable_unsafe_noiommu_mode")" = Y ]; }

# A kernel driver has it, and the interface that should be there is not: then another network namespace has that.
is_hidden() (
    [ -z "$(interfaces_of "$1")" ] || exit 1
    case $(driver_of "$1") in
        '' | *vfio* | *uio* | pci-stub) exit 1 ;;
        virtio-pci) for entry in "$PCI/devices/$1"/virtio*/driver; do [ -e "$entry" ] || exit 1; done ;;
    esac
)

# May the port be taken from its driver?
check_leaving() {
    address=$1
    interfaces=$(interfaces_of "$address")
    for interface in $interfaces; do
        if carries_default_route "$interface"; then
            complain "$address" "refused: $interface carries the default route" \
                'this machine would lose its network, and you perhaps your session' \
                'choose another port, or move the default route first'
            return 1
        fi
        if [ $force = no ] && has_address "$interface"; then
            complain "$address" "refused: $interface has an address" 'the kernel would lose it' \
                "remove it (ip address flush dev $interface), or say --force"
            return 1
        fi
    done
    holders=$(holders_of "$address")
    if [ -n "$holders" ]; then
        complain "$address" "refused: held open by process $holders" \
            'the kernel would wait until that process ends' 'stop it first'
        return 1
    fi
    [ $force = no ] || return 0
    class=$(read_line "$PCI/devices/$address/class")
    case $class in
        0x02*) ;;
        *)
            complain "$address" "refused: class ${class:-unknown} is not a network device" \
                'a wrong address is easily typed' "'$0 status' lists the network ports; --force if it is meant"
            return 1 ;;
    esac
    if is_hidden "$address"; then
        complain "$address" "refused: $(driver_of "$address") has it, and its interface is not to be seen" \
            'it is in another network namespace, perhaps of a container that needs it' \
            'move the interface back (ip link set NAME netns 1), or say --force'
        return 1
    fi
    vfs=$(read_line "$PCI/devices/$address/sriov_numvfs")
    if [ "${vfs:-0}" != 0 ]; then
        complain "$address" "refused: it has $vfs virtual functions in being" 'they would vanish with its driver' \
            "bind one of them instead; or echo 0 > $PCI/devices/$address/sriov_numvfs; or say --force"
        return 1
    fi
}

# Can vfio-pci have it?
check_vfio() {
    address=$1
    if [ ! -e "$PCI/devices/$address/iommu_group" ]; then
        if no_iommu_mode; then
            warn "$address" 'no IOMMU: the NIC can write to all of memory'
            return 0
        fi
        complain "$address" 'is in no IOMMU group' 'vfio-pci needs an IOMMU to keep the NIC within its own memory' \
            'switch on VT-d (Intel) or AMD-Vi in the BIOS, kernel command line intel_iommu=on iommu=pt (AMD: iommu=pt), reboot; a virtual machine without one: modprobe vfio enable_unsafe_noiommu_mode=1, and the NIC can write to all of memory'
        return 1
    fi
    strangers=$(strangers_of "$address" "$targets")
    if [ -n "$strangers" ]; then
        strangers=$(printf '%s\n' "$strangers" | while read -r other its; do printf ', %s, which %s has' "$other" "$its"; done)
        complain "$address" "its IOMMU group $(link_name "$PCI/devices/$address/iommu_group") is shared with ${strangers#, }" \
            'VFIO hands out whole groups only' 'bind those as well, in the same command, or move the card to another slot'
        return 1
    fi
}

# What is worth knowing of a port that may be bound.
advise() (
    case $(id_of "$1") in
        1924:*)
            warn "$1" 'a Solarflare port: with vfio-pci DPDK (net_sfc) has it; ef_vi and Onload need it to stay with its kernel driver sfc' ;;
        1af4:*)
            [ -e "$PCI/devices/$1/iommu_group" ] || exit 0
            # Bit 33 of the negotiated features: the device's addresses go through the IOMMU.
            for features in "$PCI/devices/$1"/virtio*/features; do
                [ -r "$features" ] || continue
                case $(read_line "$features") in
                    ?????????????????????????????????1*) ;;
                    *) warn "$1" 'this virtio device goes past the IOMMU: give it iommu_platform=on in its virtual machine' ;;
                esac
            done
            ;;
    esac
    physical=$(link_name "$PCI/devices/$1/physfn")
    if [ -n "$physical" ]; then
        case $(driver_of "$physical") in
            '') warn "$1" "its physical function $physical has no driver: no frame passes until it has" ;;
            *vfio*) warn "$1" "its physical function $physical is with vfio-pci: EAL wants --vfio-vf-token" ;;
            *) warn "$1" "a virtual function: for all-multicast or promiscuous mode its physical function must trust it (ip link set $(interfaces_of "$physical" | sed -n 1p) vf N trust on)" ;;
        esac
    fi
)

# change TEXT FILE
change() {
    if [ $dry_run = yes ]; then
        say "would write '$1' to $2"
    elif ! { printf '%s\n' "$1" >"$2"; } 2>/dev/null; then
        complain "$2" "cannot be written ('$1')" '' 'be root; the kernel log (dmesg) says what the driver disliked'
        return 1
    fi
}

# Lets the kernel look for a driver. Whether it found one is asked afterwards: the write fails for other reasons too.
probe() {
    if [ $dry_run = yes ]; then
        say "would write '$1' to $PCI/drivers_probe"
    else
        { printf '%s\n' "$1" >"$PCI/drivers_probe"; } 2>/dev/null || :
    fi
}

# Waits until ADDRESS has DRIVER ('' = none).
wait_for_driver() {
    [ $dry_run = no ] || return 0
    steps=$WAIT_STEPS
    while [ "$(driver_of "$1")" != "$2" ]; do
        [ $steps -gt 0 ] || return 1
        steps=$((steps - 1))
        sleep 0.1
    done
}

# load MODULE
load() {
    if [ $dry_run = yes ]; then
        say "would run modprobe $1"
    else
        modprobe "$1" >/dev/null 2>&1
    fi
}

detach() {
    current=$(driver_of "$1")
    [ -n "$current" ] || return 0
    change "$1" "$PCI/drivers/$current/unbind" || return 1
    wait_for_driver "$1" '' && return 0
    complain "$1" "still with $current" 'the driver did not let it go' 'look into the kernel log (dmesg)'
    return 1
}

# Writes down the way back: driver and driver_override, a line each. The first is the one to go back to: what is
# remembered stays. The file is there whole or not at all.
remember() {
    file=$STATE_DIR/$1
    [ ! -e "$file" ] || return 0
    former=$(driver_of "$1")
    if [ $dry_run = yes ]; then
        say "would remember '${former:-none}' in $file"
        return 0
    fi
    override=$(read_line "$PCI/devices/$1/driver_override")
    if ! { mkdir -p "$STATE_DIR" && printf '%s\n' "${former:-none}" "${override#(null)}" >"$STATE_DIR/.new.$$" &&
        mv "$STATE_DIR/.new.$$" "$file"; } 2>/dev/null; then
        complain "$file" 'cannot be written' 'without it the former driver could not be restored' \
            'be root, or set STATE_DIR to a directory that can be written'
        return 1
    fi
}

bind_one() {
    was=$(driver_of "$1")
    if [ "$was" = "$driver" ]; then
        say "$1: already with $driver"
        return 0
    fi
    change "$driver" "$PCI/devices/$1/driver_override" || return 1
    detach "$1" || return 1
    probe "$1"
    if ! wait_for_driver "$1" "$driver"; then
        complain "$1" "$driver did not take it" '' 'look into the kernel log (dmesg); it goes back to its former driver now'
        give_back "$1"
        return 1
    fi
    [ $dry_run = yes ] || say "$1: ${was:-no driver} -> $driver"
}

unbind_one() {
    was=$(driver_of "$1")
    if [ -z "$was" ]; then
        say "$1: has no driver"
        return 0
    fi
    detach "$1" || return 1
    [ $dry_run = yes ] || say "$1: $was -> no driver"
}

# Back to the driver that is remembered. Each step may have been done before, by a run that was killed.
give_back() {
    back=$(read_line "$STATE_DIR/$1")
    [ "$back" != none ] || back=
    before=$(read_line "$STATE_DIR/$1" 2)
    now=$(read_line "$PCI/devices/$1/driver_override")
    [ "${now#(null)}" = "$before" ] || change "$before" "$PCI/devices/$1/driver_override" || return 1
    if [ "$(driver_of "$1")" != "$back" ]; then
        detach "$1" || return 1
        if [ -n "$back" ]; then
            [ -d "$PCI/drivers/$back" ] || load "$back"
            probe "$1"
            # The kernel prefers another driver, or none: ask for the former by name.
            if ! wait_for_driver "$1" "$back"; then
                detach "$1" && change "$back" "$PCI/devices/$1/driver_override" && probe "$1"
                if ! wait_for_driver "$1" "$back"; then
                    complain "$1" "its former driver $back did not take it back" '' "modprobe $back, then '$0 restore $1' again"
                    return 1
                fi
            fi
        fi
    fi
    if [ $dry_run = yes ]; then
        say "would forget $STATE_DIR/$1"
    else
        rm -f "$STATE_DIR/$1"
        say "$1: given back to ${back:-no driver}"
    fi
}

# Its name in the world's list of PCI devices, else by lspci, else what kind of thing it is.
name_of() (
    id=$(id_of "$1")
    for ids in "${PCI_IDS:-/usr/share/misc/pci.ids}" /usr/share/hwdata/pci.ids /usr/share/pci.ids; do
        [ -r "$ids" ] || continue
        awk -v vendor="${id%:*}" -v device="${id#*:}" '
            /^[0-9a-f]/ { if (inside) exit; inside = $1 == vendor }
            inside && /^\t[0-9a-f]/ && $1 == device { sub(/^\t[^ ]* */, ""); print; exit }' "$ids"
        exit
    done
    if [ "$SYSFS_ROOT" = /sys ] && command -v lspci >/dev/null; then
        name=$(lspci -s "$1")
        printf '%s' "${name#*: }"
        exit
    fi
    case $(read_line "$PCI/devices/$1/class") in
        0x0200*) printf 'Ethernet' ;;
        0x0207*) printf 'InfiniBand' ;;
        *) printf 'network' ;;
    esac
)

status_row() {
    printf '%-13s %-9s %-10s %-12s %-4s %-5s %-7s %-32.32s %s\n' "$@"
}

status() {
    count=0
    find_held
    status_row ADDRESS DEVICE DRIVER INTERFACE NUMA GROUP USE NAME REMARKS
    for entry in "$PCI/devices"/*; do
        address=${entry##*/}
        case $(read_line "$entry/class") in 0x02*) ;; *) continue ;; esac
        count=$((count + 1))
        use=-
        interfaces=$(interfaces_of "$address")
        for interface in $interfaces; do
            if carries_default_route "$interface"; then
                use=route
            elif [ $use = - ] && has_address "$interface"; then
                use=address
            fi
        done
        holders=$(holders_of "$address")
        [ -z "$holders" ] || use=held
        remarks=
        [ $use != route ] || remarks='; carries the default route: left alone'
        [ -z "$holders" ] || remarks="$remarks; held by process $holders"
        if is_bifurcated "$address"; then
            remarks="$remarks; DPDK works through its kernel driver: do not bind"
        elif [ ! -e "$entry/iommu_group" ]; then
            no_iommu_mode || remarks="$remarks; no IOMMU"
        else
            strangers=$(strangers_of "$address" '' | while read -r other its; do printf ', %s (%s)' "$other" "$its"; done)
            [ -z "$strangers" ] || remarks="$remarks; group not viable: shared with ${strangers#, }"
        fi
        physical=$(link_name "$entry/physfn")
        [ -z "$physical" ] || remarks="$remarks; virtual function of $physical"
        vfs=$(read_line "$entry/sriov_numvfs")
        [ "${vfs:-0}" = 0 ] || remarks="$remarks; has $vfs virtual functions"
        [ ! -e "$STATE_DIR/$address" ] || remarks="$remarks; came from $(read_line "$STATE_DIR/$address")"
        interfaces=$(printf '%s' "$interfaces" | tr '\n' ,)
        status_row "$address" "$(id_of "$address")" "$(driver_of "$address" || printf -- -)" "${interfaces:--}" \
            "$(read_line "$entry/numa_node")" "$(link_name "$entry/iommu_group" || printf -- -)" $use \
            "$(name_of "$address")" "${remarks#; }"
    done
    [ $count -gt 0 ] || say 'no network device on the PCI bus: virtual devices (--vdev) still work'
}

# --- What was asked for --------------------------------------------------------------------------------------------

[ $# -gt 0 ] || usage 2 >&2
command=$1
shift
case $command in
    status | bind | unbind | restore | hugepages) ;;
    -h | --help | help) usage 0 ;;
    *) wrong "unknown command '$command'" ;;
esac
if [ "$command" = hugepages ]; then
    case $0 in */*) beside=${0%/*} ;; *) beside=. ;; esac
    exec "$beside/hugepages.sh" "$@"
fi
# Each argument is looked at once; what is no option is put behind the others, and is all that remains.
left=$#
while [ $left -gt 0 ]; do
    argument=$1
    shift
    left=$((left - 1))
    if [ "$argument" = --driver ]; then
        [ $left -gt 0 ] || wrong '--driver needs a name'
        argument=--driver=$1
        shift
        left=$((left - 1))
    fi
    case $command$argument in
        *--dry-run) dry_run=yes ;;
        bind--force | unbind--force) force=yes ;;
        bind--driver=*) driver=${argument#*=} ;;
        *-h | *--help) usage 0 ;;
        "$command"-*) wrong "$command has no option '${argument%%=*}'" ;;
        *) set -- "$@" "$argument" ;;
    esac
done
case $driver in '' | *[!A-Za-z0-9_-]*) wrong "'$driver' is not the name of a driver" ;; esac

case $command in
    status)
        [ $# -eq 0 ] || wrong 'status takes no DEV'
        status
        exit 0
        ;;
    restore)
        # What --force overrides was settled when the port was taken.
        force=yes
        if [ $# -eq 0 ]; then
            for entry in "$STATE_DIR"/*; do
                is_address "${entry##*/}" || continue
                if [ -d "$PCI/devices/${entry##*/}" ]; then
                    set -- "$@" "${entry##*/}"
                else
                    warn "${entry##*/}" 'is no longer in this machine: forgotten'
                    [ $dry_run = yes ] || rm -f "$entry"
                fi
            done
            if [ $# -eq 0 ]; then
                say "nothing to restore: $STATE_DIR remembers no port"
                exit 0
            fi
        fi
        ;;
esac
[ $# -gt 0 ] || wrong "$command needs a DEV"

# --- All checks, for all ports, before the first change ------------------------------------------------------------

targets=
for device; do
    if address=$(resolve "$device"); then
        is_listed "$address" "$targets" || targets="$targets $address"
    else
        failed=yes
    fi
done
[ $failed = no ] || exit 1
find_held

work=
for target in $targets; do
    now=$(driver_of "$target")
    if [ "$command" = restore ]; then
        if [ ! -e "$STATE_DIR/$target" ]; then
            complain "$target" "no former driver is remembered in $STATE_DIR" 'it was not taken by this script since the last boot' \
                "echo > $PCI/devices/$target/driver_override; echo $target > $PCI/drivers_probe"
            continue
        fi
        [ "$now" = "$(read_line "$STATE_DIR/$target")" ] || check_leaving "$target" || continue
    elif is_bifurcated "$target"; then
        if [ "$command" = unbind ]; then
            complain "$target" "refused: DPDK works through its kernel driver ${now:-mlx5_core}" \
                'without it there is neither an interface nor a port' 'leave it as it is: wirebook takes it so'
        elif [ -n "$now" ]; then
            say "$target: nothing to do: DPDK works through its kernel driver $now"
        else
            complain "$target" 'has no driver' 'DPDK works through its kernel driver' 'modprobe mlx5_core (older cards: mlx4_core)'
        fi
        continue
    elif [ "$now" != "$driver" ] || [ "$command" = unbind ]; then
        check_leaving "$target" || continue
        if [ "$command" = bind ] && [ "$driver" = vfio-pci ]; then
            check_vfio "$target" || continue
            advise "$target"
        fi
    fi
    if [ $dry_run = no ] && [ ! -w "$PCI/devices/$target/driver_override" ]; then
        complain "$target" "$PCI/devices/$target/driver_override cannot be written" '' "run it as root: sudo $0 $command …"
        continue
    fi
    work="$work $target"
done
[ $failed = no ] || exit 1

if [ "$command" = bind ] && [ -n "$work" ]; then
    if [ ! -d "$PCI/drivers/$driver" ] && ! { load "$driver" && { [ $dry_run = yes ] || [ -d "$PCI/drivers/$driver" ]; }; }; then
        complain "$driver" 'is not loaded and cannot be' '' "modprobe $driver says why; the kernel may have been built without it"
        exit 1
    fi
    if [ "$driver" = vfio-pci ] && [ ! -d "$SYSFS_ROOT/module/vfio_iommu_type1" ] && ! no_iommu_mode; then
        load vfio_iommu_type1 || warn "$driver" 'the module vfio_iommu_type1 cannot be loaded: without it VFIO maps no memory'
    fi
fi

# --- The changes: first the way back, for all; then one port after the other ---------------------------------------

# A signal ends it between two ports, not within one.
trap 'stopped=130' INT
trap 'stopped=143' HUP TERM
[ "$command" = restore ] || for target in $work; do
    [ "$(driver_of "$target")" = "$driver" ] && [ "$command" = bind ] || remember "$target" || exit 1
done
for target in $work; do
    if [ -n "$stopped" ]; then
        say "stopped before $target: '$0 $command' again finishes, '$0 restore' goes back" >&2
        exit "$stopped"
    fi
    case $command in
        bind) bind_one "$target" ;;
        unbind) unbind_one "$target" ;;
        restore) give_back "$target" ;;
    esac || failed=yes
done
[ -z "$stopped" ] || exit "$stopped"
[ $failed = no ] || exit 1
