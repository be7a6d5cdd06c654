#!/usr/bin/env python3
"""A public SoupBinTCP library between the exchange and wirebook, both ways.

nasdaq-protocols (PyPI, Apache-2.0) shares nothing with either. While the exchange plays on the loopback interface:

1. Its client logs in to GLIMPSE and reads a snapshot to the end: the orders in it are those that the feed's messages
   before the sequence that it states leave.
2. Its client logs in to the order gateway, enters an order in OUCH 5.0, and hears that it was accepted.
3. Its server is GLIMPSE to wirebook, which lost messages on both lines: what it hands out is what its client gets from the
   exchange, and wirebook's books are the exchange's in the end.

    soup.py EXCHANGE WIREBOOK

Exit code: 0 all as it should be; 1 not.
"""

import asyncio
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading

from nasdaq_protocols import soup

HERE = "127.0.0.1"
GROUPS = ("239.1.1.1", "239.1.1.2")
LEAST_ORDERS = 300
# Seconds that any one step may take.
PATIENCE = 60

CONFIG = """
[port]
name = "0"
[feed]
reorder_packets = 8192
reorder_wait_us = 20000
[feed.line.a]
group = "{groups[0]}"
port = {feed}
[feed.line.b]
group = "{groups[1]}"
port = {feed}
[recovery]
hole_wait_ms = 2000
buffer_mib = 16
[recovery.snapshot]
server = "{here}:{proxy}"
username = "WIRE01"
password = "secret"
login_timeout_ms = 60000
[book]
max_locates = 64
max_orders = 100000
max_levels = 100000
[instruments]
all = true
[strategy]
kind = "none"
"""


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HERE, 0))
        return probe.getsockname()[1]


def must(true, what):
    if not true:
        raise AssertionError(what)


class Feed(threading.Thread):
    """Every message of the feed by its sequence, from either line."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.messages = {}
        self.over = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(("", port))
        for group in GROUPS:
            request = socket.inet_aton(group) + socket.inet_aton(HERE)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        self.socket.settimeout(0.1)

    def run(self):
        while not self.over:
            try:
                packet = self.socket.recv(65536)
            except TimeoutError:
                continue
            sequence, count = struct.unpack_from("!QH", packet, 10)
            at = 20
            for offset in range(0 if count == 0xFFFF else count):
                (length,) = struct.unpack_from("!H", packet, at)
                self.messages[sequence + offset] = packet[at + 2 : at + 2 + length]
                at += 2 + length

    def orders_before(self, sequence):
        """The orders that all messages before `sequence` leave: locate, side, shares and price by reference."""
        orders = {}
        for at in range(1, sequence):
            apply(orders, self.messages[at])
        return orders


def apply(orders, message):
    kind = message[:1]
    if kind in b"AF":
        ref, side, shares, _, price = struct.unpack_from("!QcI8sI", message, 11)
        must(ref not in orders, f"order {ref} exists")
        orders[ref] = (message[1:3], side, shares, price)
        return
    if kind not in b"ECXDU":
        return
    (ref,) = struct.unpack_from("!Q", message, 11)
    locate, side, shares, price = orders.pop(ref)
    if kind == b"U":
        new, shares, price = struct.unpack_from("!QII", message, 19)
        orders[new] = (locate, side, shares, price)
    elif kind != b"D":
        (less,) = struct.unpack_from("!I", message, 19)
        must(less <= shares, f"order {ref} has {shares} shares, {less} are taken")
        if less < shares:
            orders[ref] = (locate, side, shares - less, price)


async def snapshot_from(port):
    """Logs in, reads to the end, logs out; session, messages, and the sequence stated."""
    session = await soup.connect_async((HERE, port), "WIRE01", "secret", connect_timeout=PATIENCE)
    name = session.session_id.session
    messages = []
    while True:
        packet = await asyncio.wait_for(session.receive_msg(), PATIENCE)
        must(isinstance(packet, soup.SequencedData), f"{packet} in a snapshot")
        if packet.data[:1] == b"G":
            must(len(packet.data) == 21, f"an end of {len(packet.data)} bytes")
            stated = int(packet.data[1:])
            break
        messages.append(bytes(packet.data))
    session.logout()
    while not session.is_closed():
        await asyncio.sleep(0.01)
    return name, messages, stated


async def check_snapshot(port, feed):
    name, messages, stated = await snapshot_from(port)
    must(name == "WIREBOOK01", f"session {name}")
    must(len(feed.messages) >= stated - 1, f"{len(feed.messages)} messages of the feed, {stated} stated")
    told = {}
    for message in messages:
        must(message[:1] in b"AFSRHYNLVWKJhO", f"a message of type {message[:1]} in a snapshot")
        apply(told, message)
    expected = feed.orders_before(stated)
    must(told == expected, f"{len(told)} orders in the snapshot, {len(expected)} by the feed: not the same")
    must(len(told) >= LEAST_ORDERS, f"{len(told)} orders are too few to compare")
    directory = sum(message[:1] == b"R" for message in messages)
    print(f"GLIMPSE: {len(messages)} messages, {directory} instruments, {len(told)} orders: the feed's before {stated}")


async def enter_order(port):
    session = await soup.connect_async((HERE, port), "PYTHON", "secret", connect_timeout=PATIENCE)
    # Type, number, side, shares, ticker, price; day, displayed, principal, no ISO, no cross; text, no options.
    text = b"PUBLIC CLIENT "
    order = struct.pack("!cIcI8sQ5s14sH", b"O", 1, b"B", 100, b"AAAA    ", 10_000, b"0YPNN", text, 0)
    session.send_unseq_data(order)
    replies = []
    while not replies or replies[-1][:1] != b"A":
        packet = await asyncio.wait_for(session.receive_msg(), PATIENCE)
        must(isinstance(packet, soup.SequencedData), f"{packet} from the gateway")
        replies.append(bytes(packet.data))
        must(replies[-1][:1] in b"SA", f"the order was answered with {replies[-1]!r}")
    accepted = replies[-1]
    (user_ref,) = struct.unpack_from("!I", accepted, 9)
    must((user_ref, accepted[13:14], accepted[18:26]) == (1, b"B", b"AAAA    "), f"accepted otherwise: {accepted!r}")
    session.logout()
    while not session.is_closed():
        await asyncio.sleep(0.01)
    print(f"OUCH: order {user_ref} accepted, {len(accepted)} bytes")


class Proxy(soup.SoupServerSession, session_type="glimpse"):
    """GLIMPSE of the library's server: hands on what its client got from the exchange."""

    source = 0
    served = 0

    async def on_login(self, msg):
        name, messages, stated = await snapshot_from(Proxy.source)

        async def hand_on():
            for message in messages:
                self.send_seq_msg(message)
            self.send_seq_msg(b"G" + f"{stated:>20}".encode())
            Proxy.served += 1

        asyncio.get_running_loop().create_task(hand_on())
        return soup.LoginAccepted(name, 1)

    async def on_unsequenced(self, msg):
        raise AssertionError("unsequenced data from a GLIMPSE client")


