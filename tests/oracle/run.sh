#!/usr/bin/env bash
# Lets public programs judge, which share nothing with ours:
# - meatpy 0.5.0, an order book builder: the books of "wirebook replay" are compared with its own, order by order, for the
#   busiest symbols, of a day that our own exchange makes with everything that it can do, or of the ITCH 5.0 files named;
# - nasdaq-protocols 1.3.0, a SoupBinTCP client and server: it speaks to our exchange, and to wirebook (soup.py); as root it is the order
#   gateway of a wirebook that comes over a TCP of its own (orders.py). Not where files are named.
#
#   tests/oracle/run.sh [FILE.itch]...
#
# Needs python3 with venv, and PyPI the first time. What it makes stands under target/oracle. Takes some minutes.
# Exit: 0 all equal; 1 different, or something is missing.
set -euo pipefail
cd "$(dirname "$0")/../.."

MEATPY=0.5.0
NASDAQ_PROTOCOLS=1.3.0
place=${CARGO_TARGET_DIR:-target}/oracle
venv=$place/venv-$MEATPY-$NASDAQ_PROTOCOLS
mkdir -p "$place"
if ! "$venv/bin/python" -c 'import meatpy, nasdaq_protocols' 2>/dev/null; then
    if ! python3 -m venv "$venv"; then
        echo 'oracle: python3 with venv is needed; on Debian and Ubuntu: apt-get install python3-venv' >&2
        exit 1
    fi
    "$venv/bin/pip" install --quiet "meatpy==$MEATPY" "nasdaq-protocols==$NASDAQ_PROTOCOLS"
fi

cargo=${CARGO:-cargo}
programs=${CARGO_TARGET_DIR:-target}/release
# Nothing here touches a port of DPDK's.
"$cargo" build --quiet --release -p exchange
"$cargo" build --quiet --release --no-default-features -p wirebook
if [ $# -eq 0 ]; then
    "$venv/bin/python" tests/oracle/soup.py "$programs/exchange" "$programs/wirebook"
    if [ "$(id -u)" -eq 0 ]; then
        # With DPDK, beside the other.
        "$cargo" build --quiet --release -p wirebook --target-dir "$place/dpdk"
        "$venv/bin/python" tests/oracle/orders.py "$programs/exchange" "$place/dpdk/release/wirebook"
    else
        echo 'oracle: orders over TCP of our own are left out: they need root, for network namespaces'
    fi
    "$programs/exchange" stream --messages 2000000 --symbols 64 --seed 7 --out "$place/day.itch"
    set -- "$place/day.itch"
fi
for file; do
    "$programs/wirebook" replay "$file" --dump "$place/books.csv" >"$place/replay.txt"
    "$venv/bin/python" tests/oracle/meatpy_books.py "$file" "$place/books.csv"
done
