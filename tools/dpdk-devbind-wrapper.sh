#!/usr/bin/env bash
# Gives a NIC port to DPDK and gives it back, by sysfs alone: needs neither python nor dpdk-devbind.py.
#
#   dpdk-devbind-wrapper.sh status
#   dpdk-devbind-wrapper.sh bind [--driver vfio-pci] [--force] [--dry-run] DEV...
#   dpdk-devbind-wrapper.sh unbind [--force] [--dry-run] DEV...
#   dpdk-devbind-wrapper.sh restore [--dry-run] [DEV...]
#
# DEV is a PCI address (0000:01:00.0, 01:00.0) or the name of a network interface.
#   status   the network ports of this machine: address, driver, interface, NUMA node, IOMMU group, remarks
#   bind     takes the port from its kernel driver and gives it to vfio-pci; the former driver is remembered
#   unbind   takes the port from its driver and leaves it without one; the former driver is remembered
#   restore  gives the port back to its former driver; without DEV, every port that is remembered
#   --dry-run  makes all checks and prints each write instead of doing it
#   --force    does it although the interface has an address, the port has virtual functions, or it is not a NIC
# Nothing makes it touch the interface that carries the default route, or a port that a process holds open.
# Everything is checked for all DEVs before anything is changed. Exit: 0 done; 1 refused or failed; 2 wrong arguments.
#
# SYSFS_ROOT (/sys), PROC_ROOT (/proc) and STATE_DIR (/run/wirebook-devbind: a reboot restores drivers too) can be
# set, for tests.
set -u
export LC_ALL=C

SYSFS_ROOT=${SYSFS_ROOT:-/sys}
PROC_ROOT=${PROC_ROOT:-/proc}
STATE_DIR=${STATE_DIR:-/run/wirebook-devbind}
PCI=$SYSFS_ROOT/bus/pci
# Drivers that DPDK works through (bifurcated): the port stays with them, and the kernel keeps its interface.
BIFURCATED=' mlx4_core mlx5_core mana '
BDF='[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]'
# How often, each 0.1 s, the kernel is looked at until a driver has come or gone.
WAIT_STEPS=50

dry_run=no
force=no
driver=vfio-pci
failed=no

usage() {
    sed -n '2,20s/^# \{0,1\}//p' "$0"
    exit "$1"
}

say() { printf '%s\n' "$*"; }

# complain WHERE WHAT WHY FIX
complain() {
    printf 'devbind: %s: %s\n' "$1" "$2" >&2
    [ -z "$3" ] || printf '    why: %s\n' "$3" >&2
    [ -z "$4" ] || printf '    fix: %s\n' "$4" >&2
    failed=yes
}

read_file() {
    local text=
    [ -r "$1" ] && IFS= read -r text <"$1"
    printf '%s' "$text"
}

link_name() {
    local target
    target=$(readlink "$1") && printf '%s' "${target##*/}"
}

driver_of() { link_name "$PCI/devices/$1/driver"; }

# The network interfaces of a port; a virtio port has them one level deeper.
interfaces_of() {
    local entry
    for entry in "$PCI/devices/$1"/net/* "$PCI/devices/$1"/virtio*/net/*; do
        [ -e "$entry" ] && printf '%s\n' "${entry##*/}"
    done
}

# An interface and all that stand on it: VLANs, bonds, bridges. Bounded: stacks are shallow.
stack_of() {
    local level=" $1 " all=" $1 " next interface upper
    for _ in 1 2 3 4 5 6 7 8; do
        next=' '
        for interface in $level; do
            for upper in "$SYSFS_ROOT/class/net/$interface"/upper_*; do
                [ -e "$upper" ] || [ -L "$upper" ] || continue
                upper=${upper##*/upper_}
                case $all in *" $upper "*) continue ;; esac
                next+="$upper "
                all+="$upper "
            done
        done
        [ "$next" != ' ' ] || break
        level=$next
    done
    # shellcheck disable=SC2086 # one name a line
    printf '%s\n' $all
}

