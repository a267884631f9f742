"""Drives a node over HTTP/2, as well-meant clients do and as others do.

Arguments: host and port of a node's HTTP API, and maybe the file of the authority of its HTTPS.
Prints one line per test, as unittest does.
"""

import asyncio
import json
import socket
import ssl
import sys
import unittest
from urllib.parse import quote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import httpx

HOST, PORT = sys.argv[1], int(sys.argv[2])
AUTHORITY = (sys.argv[3:] + [None])[0]
SCHEME = "https" if AUTHORITY else "http"
# What sending says when the node has ended the connection; over TLS it may be an end without a farewell.
GONE = (ConnectionError, ssl.SSLError)
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i, 'row ' || i FROM n"


OPTIONS = {
    "http1": False,
    "http2": True,
    "base_url": f"{SCHEME}://{HOST}:{PORT}",
    "timeout": 60,
    "verify": ssl.create_default_context(cafile=AUTHORITY) if AUTHORITY else True,
}


def query(sql, rest="level=none"):
    return f"/db/query?{rest}&q={quote(sql)}"


def dial():
    plain = socket.create_connection((HOST, PORT), timeout=60)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not AUTHORITY:
        return plain
    context = ssl.create_default_context(cafile=AUTHORITY)
    context.set_alpn_protocols(["h2"])
    secured = context.wrap_socket(plain, server_hostname=HOST)
    assert secured.selected_alpn_protocol() == "h2"
    return secured


class Wire:
    """One connection, frame by frame."""

    def __init__(self):
        self.socket = dial()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers, self.ended, self.reset, self.terminated = {}, set(), {}, None
        self.flush()

    def close(self):
        self.socket.close()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def open(self, path, method="GET", fields=(), ends=True):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [
            (":method", method), (":scheme", SCHEME), (":authority", HOST), (":path", path), *fields
        ], end_stream=ends)
        return stream

    def take(self, acknowledges=True):
        """What came; None: the node has closed."""
        bytes = self.socket.recv(1 << 16)
        if not bytes:
            return None
        events = self.h2.receive_data(bytes)
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id] = [dict(event.headers), b""]
            elif isinstance(event, h2.events.DataReceived):
                self.answers[event.stream_id][1] += event.data
                if acknowledges and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.reset[event.stream_id] = event.error_code
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.terminated = event.error_code
        self.flush()
        return events

    def wait(self, *streams):
        while not all(s in self.ended or s in self.reset for s in streams):
            assert self.take() is not None, "the node closed the connection"

    def end(self):
        """Reads until the node closes; the code of its GOAWAY."""
        try:
            while self.take() is not None:
                pass
        except (*GONE, h2.exceptions.ProtocolError):
            pass
        return self.terminated

    def get(self, path, **more):
        stream = self.open(path, **more)
        self.flush()
        self.wait(stream)
        head, body = self.answers[stream]
        return int(head[":status"]), head, body


def ready():
    with httpx.Client(**{**OPTIONS, "http1": True, "http2": False}) as one:
        return one.get("/readyz").status_code == 200


