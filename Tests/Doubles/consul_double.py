#!/usr/bin/env python3
"""A double of a Consul agent for tests: its documented key/value API, strictly; see consul_api.py.

    consul_double.py [--http ADDRESS:PORT] [--tls CERTIFICATE KEY [--client-authority CERTIFICATE]]
                     [--unix PATH] [--acl FILE] [--basic-auth USER:PASSWORD] [--datacenter NAME]…
                     [--namespace NAME]… [--partition NAME]…

With an authority clients must show a certificate of it. The double listens on free ports of the loopback
interface, for HTTP elsewhere if it is told so, and prints one line of JSON: {"http": PORT, "https": PORT
or null}. Then it takes controls from standard input, a JSON object with one member in each line, and
answers each with a line. It ends with its input.

    {"pause": true}       accepts, and answers nothing until {"pause": false}
    {"delay": 0.5}        answers later by so many seconds, until {"delay": 0}
    {"drop": "before", "times": 1}
                          closes the connection of the next request: "before" it is done, or "after"
    {"answer": {"status": 200, "type": "text/html", "body": "<p>", "shape": "truncated"}, "times": 1}
                          to the next requests, whatever they are; shape: "whole", "truncated" (shorter
                          than it says), "slow" (byte by byte) or "endless"
    {"down": true}        nobody listens, connections are closed; {"down": false}: on the same ports
    {"wipe": null}        all data are lost, indexes begin anew
    {"reap": null}        tombstones are forgotten
    {"stale": true}       reads without "consistent" see the state of this moment, until false
    {"leader": false}     the servers have no leader
    {"acl": DOCUMENT}     other tokens, see consul_acl.py; null: none needed
    {"set": {"key": "k", "value": "v"}}, {"get": {"key": "k"}}
                          past all rules, in the first datacenter
    {"waiting": 1}        answered when so many blocking queries wait
    {"log": null}         requests since the last time it was asked for
    {"violations": null}  what no documented API would be asked for
"""

import argparse
import json
import os
import pathlib
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

from consul_acl import AccessControl
from consul_api import API, Answer, Request

# A client that holds a connection without a word for so long is gone.
IDLE_SECONDS = 900
SHAPES = ("whole", "truncated", "slow", "endless")