carries_default_route() {
    local name
    for name in $(stack_of "$1"); do
        awk -v name="$name" '$1 == name && $2 == "00000000" && $8 == "00000000" { found = 1 } END { exit !found }' \
            "$PROC_ROOT/net/route" 2>/dev/null && return 0
        awk -v name="$name" '$10 == name && $1 ~ /^0+$/ && $2 == "00" { found = 1 } END { exit !found }' \
            "$PROC_ROOT/net/ipv6_route" 2>/dev/null && return 0
    done
    return 1
}

# An IPv4 route through it, an IPv6 address wider than the link, or whatever ip(8) sees.
has_address() {
    local name
    for name in $(stack_of "$1"); do
        awk -v name="$name" '$1 == name { found = 1 } END { exit !found }' "$PROC_ROOT/net/route" 2>/dev/null && return 0
        awk -v name="$name" '$6 == name && $4 != "20" { found = 1 } END { exit !found }' \
            "$PROC_ROOT/net/if_inet6" 2>/dev/null && return 0
        if [ "$PROC_ROOT" = /proc ] && command -v ip >/dev/null; then
            [ -z "$(ip -4 -o address show dev "$name" 2>/dev/null)" ] || return 0
        fi
    done
    return 1
}

# The PCI address that DEV means, in full.
resolve() {
    local device=$1 lower path part address=
    lower=$(printf '%s' "$device" | tr '[:upper:]' '[:lower:]')
    [[ $lower =~ ^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$ ]] && lower=0000:$lower
    if [[ $lower =~ ^$BDF$ ]]; then
        if [ ! -d "$PCI/devices/$lower" ]; then
            complain "$device" 'there is no such PCI device' '' "'$0 status' lists what is there"
            return 1
        fi
        printf '%s' "$lower"
        return 0
    fi
    if [[ ! $device =~ ^[A-Za-z0-9_.@-]+$ ]] || [ ! -e "$SYSFS_ROOT/class/net/$device" ]; then
        complain "$device" 'is neither a PCI address nor a network interface' '' "'$0 status' lists what is there"
        return 1
    fi
    path=$(readlink -f "$SYSFS_ROOT/class/net/$device/device")
    for part in ${path//\// }; do
        [[ $part =~ ^$BDF$ ]] && address=$part
    done
    if [ -z "$address" ]; then
        complain "$device" 'is not a PCI device, so no driver can be taken from it' \
            'virtual interfaces reach DPDK by a virtual device' "run wirebook with --vdev net_af_packet0,iface=$device"
        return 1
    fi
    printf '%s' "$address"
}

is_bifurcated() {
    local current
    current=$(driver_of "$1")
    case $BIFURCATED in *" $current "*) [ -n "$current" ] && return 0 ;; esac
    # A Mellanox/NVIDIA NIC whose kernel driver is not loaded is one all the same.
    [ "$(read_file "$PCI/devices/$1/vendor")" = 0x15b3 ]
}