class HTTP2Tests(unittest.TestCase):
    def test_a_client_library_reads_and_writes(self):
        with httpx.Client(**OPTIONS) as client:
            made = client.post("/db/execute", json=["DROP TABLE IF EXISTS h", "CREATE TABLE h(a INTEGER, b TEXT)"])
            self.assertEqual((made.status_code, made.http_version), (200, "HTTP/2"))
            many = [["INSERT INTO h VALUES(?, ?)", i, "x" * 100] for i in range(2000)]
            self.assertEqual(client.post("/db/execute?transaction", json=many).status_code, 200)
            self.assertEqual(client.get(query("SELECT count(*) FROM h")).json()["results"][0]["values"], [[2000]])
            packed = client.get(query("SELECT * FROM h"), headers={"Accept-Encoding": "gzip"})
            self.assertEqual(packed.headers["content-encoding"], "gzip")
            self.assertEqual(len(packed.json()["results"][0]["values"]), 2000)
            tagged = client.get(query("SELECT 1"))
            again = client.get(query("SELECT 1"), headers={"If-None-Match": tagged.headers["etag"]})
            self.assertEqual((again.status_code, again.content), (304, b""))
            self.assertEqual(client.head("/debug/vars").status_code, 200)
            self.assertEqual(client.options("/db/query").headers["allow"], "GET, OPTIONS, POST")
            self.assertEqual(client.get("/nowhere").status_code, 404)
            self.assertEqual(client.get("/status").json()["http"]["http2"]["connections"], 1)

    def test_many_tasks_share_one_connection(self):
        async def work(client):
            for number in range(50):
                answer = await client.post("/db/execute", json=[["INSERT INTO shared VALUES(?)", number]])
                self.assertEqual((answer.status_code, answer.http_version), (200, "HTTP/2"))
                self.assertNotIn("error", answer.json()["results"][0])

        async def all():
            async with httpx.AsyncClient(**OPTIONS) as client:
                await client.post("/db/execute", json=["CREATE TABLE IF NOT EXISTS shared(a)"])
                await client.post("/db/execute", json=["DELETE FROM shared"])
                await asyncio.gather(*(work(client) for _ in range(20)))
                answer = await client.get(query("SELECT count(*) FROM shared"))
                self.assertEqual(answer.json()["results"][0]["values"], [[1000]])
                self.assertEqual((await client.get("/status")).json()["http"]["http2"]["connections"], 1)

        asyncio.run(all())

    def test_a_hundred_streams_at_a_time(self):
        wire = Wire()
        for _ in range(10):
            streams = [wire.open(query(f"SELECT {n}")) for n in range(100)]
            wire.flush()
            wire.wait(*streams)
            for n, stream in enumerate(streams):
                head, body = wire.answers[stream]
                self.assertEqual(head[":status"], "200")
                self.assertEqual(json.loads(body)["results"][0]["values"], [[n]])

    def test_streams_that_were_too_many_are_refused_alone(self):
        wire = Wire()
        # All of them before the node has said how many there may be.
        streams = [wire.open(query(f"SELECT {n}")) for n in range(400)]
        wire.flush()
        wire.wait(*streams)
        for n, stream in enumerate(streams):
            if stream in wire.reset:
                self.assertEqual(wire.reset[stream], 7)
            else:
                self.assertEqual(json.loads(wire.answers[stream][1])["results"][0]["values"], [[n]])
        self.assertGreaterEqual(len(streams) - len(wire.reset), 256)
        self.assertEqual(wire.h2.remote_settings.max_concurrent_streams, 128)
        self.assertEqual(wire.get(query("SELECT 1"))[0], 200)
        self.assertIsNone(wire.terminated)

    def test_a_large_body_and_a_large_answer(self):
        wire = Wire()
        text = "x" * (20 << 20)
        body = json.dumps([["SELECT ?, length(?1)", text]]).encode()
        stream = wire.open("/db/query?level=none", "POST", [("content-type", "application/json")], ends=False)
        while body:
            count = min(wire.h2.local_flow_control_window(stream), wire.h2.max_outbound_frame_size, len(body))
            if count == 0:
                wire.take()
                continue
            wire.h2.send_data(stream, body[:count], end_stream=count == len(body))
            body = body[count:]
            wire.flush()
        wire.wait(stream)
        head, answer = wire.answers[stream]
        self.assertEqual(head[":status"], "200")
        self.assertEqual(json.loads(answer)["results"][0]["values"], [[text, len(text)]])

    def test_a_head_that_is_too_large_is_told_so(self):
        wire = Wire()
        self.assertEqual(wire.get(query("SELECT '" + "x" * 40_000 + "'"))[0], 200)
        self.assertEqual(wire.get("/db/query?q=" + "x" * 66_000)[0], 414)
        self.assertEqual(wire.get("/status", fields=[("x-long", "x" * 66_000)])[0], 431)
        self.assertEqual(wire.get("/readyz")[0], 200)

    def test_endless_answers_are_reset_and_others_go_on(self):
        wire = Wire()
        streams = [wire.open(query(ENDLESS)) for _ in range(5)]
        wire.flush()
        while not all(len(wire.answers.get(s, [{}, b""])[1]) > 1 << 20 for s in streams):
            wire.take()
        for stream in streams:
            wire.h2.reset_stream(stream)
        wire.flush()
        self.assertEqual(wire.get(query("SELECT 1"))[0], 200)

    def test_a_client_that_takes_nothing_keeps_nobody(self):
        wire = Wire()
        stream = wire.open(query(ENDLESS))
        wire.flush()
        while sum(len(a[1]) for a in wire.answers.values()) < 60_000:
            wire.take(acknowledges=False)
        self.assertTrue(ready())
        wire.h2.reset_stream(stream)
        wire.flush()
        # The window of the connection is used up; heads need none.
        other = wire.open("/nowhere")
        wire.flush()
        wire.wait(other)
        self.assertEqual(wire.answers[other][0][":status"], "404")

    def test_ten_thousand_resets(self):
        ended = []
        for _ in range(50):
            wire = Wire()
            try:
                for _ in range(200):
                    wire.h2.reset_stream(wire.open(query("SELECT 1")))
                    wire.flush()
                ended.append(wire.get("/readyz")[0] == 200)
            except (*GONE, AssertionError, h2.exceptions.ProtocolError):
                ended.append(wire.end() == 11)
        self.assertTrue(all(ended))
        self.assertTrue(ready())

    def test_rapid_resets_end_the_connection(self):
        wire = Wire()
        try:
            for _ in range(10_000):
                wire.h2.reset_stream(wire.open(query("SELECT 1")))
                wire.flush()
        except GONE:
            pass
        self.assertIn(wire.end(), (11, None))
        self.assertTrue(ready())

    def flood(self, frame):
        wire = Wire()
        wire.take()
        try:
            for _ in range(20_000):
                wire.socket.sendall(frame)
        except GONE:
            pass
        self.assertIn(wire.end(), (11, None))
        self.assertTrue(ready())

    def test_a_flood_of_pings(self):
        self.flood(b"\x00\x00\x08\x06\x00\x00\x00\x00\x00" + bytes(8))

    def test_a_flood_of_settings(self):
        self.flood(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")

    def test_a_flood_of_continuations(self):
        wire = Wire()
        wire.take()
        try:
            wire.socket.sendall(b"\x00\x00\x00\x01\x01\x00\x00\x00\x01")
            for _ in range(20_000):
                wire.socket.sendall(b"\x00\x00\x01\x09\x00\x00\x00\x00\x01\x00")
        except GONE:
            pass
        self.assertIn(wire.end(), (11, None))
        self.assertTrue(ready())

    def test_a_malformed_frame_ends_its_connection_alone(self):
        other = Wire()
        wire = Wire()
        running = wire.open(query(ENDLESS))
        wire.flush()
        while running not in wire.answers:
            wire.take()
        wire.socket.sendall(b"\x00\x00\x03\x06\x00\x00\x00\x00\x00abc")
        self.assertEqual(wire.end(), 6)
        self.assertEqual(other.get(query("SELECT 1"))[0], 200)

    def test_what_is_no_frame_ends_its_connection(self):
        plain = dial()
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\n\r\n")
        while plain.recv(1 << 16):
            pass
        self.assertTrue(ready())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
