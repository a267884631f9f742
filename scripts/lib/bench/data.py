"""What moving much data costs a node. Used by `scripts/bench data`.

    data.py fill URL ROWS MEBIBYTES         makes the tables that are measured
    data.py backup URL PID SECONDS BODY     backups alone, and beside writes of the file BODY
    data.py stream URL PID ROWS             all rows, as JSON and as lines; and clients that hang up
    data.py crowd URL PID IDLE QUERIES      idle connections, many large answers at once, and /readyz beside them
    data.py load URL FILE PID...            a database file through the node at URL; memory of all nodes
    data.py ready URL                       asks /readyz until its input ends; prints percentiles

Each figure is a line: what, how much, and what is aimed at. Memory is RssAnon, sampled each 10 ms: what the kernel can
drop at any time, as the pages of files that are mapped, is not counted.
"""

import asyncio
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
MEBI = 1 << 20


def row(what, value, aim=""):
    print(f"{what:<58} {value:>22}   {aim}".rstrip(), flush=True)


def place(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port


def connection(url):
    return http.client.HTTPConnection(*place(url), timeout=600)


def ask(url, method, path, body=None):
    client = connection(url)
    client.request(method, path, body, {"Content-Type": "application/json"})
    answer = client.getresponse()
    text = answer.read()
    client.close()
    if answer.status != 200 or b'"error"' in text:
        sys.exit(f"{path} was answered {answer.status}: {text[:300]}")
    return json.loads(text) if text.startswith(b"{") else text


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Memory:
    """The most that a process holds while the block runs, beside what it held before."""

    def __init__(self, pid):
        self.pid = pid
        self.ends = threading.Event()

    def now(self):
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / 1024
        return 0

    def __enter__(self):
        self.before = self.most = self.now()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while not self.ends.wait(0.01):
            self.most = max(self.most, self.now())

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()

    @property
    def text(self):
        return f"{self.most - self.before:.0f} MiB more ({self.most:.0f})"


def fill(url, rows, mebibytes):
    """Rows of which each statement makes so many that no limit on its work is met."""
    ask(url, "POST", "/db/execute", json.dumps([
        "CREATE TABLE rows(id INTEGER PRIMARY KEY, name TEXT)", "CREATE TABLE blobs(b)",
        "CREATE TABLE bench(id INTEGER PRIMARY KEY, name TEXT)"]))
    step = 500_000
    for begin in range(0, rows, step):
        ask(url, "POST", "/db/execute?timeout=120s", json.dumps([
            f"WITH n(i) AS (SELECT {begin + 1} UNION ALL SELECT i + 1 FROM n LIMIT {min(step, rows - begin)}) "
            "INSERT INTO rows SELECT i, 'name of row ' || i FROM n"]))
    page = 32
    while True:
        pages = ask(url, "GET", "/db/query?q=SELECT%20page_count%20FROM%20pragma_page_count")
        size = pages["results"][0]["values"][0][0] * 4096 // MEBI
        if size >= mebibytes:
            return
        ask(url, "POST", "/db/execute?timeout=120s", json.dumps([
            f"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {page * 1024}) "
            "INSERT INTO blobs SELECT randomblob(1000) FROM n"]))


def curl(url, *words):
    """Size and seconds."""
    said = subprocess.run(
        ["curl", "-fsS", "-o", "/dev/null", "-w", "%{size_download} %{time_total}", *words, url],
        check=True, capture_output=True, text=True).stdout.split()
    return int(said[0]), float(said[1])


def wrk(url, seconds, body):
    """Rate, median and p99 in ms, failures."""
    said = subprocess.run(
        ["wrk", "-t1", "-c4", f"-d{seconds}s", "-s", f"{HERE}/write.lua", f"{url}/db/execute", "--", body],
        check=True, capture_output=True, text=True).stdout
    line = next(line for line in said.splitlines() if line.startswith("RESULT "))
    rate, median, p99, bad = (float(word) for word in line.split()[1:])
    return rate, median / 1000, p99 / 1000, int(bad)


def backup(url, pid, seconds, body):
    rates = []
    with Memory(pid) as memory:
        for _ in range(3):
            size, took = curl(f"{url}/db/backup")
            rates.append(size / took / 1e6)
    row("backup, alone", f"{percentile(rates, 0.5):.0f} MB/s", f"of {size / 1e6:.0f} MB; aim 300 MB/s, or the disk's rate")
    row("backup, alone: memory", memory.text, "aim: below 64 MiB more")
    rate, median, p99, bad = wrk(url, seconds, body)
    row("writes, 4 connections, alone", f"{rate:.0f}/s", f"median {median:.1f}, p99 {p99:.1f} ms, {bad} failed")
    ends = threading.Event()
    rates = []

    def loop():
        while not ends.is_set():
            size, took = curl(f"{url}/db/backup")
            rates.append(size / took / 1e6)

    thread = threading.Thread(target=loop)
    with Memory(pid) as memory:
        thread.start()
        rate, median, p99, bad = wrk(url, seconds, body)
        ends.set()
        thread.join()
    row("backup beside writes", f"{percentile(rates, 0.5):.0f} MB/s", f"{len(rates)} of them")
    row("backup beside writes: memory", memory.text, "aim: below 64 MiB more")
    row("writes beside backups: p99", f"{p99:.1f} ms",
        f"aim: below 50 ms; median {median:.1f}, {rate:.0f}/s, {bad} failed")


def stream(url, pid, rows):
    path = "/db/query?level=none&timeout=600s&q=SELECT%20id,name%20FROM%20rows"
    for form, words in (("JSON", []), ("lines", ["-H", "Accept: application/x-ndjson"])):
        with Memory(pid) as memory:
            size, took = curl(url + path, *words)
        row(f"{rows} rows as {form}", f"{rows / took / 1e6:.2f} M rows/s", f"{size / took / 1e6:.0f} MB/s")
        row(f"{rows} rows as {form}: memory", memory.text, "aim: below 64 MiB more")
    observer = connection(url)

    def busy():
        observer.request("GET", "/debug/vars?key=readers")
        return json.loads(observer.getresponse().read())["readers"]["busy"]

    times = []
    for _ in range(10):
        client = socket.create_connection(place(url))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        taken = 0
        while taken < 4 * MEBI:
            taken += len(client.recv(MEBI))
        assert busy() > 0
        begin = time.monotonic()
        client.close()
        while busy() > 0:
            pass
        times.append((time.monotonic() - begin) * 1000)
    row("a client that hangs up: until its reader is free", f"{max(times):.1f} ms", "aim: below 100 ms; the slowest of 10")


def ready(url):
    times = []
    client = connection(url)
    ends = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ends.set()), daemon=True).start()
    bad = 0
    while not ends.wait(0.005):
        begin = time.monotonic()
        client.request("GET", "/readyz")
        answer = client.getresponse()
        answer.read()
        bad += answer.status != 200
        times.append((time.monotonic() - begin) * 1000)
    print(json.dumps({"count": len(times), "median": percentile(times, 0.5), "p99": percentile(times, 0.99),
                      "most": max(times), "bad": bad}))


