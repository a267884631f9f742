"""Consul's documented HTTP API, as far as the double has it: a request in, an answer out.

Beside the pages that consul_store.py and consul_acl.py name, the rules come from these:

    [api]          developer.hashicorp.com/consul/api-docs/api-structure
    [consistency]  developer.hashicorp.com/consul/api-docs/features/consistency
    [status]       developer.hashicorp.com/consul/api-docs/status
    [agent]        developer.hashicorp.com/consul/api-docs/agent
    [config]       developer.hashicorp.com/consul/docs/agent/config/config-files

What none of them mentions is answered with an error, even where Consul would let it pass, and noted as
a violation that tests can ask for.
"""

import base64
import binascii
import json
import random
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

from consul_acl import AccessControl, Denied
from consul_store import MAX_OPERATIONS, VERBS, Store

# [kv] "The maximum size is 512 KB", [config] kv_max_value_size and txn_max_req_len.
MAX_VALUE = 512 * 1024
MAX_TRANSACTION = 512 * 1024
# [blocking] "limited to 10 minutes", "the default is 5 minutes", "up to wait / 16".
MAX_WAIT = 600
DEFAULT_WAIT = 300
JITTER = 16

READING = {"index", "wait", "stale", "consistent"}
TENANCY = {"dc", "ns", "partition", "pretty"}
# [kv], [txn], [status], [agent]: the parameters of each method.
PARAMETERS = {
    "GET kv": READING | TENANCY | {"recurse", "raw", "keys", "separator"},
    "PUT kv": TENANCY | {"flags", "cas"},
    "DELETE kv": TENANCY | {"recurse", "cas"},
    "PUT txn": TENANCY | {"stale", "consistent"},
    "GET status/leader": {"dc", "pretty"},
    "GET agent/self": {"pretty"},
}
# [kv] Documented, but they need sessions, which the double does not have.
MISSING = {"acquire", "release"}


@dataclass
class Request:
    method: str
    target: str
    headers: dict
    body: bytes

    def __post_init__(self):
        path, _, query = self.target.partition("?")
        self.path = unquote(path, errors="surrogateescape")
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.has_repeats = len(parse_qsl(query, keep_blank_values=True)) != len(self.query)

    def flag(self, name):
        return name in self.query

    @property
    def token(self):
        """[api] The header X-Consul-Token, or a bearer token."""
        scheme, _, secret = self.headers.get("Authorization", "").partition(" ")
        return self.headers.get("X-Consul-Token") or (secret if scheme == "Bearer" else "")


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict = field(default_factory=dict)

    @classmethod
    def json(cls, value, status=200, headers=None):
        text = json.dumps(value, separators=(",", ":")).encode()
        return cls(status, text, {"Content-Type": "application/json", **(headers or {})})


class Failure(Exception):
    def __init__(self, status, text, violates=False):
        super().__init__(text)
        self.status = status
        self.text = text
        self.violates = violates


