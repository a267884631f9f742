"""Drives the Consul double with py-consul, a client that knows nothing of it.

Each test starts a double of its own. What the client does not offer is asked with plain requests.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

import consul
import requests

FOLDER = pathlib.Path(__file__).parent


class Running:
    """A double, from start to end."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, FOLDER / "consul_double.py", *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.ports['http']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def control(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def client(self, **options):
        return consul.Consul(host="127.0.0.1", port=self.ports["http"], **options)


def operation(verb, key, value="", **members):
    encoded = base64.b64encode(value.encode()).decode()
    return {"KV": {"Verb": verb, "Key": key, "Value": encoded, **members}}


class Keys(unittest.TestCase):
    def setUp(self):
        self.double = self.enterContext(Running())
        self.client = self.double.client()
        self.kv = self.client.kv

    def tearDown(self):
        self.assertEqual(self.double.control(violations=None), [])

    def test_a_value_comes_back_as_it_was_written(self):
        self.assertEqual(self.kv.get("none")[1], None)
        self.assertTrue(self.kv.put("a/b c", "\0 ü".encode(), flags=2**64 - 1))
        index, entry = self.kv.get("a/b c")
        self.assertEqual(entry["Value"], "\0 ü".encode())
        self.assertEqual((entry["Key"], entry["Flags"]), ("a/b c", 2**64 - 1))
        self.assertEqual(entry["CreateIndex"], entry["ModifyIndex"])
        self.assertEqual(int(index), entry["ModifyIndex"])
        self.kv.put("a/b c", b"")
        self.assertIsNone(self.kv.get("a/b c")[1]["Value"])

    def test_trees_and_names(self):
        for key in ("x/1", "x/y/2", "x/y/3", "z"):
            self.kv.put(key, key)
        found = self.kv.get("x/", recurse=True)[1]
        self.assertEqual([each["Key"] for each in found], ["x/1", "x/y/2", "x/y/3"])
        self.assertEqual(self.kv.get("x/", keys=True, separator="/")[1], ["x/1", "x/y/"])
        self.assertTrue(self.kv.delete("x/", recurse=True))
        self.assertEqual(self.kv.get("", keys=True)[1], ["z"])

    def test_check_and_set(self):
        self.assertTrue(self.kv.put("k", "1", cas=0))
        self.assertFalse(self.kv.put("k", "2", cas=0))
        first = self.kv.get("k")[1]["ModifyIndex"]
        self.assertTrue(self.kv.put("k", "2", cas=first))
        self.assertFalse(self.kv.put("k", "3", cas=first))
        second = self.kv.get("k")[1]
        self.assertEqual((second["Value"], second["CreateIndex"]), (b"2", first))
        self.assertGreater(second["ModifyIndex"], first)
        self.assertFalse(self.kv.delete("k", cas=first))
        self.assertFalse(self.kv.delete("k", cas=0))
        self.assertTrue(self.kv.delete("k", cas=second["ModifyIndex"]))
        self.assertFalse(self.kv.put("k", "3", cas=first))
        self.assertTrue(self.kv.put("k", "4", cas=0))
        self.assertGreater(self.kv.get("k")[1]["CreateIndex"], second["ModifyIndex"])

    def test_of_sixteen_clients_one_at_a_time_gets_through(self):
        def count():
            kv = self.double.client().kv
            for _ in range(10):
                while True:
                    entry = kv.get("n", consistency="consistent")[1]
                    value, index = (int(entry["Value"]), entry["ModifyIndex"]) if entry else (0, 0)
                    if kv.put("n", str(value + 1), cas=index):
                        break
        threads = [threading.Thread(target=count) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.kv.get("n")[1]["Value"], b"160")

    def test_a_transaction_happens_whole_or_not_at_all(self):
        txn = self.client.txn
        made = txn.put([
            operation("check-not-exists", "t/1"), operation("cas", "t/1", "a", Index=0),
            operation("set", "t/2", "b", Flags=7), operation("get", "t/2"),
            operation("get-tree", "t/")])
        self.assertIsNone(made["Errors"])
        seen = [(each["KV"]["Key"], each["KV"]["Value"]) for each in made["Results"]]
        self.assertEqual(seen, [
            ("t/1", None), ("t/2", None), ("t/2", "Yg=="), ("t/1", "YQ=="), ("t/2", "Yg==")])
        index = made["Results"][0]["KV"]["ModifyIndex"]
        self.assertEqual(self.kv.get("t/1")[1]["ModifyIndex"], index)
        for refused in (
                operation("cas", "t/1", "c", Index=index - 1), operation("check-not-exists", "t/1"),
                operation("check-index", "t/1", Index=index + 1), operation("get", "t/3"),
                operation("delete-cas", "t/1", Index=index - 1)):
            answer = requests.put(
                f"{self.double.url}/v1/txn", json=[operation("set", "t/9", "x"), refused])
            self.assertEqual(answer.status_code, 409)
            self.assertEqual(answer.json()["Errors"][0]["OpIndex"], 1)
            self.assertIsNone(self.kv.get("t/9")[1])
        txn.put([operation("check-index", "t/1", Index=index),
                 operation("delete-cas", "t/1", Index=index), operation("delete", "t/2")])
        txn.put([operation("set", "t/5", "5"), operation("delete-tree", "t/")])
        self.assertIsNone(self.kv.get("t/", recurse=True)[1])

    def test_the_leader_is_known(self):
        self.assertEqual(self.client.status.leader(), "127.0.0.1:8300")
        self.assertEqual(self.client.agent.self()["Config"]["Datacenter"], "dc1")
        self.double.control(leader=False)
        with self.assertRaisesRegex(consul.base.ConsulException, "500 No cluster leader"):
            self.kv.get("a")
        self.kv.get("a", consistency="stale")