# Processes that hold the port through VFIO.
holders_of() {
    local group fd target pid
    group=$(link_name "$PCI/devices/$1/iommu_group")
    [ -n "$group" ] || return 0
    for fd in "$PROC_ROOT"/[0-9]*/fd/*; do
        target=$(readlink "$fd" 2>/dev/null) || continue
        case $target in
            "/dev/vfio/$group" | "/dev/vfio/noiommu-$group")
                pid=${fd#"$PROC_ROOT"/}
                printf '%s (%s)\n' "${pid%%/*}" "$(read_file "$PROC_ROOT/${pid%%/*}/comm")"
                ;;
        esac
    done | sort -u
}

# May the port be taken from its driver?
check_leaving() {
    local address=$1 interface holders class vfs
    for interface in $(interfaces_of "$address"); do
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
        complain "$address" "refused: held open by process ${holders//$'\n'/, }" \
            'the kernel would wait until that process ends' 'stop it first'
        return 1
    fi
    [ $force = no ] || return 0
    class=$(read_file "$PCI/devices/$address/class")
    case $class in
        0x02*) ;;
        *)
            complain "$address" "refused: class ${class:-unknown} is not a network device" \
                'a wrong address is easily typed' "'$0 status' lists the network ports; --force if it is meant"
            return 1
            ;;
    esac
    vfs=$(read_file "$PCI/devices/$address/sriov_numvfs")
    if [ "${vfs:-0}" != 0 ]; then
        complain "$address" "refused: it has $vfs virtual functions in being" 'they would vanish with its driver' \
            "echo 0 > $PCI/devices/$address/sriov_numvfs, or say --force"
        return 1
    fi
}

# Can vfio-pci have it?
check_vfio() {
    local address=$1 entry sibling its
    if [ ! -e "$PCI/devices/$address/iommu_group" ]; then
        if [ "$(read_file "$SYSFS_ROOT/module/vfio/parameters/enable_unsafe_noiommu_mode")" = Y ]; then
            printf 'devbind: %s: warning: no IOMMU: the NIC can write to all of memory\n' "$address" >&2
            return 0
        fi
        complain "$address" 'is in no IOMMU group' 'vfio-pci needs an IOMMU to keep the NIC within its own memory' \
            'switch on VT-d or AMD-Vi in the BIOS; kernel command line: intel_iommu=on iommu=pt (AMD: amd_iommu=on iommu=pt)'
        return 1
    fi
    for entry in "$PCI/devices/$address/iommu_group/devices"/*; do
        sibling=${entry##*/}
        [ "$sibling" != "$address" ] || continue
        [[ $sibling =~ ^$BDF$ ]] || continue
        case $(read_file "$PCI/devices/$sibling/class") in 0x0604*) continue ;; esac
        case " $targets " in *" $sibling "*) continue ;; esac
        its=$(driver_of "$sibling")
        case $its in
            '' | vfio-pci | pci-stub) ;;
            *)
                complain "$address" "its IOMMU group is shared with $sibling, which $its has" \
                    'VFIO hands out whole groups only' "bind $sibling as well, or move the card to another slot"
                return 1
                ;;
        esac
    done
}

# write TEXT FILE
write() {
    if [ $dry_run = yes ]; then
        say "would write '$1' to $2"
        return 0
    fi
    if ! printf '%s\n' "$1" 2>/dev/null >"$2"; then
        complain "$2" "cannot be written ('$1')" '' 'be root; the kernel log (dmesg) says what the driver disliked'
        return 1
    fi
}

# Lets the kernel look for a driver. Whether it found one is asked afterwards: the write fails for other reasons too.
probe() {
    if [ $dry_run = yes ]; then
        say "would write '$1' to $PCI/drivers_probe"
    else
        printf '%s\n' "$1" 2>/dev/null >"$PCI/drivers_probe" || :
    fi
}

# Waits until ADDRESS has DRIVER ('' = none).
wait_for_driver() {
    local step
    [ $dry_run = no ] || return 0
    for ((step = 0; step < WAIT_STEPS; step++)); do
        [ "$(driver_of "$1")" != "$2" ] || return 0
        sleep 0.1
    done
    return 1
}

detach() {
    local current
    current=$(driver_of "$1")
    [ -n "$current" ] || return 0
    write "$1" "$PCI/drivers/$current/unbind" || return 1
    wait_for_driver "$1" '' && return 0
    complain "$1" "still with $current" 'the driver did not let it go' 'look into the kernel log (dmesg)'
    return 1
}

# The first driver is the one to go back to: what is remembered stays.
remember() {
    local file=$STATE_DIR/$1
    [ ! -e "$file" ] || return 0
    if [ $dry_run = yes ]; then
        say "would remember '${2:-none}' in $file"
        return 0
    fi
    if ! { mkdir -p "$STATE_DIR" && printf '%s\n' "${2:-none}" >"$file"; } 2>/dev/null; then
        complain "$file" 'cannot be written' 'without it the former driver could not be restored' \
            'be root, or set STATE_DIR to a directory that can be written'
        return 1
    fi
}

