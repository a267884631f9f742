"""The key/value store of the Consul double: one datacenter's entries and their indexes.

Rules come from Consul's API documentation; the page stands beside each, as [kv] and so on:

    [kv]        developer.hashicorp.com/consul/api-docs/kv
    [txn]       developer.hashicorp.com/consul/api-docs/txn
    [blocking]  developer.hashicorp.com/consul/api-docs/features/blocking
    [changes]   Consul's change log, CHANGELOG.md

Sessions, and with them locks, are not part of the double.
"""

import threading
import time
from dataclasses import dataclass, replace

# [txn] "up to 64 operations"; later releases allow more, so a careful client stays below.
MAX_OPERATIONS = 64
READ_VERBS = {"get", "get-tree", "check-index", "check-not-exists"}
VERBS = READ_VERBS | {"set", "cas", "delete", "delete-cas", "delete-tree"}


@dataclass(frozen=True)
class Entry:
    key: str
    value: bytes
    flags: int
    create_index: int
    modify_index: int


class Refusal(Exception):
    """Why one operation of a transaction fails. The words are not documented."""


class Store:
    """Entries by (partition, namespace, key).

    [kv] All indexes are positions in the one Raft log of the datacenter. Here every write moves it by
    more than one now and then, as other users of a real Consul do: nobody may count on steps of one.
    """

    def __init__(self):
        self.changed = threading.Condition()
        self.is_stale = False
        self.waiting = 0
        self._reset()

    def _reset(self):
        self.index = 10
        self.entries = {}
        # What was deleted, with the index of the deletion: until they are reaped, these make lists
        # that lost an entry show a higher index. [blocking]
        self.tombstones = {}
        self.table_indexes = {}
        self._snapshot = {}

    # Inputs

    def apply(self, tenancy, operations):
        """Runs all operations, or none. Returns (results, None) or (None, (position, why)).

        [txn] "all operations in the transaction will either succeed or fail". A result is a verb and
        the entry that it saw or made; some operations have none, trees have many.
        """
        with self.changed:
            before = (dict(self.entries), dict(self.tombstones), dict(self.table_indexes))
            # The log takes the command whatever comes of it, unless it only reads.
            if any(verb not in READ_VERBS for verb, *_ in operations):
                self.index += 1 + self.index % 3
            results = []
            for position, operation in enumerate(operations):
                try:
                    results += [(operation[0], each) for each in self._run(tenancy, *operation)]
                except Refusal as refusal:
                    self.entries, self.tombstones, self.table_indexes = before
                    return None, (position, str(refusal))
            self.changed.notify_all()
            return results, None

    def wipe(self):
        """As if all servers lost their disks: indexes begin anew."""
        with self.changed:
            self._reset()
            self.changed.notify_all()

    def reap(self):
        """Forgets what was deleted: indexes of lists may go backwards. [blocking]"""
        with self.changed:
            self.tombstones.clear()
            self.changed.notify_all()

    def become_stale(self, is_stale):
        """While true, reads that don't ask for consistency see the state of this moment."""
        with self.changed:
            self.is_stale = is_stale
            self._snapshot = dict(self.entries)
            self.changed.notify_all()

    # Queries

    def read(self, tenancy, key, is_prefix, is_consistent):
        """Returns (index, entries in the order of keys); of one key, or of all below a prefix."""
        with self.changed:
            return self._read(tenancy, key, is_prefix, is_consistent)

    def await_change(self, tenancy, key, is_prefix, is_consistent, index, seconds, is_over):
        """[blocking] Answers as soon as the index is greater than the given one, or time is over."""
        deadline = time.monotonic() + seconds
        with self.changed:
            self.waiting += 1
            self.changed.notify_all()
            try:
                while True:
                    found = self._read(tenancy, key, is_prefix, is_consistent)
                    rest = deadline - time.monotonic()
                    if found[0] > index or rest <= 0 or is_over():
                        return found
                    # Not only changes end a wait: the double may be told to close its connections.
                    self.changed.wait(min(rest, 0.1))
            finally:
                self.waiting -= 1

    def await_waiting(self, count):
        """Returns when so many queries wait; false if that takes longer than any test."""
        with self.changed:
            return self.changed.wait_for(lambda: self.waiting >= count, timeout=30)

    def _read(self, tenancy, key, is_prefix, is_consistent):
        seen = self.entries if is_consistent or not self.is_stale else self._snapshot
        table = max(self.table_indexes.get(tenancy, 0), 1)
        if not is_prefix:
            entry = seen.get((*tenancy, key))
            return (entry.modify_index, [entry]) if entry else (table, [])
        found = [seen[name] for name in sorted(seen) if self._is_below(name, tenancy, key)]
        if not key:
            return table, found
        gone = [at for name, at in self.tombstones.items() if self._is_below(name, tenancy, key)]
        indexes = [entry.modify_index for entry in found] + gone
        return max(indexes, default=table), found

    @staticmethod
    def _is_below(name, tenancy, prefix):
        return name[:2] == tenancy and name[2].startswith(prefix)

    # Operations

    def _run(self, tenancy, verb, key, value, flags, index):
        name = (*tenancy, key)
        entry = self.entries.get(name)
        if verb == "get":
            if entry is None:
                raise Refusal(f'key "{key}" doesn\'t exist')
            return [entry]
        if verb == "get-tree":
            return self._read(tenancy, key, True, True)[1]
        if verb == "check-index":
            if entry is None or entry.modify_index != index:
                raise Refusal(f'key "{key}" is not at index {index}')
            return [entry]
        if verb == "check-not-exists":
            if entry is not None:
                raise Refusal(f'key "{key}" exists')
            return []
        if verb in ("set", "cas"):
            # [kv] "If the index is 0, Consul will only put the key if it does not already exist."
            if verb == "cas" and index != (entry.modify_index if entry else 0):
                raise Refusal(f'failed to set key "{key}", index is stale')
            return [self._set(name, entry, value, flags)]
        if verb == "delete-tree":
            for below in [each for each in self.entries if self._is_below(each, tenancy, key)]:
                self._delete(below)
            return []
        # [kv] "Unlike PUT, the index must be greater than 0 for Consul to take any action". A key
        # that is gone already counts as deleted.
        if verb == "delete-cas" and entry is not None and index != entry.modify_index:
            raise Refusal(f'failed to delete key "{key}", index is stale')
        if entry is not None:
            self._delete(name)
        return []

    def _set(self, name, entry, value, flags):
        # [changes] 1.5.2: a write that changes nothing moves no index and wakes nobody.
        if entry is not None and (entry.value, entry.flags) == (value, flags):
            return entry
        changed = Entry(name[2], value, flags, self.index, self.index)
        if entry is not None:
            changed = replace(changed, create_index=entry.create_index)
        self.entries[name] = changed
        self.table_indexes[name[:2]] = self.index
        return changed

    def _delete(self, name):
        del self.entries[name]
        self.tombstones[name] = self.index
        self.table_indexes[name[:2]] = self.index
