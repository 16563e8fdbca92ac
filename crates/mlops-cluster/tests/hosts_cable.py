"""A switch with long and bad cables, for kernels without netem: it carries the Ethernet frames of some TAP devices,
each late and some not at all. Not for anything but tests.

usage: hosts_cable.py DELAY_MS LOSS_PERCENT DEVICE...
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000


def tap(name):
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(port, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return port


def main():
    delay, loss = float(sys.argv[1]) / 1000, float(sys.argv[2]) / 100
    ports = [tap(name) for name in sys.argv[3:]]
    print("ready", flush=True)
    chance, known, late, number = random.Random(1), {}, [], 0
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        readable, _, _ = select.select(ports, [], [], wait)
        now = time.monotonic()
        for port in readable:
            try:
                frame = os.read(port, 65536)
            except OSError:
                continue
            known[frame[6:12]] = port
            to = known.get(frame[:6])
            for other in [to] if to else [other for other in ports if other != port]:
                if other != port and chance.random() >= loss:
                    number += 1
                    heapq.heappush(late, (now + delay, number, other, frame))
        while late and late[0][0] <= now:
            _, _, port, frame = heapq.heappop(late)
            try:
                os.write(port, frame)
            except OSError:
                pass  # The device is down, or its queue is full: the frame is lost.


main()