bind_one() {
    local address=$1 current
    current=$(driver_of "$address")
    if [ "$current" = "$driver" ]; then
        say "$address: already with $driver"
        return 0
    fi
    remember "$address" "$current" || return 1
    write "$driver" "$PCI/devices/$address/driver_override" || return 1
    detach "$address" || return 1
    probe "$address"
    if ! wait_for_driver "$address" "$driver"; then
        complain "$address" "$driver did not take it" '' 'look into the kernel log (dmesg); it goes back to its former driver now'
        give_back "$address" "$(read_file "$STATE_DIR/$address")"
        return 1
    fi
    [ $dry_run = yes ] || say "$address: ${current:-no driver} -> $driver"
}

unbind_one() {
    local address=$1 current
    current=$(driver_of "$address")
    if [ -z "$current" ]; then
        say "$address: has no driver"
        return 0
    fi
    remember "$address" "$current" && detach "$address" || return 1
    [ $dry_run = yes ] || say "$address: $current -> no driver"
}

# give_back ADDRESS FORMER
give_back() {
    if [ "$(driver_of "$1")" != "${2/#none/}" ]; then
        write '' "$PCI/devices/$1/driver_override" || return 1
        detach "$1" || return 1
        if [ "$2" != none ] && ! { probe "$1" && wait_for_driver "$1" "$2"; }; then
            # The kernel prefers another driver, or none: ask for the former by name.
            detach "$1" && write "$2" "$PCI/devices/$1/driver_override" && probe "$1"
            if ! wait_for_driver "$1" "$2"; then
                complain "$1" "its former driver $2 did not take it back" '' "modprobe $2, then '$0 restore $1' again"
                return 1
            fi
        fi
    fi
    if [ $dry_run = yes ]; then
        say "would forget $STATE_DIR/$1"
    else
        rm -f "$STATE_DIR/$1"
        say "$1: given back to ${2/#none/no driver}"
    fi
}

status() {
    local entry address interface remarks interfaces count=0
    printf '%-13s %-10s %-14s %-16s %-5s %-6s %s\n' ADDRESS DEVICE DRIVER INTERFACE NUMA IOMMU REMARKS
    for entry in "$PCI/devices"/*; do
        address=${entry##*/}
        case $(read_file "$entry/class") in 0x02*) ;; *) continue ;; esac
        count=$((count + 1))
        remarks=
        interfaces=
        for interface in $(interfaces_of "$address"); do
            interfaces+="${interfaces:+,}$interface"
            if carries_default_route "$interface"; then
                remarks+='; carries the default route'
            elif has_address "$interface"; then
                remarks+='; has an address'
            fi
        done
        if is_bifurcated "$address"; then
            remarks+='; DPDK works through its kernel driver: do not bind'
        fi
        [ -z "$(holders_of "$address")" ] || remarks+="; in use by $(holders_of "$address" | tr '\n' ' ')"
        [ ! -e "$STATE_DIR/$address" ] || remarks+="; came from $(read_file "$STATE_DIR/$address")"
        printf '%-13s %-10s %-14s %-16s %-5s %-6s %s\n' "$address" \
            "$(read_file "$entry/vendor" | cut -c 3-):$(read_file "$entry/device" | cut -c 3-)" \
            "$(driver_of "$address" || printf -- -)" "${interfaces:--}" "$(read_file "$entry/numa_node")" \
            "$(link_name "$entry/iommu_group" || printf -- -)" "${remarks#; }"
    done
    [ $count -gt 0 ] || say 'no network device on the PCI bus: virtual devices (--vdev) still work'
}

[ $# -gt 0 ] || usage 2 >&2
command=$1
shift
case $command in
    status | bind | unbind | restore) ;;
    -h | --help | help) usage 0 ;;
    *) printf "devbind: unknown command '%s'\n" "$command" >&2; usage 2 >&2 ;;
esac
devices=()
while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) dry_run=yes ;;
        --force) force=yes ;;
        --driver | --driver=*)
            if [ "$1" = --driver ]; then
                [ $# -gt 1 ] || { printf 'devbind: --driver needs a name\n' >&2; usage 2 >&2; }
                shift
                driver=$1
            else
                driver=${1#--driver=}
            fi
            ;;
        -h | --help) usage 0 ;;
        -*) printf "devbind: unknown option '%s'\n" "$1" >&2; usage 2 >&2 ;;
        *) devices+=("$1") ;;
    esac
    shift