class Blocking(unittest.TestCase):
    def setUp(self):
        self.double = self.enterContext(Running())
        self.kv = self.double.client().kv

    def waited(self, change, key="k", index=None, **options):
        """What a query that waits sees after a change that comes while it does."""
        index = index or self.kv.get(key, **options)[0]
        found = []
        thread = threading.Thread(target=lambda: found.append(
            self.double.client().kv.get(key, index=index, wait="20s", **options)))
        thread.start()
        change()
        thread.join()
        self.assertGreater(int(found[0][0]), int(index))
        return found[0][1]

    def test_a_change_wakes(self):
        self.assertEqual(self.waited(lambda: self.kv.put("k", "1"))["Value"], b"1")
        self.assertEqual(self.waited(lambda: self.kv.put("k", "2"))["Value"], b"2")
        self.assertIsNone(self.waited(lambda: self.kv.delete("k")))
        below = self.waited(lambda: self.kv.put("t/1", "1"), key="t/", recurse=True)
        self.assertEqual(below[0]["Key"], "t/1")
        self.assertIsNone(self.waited(lambda: self.kv.delete("t/1"), key="t/", recurse=True))

    def test_what_changes_nothing_wakes_nobody(self):
        self.kv.put("k", "1")
        index = self.kv.get("k")[0]
        self.kv.put("k", "1")
        self.kv.put("other", "1")
        again, entry = self.kv.get("k", index=index, wait="200ms")
        self.assertEqual((again, entry["Value"]), (index, b"1"))

    def test_the_index_goes_backwards_when_tombstones_are_reaped_or_all_is_lost(self):
        for key in ("t/1", "t/2"):
            self.kv.put(key, "x")
        self.kv.delete("t/2")
        before = int(self.kv.get("t/", recurse=True)[0])
        self.double.control(reap=None)
        self.assertLess(int(self.kv.get("t/", recurse=True)[0]), before)
        self.double.control(wipe=None)
        index, found = self.kv.get("t/", recurse=True)
        self.assertEqual((index, found), ("1", None))

    def test_only_consistent_reads_are_always_fresh(self):
        self.kv.put("k", "old")
        self.double.control(stale=True)
        self.kv.put("k", "new")
        self.assertEqual(self.kv.get("k")[1]["Value"], b"old")
        self.assertEqual(self.kv.get("k", consistency="consistent")[1]["Value"], b"new")


