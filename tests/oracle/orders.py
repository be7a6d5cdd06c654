#!/usr/bin/env python3
"""A public SoupBinTCP server as the order gateway of wirebook, which comes over a TCP of its own.

nasdaq-protocols (PyPI, Apache-2.0) serves on the kernel's TCP in one network namespace; wirebook has a port of AF_PACKET in
another, with a virtual cable between them, and trades on a feed of the exchange. Each order is accepted here, half of it
executed, the rest cancelled, by the layouts of the OUCH 5.0 document. In the end both sides count the same orders, the same
fills and the same positions.

    orders.py EXCHANGE WIREBOOK        wirebook with DPDK; needs root, ip and ethtool
    orders.py --gateway PORT           the gateway alone: a line of JSON for each thing that happened

Exit code: 0 all as it should be; 1 not.
"""

import asyncio
import collections
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import tomllib

PORT = 31002
SYMBOLS = 8
LEAST_ORDERS = 20
# Seconds that any one step may take.
PATIENCE = 60

CONFIG = """
[port]
name = "0"
link_wait_ms = 20000
[feed]
reorder_packets = 4096
reorder_wait_us = 1000000
[feed.line.a]
group = "239.1.1.1"
port = 26400
[feed.line.b]
group = "239.1.1.2"
port = 26400
[book]
max_locates = 64
max_orders = 100000
max_levels = 100000
[instruments]
all = true
[strategy]
kind = "imbalance"
entry_bp = 4000
exit_bp = 1000
order_shares = 100
style = "take"
max_spread = "0.20"
cooldown_us = 20000
[risk]
armed = true
max_position_shares = 1000000
max_gross_value = 1000000000
max_orders_per_second = 5000
max_orders_per_second_per_symbol = 5000
duplicate_window_ms = 0
[gateway]
framing = "ouch-tcp"
stack = "own"
username = "WIRE01"
local_ip = "10.0.0.2"
ip = "10.0.0.1"
port = {port}
mac = "02:00:00:00:00:01"
"""


def must(true, what):
    if not true:
        raise AssertionError(what)


def say(what, **more):
    print(json.dumps({"what": what, **more}), flush=True)


def gateway(port):
    """Serves until it is told to end."""
    from nasdaq_protocols import soup

    class Gateway(soup.SoupServerSession, session_type="ouch"):
        matches = 0
        highest = 0

        async def on_login(self, msg):
            say("login", user=msg.user, sequence=str(msg.sequence))
            return soup.LoginAccepted("PUBLIC", 1)

        async def on_unsequenced(self, msg):
            data = bytes(msg.data)
            now = time.time_ns() % 86_400_000_000_000
            match data[:1]:
                case b"O":
                    number, side, shares, symbol, price = struct.unpack_from("!IcI8sQ", data, 1)
                    tif, display, capacity, iso, cross = struct.unpack_from("!5c", data, 26)
                    name, options = struct.unpack_from("!14sH", data, 31)
                    must(len(data) == 47 + options, f"{len(data)} bytes with {options} of options")
                    must(number > Gateway.highest, f"order {number} after {Gateway.highest}")
                    must(tif == b"3" and cross == b"N", f"{data!r}")
                    Gateway.highest = number
                    self.send_seq_msg(
                        struct.pack("!cQIcI8sQ", b"A", now, number, side, shares, symbol, price)
                        + tif + display + struct.pack("!Q", number) + capacity + iso + cross + b"L" + name
                        + struct.pack("!H", 0)
                    )
                    some = shares // 2
                    Gateway.matches += 1
                    self.send_seq_msg(
                        struct.pack("!cQIIQcQH", b"E", now, number, some, price, b"R", Gateway.matches, 0)
                    )
                    self.send_seq_msg(struct.pack("!cQIIc", b"C", now, number, shares - some, b"I"))
                    signed = some if side == b"B" else -some
                    say("order", number=number, symbol=symbol.decode().rstrip(), signed=signed)
                case b"Q":
                    must(len(data) == 1, f"an account query of {len(data)} bytes")
                    self.send_seq_msg(struct.pack("!cQI", b"Q", now, Gateway.highest + 1))
                    say("query")
                case _:
                    say("other", data=data.hex())

    async def serve():
        # Of the library's two intervals the first is that of this side's heartbeats.
        of_client = lambda: Gateway(client_heartbeat_interval=1, server_heartbeat_interval=15)
        server = await asyncio.get_running_loop().create_server(of_client, "0.0.0.0", port)
        say("listening")
        await server.serve_forever()

    asyncio.run(serve())


def run(line):
    done = subprocess.run(line.split(), capture_output=True, text=True)
    must(done.returncode == 0, f"{line}: {done.stderr}")