done
if [[ ! $driver =~ ^[A-Za-z0-9_-]+$ ]]; then
    printf "devbind: '%s' is not the name of a driver\n" "$driver" >&2
    exit 2
fi

if [ "$command" = status ]; then
    [ ${#devices[@]} -eq 0 ] || { printf 'devbind: status takes no DEV\n' >&2; exit 2; }
    status
    exit 0
fi

if [ "$command" = restore ] && [ ${#devices[@]} -eq 0 ]; then
    for entry in "$STATE_DIR"/*; do
        [[ ${entry##*/} =~ ^$BDF$ ]] && devices+=("${entry##*/}")
    done
    if [ ${#devices[@]} -eq 0 ]; then
        say "nothing to restore: $STATE_DIR remembers no port"
        exit 0
    fi
fi
[ ${#devices[@]} -gt 0 ] || { printf 'devbind: %s needs a DEV\n' "$command" >&2; usage 2 >&2; }

# What --force overrides was settled when the port was taken.
[ "$command" != restore ] || force=yes

# All checks, for all devices, before the first change.
targets=
for device in "${devices[@]}"; do
    address=$(resolve "$device") || { failed=yes; continue; }
    case " $targets " in *" $address "*) ;; *) targets+=" $address" ;; esac
done
[ $failed = no ] || exit 1

work=
for address in $targets; do
    if [ "$command" != restore ] && is_bifurcated "$address"; then
        current=$(driver_of "$address")
        if [ "$command" = bind ] && [ -n "$current" ]; then
            say "$address: nothing to do: DPDK works through its kernel driver $current"
        elif [ "$command" = bind ]; then
            complain "$address" 'has no driver' 'DPDK works through its kernel driver' 'modprobe mlx5_core (older cards: mlx4_core)'
        else
            complain "$address" "refused: DPDK works through its kernel driver ${current:-mlx5_core}" '' ''
        fi
        continue
    fi
    if [ "$command" = restore ]; then
        if [ ! -e "$STATE_DIR/$address" ]; then
            complain "$address" "no former driver is remembered in $STATE_DIR" 'it was not taken by this script since the last boot' \
                "echo > $PCI/devices/$address/driver_override; echo $address > $PCI/drivers_probe"
            continue
        fi
        if [ "$(driver_of "$address")" != "$(read_file "$STATE_DIR/$address")" ]; then
            check_leaving "$address" || continue
        fi
    elif [ "$(driver_of "$address")" != "$driver" ] || [ "$command" = unbind ]; then
        check_leaving "$address" || continue
        if [ "$command" = bind ] && [ "$driver" = vfio-pci ]; then
            check_vfio "$address" || continue
        fi
    fi
    if [ $dry_run = no ] && [ ! -w "$PCI/devices/$address/driver_override" ]; then
        complain "$address" "$PCI/devices/$address/driver_override cannot be written" '' "run it as root: sudo $0 $command …"
        continue
    fi
    work+=" $address"
done
[ $failed = no ] || exit 1

if [ "$command" = bind ] && [ -n "$work" ] && [ ! -d "$PCI/drivers/$driver" ]; then
    if [ $dry_run = yes ]; then
        say "would run modprobe $driver"
    elif ! { [ "$SYSFS_ROOT" = /sys ] && modprobe "$driver" && [ -d "$PCI/drivers/$driver" ]; } then
        complain "$driver" 'is not loaded and cannot be' '' "modprobe $driver says why; the kernel may have been built without it"
        exit 1
    fi
fi

for address in $work; do
    case $command in
        bind) bind_one "$address" ;;
        unbind) unbind_one "$address" ;;
        restore) give_back "$address" "$(read_file "$STATE_DIR/$address")" ;;
    esac || failed=yes
done
[ $failed = no ] || exit 1