class Access(unittest.TestCase):
    DOCUMENT = {
        "default_policy": "deny", "tokens": {
            "w": {"accessor": "writer", "rules": [
                {"key_prefix": "app/", "policy": "write"}, {"key": "app/x", "policy": "deny"}]},
            "r": {"accessor": "reader", "agent": "read", "rules": [
                {"key_prefix": "", "policy": "read"}]}}}

    def test_tokens_open_keys(self):
        with Running() as double:
            double.control(acl=self.DOCUMENT)
            writer, reader = double.client(token="w"), double.client(token="r")
            writer.kv.put("app/1", "1")
            self.assertEqual(reader.kv.get("app/1")[1]["Value"], b"1")
            for refused, text in (
                    (lambda: reader.kv.put("app/1", "2"),
                     "token with AccessorID 'reader' lacks permission 'key:write' on \"app/1\""),
                    (lambda: writer.kv.get("app/x"), "'key:read' on \"app/x\""),
                    (lambda: writer.kv.delete("app/", recurse=True), "'key:write' on \"app/\""),
                    (lambda: writer.agent.self(), "anonymous token lacks permission 'agent:read'"),
                    (lambda: double.client().kv.get("app/1"), "anonymous token"),
                    (lambda: double.client(token="zzz").kv.get("app/1"), "ACL not found")):
                with self.assertRaisesRegex(consul.ACLPermissionDenied, text):
                    refused()
            # The client sends no token there.
            agent = requests.get(
                f"{double.url}/v1/agent/self", headers={"X-Consul-Token": "r"})
            self.assertEqual(agent.json()["Config"]["NodeName"], "double")
            double.control(set={"key": "app/x", "value": "hidden"})
            seen = writer.kv.get("app/", recurse=True)[1]
            self.assertEqual([each["Key"] for each in seen], ["app/1"])

    def test_a_refused_operation_fails_its_transaction(self):
        with Running() as double:
            double.control(acl=self.DOCUMENT)
            body = json.dumps([operation("set", "app/x", "1")])
            answer = requests.put(
                f"{double.url}/v1/txn", data=body, headers={"Authorization": "Bearer w"})
            self.assertEqual(answer.status_code, 409)
            self.assertIn("Permission denied", answer.json()["Errors"][0]["What"])

    def test_a_proxy_may_ask_for_a_password(self):
        with Running("--basic-auth", "me:secret") as double:
            key = f"{double.url}/v1/kv/k"
            self.assertEqual(requests.put(key, data="v").status_code, 401)
            self.assertEqual(requests.put(key, data="v", auth=("me", "secret")).text, "true")

    def test_tls_with_and_without_a_client_certificate(self):
        with tempfile.TemporaryDirectory() as folder:
            make_certificates(folder)
            ca, pair = f"{folder}/ca.pem", (f"{folder}/client.pem", f"{folder}/client-key.pem")
            tls = ["--tls", f"{folder}/cert.pem", f"{folder}/key.pem"]
            for options, cert in ([], None), (["--client-authority", ca], pair):
                with Running(*tls, *options) as double:
                    def client(**options):
                        return consul.Consul(
                            host="localhost", port=double.ports["https"], scheme="https", **options)
                    self.assertTrue(client(verify=ca, cert=cert).kv.put("k", "v"))
                    with self.assertRaises(requests.exceptions.ConnectionError):
                        client(verify=True, cert=cert).kv.get("k")
                    if cert:
                        with self.assertRaises(requests.exceptions.ConnectionError):
                            client(verify=ca).kv.get("k")


class Places(unittest.TestCase):
    def test_datacenters_are_apart(self):
        with Running("--datacenter", "east", "--datacenter", "west") as double:
            double.client(dc="east").kv.put("k", "1")
            self.assertEqual(double.client().kv.get("k")[1]["Value"], b"1")
            self.assertIsNone(double.client(dc="west").kv.get("k")[1])
            with self.assertRaisesRegex(consul.base.ConsulException, "No path to datacenter"):
                double.client(dc="north").kv.get("k")

    def test_namespaces_are_enterprise(self):
        with Running() as double:
            for name in ("ns", "partition"):
                answer = requests.get(f"{double.url}/v1/kv/k", params={name: "a"})
                self.assertEqual(answer.status_code, 400)
                self.assertIn("Consul Enterprise feature", answer.text)
        with Running("--namespace", "a", "--namespace", "b", "--partition", "p") as double:
            key = f"{double.url}/v1/kv/k"
            requests.put(key, params={"ns": "a", "partition": "p"}, data="v")
            found = requests.get(key, params={"ns": "a", "partition": "p", "raw": ""})
            self.assertEqual(found.text, "v")
            self.assertEqual(requests.get(key, params={"ns": "b"}).status_code, 404)


