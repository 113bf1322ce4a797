"""A name server that knows the records in a file, and nothing else.

  names.py FILE ADDRESS_FILE

FILE has lines of a type, a name and a value, and is read for every question. The
address that it listens at is written to ADDRESS_FILE.
"""

import socket
import struct
import sys

TYPES = {"TXT": 16, "MX": 15}


def labels(name):
    parts = [p for p in name.rstrip(".").split(".") if p]
    return b"".join(bytes([len(p)]) + p.encode() for p in parts) + b"\0"


def data(kind, value):
    if kind == "MX":
        return struct.pack("!H", 10) + labels(value)
    text = value.encode()
    return b"".join(bytes([len(text[i : i + 255])]) + text[i : i + 255] for i in range(0, len(text), 255))


def question(packet):
    at, parts = 12, []
    while packet[at]:
        parts.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(parts).lower(), struct.unpack("!H", packet[at + 1 : at + 3])[0], packet[12 : at + 5]


def answer(packet, lines):
    name, kind, asked = question(packet)
    known = [line.rstrip("\n").split(" ", 2) for line in lines if line.strip()]
    records = [data(t, value) for t, n, value in known if n == name and TYPES[t] == kind]
    code = 0 if any(n == name for _, n, _ in known) else 3
    head = packet[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(records), 0, 0)
    return head + asked + b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(r)) + r for r in records)


def main():
    records, where = sys.argv[1:]
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    with open(where, "w") as f:
        f.write("127.0.0.1:%d" % s.getsockname()[1])
    while True:
        packet, peer = s.recvfrom(4096)
        with open(records) as f:
            s.sendto(answer(packet, f.readlines()), peer)


main()
