#!/usr/bin/env python3
"""A responder for multicast DNS (RFC 6762), for one service, by IPv4.

    mdns_responder.py INTERFACE FILE [--sparse]

FILE holds JSON and is read at each question:

    {"service": "_rqlite._tcp", "instances": [
        {"name": "node 1", "target": "host-1", "port": 4002, "addresses": ["10.0.0.1"]}]}

Without --sparse all that is known goes along with the instances. Questions of one asker alone, from
another port than 5353, are answered to that port, with their id (section 6.7); others are not for it.
What is malformed, has hops other than 255 or asks for more than it should is printed as a violation.
"""
import json
import socket
import struct
import sys

A, PTR, AAAA, SRV = 1, 12, 28, 33
# Of Linux; not in all versions of the module.
IP_RECVTTL = 12
GROUP = "224.0.0.251"


def encode(labels):
    return b"".join(bytes([len(l)]) + l for l in labels) + b"\0"


def decode(data, offset):
    labels = []
    while data[offset]:
        length = data[offset]
        if length > 63:
            raise ValueError("a compressed name in a question")
        labels.append(data[offset + 1:offset + 1 + length])
        offset += 1 + length
    return labels, offset + 1


def lower(labels):
    return [label.lower() for label in labels]


def zone(path):
    """(labels, type, data) of all records."""
    with open(path, encoding="utf-8") as file:
        known = json.load(file)
    service = [label.encode() for label in known["service"].split(".")] + [b"local"]
    records = []
    for instance in known["instances"]:
        name = [instance["name"].encode()] + service
        target = [instance["target"].encode(), b"local"]
        records.append((service, PTR, encode(name)))
        records.append((name, SRV, struct.pack("!HHH", 0, 0, instance["port"]) + encode(target)))
        for address in instance["addresses"]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            kind = AAAA if ":" in address else A
            record = (target, kind, socket.inet_pton(family, address))
            if record not in records:
                records.append(record)
    return records


def record(labels, kind, data):
    # At most ten seconds for an asker that keeps no cache, and no bit of shared caches.
    return encode(labels) + struct.pack("!HHIH", kind, 1, 10, len(data)) + data


def answer(question, path, is_sparse):
    if len(question) < 12:
        raise ValueError("short")
    number, flags, questions, answers, authorities, additional = struct.unpack(
        "!6H", question[:12])
    if flags & 0x8000:
        return None
    if flags or questions != 1 or answers or authorities or additional:
        raise ValueError(f"flags or counts: {question[:12].hex()}")
    labels, end = decode(question, 12)
    kind, group = struct.unpack("!HH", question[end:end + 4])
    if group != 1 or end + 4 != len(question):
        raise ValueError("class, or bytes behind the question")
    records = zone(path)
    found = [r for r in records if lower(r[0]) == lower(labels) and r[1] == kind]
    if not found:
        return None
    rest = [] if is_sparse else [r for r in records if r not in found]
    body = b"".join(record(*r) for r in found + rest)
    return (struct.pack("!6H", number, 0x8400, 1, len(found), 0, len(rest))
            + question[12:] + body)


def main():
    interface, path = sys.argv[1:3]
    is_sparse = "--sparse" in sys.argv
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    listener.bind((GROUP, 5353))
    number = socket.if_nametoindex(interface)
    membership = struct.pack("4s4si", socket.inet_aton(GROUP), b"\0\0\0\0", number)
    listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    # Answers come from the port that they are due from, and from an address of the machine.
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sender.bind(("", 5353))
    print("ready", flush=True)
    while True:
        data, extra, _, client = listener.recvmsg(9000, 64)
        if client[1] == 5353:
            continue
        try:
            hops = [struct.unpack("i", d)[0] for _, kind, d in extra if kind == socket.IP_TTL]
            if hops != [255]:
                raise ValueError(f"{hops} hops")
            reply = answer(data, path, is_sparse)
        except (ValueError, IndexError, struct.error) as error:
            print(f"violation: {error}", flush=True)
            continue
        if reply:
            sender.sendto(reply, client)


main()