class Strictness(unittest.TestCase):
    def test_what_is_not_documented_is_refused_and_noted(self):
        with Running() as double:
            many = [operation("set", f"k{each}", "v") for each in range(65)]
            cases = [
                ("GET", "/v1/kv/k?color=red", 400, None), ("POST", "/v1/kv/k", 405, None),
                ("GET", "/v1/kv/", 400, None), ("PUT", "/v1/kv/k?cas=x", 400, "v"),
                ("GET", "/v1/kv//k", 400, None), ("GET", "/v1/kv/a/%2e%2e/k", 400, None),
                ("GET", "/v1/kv/k?index=1&wait=ten", 400, None), ("GET", "/v1/kv/k%01", 400, None),
                ("GET", "/v1/kv/k?recurse=false", 400, None), ("GET", "/v2", 404, None),
                ("GET", "/v1/kv/k?stale&consistent", 400, None),
                ("DELETE", "/v1/kv/k?cas=1&recurse", 400, None),
                ("PUT", "/v1/kv/k?acquire=1", 400, "v"), ("PUT", "/v1/kv/k", 413, "v" * 524289),
                ("GET", "/v1/txn", 405, None), ("PUT", "/v1/txn", 400, "{}"),
                ("PUT", "/v1/txn", 400, json.dumps([operation("grab", "k")])),
                ("PUT", "/v1/txn", 400, json.dumps([operation("set", "/k")])),
                ("PUT", "/v1/txn", 413, json.dumps(many)),
            ]
            for number, (method, path, status, body) in enumerate(cases, 1):
                # As they stand: requests would tidy some of the paths up.
                prepared = requests.Request(method, double.url, data=body).prepare()
                prepared.url = double.url + path
                with self.subTest(path), requests.Session() as session:
                    self.assertEqual(session.send(prepared).status_code, status)
                    self.assertEqual(len(double.control(violations=None)), number)

    def test_it_misbehaves_when_told_to(self):
        with Running() as double:
            key = f"{double.url}/v1/kv/k"
            double.control(drop="before")
            with self.assertRaises(requests.exceptions.ConnectionError):
                requests.put(key, data="1")
            self.assertIsNone(double.control(get={"key": "k"}))
            double.control(drop="after")
            with self.assertRaises(requests.exceptions.ConnectionError):
                requests.put(key, data="1")
            self.assertEqual(double.control(get={"key": "k"})["value"], "1")
            page = {"status": 502, "type": "text/html", "body": "<p>"}
            double.control(answer=page, times=2)
            self.assertEqual(requests.get(key).text, "<p>")
            double.control(answer={**page, "shape": "slow"})
            self.assertEqual(requests.get(key).status_code, 502)
            self.assertEqual(requests.get(key).text, "<p>")
            double.control(answer={**page, "shape": "truncated"})
            with self.assertRaises(requests.exceptions.RequestException):
                requests.get(key)
            double.control(pause=True)
            with self.assertRaises(requests.exceptions.Timeout):
                requests.get(key, timeout=0.1)
            double.control(pause=False)
            double.control(down=True)
            with self.assertRaises(requests.exceptions.ConnectionError):
                requests.get(key)
            double.control(down=False)
            self.assertEqual(requests.get(f"{key}?raw").text, "1")
            self.assertIn({"method": "GET", "target": "/v1/kv/k?raw", "status": 200,
                           "token": False}, double.control(log=None))


def make_certificates(folder):
    """An authority, and certificates for the server and a client, as files in the folder."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=ca",
            "-days", "2")
    for name, file, key_file in (
            ("localhost", "cert.pem", "key.pem"), ("client", "client.pem", "client-key.pem")):
        openssl("req", *key, "-keyout", key_file, "-out", "request.pem", "-subj", f"/CN={name}")
        pathlib.Path(folder, "names").write_text(f"subjectAltName=DNS:{name}")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                "-CAcreateserial", "-out", file, "-extfile", "names", "-days", "2")


if __name__ == "__main__":
    unittest.main(verbosity=2)
