"""moto's S3, which checks who asks and what was signed, for one test; a body must have the hash that was signed.

Prints one line of JSON: its port, the bucket, and the keys of a user that may do anything. Then takes lines of
JSON and answers each:

    {"objects": null}     lists them with size and metadata
    {"uploads": null}     lists uploads in parts that were begun and neither completed nor aborted
    {"faults": {"part": ["refuse", "cut"]}}   what becomes of the next requests of a kind: begin, part, complete,
                          abort, base (of an archive), put, get. refuse: 503. cut: the connection ends in the middle of the body. lose: it is
                          carried out, and the connection ends in place of an answer. inner: an error behind a 200.
                          hold: it is carried out when the connection's other end is gone, or after a minute.
                          wait: it is carried out when the test says so. half: the connection ends in the middle of
                          the answer. pass: nothing
    {"release": null}     what waits goes on
    {"requests": null}    how many there were of each kind
"""

import hashlib
import io
import json
import logging
import socket
import sys
import threading

import boto3
from moto import settings
from moto.core.responses import ActionAuthenticatorMixin
from moto.moto_server import threaded_moto_server
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
BUCKET = "backups"


class Front:
    """Stands before moto."""

    def __init__(self, app):
        self.app = app
        self.lock = threading.Lock()
        self.faults = {}
        self.counts = {}
        self.released = threading.Event()

    @staticmethod
    def kind(environ):
        method, query = environ["REQUEST_METHOD"], environ.get("QUERY_STRING", "")
        if method == "PUT":
            if "partNumber=" in query:
                return "part"
            return "base" if environ.get("PATH_INFO", "").endswith("/base") else "put"
        if method == "GET" and not query:
            return "get"
        if method == "POST" and "uploadId=" in query:
            return "complete"
        if method == "POST" and query.startswith("uploads"):
            return "begin"
        if method == "DELETE" and "uploadId=" in query:
            return "abort"
        return "other"

    @staticmethod
    def refuse(start, status, code, message):
        body = f"<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    @staticmethod
    def hang_up(environ, start):
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start("500 Gone", [])
        return []

    @staticmethod
    def half(environ, body):
        yield body[: len(body) // 2]
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)

    def __call__(self, environ, start):
        kind = self.kind(environ)
        with self.lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            waiting = self.faults.get(kind)
            fault = waiting.pop(0) if waiting else None
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if fault == "cut":
            environ["wsgi.input"].read(size // 2)
            return self.hang_up(environ, start)
        if size:
            body = environ["wsgi.input"].read(size)
            signed = environ.get("HTTP_X_AMZ_CONTENT_SHA256", "")
            if len(signed) == 64 and hashlib.sha256(body).hexdigest() != signed:
                return self.refuse(start, "400 Bad", "XAmzContentSHA256Mismatch", "not the bytes that were signed")
            environ["wsgi.input"] = io.BytesIO(body)
        if fault == "refuse":
            return self.refuse(start, "503 Slow Down", "SlowDown", "told to")
        if fault == "inner":
            return self.refuse(start, "200 OK", "InternalError", "told to")
        if fault == "hold":
            connection = environ["werkzeug.socket"]
            connection.settimeout(60)
            try:
                connection.recv(1)
            except OSError:
                pass
        if fault == "wait":
            self.released.wait(60)
        if fault == "half":
            made = []
            body = b"".join(self.app(environ, lambda status, headers, *_: made.append((status, headers))))
            start(*made[0])
            return self.half(environ, body)
        if fault == "lose":
            for _ in self.app(environ, lambda *_: None):
                pass
            return self.hang_up(environ, start)
        return self.app(environ, start)


def main():
    fronts = []
    original = threaded_moto_server.DomainDispatcherApplication

    def made(*words):
        fronts.append(Front(original(*words)))
        return fronts[0]

    threaded_moto_server.DomainDispatcherApplication = made
    # S3's own is 5 MiB; tests do with less.
    settings.S3_UPLOAD_PART_MIN_SIZE = 64 << 10
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    front = fronts[0]

    def client(service, key="x", secret="y"):
        return boto3.client(service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key,
                            aws_secret_access_key=secret)

    iam = client("iam")
    iam.create_user(UserName="rqlited")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="rqlited", PolicyName="all", PolicyDocument=json.dumps(everything))
    pair = iam.create_access_key(UserName="rqlited")["AccessKey"]
    client("s3").create_bucket(Bucket=BUCKET)
    # From here on each request is judged.
    ActionAuthenticatorMixin.request_count = 0
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    keys = pair["AccessKeyId"], pair["SecretAccessKey"]
    s3 = client("s3", *keys)
    with front.lock:
        front.counts = {}
    print(json.dumps({"port": port, "bucket": BUCKET, "id": keys[0], "secret": keys[1]}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        answer = {}
        try:
            if "objects" in asked:
                answer = []
                for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
                    head = s3.head_object(Bucket=BUCKET, Key=entry["Key"])
                    answer.append({"key": entry["Key"], "size": entry["Size"], "metadata": head["Metadata"],
                                   "encryption": head.get("ServerSideEncryption", ""),
                                   "modified": entry["LastModified"].timestamp()})
            elif "uploads" in asked:
                answer = [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
            elif "faults" in asked:
                with front.lock:
                    front.faults = asked["faults"]
            elif "release" in asked:
                front.released.set()
            elif "requests" in asked:
                with front.lock:
                    answer = dict(front.counts)
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
