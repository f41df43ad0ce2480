#!/usr/bin/env python3
"""A bad network: a TUN device that gives every packet back that it is given, but loses, delays, doubles or holds some.

machines.sh starts it in a ground's router and leads what machines send each other through it, since kernels without netem
cannot do the same. What is drawn by lot follows from the seed. It runs until it is ended, and the device goes with it.
Asked by USR1, it says what it did so far: `taken 90 lost 12 late 0 doubled 0 held 0`.

    deploy/fabric.py NAME [--loss PERCENT] [--delay MS] [--jitter MS] [--double PERCENT] [--overtake PERCENT] [--seed N]
"""

import argparse
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_MAX = 65536
# Packets that may wait at the same time; what comes then is lost, as in a router that is full.
WAITING_MAX = 20_000
# For how long a packet is held that others are to overtake. Seconds.
HELD = 0.03
# Where the addresses are in a packet of IPv4.
ADDRESSES = slice(12, 20)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    for option in ("loss", "delay", "jitter", "double", "overtake"):
        parser.add_argument(f"--{option}", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def open_device(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


class Links:
    """When which packet leaves. Those of one direction leave in the order they came in, unless one is held."""

    def __init__(self, how):
        self.how, self.chance = how, random.Random(how.seed)
        self.waiting, self.number, self.last = [], 0, {}
        self.done = dict.fromkeys(("taken", "lost", "late", "doubled", "held"), 0)

    def happens(self, percent):
        return self.chance.random() * 100 < percent

    def take(self, packet, now):
        self.done["taken"] += 1
        if self.happens(self.how.loss):
            self.done["lost"] += 1
            return
        late = (self.how.delay + self.chance.uniform(-1, 1) * self.how.jitter) / 1000
        way = packet[ADDRESSES]
        leaves = max(now + max(late, 0), self.last.get(way, 0))
        self.last[way] = leaves
        self.done["late"] += late > 0
        is_held = self.happens(self.how.overtake)
        self.done["held"] += is_held
        self.keep(leaves + HELD if is_held else leaves, packet)
        if self.happens(self.how.double):
            self.done["doubled"] += 1
            self.keep(leaves + HELD * self.chance.random(), packet)

    def keep(self, leaves, packet):
        if len(self.waiting) < WAITING_MAX:
            self.number += 1
            heapq.heappush(self.waiting, (leaves, self.number, packet))

    def tell(self):
        print(*(f"{what} {count}" for what, count in self.done.items()), flush=True)

    def due(self, now):
        while self.waiting and self.waiting[0][0] <= now:
            yield heapq.heappop(self.waiting)[2]

    def patience(self, now):
        return max(self.waiting[0][0] - now, 0) if self.waiting else None


def read_all(device):
    """What there is to read, but no more than is given back in time."""
    for _ in range(256):
        try:
            yield os.read(device, PACKET_MAX)
        except BlockingIOError:
            return


def main():
    how = arguments()
    device, links = open_device(how.name), Links(how)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    signal.signal(signal.SIGUSR1, lambda *_: links.tell())
    while True:
        select.select([device], [], [], links.patience(time.monotonic()))
        now = time.monotonic()
        try:
            for packet in read_all(device):
                links.take(packet, now)
            for packet in links.due(time.monotonic()):
                os.write(device, packet)
        except OSError:
            # The device is not up yet, or has no room: the packet is lost.
            time.sleep(0.01)


if __name__ == "__main__":
    main()
