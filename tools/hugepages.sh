#!/bin/sh
# Shows and reserves hugepages, and mounts hugetlbfs: by sysfs alone, in POSIX sh; runs under dash, bash and busybox.
#
#   hugepages.sh
#   hugepages.sh [--node N] [--page 2M|1G] [--mount DIR] [--dry-run] [COUNT|SIZE]
#
# Alone it shows what is reserved on which NUMA node, and where hugetlbfs is mounted. With COUNT (pages) or SIZE (512M, 4G)
# it sets how many there are, on node N or spread over all of them, says how many the kernel really had, and mounts
# hugetlbfs unless it is; 0 gives them back.
#   --page     2M unless told; 1G pages are seldom to be had after boot
#   --mount    where to mount, if nothing is mounted there yet (/dev/hugepages, if no hugetlbfs of that page size is mounted)
#   --dry-run  prints each change instead of making it
# Exit: 0 done; 1 refused, failed, or fewer pages than wanted; 2 wrong arguments.
#
# SYSFS_ROOT (/sys) and PROC_ROOT (/proc) can be set, for tests.
set -u
export LC_ALL=C

SYSFS_ROOT=${SYSFS_ROOT:-/sys}
PROC_ROOT=${PROC_ROOT:-/proc}

dry_run=no
failed=no
node=
page=2M
mount_at=

usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
    exit "$1"
}

wrong() {
    printf 'hugepages: %s\n' "$1" >&2
    usage 2 >&2
}

say() { printf '%s\n' "$*"; }

# complain WHERE WHAT WHY FIX
complain() {
    printf 'hugepages: %s: %s\n' "$1" "$2" >&2
    [ -z "$3" ] || printf '    why: %s\n' "$3" >&2
    [ -z "$4" ] || printf '    fix: %s\n' "$4" >&2
    failed=yes
}

# The first line of a file; nothing where there is none.
read_line() (
    text=
    [ -r "$1" ] && IFS= read -r text <"$1"
    printf '%s' "$text"
)

# Where hugetlbfs is mounted: lines of directory and page size in kB, which is the default's unless the mount says it.
huge_mounts() (
    [ -r "$PROC_ROOT/mounts" ] || exit 0
    default=$(sed -n 's/^Hugepagesize: *\([0-9]*\) kB$/\1/p' "$PROC_ROOT/meminfo" 2>/dev/null)
    while read -r _ directory kind options _; do
        [ "$kind" = hugetlbfs ] || continue
        case $options in
            *pagesize=*M*) each=${options##*pagesize=} each=$((${each%%M*} * 1024)) ;;
            *pagesize=*G*) each=${options##*pagesize=} each=$((${each%%G*} * 1048576)) ;;
            *) each=${default:-2048} ;;
        esac
        printf '%s %s\n' "$directory" "$each"
    done <"$PROC_ROOT/mounts"
)