class Faults:
    """What the double was told to do wrong."""

    def __init__(self):
        self.lock = threading.Lock()
        self.running = threading.Event()
        self.running.set()
        self.delay = 0.0
        self.planned = []

    def plan(self, fault, times):
        with self.lock:
            self.planned += [fault] * times

    def next(self):
        with self.lock:
            return self.planned.pop(0) if self.planned else None


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def handle_any(self):
        double = self.server.double
        body = self.body()
        if body is None:
            return
        headers = {name.title(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        double.faults.running.wait()
        time.sleep(double.faults.delay)
        fault = double.faults.next()
        if fault == "before":
            self.close_connection = True
            return
        answer = fault if isinstance(fault, dict) else double.api.answer(request, self.is_over)
        status = answer["status"] if isinstance(answer, dict) else answer.status
        double.note(request, status)
        if fault == "after":
            self.close_connection = True
        elif isinstance(answer, dict):
            self.send_planned(answer)
        else:
            self.send(answer)

    do_GET = do_PUT = do_DELETE = do_POST = do_HEAD = do_PATCH = handle_any

    def body(self):
        """The request's body; the double wants its length, which every client here knows."""
        if "Transfer-Encoding" in self.headers:
            self.server.double.api.violations.append(f"{self.command} {self.path}: chunked")
            self.send(Answer(501, b"the double takes no chunked bodies"))
            return None
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def is_over(self):
        return self.server.double.is_down

    def send(self, answer):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_planned(self, answer):
        body = answer.get("body", "").encode()
        shape = answer.get("shape", "whole")
        self.send_response(answer["status"])
        self.send_header("Content-Type", answer.get("type", "application/json"))
        if shape == "endless":
            self.close_connection = True
            self.end_headers()
            while not self.is_over():
                self.wfile.write(b"[" * 65536)
            return
        length = len(body) + (1 if shape == "truncated" else 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if shape == "slow":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        else:
            self.wfile.write(body)
        self.close_connection = shape == "truncated"

    def log_message(self, *_):
        """Tests ask for the log; standard error is for failures."""


class Listener:
    """One address; while it is down its port stays bound, so that nobody else gets it."""

    def __init__(self, double, path=None, tls=None, address="127.0.0.1:0"):
        self.double = double
        self.tls = tls
        self.path = path
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.connections = set()
        self.lock = threading.Lock()
        self.socket = self.bind()
        self.listen()

    def bind(self):
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.bind(self.path)
            return made
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((self.host, self.port))
        self.port = made.getsockname()[1]
        return made

    def listen(self):
        self.socket.listen(128)
        threading.Thread(target=self.accept, args=(self.socket,), daemon=True).start()

    def close(self):
        listening = self.socket
        # Ends the accept of the other thread, too.
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self.socket = self.bind()
        with self.lock:
            for connection in list(self.connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # The client was faster.

    def accept(self, listening):
        while True:
            try:
                connection, address = listening.accept()
            except OSError:
                return  # Closed.
            threading.Thread(
                target=self.serve, args=(connection, address), daemon=True).start()

    def serve(self, connection, address):
        try:
            self.keep(connection)
            connection.settimeout(IDLE_SECONDS)
            if self.tls:
                plain = connection
                connection = self.tls.wrap_socket(plain, server_side=True)
                self.keep(connection, instead_of=plain)
            elif not self.path:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            Handler(connection, address or ("unix", 0), self)
        except OSError:
            pass  # The client is gone, or would not have our certificate, or has none of its own.
        finally:
            with self.lock:
                self.connections.discard(connection)
            connection.close()

    def keep(self, connection, instead_of=None):
        with self.lock:
            self.connections.discard(instead_of)
            self.connections.add(connection)


class Double:
    def __init__(self, arguments):
        self.api = API(
            arguments.datacenter or ["dc1"], arguments.namespace, arguments.partition,
            arguments.basic_auth)
        if arguments.acl:
            self.api.access = AccessControl(json.loads(pathlib.Path(arguments.acl).read_text()))
        self.faults = Faults()
        self.is_down = False
        self.lock = threading.Lock()
        self.log = []
        self.http = Listener(self, address=arguments.http)
        self.https = Listener(self, tls=self.context(arguments)) if arguments.tls else None
        self.unix = Listener(self, path=arguments.unix) if arguments.unix else None

    @staticmethod
    def context(arguments):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*arguments.tls)
        if arguments.client_authority:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(arguments.client_authority)
        return context

    def note(self, request, status):
        with self.lock:
            self.log.append({
                "method": request.method, "target": request.target, "status": status,
                "token": bool(request.token)})

    def control(self, command):
        """Does what one line says and returns what is printed."""
        times = command.pop("times", 1)
        (name, value), = command.items()
        store = self.api.stores[self.api.own]
        if name == "pause":
            (self.faults.running.clear if value else self.faults.running.set)()
        elif name == "delay":
            self.faults.delay = float(value)
        elif name == "drop":
            if value not in ("before", "after"):
                raise ValueError(f"drop {value}")
            self.faults.plan(value, times)
        elif name == "answer":
            if value.get("shape", "whole") not in SHAPES:
                raise ValueError(f"shape {value['shape']}")
            self.faults.plan(value, times)
        elif name == "down":
            self.turn(bool(value))
        elif name == "wipe":
            store.wipe()
        elif name == "reap":
            store.reap()
        elif name == "stale":
            store.become_stale(bool(value))
        elif name == "leader":
            self.api.has_leader = bool(value)
        elif name == "acl":
            self.api.access = AccessControl(value)
        elif name == "set":
            verb = ("set", value["key"], value["value"].encode(), 0, 0)
            store.apply(("default", "default"), [verb])
        elif name == "get":
            _, found = store.read(("default", "default"), value["key"], False, True)
            return {"value": found[0].value.decode(), "flags": found[0].flags,
                    "index": found[0].modify_index} if found else None
        elif name == "waiting":
            if not store.await_waiting(value):
                raise ValueError("nobody waits")
        elif name == "log":
            with self.lock:
                seen, self.log = self.log, []
            return seen
        elif name == "violations":
            return self.api.violations
        else:
            raise ValueError(f"no control {name}")
        return True

    def turn(self, is_down):
        if is_down == self.is_down:
            return
        self.is_down = is_down
        for listener in (self.http, self.https, self.unix):
            if listener:
                (listener.close if is_down else listener.listen)()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--http", metavar="ADDRESS:PORT", default="127.0.0.1:0")
    parser.add_argument("--tls", nargs=2, metavar=("CERTIFICATE", "KEY"))
    parser.add_argument("--client-authority", metavar="CERTIFICATE")
    parser.add_argument("--unix", metavar="PATH")
    parser.add_argument("--acl", metavar="FILE")
    parser.add_argument("--basic-auth", metavar="USER:PASSWORD")
    parser.add_argument("--datacenter", action="append")
    parser.add_argument("--namespace", action="append")
    parser.add_argument("--partition", action="append")
    double = Double(parser.parse_args())

    def say(value):
        print(json.dumps(value), flush=True)

    say({"http": double.http.port, "https": double.https.port if double.https else None})
    for line in sys.stdin:
        try:
            say(double.control(json.loads(line)))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            say({"error": f"{line.strip()}: {error}"})
    # Threads may hold connections open: their clients' tests are over.
    os._exit(0)


if __name__ == "__main__":
    main()
