"""A double of Google Cloud Storage's JSON interface and of its servers of tokens, for one test.

Strict: what Google would not understand is refused and noted. Prints one line of JSON: its port and a service
account's key. Then takes lines of JSON and answers each:

    {"objects": null}      what is there: name, size, metadata
    {"violations": null}   what it was asked that no documented client asks
    {"fail": 503, "times": 2}   the next requests for objects are answered so
    {"faults": {"part": ["refuse", "cut"]}}   what becomes of the next requests of a kind of uploads in parts: begin,
                          part, ask, cancel. refuse: 503. cut: the connection ends in the middle of the body, of which
                          whole units are kept. lose: it is carried out, and the connection ends in place of an
                          answer. short: a unit less is kept than was sent. none: nothing is kept. back: the answer
                          tells of nothing. wild: of more than the whole. spoil: a byte is another. gone:
                          the upload is unknown. hold: nothing comes until the connection's other end is gone, or
                          for a minute. clear: an address of another scheme. pass: nothing
    {"requests": null}     how many there were of each kind
    {"uploads": null}      names of uploads that were begun and neither completed nor cancelled
    {"revoke": null}       tokens given out so far are worth nothing
    {"tokens": null}       how many were given out
"""

import base64
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BUCKET = "backups"
EMAIL = "rqlited@example.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"

lock = threading.Lock()
objects = {}
violations = []
tokens = set()
given = 0
failures = []
faults = {}
counts = {}
uploads = {}
UNIT = 256 << 10
folder = tempfile.TemporaryDirectory()


def run(*words):
    return subprocess.run(words, check=True, capture_output=True).stdout


run("openssl", "genpkey", "-algorithm", "RSA", "-out", f"{folder.name}/key")
run("openssl", "pkey", "-in", f"{folder.name}/key", "-pubout", "-out", f"{folder.name}/public")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(assertion, audience):
    """Nothing, or what is wrong with it."""
    parts = assertion.split(".")
    if len(parts) != 3 or "=" in assertion:
        return "three parts without padding"
    head, claims = json.loads(decode(parts[0])), json.loads(decode(parts[1]))
    if head.get("alg") != "RS256" or head.get("kid") != "key-1":
        return "algorithm or key"
    now = time.time()
    if claims.get("iss") != EMAIL or claims.get("scope") != SCOPE or claims.get("aud") != audience:
        return "issuer, scope or audience"
    if not now - 300 < claims["iat"] <= now + 5 or not 0 < claims["exp"] - claims["iat"] <= 3600:
        return "times"
    with open(f"{folder.name}/signature", "wb") as file:
        file.write(decode(parts[2]))
    with open(f"{folder.name}/text", "w") as file:
        file.write(f"{parts[0]}.{parts[1]}")
    try:
        run("openssl", "dgst", "-sha256", "-verify", f"{folder.name}/public", "-signature",
            f"{folder.name}/signature", f"{folder.name}/text")
    except subprocess.CalledProcessError:
        return "signature"
    return None


def checksum(content):
    """CRC-32C (RFC 3720, B.4), as Google writes it."""
    value = 0xFFFFFFFF
    for byte in content:
        value = TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return base64.b64encode((value ^ 0xFFFFFFFF).to_bytes(4, "big")).decode()