show_hugepages() {
    printf '%-5s %-11s %-7s %-7s %s\n' NODE PAGE PAGES FREE MEMORY
    for entry in "$SYSFS_ROOT/devices/system/node"/node[0-9]*/hugepages/hugepages-*kB; do
        [ -d "$entry" ] || continue
        size=${entry##*hugepages-} size=${size%kB}
        pages=$(read_line "$entry/nr_hugepages")
        number=${entry%/hugepages/*}
        printf '%-5s %-11s %-7s %-7s %s\n' "${number##*/node}" "$size kB" "$pages" "$(read_line "$entry/free_hugepages")" \
            "$((pages * size / 1024)) MiB"
    done
    mounts=$(huge_mounts)
    if [ -n "$mounts" ]; then
        printf '%s\n' "$mounts" | while read -r at size; do say "hugetlbfs: $at ($size kB)"; done
    else
        say 'hugetlbfs: not mounted (needed without --in-memory)'
    fi
}

# Unless one of that page size is mounted, or one at DIR where --mount was said.
mount_hugetlbfs() {
    mounts=$(huge_mounts)
    for at in $(printf '%s\n' "$mounts" | sed -n "s/ $kib\$//p"); do
        [ -n "$mount_at" ] && [ "$mount_at" != "$at" ] || return 0
    done
    at=${mount_at:-/dev/hugepages}
    # The usual place may be taken by pages of another size.
    [ -n "$mount_at" ] || ! printf '%s\n' "$mounts" | grep -q "^$at " || at=$at-${kib}kB
    if [ $dry_run = yes ]; then
        say "would mount hugetlbfs at $at, pagesize=$((kib / 1024))M"
    elif { mkdir -p "$at" && mount -t hugetlbfs -o "pagesize=$((kib / 1024))M" hugetlbfs "$at"; } >/dev/null 2>&1; then
        say "hugetlbfs mounted at $at"
    else
        complain "$at" 'hugetlbfs cannot be mounted there' '' 'be root, or run wirebook with --in-memory, which needs no mount'
    fi
}

# reserve COUNT|SIZE
reserve() {
    case $1 in
        *[MG]) number=${1%?} ;;
        *) number=$1 ;;
    esac
    # Seven digits: more than any machine has, and no arithmetic overflows.
    case $number in
        '' | *[!0-9]* | ????????*) wrong "'$1' is neither a number of pages nor a size such as 512M or 4G" ;;
        0?*) wrong "'$1' begins with a zero" ;;
    esac
    case $1 in
        *M) number=$(((number * 1024 + kib - 1) / kib)) ;;
        *G) number=$(((number * 1048576 + kib - 1) / kib)) ;;
    esac
    if [ -n "$node" ]; then
        where="node $node"
        directory=$SYSFS_ROOT/devices/system/node/node$node/hugepages/hugepages-${kib}kB
    else
        where='this machine'
        directory=$SYSFS_ROOT/kernel/mm/hugepages/hugepages-${kib}kB
    fi
    if [ ! -d "$directory" ]; then
        complain "$where" "has no hugepages of $kib kB" "$directory is not there" \
            "'$0' lists nodes and page sizes"
        return 1
    fi
    before=$(read_line "$directory/nr_hugepages")
    available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' "$PROC_ROOT/meminfo" 2>/dev/null)
    # Pages that are reserved nothing else can use: an eighth of what is free stays free.
    if [ -n "$available" ] && [ $(((number - ${before:-0}) * kib)) -gt $((available * 7 / 8)) ]; then
        complain "$where" "refused: $number pages are $((number * kib / 1024)) MiB, and $((available / 1024)) MiB are available" \
            'the programs of this machine would be killed for want of memory' 'ask for less: wirebook runs with 256M and more'
        return 1
    fi
    if [ $dry_run = yes ]; then
        say "would write '$number' to $directory/nr_hugepages"
        granted=$number
    elif [ "$before" = "$number" ] || { printf '%s\n' "$number" >"$directory/nr_hugepages"; } 2>/dev/null; then
        granted=$(read_line "$directory/nr_hugepages")
        granted=${granted:-0}
    else
        complain "$directory/nr_hugepages" "cannot be written ('$number')" '' 'be root'
        return 1
    fi
    say "$where: $granted pages of $kib kB reserved, $((granted * kib / 1024)) MiB (before: $before)"
    if [ "$granted" -lt "$number" ]; then
        complain "$where" "$granted of $number pages were granted" \
            "the kernel finds no more whole free pages of $kib kB; $((${available:-0} / 1024)) MiB are available in pieces" \
            "end what is large, or 'echo 3 > /proc/sys/vm/drop_caches; echo 1 > /proc/sys/vm/compact_memory', and try again; surely at boot: hugepagesz=$((kib / 1024))M hugepages=$number on the kernel command line"
    elif [ "$granted" -gt "$number" ]; then
        complain "$where" "$granted pages remain, $number were wanted" 'a process uses them, or files in hugetlbfs do' \
            'end that process; remove files that a killed one left (rtemap_* in the mount)'
    fi
    [ "$granted" -eq 0 ] || mount_hugetlbfs
}

while [ $# -gt 0 ]; do
    case $1 in
        --node | --page | --mount)
            [ $# -gt 1 ] || wrong "$1 needs a value"
            argument=$1=$2
            shift
            ;;
        *) argument=$1 ;;
    esac
    shift
    case $argument in
        --dry-run) dry_run=yes ;;
        --node=*) node=${argument#*=} ;;
        --page=*) page=${argument#*=} ;;
        --mount=*) mount_at=${argument#*=} ;;
        -h | --help) usage 0 ;;
        -*) wrong "there is no option '${argument%%=*}'" ;;
        *)
            [ -z "${amount:-}" ] || wrong "one COUNT or SIZE, not '$amount' and '$argument'"
            amount=$argument
            ;;
    esac
done
case $node in *[!0-9]*) wrong "'$node' is not the number of a NUMA node" ;; esac
case $mount_at in '' | /*) mount_at=${mount_at%/} ;; *) wrong "--mount wants a directory that begins with /, not '$mount_at'" ;; esac
case $page in
    2M) kib=2048 ;;
    1G) kib=1048576 ;;
    *) wrong "--page is 2M or 1G, not '$page'" ;;
esac
if [ -n "${amount:-}" ]; then
    reserve "$amount"
elif [ -n "$mount_at" ]; then
    mount_hugetlbfs
else
    show_hugepages
fi
[ $failed = no ] || exit 1
