#!/usr/bin/env python3
"""A DNS server that answers, but not as others do.

    strange_dns.py LISTEN-ADDRESS KIND FILE IP...

At UDP port 53; the file is made once it is there. `svc.test` has all the addresses, `node-1.test`, `node-2.test`, … one each; no other name
exists. KIND is one of

    plain         nothing strange
    no-a, no-aaaa questions for that type are not answered
    failing       names that end with .search fail (SERVFAIL)
    silent        questions for such names are not answered
    parts         all addresses but one, which is chosen by lot with each question for A
    chain         svc.test is an alias of an alias of the name with the addresses
"""
import ipaddress
import random
import socket
import struct
import sys

A, CNAME, AAAA = 1, 5, 28
NAME_ERROR, SERVER_FAILURE = 3, 2


def encoded(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(name, kind, data):
    return encoded(name) + struct.pack(">HHIH", kind, 1, 1, len(data)) + data


def parse(query):
    labels, place = [], 12
    while query[place]:
        labels.append(query[place + 1:place + 1 + query[place]].decode())
        place += 1 + query[place]
    kind = struct.unpack(">H", query[place + 1:place + 3])[0]
    return ".".join(labels).lower(), kind, query[12:place + 5]


class Server:
    def __init__(self, strange, addresses):
        self.strange, self.lot = strange, random.Random(7)
        self.addresses = [ipaddress.ip_address(text) for text in addresses]

    def found(self, name, kind):
        """The addresses of the type, or None where there is no such name."""
        own = [ip for ip in self.addresses if (ip.version == 6) == (kind == AAAA)]
        if kind not in (A, AAAA):
            own = []
        if name in ("svc.test", "real.test"):
            if self.strange == "parts" and kind == A:
                missing = self.lot.choice(own)
                own = [ip for ip in own if ip != missing]
            return own
        for number in range(1, len(self.addresses) + 1):
            if name == f"node-{number}.test":
                return own[number - 1:number]
        return None

    def answer(self, query):
        """The reply, or None for silence."""
        name, kind, question = parse(query)
        if (self.strange, kind) in (("no-a", A), ("no-aaaa", AAAA)):
            return None
        if name.endswith(".search") and self.strange == "silent":
            return None
        found = self.found(name, kind)
        code = NAME_ERROR if found is None else 0
        if name.endswith(".search") and self.strange == "failing":
            code = SERVER_FAILURE
        records, owner = [], name
        if self.strange == "chain" and name == "svc.test":
            for alias, target in (("svc.test", "alias.test"), ("alias.test", "real.test")):
                records.append(record(alias, CNAME, encoded(target)))
            owner = "real.test"
        records += [record(owner, kind, ip.packed) for ip in found or []]
        head = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        return head + question + b"".join(records)


def main():
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((sys.argv[1], 53))
    server = Server(sys.argv[2], sys.argv[4:])
    open(sys.argv[3], "w").close()
    while True:
        query, client = listener.recvfrom(65535)
        reply = server.answer(query)
        if reply is not None:
            listener.sendto(reply, client)


main()