class API:
    """One agent; thread-safe, and changed by the double's controls while it runs."""

    def __init__(self, datacenters=("dc1",), namespaces=None, partitions=None, basic_auth=None):
        self.stores = {name: Store() for name in datacenters}
        self.own = datacenters[0]
        # None: not Enterprise.
        self.namespaces = namespaces
        self.partitions = partitions
        self.basic_auth = basic_auth
        self.access = AccessControl()
        self.has_leader = True
        self.violations = []
        self.random = random.Random(1)

    def answer(self, request, is_over=lambda: False):
        try:
            if self.basic_auth is not None:
                self._check_basic_auth(request)
            return self._dispatch(request, is_over)
        except Denied as denied:
            return Answer(403, str(denied).encode())
        except Failure as failure:
            if failure.violates:
                self.violations.append(f"{request.method} {request.target}: {failure.text}")
            headers = {"Allow": "GET,PUT,DELETE"} if failure.status == 405 else {}
            return Answer(failure.status, failure.text.encode(), headers)

    # What holds for all requests

    def _dispatch(self, request, is_over):
        if not request.path.isprintable():
            # [config] disable_http_unprintable_char_filter is false unless set.
            raise Failure(400, "the path has unprintable characters", violates=True)
        if re.search(r"//|/\.{1,2}(/|$)", request.path):
            # Such a path is redirected to a shorter one, which names another key.
            raise Failure(400, "the path has an empty, . or .. segment", violates=True)
        if request.path.startswith("/v1/kv/"):
            return self._key(request, request.path[len("/v1/kv/"):], is_over)
        if request.path == "/v1/txn":
            self._check(request, "txn", ["PUT"])
            return self._transaction(request)
        if request.path == "/v1/status/leader":
            self._check(request, "status/leader", ["GET"])
            return Answer.json("127.0.0.1:8300" if self.has_leader else "")
        if request.path == "/v1/agent/self":
            self._check(request, "agent/self", ["GET"])
            self.access.token(request.token).require_agent("double")
            return Answer.json(
                {"Config": {"Datacenter": self.own, "NodeName": "double", "Server": True}})
        raise Failure(404, "no such path in the double", violates=True)

    def _check(self, request, endpoint, methods):
        if request.method not in methods:
            raise Failure(405, f"method {request.method} not allowed", violates=True)
        known = PARAMETERS[f"{request.method} {endpoint}"]
        for name, value in request.query.items():
            if name in MISSING:
                raise Failure(400, f"the double has no sessions, so no {name}", violates=True)
            if name not in known:
                raise Failure(400, f"no parameter {name} is documented here", violates=True)
            if name in ("recurse", "raw", "keys", "stale", "consistent", "pretty") and (
                    value.lower() in ("0", "false", "no")):
                raise Failure(400, f"{name}={value} would count as true", violates=True)
        if request.has_repeats:
            raise Failure(400, "a parameter stands there twice", violates=True)
        if request.flag("stale") and request.flag("consistent"):
            raise Failure(
                400, "Cannot specify ?stale with ?consistent, conflicting semantics.", violates=True)

    def _check_basic_auth(self, request):
        """Not Consul's: a reverse proxy in front of it is what asks for this."""
        wanted = "Basic " + base64.b64encode(self.basic_auth.encode()).decode()
        if request.headers.get("Authorization") != wanted:
            raise Failure(401, "401 Authorization Required")

    def _store(self, request):
        datacenter = request.query.get("dc") or self.own
        if datacenter not in self.stores:
            raise Failure(500, "No path to datacenter")
        # [consistency] Any server answers stale reads.
        if not self.has_leader and not request.flag("stale"):
            raise Failure(500, "No cluster leader")
        return self.stores[datacenter]

    def _tenancy(self, values, where):
        """[kv] Namespaces and partitions are Enterprise's; `values` gives what a request says."""
        found = []
        for name, known, what in (
                ("partition", self.partitions, "Partitions"), ("ns", self.namespaces, "Namespaces")):
            value = values(name) or ""
            if not value or (known is not None and value in known):
                found.append(value or "default")
            elif known is None:
                raise Failure(
                    400, f'Invalid {where}: "{name}" - {what} are a Consul Enterprise feature')
            else:
                raise Failure(400, f'the double has no {what.lower()[:-1]} "{value}"', violates=True)
        return tuple(found)

    # Keys

    def _key(self, request, key, is_over):
        self._check(request, "kv", ["GET", "PUT", "DELETE"])
        tenancy = self._tenancy(request.query.get, "query parameter")
        store = self._store(request)
        access = self.access.token(request.token)
        if request.method == "GET":
            return self._get(request, store, tenancy, key, access, is_over)
        if request.method == "PUT":
            return self._put(request, store, tenancy, key, access)
        return self._delete(request, store, tenancy, key, access)

    def _get(self, request, store, tenancy, key, access, is_over):
        is_tree = request.flag("recurse") or request.flag("keys")
        if not is_tree and not key:
            raise Failure(400, "Missing key name", violates=True)
        if not is_tree:
            access.require("read", key)
        wait, index = self._wait(request), self._integer(request, "index", 400, "Invalid index")
        is_consistent = request.flag("consistent")
        if index:
            wait += self.random.uniform(0, wait / JITTER)
            at, entries = store.await_change(
                tenancy, key, is_tree, is_consistent, index, wait, is_over)
        else:
            at, entries = store.read(tenancy, key, is_tree, is_consistent)
        shown = [entry for entry in entries if access.may("read", entry.key)]
        mode = [name for name in ("consistent", "stale") if request.flag(name)]
        headers = {
            # [blocking], [consistency]
            "X-Consul-Index": str(max(at, 1)), "X-Consul-KnownLeader": "true",
            "X-Consul-LastContact": "0",
            "X-Consul-Effective-Consistency": mode[0] if mode else "leader",
        }
        if len(shown) < len(entries):
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        if request.flag("keys"):
            return self._names(request, key, shown, headers)
        if not shown:
            return Answer(404, b"", headers)
        if request.flag("raw") and not is_tree:
            return Answer(200, shown[0].value, {"Content-Type": "text/plain", **headers})
        return Answer.json([self._document(entry) for entry in shown], headers=headers)

    @staticmethod
    def _names(request, prefix, entries, headers):
        """[kv] With a separator only up to its first place after the prefix."""
        separator = request.query.get("separator", "")
        names = []
        for entry in entries:
            cut = entry.key.find(separator, len(prefix)) if separator else -1
            name = entry.key if cut < 0 else entry.key[:cut + len(separator)]
            if name not in names[-1:]:
                names.append(name)
        return Answer.json(names, headers=headers) if names else Answer(404, b"", headers)

    def _put(self, request, store, tenancy, key, access):
        if not key:
            raise Failure(400, "Missing key name", violates=True)
        access.require("write", key)
        flags = self._integer(request, "flags", 400, "Invalid flags")
        index = self._integer(request, "cas", 400, "Invalid cas")
        if len(request.body) > MAX_VALUE:
            raise Failure(
                413, f"Request body({len(request.body)} bytes) too large, max size: {MAX_VALUE} "
                "bytes.", violates=True)
        verb = "cas" if request.flag("cas") else "set"
        _, refusal = store.apply(tenancy, [(verb, key, request.body, flags, index)])
        return Answer.json(refusal is None)

    def _delete(self, request, store, tenancy, key, access):
        if request.flag("recurse") and request.flag("cas"):
            raise Failure(400, "Conflicting flags: recurse and cas", violates=True)
        if request.flag("recurse"):
            access.require_write_below(key)
            verb = "delete-tree"
        elif not key:
            raise Failure(400, "Missing key name", violates=True)
        else:
            access.require("write", key)
            verb = "delete-cas" if request.flag("cas") else "delete"
        index = self._integer(request, "cas", 400, "Invalid cas")
        _, refusal = store.apply(tenancy, [(verb, key, b"", 0, index)])
        return Answer.json(refusal is None)

    @staticmethod
    def _document(entry, has_value=True):
        """[kv] An empty value is null."""
        value = base64.b64encode(entry.value).decode() if entry.value and has_value else None
        return {
            "LockIndex": 0, "Key": entry.key, "Flags": entry.flags, "Value": value,
            "CreateIndex": entry.create_index, "ModifyIndex": entry.modify_index,
        }

    @staticmethod
    def _integer(request, name, status, text):
        value = request.query.get(name, "")
        if not request.flag(name):
            return 0
        if not re.fullmatch(r"[0-9]{1,20}", value) or int(value) >= 2**64:
            raise Failure(status, text, violates=True)
        return int(value)

    @staticmethod
    def _wait(request):
        """[blocking] A duration as in "10s" or "1m30s"."""
        text = request.query.get("wait", "")
        if not text:
            return DEFAULT_WAIT
        units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
        if not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+", text):
            raise Failure(400, "Invalid wait time", violates=True)
        seconds = sum(
            float(number) * units[unit]
            for number, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text))
        return min(seconds, MAX_WAIT)

    # Transactions

    def _transaction(self, request):
        store = self._store(request)
        tenancies, operations = self._operations(request)
        access = self.access.token(request.token)
        for position, operation in enumerate(operations):
            try:
                self._authorize(access, operation)
            except Denied as denied:
                # One operation's refusal is the transaction's error, not the request's.
                return self._refused(position, str(denied))
        results, refusal = store.apply(tenancies, operations)
        if refusal is not None:
            return self._refused(*refusal)
        # [txn] "To save space, the Value for KV results will be null for any Verb other than" reads.
        shown = [
            {"KV": self._document(entry, has_value=verb in ("get", "get-tree"))}
            for verb, entry in results
            if verb not in ("get", "get-tree") or access.may("read", entry.key)]
        return Answer.json({"Results": shown, "Errors": None})

    @staticmethod
    def _refused(position, why):
        """[txn] 409, with the position of each operation that failed and why."""
        return Answer.json(
            {"Results": None, "Errors": [{"OpIndex": position, "What": why}]}, status=409)

    @staticmethod
    def _authorize(access, operation):
        verb, key = operation[:2]
        if verb == "delete-tree":
            access.require_write_below(key)
        elif verb in ("get", "get-tree"):
            pass  # What may not be read is left out of the results.
        elif verb == "check-index":
            access.require("read", key)
        else:
            access.require("write", key)

    def _operations(self, request):
        """[txn] A list of objects with one member, of which the double has KV."""
        if len(request.body) > MAX_TRANSACTION:
            raise Failure(413, "the transaction's body is too large", violates=True)
        try:
            document = json.loads(request.body)
            if not isinstance(document, list) or not document:
                raise ValueError("no list of operations")
            if len(document) > MAX_OPERATIONS:
                raise Failure(
                    413, f"Transaction contains too many operations ({len(document)} > "
                    f"{MAX_OPERATIONS})", violates=True)
            operations = [self._operation(each) for each in document]
        except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
            raise Failure(400, f"Failed to parse body: {error}", violates=True) from None
        tenancies = {self._tenancy(self._stated(request, each["KV"]), "query parameter")
                     for each in document}
        if len(tenancies) > 1:
            raise Failure(400, "the double has one tenancy for each transaction", violates=True)
        return tenancies.pop(), operations

    @staticmethod
    def _stated(request, operation):
        """[txn] Each operation names its own namespace and partition. Whether the query's count where
        it doesn't is nowhere written, so a careful client says both, and the same."""
        def value(name):
            member = {"ns": "Namespace", "partition": "Partition"}[name]
            if (request.query.get(name) or "") != (operation.get(member) or ""):
                raise Failure(400, f"{name} differs between query and operation", violates=True)
            return request.query.get(name)
        return value

    @staticmethod
    def _operation(document):
        if list(document) != ["KV"]:
            raise ValueError(f"operations of kinds {list(document)}")
        members = document["KV"]
        known = {"Verb", "Key", "Value", "Flags", "Index", "Namespace", "Partition"}
        if set(members) - known:
            raise ValueError(f"members {sorted(set(members) - known)}")
        verb, key = members["Verb"], members["Key"]
        if verb not in VERBS:
            raise ValueError(f'unknown KV verb "{verb}"')
        if not isinstance(key, str) or not key or key.startswith("/"):
            raise ValueError("no key, or one that begins with a slash")
        value = base64.b64decode(members.get("Value") or "", validate=True)
        if len(value) > MAX_VALUE:
            raise Failure(
                413, f'Value for key "{key}" is too large ({len(value)} > {MAX_VALUE} bytes)',
                violates=True)
        numbers = members.get("Flags", 0), members.get("Index", 0)
        if any(type(each) is not int or not 0 <= each < 2**64 for each in numbers):
            raise ValueError("Flags and Index are unsigned integers")
        return verb, key, value, *numbers
