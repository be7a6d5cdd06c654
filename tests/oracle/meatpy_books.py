#!/usr/bin/env python3
"""Compares the books of a dump with those of meatpy, order by order, for the busiest symbols of an ITCH 5.0 file.

meatpy (PyPI, BSD-3-Clause) is a public order book builder that shares nothing with wirebook. It keeps every order in its
queue, and insists that an execution (E) hits the order in front.

    wirebook replay day.itch --dump books.csv
    meatpy_books.py day.itch books.csv [SYMBOLS]

SYMBOLS is how many symbols are compared (default 24). tests/oracle/run.sh does all of it.
Exit code: 0 equal; 1 different, or too little to compare.
"""

import collections
import datetime
import struct
import sys

from meatpy.itch50 import ITCH50MarketProcessor
from meatpy.itch50 import StockDirectoryMessage, SystemEventMessage
from meatpy.itch50.itch50_market_message import ITCH50MarketMessage

# Fewer orders than this prove nothing.
LEAST_ORDERS = 100
DAY = datetime.datetime(2026, 1, 5)


def blocks(path):
    """The messages of a file as bytes: each stands behind its length."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 2 <= len(data):
        (length,) = struct.unpack_from("!H", data, at)
        yield data[at + 2 : at + 2 + length]
        at += 2 + length


def busiest(path, count):
    """The locates with the most messages, read without meatpy."""
    messages = collections.Counter()
    for block in blocks(path):
        (locate,) = struct.unpack_from("!H", block, 1)
        messages[locate] += 1
    # Locate 0 is no instrument.
    del messages[0]
    return {locate for locate, _ in messages.most_common(count)}


def build(path, locates):
    """A meatpy processor for each locate, messages that they took, and messages that were kept from them."""
    processors = {}
    messages = 0
    kept = 0
    for block in blocks(path):
        # meatpy 0.5.0 takes this type, which no book keeps, for longer than it is.
        if block[:1] == b"O":
            kept += 1
            continue
        message = ITCH50MarketMessage.from_bytes(block)
        if isinstance(message, SystemEventMessage):
            for processor in processors.values():
                processor.process_message(message)
            continue
        locate = message.stock_locate
        if locate not in locates:
            continue
        if isinstance(message, StockDirectoryMessage):
            processors[locate] = ITCH50MarketProcessor(message.stock.decode().strip(), DAY)
        processors[locate].process_message(message)
        messages += 1
    return processors, messages, kept


def lines(processors):
    """Every resting order, as wirebook dumps them."""
    for locate, processor in sorted(processors.items()):
        book = processor.current_lob
        if book is None:
            continue
        symbol = processor.instrument.decode().strip()
        for side, levels in (("B", book.bid_levels), ("S", book.ask_levels)):
            for level in levels:
                for order in level.queue:
                    yield f"{locate},{symbol},{side},{level.price},{order.order_id},{order.volume}"


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    path, dump = sys.argv[1:3]
    locates = busiest(path, int(sys.argv[3]) if len(sys.argv) == 4 else 24)
    processors, messages, kept = build(path, locates)
    theirs = list(lines(processors))
    with open(dump, encoding="ascii") as file:
        next(file)
        ours = [line.rstrip("\n") for line in file if int(line.split(",", 1)[0]) in locates]
    for at, (our, their) in enumerate(zip(ours, theirs)):
        if our != their:
            sys.exit(f"order {at} differs:\n  wirebook {our}\n  meatpy   {their}")
    if len(ours) != len(theirs):
        sys.exit(f"wirebook has {len(ours)} orders, meatpy {len(theirs)}")
    if len(theirs) < LEAST_ORDERS:
        sys.exit(f"{len(theirs)} orders are too few to compare")
    print(f"{path}: {len(processors)} symbols, {messages} messages, {len(theirs)} resting orders: equal to meatpy's")
    if kept:
        print(f"{path}: {kept} messages of type O were kept from meatpy, which cannot read them")


if __name__ == "__main__":
    main()