TABLE = []
for first in range(256):
    for _ in range(8):
        first = first >> 1 ^ (0x82F63B78 if first & 1 else 0)
    TABLE.append(first)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="application/json"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def wrong(self, what):
        violations.append(f"{self.command} {self.path}: {what}")
        self.answer(400, {"error": {"code": 400, "message": what}})

    def may(self):
        """Whether the request is to be carried out."""
        if failures:
            status = failures.pop()
            self.answer(status, {"error": {"code": status, "message": "told to fail"}})
            return False
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in tokens:
            self.answer(401, {"error": {"code": 401, "message": "Invalid Credentials"}})
            return False
        return True

    def do_POST(self):
        size = self.headers.get("Content-Length")
        if size is None:
            return self.wrong("no Content-Length")
        body = self.rfile.read(int(size))
        with lock:
            if self.path == "/token":
                return self.token(body)
            if not self.may():
                return
            if self.path == f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable":
                self.begin(body)
            else:
                self.upload(body)

    def described(self, description):
        """What an upload says of its object, or nothing."""
        if set(description) != {"name", "metadata", "crc32c"} or not all(
                isinstance(value, str) for value in description["metadata"].values()):
            return self.wrong("the description")
        return description

    def keep(self, description, content):
        if checksum(content) != description["crc32c"]:
            return self.answer(400, {"error": {"code": 400, "message": "Provided CRC32C doesn't match"}})
        objects[description["name"]] = (content, description["metadata"])
        self.answer(200, {"kind": "storage#object", "name": description["name"], "size": str(len(content))})

    def fault(self, kind):
        counts[kind] = counts.get(kind, 0) + 1
        waiting = faults.get(kind)
        return waiting.pop(0) if waiting else None

    def hang_up(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def unavailable(self):
        self.answer(503, {"error": {"code": 503, "message": "told to"}})

    def begin(self, body):
        fault = self.fault("begin")
        if fault == "refuse":
            return self.unavailable()
        if self.headers.get("Content-Type") != "application/json; charset=UTF-8":
            return self.wrong("type of the description")
        if self.headers.get("X-Upload-Content-Type") != "application/octet-stream":
            return self.wrong("type of the object")
        description = self.described(json.loads(body))
        if description is None:
            return
        name = f"upload-{len(counts)}-{counts['begin']}"
        uploads[name] = {"description": description, "content": bytearray(),
                         "size": int(self.headers["X-Upload-Content-Length"])}
        if fault == "lose":
            return self.hang_up()
        scheme = "ftp" if fault == "clear" else "http"
        self.send_response(200)
        self.send_header("Location", f"{scheme}://127.0.0.1:{self.server.server_port}"
                         f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id={name}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def session(self):
        """The upload that the address names, or nothing."""
        prefix = f"/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id="
        if not self.path.startswith(prefix):
            return self.wrong("unknown path")
        if "Authorization" in self.headers:
            return self.wrong("a token where the address is enough")
        name = self.path[len(prefix):]
        if name not in uploads:
            return self.answer(404, {"error": {"code": 404, "message": "no such upload"}})
        return name

    def incomplete(self, kept):
        self.send_response(308)
        if kept:
            self.send_header("Range", f"bytes=0-{kept - 1}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_PUT(self):
        size = int(self.headers.get("Content-Length", 0))
        range = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)", self.headers.get("Content-Range", ""))
        if not range:
            return self.wrong("no Content-Range")
        kind = "part" if range[1] else "ask"
        with lock:
            fault = self.fault(kind)
        if fault == "hold":
            self.connection.settimeout(60)
            try:
                while self.connection.recv(1 << 16):
                    pass
            except OSError:
                pass
            return self.hang_up()
        body = self.rfile.read(size // 2 if fault == "cut" else size)
        with lock:
            name = self.session()
            if name is None:
                return
            if fault == "refuse":
                return self.unavailable()
            if fault == "gone":
                del uploads[name]
                return self.answer(410, {"error": {"code": 410, "message": "gone"}})
            self.put(name, kind, range, body, fault, size)

    def put(self, name, kind, range, body, fault, size):
        upload = uploads[name]
        content, total = upload["content"], upload["size"]
        if int(range[3]) != total:
            return self.wrong("the size is another than was announced")
        if upload.get("answer"):
            # It is complete, and whoever asks is told so; a double may as well make the object then.
            return self.keep(upload["description"], bytes(content))
        if kind == "part":
            first, last = int(range[1]), int(range[2])
            if last - first + 1 != size or size == 0 or last >= total:
                return self.wrong("the range is not that of the body")
            if first != len(content):
                return self.wrong(f"begins at {first}, and {len(content)} bytes are here")
            if last + 1 != total and size % UNIT:
                return self.wrong("a part that is not the last is no multiple of 256 KiB")
            kept = {"cut": len(body) // UNIT * UNIT, "none": 0,
                    "short": max(0, (len(body) - 1) // UNIT * UNIT)}.get(fault, len(body))
            if fault == "spoil":
                body = bytes([body[0] ^ 1]) + body[1:]
            content += body[:kept]
        if fault == "cut":
            return self.hang_up()
        if len(content) == total:
            upload["answer"] = True
            if fault == "lose":
                return self.hang_up()
            return self.keep(upload["description"], bytes(content))
        if fault == "lose":
            return self.hang_up()
        told = {"back": 0, "wild": total + 1}.get(fault, len(content))
        self.incomplete(told)

    def do_DELETE(self):
        with lock:
            fault = self.fault("cancel")
            name = self.session()
            if name is None:
                return
            if fault == "refuse":
                return self.unavailable()
            del uploads[name]
            self.answer(499, b"")

    def token(self, body):
        global given
        if self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            return self.wrong("type of the form")
        form = urllib.parse.parse_qs(body.decode(), strict_parsing=True)
        if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            return self.wrong("grant type")
        trouble = verify(form["assertion"][0], f"http://127.0.0.1:{self.server.server_port}/token")
        if trouble:
            violations.append(f"assertion: {trouble}")
            return self.answer(400, {"error": "invalid_grant", "error_description": trouble})
        given += 1
        token = f"token-{given}"
        tokens.add(token)
        self.answer(200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    def upload(self, body):
        if self.path != f"/upload/storage/v1/b/{BUCKET}/o?uploadType=multipart":
            return self.wrong("unknown path")
        kind = re.fullmatch(r"multipart/related; boundary=([0-9A-Za-z-]{1,70})",
                            self.headers.get("Content-Type", ""))
        if not kind:
            return self.wrong("type of the body: boundaries have 70 characters at most")
        mark = b"--" + kind[1].encode()
        if not body.startswith(mark + b"\r\n") or not body.endswith(b"\r\n" + mark + b"--\r\n"):
            return self.wrong("the body's begin or end")
        parts = body[len(mark) + 2:-len(mark) - 6].split(b"\r\n" + mark + b"\r\n")
        if len(parts) != 2:
            return self.wrong("two parts")
        (first, description), (second, content) = (part.split(b"\r\n\r\n", 1) for part in parts)
        if b"application/json" not in first or b"application/octet-stream" not in second:
            return self.wrong("types of the parts")
        described = self.described(json.loads(description))
        if described is not None:
            self.keep(described, content)

    def do_GET(self):
        with lock:
            if not self.may():
                return
            path, _, query = self.path.partition("?")
            if path == f"/storage/v1/b/{BUCKET}/o":
                return self.listing(query)
            prefix = f"/storage/v1/b/{BUCKET}/o/"
            if not path.startswith(prefix) or "/" in path[len(prefix):] or query not in ("", "alt=media"):
                return self.wrong("unknown path")
            name = urllib.parse.unquote(path[len(prefix):])
            if name not in objects:
                return self.answer(404, {"error": {"code": 404, "message": f"No such object: {name}"}})
            content, metadata = objects[name]
            if query:
                return self.answer(200, content, "application/octet-stream")
            self.answer(200, {"kind": "storage#object", "name": name, "metadata": metadata})


    def listing(self, query):
        """Two names at a time, so that there are pages."""
        asked = urllib.parse.parse_qs(query, strict_parsing=True)
        if set(asked) - {"prefix", "delimiter", "pageToken", "fields"} or asked.get("delimiter") != ["/"]:
            return self.wrong("the question of a listing")
        # Else each object is described by two KB, and a day's archive is more than is read.
        if asked.get("fields") != ["kind,items(name),nextPageToken,prefixes"]:
            return self.wrong("the fields of a listing")
        prefix = asked["prefix"][0]
        names = set()
        for name in objects:
            if name.startswith(prefix):
                head, slash, _ = name[len(prefix):].partition("/")
                names.add(prefix + head + slash)
        begin = int(asked.get("pageToken", ["0"])[0])
        page = sorted(names)[begin:begin + 2]
        answer = {"kind": "storage#objects"}
        items = [{"kind": "storage#object", "name": name} for name in page if not name.endswith("/")]
        folders = [name for name in page if name.endswith("/")]
        if items:
            answer["items"] = items
        if folders:
            answer["prefixes"] = folders
        if begin + 2 < len(names):
            answer["nextPageToken"] = str(begin + 2)
        self.answer(200, answer)


def main():
    global faults
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(f"{folder.name}/key") as file:
        key = {"type": "service_account", "client_email": EMAIL, "private_key": file.read(),
               "private_key_id": "key-1", "token_uri": f"http://127.0.0.1:{server.server_port}/token"}
    print(json.dumps({"port": server.server_port, "bucket": BUCKET, "key": key}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {}
        with lock:
            if "objects" in asked:
                answer = [{"key": name, "size": len(content), "metadata": metadata}
                          for name, (content, metadata) in sorted(objects.items())]
            elif "violations" in asked:
                answer = list(violations)
            elif "fail" in asked:
                failures.extend([asked["fail"]] * asked.get("times", 1))
            elif "faults" in asked:
                faults = asked["faults"]
            elif "requests" in asked:
                answer = dict(counts)
            elif "uploads" in asked:
                answer = [upload["description"]["name"] for upload in uploads.values()
                          if not upload.get("answer")]
            elif "revoke" in asked:
                tokens.clear()
            elif "tokens" in asked:
                answer = {"given": given}
        print(json.dumps(answer), flush=True)


main()