async def finish(process, what):
    output, _ = await asyncio.wait_for(asyncio.to_thread(process.communicate), 2 * PATIENCE)
    must(process.returncode == 0, f"{what} ended with {process.returncode}\n{output}")
    return output


async def play(exchange, wirebook, place):
    ports = {"feed": free_port(socket.SOCK_DGRAM)}
    ports |= {name: free_port(socket.SOCK_STREAM) for name in ("glimpse", "ouch", "proxy")}
    (place / "feed.toml").write_text(CONFIG.format(here=HERE, groups=GROUPS, **ports))
    feed = Feed(ports["feed"])
    feed.start()
    Proxy.source = ports["glimpse"]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Proxy, HERE, ports["proxy"])
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = []

    def start(*command):
        running.append(subprocess.Popen([str(word) for word in command], **pipes))
        return running[-1]

    try:
        handler = start(
            *(wirebook, "--", "--nic", f"udp:{HERE}", "--config", place / "feed.toml", "--for", 100),
            *("--stop-when-idle", 4, "--dump", place / "books.csv"),
        )
        venue = start(
            *(exchange, "serve", "--interface-ip", HERE, "--group-a", GROUPS[0], "--group-b", GROUPS[1]),
            *("--port", ports["feed"], "--glimpse", ports["glimpse"], "--ouch", ports["ouch"]),
            *("--wait-ms", 2000, "--symbols", 4, "--live-orders", 1000, "--rate", 2000, "--messages", 40000),
            *("--coalesce-us", 1000, "--plan", "6s lose 50", "--linger-ms", 2000),
            *("--dump", place / "exchange.csv"),
        )
        await asyncio.sleep(5)
        await asyncio.wait_for(check_snapshot(ports["glimpse"], feed), PATIENCE)
        await asyncio.wait_for(enter_order(ports["ouch"]), PATIENCE)
        await finish(venue, "the exchange")
        said = await finish(handler, "wirebook")
        must(Proxy.served > 0, f"no snapshot was served\n{said}")
        # Without their headings.
        ours, theirs = ((place / name).read_text().split("\n", 1)[1] for name in ("books.csv", "exchange.csv"))
        must(ours == theirs, f"wirebook's books are not the exchange's\n{said}")
        must(theirs.count("\n") >= LEAST_ORDERS, "too few orders to compare")
        print(f"wirebook: {Proxy.served} snapshots from the library's server, then the exchange's books")
    finally:
        feed.over = True
        server.close()
        for process in running:
            process.kill()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as place:
        try:
            asyncio.run(play(sys.argv[1], sys.argv[2], pathlib.Path(place)))
        except AssertionError as why:
            sys.exit(f"soup: {why}")


if __name__ == "__main__":
    main()