class Asking:
    """/readyz from a process of its own, while the block runs."""

    def __init__(self, url):
        self.url = url

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "ready", self.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.said = json.loads(self.process.communicate()[0])

    @property
    def text(self):
        said = self.said
        return f"aim: below 100 ms; p99 {said['p99']:.1f}, median {said['median']:.1f}, {said['bad']} failed"


class Idle(asyncio.Protocol):
    """Has asked once, and stays."""

    def __init__(self, counts):
        self.counts = counts
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b"GET /db/query?level=none&q=SELECT%201 HTTP/1.1\r\nHost: x\r\n\r\n")

    def data_received(self, data):
        if not self.answered.done():
            self.answered.set_result(data.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, _):
        self.counts["lost"] += 1
        if not self.answered.done():
            self.answered.set_result(False)


class Query(asyncio.Protocol):
    """Takes all of an answer."""

    def __init__(self, path):
        self.path = path
        self.size = 0
        self.status = b""
        self.pause = 1
        self.end = b""
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())

    def data_received(self, data):
        if self.size == 0:
            self.status = data[9:12]
            head = data.partition(b"\r\n\r\n")[0].lower()
            if b"retry-after: " in head:
                self.pause = int(head.split(b"retry-after: ")[1].split(b"\r\n")[0])
        self.size += len(data)
        self.end = (self.end + data[-8:])[-8:]

    def connection_lost(self, _):
        if not self.ended.done():
            # The last chunk says that it is whole.
            is_whole = self.status == b"200" and self.end.endswith(b"0\r\n\r\n")
            self.ended.set_result(b"whole" if is_whole else self.status)