class Cable:
    """Two namespaces and a virtual cable between them: feed0 at wirebook's end, feed1 at the exchange's."""

    def __init__(self):
        self.handler, self.venue = (f"wirebook-{os.getpid()}-{end}" for end in ("handler", "venue"))

    def __enter__(self):
        for space in (self.handler, self.venue):
            run(f"ip netns add {space}")
        run(f"ip -n {self.handler} link add feed0 type veth peer name feed1 netns {self.venue}")
        run(f"ip -n {self.handler} link set feed0 address 02:00:00:00:00:02 up")
        run(f"ip -n {self.venue} link set feed1 address 02:00:00:00:00:01 up")
        run(f"ip -n {self.venue} link set lo up")
        run(f"ip -n {self.venue} address add 10.0.0.1/24 dev feed1")
        run(f"ip -n {self.venue} route add 224.0.0.0/4 dev feed1")
        run(f"ip -n {self.venue} neighbour replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev feed1 nud permanent")
        # A virtual cable leaves checksums to a NIC that is not there.
        run(f"ip netns exec {self.venue} ethtool -K feed1 tx off")
        run(f"ip netns exec {self.handler} ethtool -K feed0 tx off")
        return self

    def __exit__(self, *_):
        for space in (self.handler, self.venue):
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


def play(exchange, wirebook, place):
    (place / "feed.toml").write_text(CONFIG.format(port=PORT))
    running = []

    def start(space, name, *command):
        with open(place / name, "w") as out:
            words = ["ip", "netns", "exec", space, *(str(word) for word in command)]
            running.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT))
        return running[-1]

    def wait_for(name, text):
        until = time.monotonic() + PATIENCE
        while text not in (place / name).read_text():
            must(time.monotonic() < until, f"no '{text}':\n{(place / name).read_text()}")
            time.sleep(0.05)

    with Cable() as cable:
        try:
            start(cable.venue, "gateway", sys.executable, __file__, "--gateway", PORT)
            wait_for("gateway", "listening")
            handler = start(
                cable.handler,
                "wirebook",
                *(wirebook, "--lcores=0@0,1@1", "--no-pci", "--no-huge", "-m", 256, "--no-shconf", "--no-telemetry"),
                *("--vdev=net_af_packet0,iface=feed0,blocksz=65536,framesz=2048,framecnt=16384", "--"),
                *("--config", place / "feed.toml", "--for", 100, "--stop-when-idle", 4),
                *("--report", place / "report.toml"),
            )
            wait_for("wirebook", "polling")
            venue = start(
                cable.venue,
                "exchange",
                *(exchange, "serve", "--interface-ip", "10.0.0.1", "--wait-ms", 1000, "--symbols", SYMBOLS),
                *("--live-orders", 1000, "--rate", 2000, "--messages", 20000, "--coalesce-us", 1000),
            )
            for program, what in ((venue, "exchange"), (handler, "wirebook")):
                code = program.wait(2 * PATIENCE)
                must(code == 0, f"{what} ended with {code}\n{(place / what).read_text()}")
        finally:
            for process in running:
                process.kill()
                process.wait()
    compare(place)


def compare(place):
    happened = [json.loads(line) for line in (place / "gateway").read_text().splitlines() if line.startswith("{")]
    report = tomllib.loads((place / "report.toml").read_text())
    counters, text = report["counters"], (place / "wirebook").read_text()
    of = collections.Counter(event["what"] for event in happened)
    orders = [event for event in happened if event["what"] == "order"]
    positions = collections.Counter()
    for order in orders:
        positions[order["symbol"]] += order["signed"]
    theirs = {symbol: shares for symbol, shares in positions.items() if shares}
    must(len(orders) >= LEAST_ORDERS, f"{len(orders)} orders are too few\n{text}")
    must((of["login"], of["query"], of["other"]) == (1, 1, 0), f"{of}\n{text}\n{(place / 'gateway').read_text()}")
    for name in ("session_enters", "orders_accepted", "orders_executed", "orders_canceled"):
        must(counters[name] == len(orders), f"{name} {counters[name]}, the gateway's {len(orders)}\n{text}")
    for name in ("replies_unknown", "session_bad_messages", "session_bad_packets", "session_breaks", "session_gaps"):
        must(counters[name] == 0, f"{name} {counters[name]}\n{text}")
    must(counters["tcp_hot"] >= len(orders) // 2, f"tcp_hot {counters['tcp_hot']}")
    must(report["positions"] == theirs, f"positions: ours {report['positions']}, the gateway's {theirs}")
    print(f"orders: {len(orders)} over a TCP of wirebook's own to the library's server, {counters['tcp_hot']} hot; fills and positions agree")


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--gateway":
        return gateway(int(sys.argv[2]))
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as place:
        try:
            play(sys.argv[1], sys.argv[2], pathlib.Path(place))
        except AssertionError as why:
            sys.exit(f"orders: {why}")


if __name__ == "__main__":
    main()
