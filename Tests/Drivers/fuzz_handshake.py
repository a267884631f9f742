"""Says to a port what nobody should say: beginnings of TLS and of the node protocol, damaged, cut off and held.

Arguments: host, port, seed, number of connections. Prints what was done, as one line. Bounded: each connection says at
most 64 KiB and waits at most 50 ms for an answer; eight are open at a time, and at most 64 more are held, silent.
"""

import concurrent.futures
import random
import socket
import ssl
import sys

HOST, PORT, SEED, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
MAGIC = b"\xf5RQLNOD"


class Handshake:
    """The client's half of a handshake, whose bytes go through memory."""

    def __init__(self, alpn, version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([alpn])
        if version:
            context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="db.test")

    def step(self, received=b""):
        self.incoming.write(received)
        try:
            self.tls.do_handshake()
        except ssl.SSLError:
            pass
        return self.outgoing.read()


def damaged(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def record(rng, kind):
    length = rng.choice([0, 1, rng.randrange(200), 1 << 14, 65535])
    return bytes([kind, 3, rng.randint(0, 4)]) + length.to_bytes(2, "big") + rng.randbytes(min(length, rng.randrange(4096)))


def first_words(rng):
    alpn = rng.choice(["rqlited-node", "http/1.1", "h2"])
    hello = Handshake(alpn, rng.choice([None, ssl.TLSVersion.TLSv1_2])).step()
    return rng.choice([
        lambda: hello[:rng.randrange(len(hello))],
        lambda: damaged(rng, hello),
        lambda: hello + rng.randbytes(rng.randrange(4096)),
        lambda: hello * rng.randint(2, 20),
        lambda: hello + record(rng, rng.choice([20, 21, 22, 23, 24])),
        lambda: record(rng, 22) * rng.randint(1, 10),
        lambda: b"\x16" + rng.randbytes(rng.randrange(1, 2000)),
        lambda: MAGIC + rng.randbytes(rng.randrange(1, 2000)),
        lambda: MAGIC + bytes([1, 1, rng.randrange(8), 0]) + rng.randbytes(rng.randrange(1, 2000)),
        lambda: MAGIC + bytes([1, 1, rng.randrange(6), 0]) + b"\xff\xff\xff\xff\x01" + rng.randbytes(4),
        lambda: b"GET " + rng.randbytes(rng.randrange(1, 60000)),
        lambda: b"POST /db/execute HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        lambda: rng.randbytes(rng.randrange(1, 2000)),
        lambda: b"",
    ])()


def shake(rng, connection):
    """A handshake as it should be, up to some step, then nonsense."""
    handshake = Handshake(rng.choice(["rqlited-node", "http/1.1"]), rng.choice([None, ssl.TLSVersion.TLSv1_2]))
    data = handshake.step()
    for _ in range(rng.randint(1, 3)):
        connection.sendall(data)
        data = handshake.step(connection.recv(65536))
    connection.sendall(damaged(rng, data) if data else record(rng, rng.choice([20, 21, 22, 23])))
    connection.recv(65536)


def some(seed):
    """An eighth of all; says how many ended early."""
    rng = random.Random(seed)
    held, early = [], 0
    for _ in range(COUNT // 8):
        connection = None
        try:
            connection = socket.create_connection((HOST, PORT), timeout=5)
            connection.settimeout(0.05)
            if rng.random() < 0.3:
                shake(rng, connection)
            else:
                words = first_words(rng)[:65536]
                if rng.random() < 0.2:
                    # In pieces.
                    for byte in words[:32]:
                        connection.sendall(bytes([byte]))
                    words = words[32:]
                connection.sendall(words)
                if rng.random() < 0.5:
                    connection.recv(65536)
        except OSError:
            early += 1
        if connection is None:
            continue
        if rng.random() < 0.1:
            held.append(connection)
            if len(held) > 8:
                held.pop(0).close()
        else:
            connection.close()
    return early


def main():
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        early = sum(threads.map(some, range(SEED * 8, SEED * 8 + 8)))
    print("said %d, seed %d, ended early %d" % (COUNT, SEED, early))


main()