async def taken(url, path):
    """How it ended, bytes, how often it was told to come again."""
    refusals = 0
    begin = time.monotonic()
    while True:
        _, protocol = await asyncio.get_running_loop().create_connection(lambda: Query(path), *place(url))
        outcome = await protocol.ended
        if outcome != b"503" or time.monotonic() > begin + 300:
            return outcome, protocol.size, refusals
        refusals += 1
        await asyncio.sleep(protocol.pause)


async def crowd(url, pid, idle, queries):
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop = asyncio.get_running_loop()
    counts = {"lost": 0}
    with Memory(pid) as memory:
        made = []
        # Some at a time: the listener's queue is finite.
        for begin in range(0, idle, 200):
            made += await asyncio.gather(*[
                loop.create_connection(lambda: Idle(counts), *place(url))
                for _ in range(min(200, idle - begin))])
            await asyncio.gather(*[protocol.answered for _, protocol in made[-200:]])
        served = sum(protocol.answered.result() for _, protocol in made)
    row(f"{idle} idle connections: served", f"{served}", f"aim: all; {counts['lost']} closed by the node")
    row(f"{idle} idle connections: memory", memory.text, f"{(memory.most - memory.before) * 1024 / idle:.1f} KiB each")
    path = "/db/query?level=none&timeout=600s&q=SELECT%20id,name%20FROM%20rows%20LIMIT%2050000"
    begin = time.monotonic()
    with Memory(pid) as memory, Asking(url) as asking:
        # Who connects says at once what he wants: the node cuts off who doesn't, of 512 from one address.
        asked = []
        while len(asked) < queries:
            asked += [asyncio.create_task(taken(url, path)) for _ in range(min(100, queries - len(asked)))]
            await asyncio.sleep(0.02)
        answers = await asyncio.gather(*asked)
        took = time.monotonic() - begin
    whole = sum(outcome == b"whole" for outcome, _, _ in answers)
    size = sum(size for _, size, _ in answers)
    others = sorted({outcome.decode() or "closed" for outcome, _, _ in answers} - {"whole"})
    later = sum(refusals > 0 for _, _, refusals in answers)
    row(f"{queries} large queries at once: answered whole", f"{whole}",
        f"aim: all; {size / 1e6:.0f} MB in {took:.1f} s; {later} told to come again first (503)"
        + "".join(f"; some {word}" for word in others))
    row(f"{queries} large queries at once: memory", memory.text, "aim: bounded")
    row("/readyz beside them: slowest", f"{asking.said['most']:.1f} ms", asking.text)
    row("idle connections that are left", f"{served - counts['lost']}", "aim: all")
    for transport, _ in made:
        transport.abort()


def load(url, file, pids):
    size = os.path.getsize(file)
    memories = [Memory(pid) for pid in pids]
    for memory in memories:
        memory.__enter__()
    begin = time.monotonic()
    subprocess.run(
        ["curl", "-fsS", "-o", "/dev/null", "-T", file, "-X", "POST", "-H", "Expect:", f"{url}/db/load?timeout=600s"],
        check=True)
    took = time.monotonic() - begin
    for memory in memories:
        memory.__exit__()
    row("load through a follower of three", f"{size / took / 1e6:.0f} MB/s", f"{size / 1e6:.0f} MB in {took:.1f} s")
    row("load: memory of the three", ", ".join(f"{m.most - m.before:.0f}" for m in memories) + " MiB more",
        "asked, leader, third")


def main():
    what, url, *words = sys.argv[1:]
    if what == "load":
        load(url, words[0], [int(word) for word in words[1:]])
    elif what == "backup":
        backup(url, int(words[0]), words[1], words[2])
    elif what == "crowd":
        asyncio.run(crowd(url, *(int(word) for word in words)))
    else:
        {"fill": fill, "stream": stream, "ready": ready}[what](url, *(int(word) for word in words))


main()
