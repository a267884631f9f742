"""The tokens of the Consul double, and what they may do with keys.

    [rules]   developer.hashicorp.com/consul/docs/security/acl/acl-rules
    [tokens]  developer.hashicorp.com/consul/docs/security/acl/tokens

They come from one JSON document:

    {"default_policy": "deny",
     "tokens": {"SECRET": {"accessor": "ID", "agent": "read",
                           "rules": [{"key_prefix": "rqlite/", "policy": "write"},
                                     {"key": "rqlite/secret", "policy": "deny"}]}}}

A token named "anonymous" is the one of requests without any. [tokens]
"""

ANONYMOUS = "anonymous"
LEVELS = {"deny": 0, "read": 1, "write": 2}


class Denied(Exception):
    """Answered with 403, in Consul's words."""


class AccessControl:
    """Without a document everything is allowed, and tokens are not looked at."""

    def __init__(self, document=None):
        self.is_on = document is not None
        document = document or {}
        self.default = document.get("default_policy", "allow")
        if self.default not in ("allow", "deny"):
            raise ValueError("default_policy is allow or deny")
        self.tokens = document.get("tokens", {})

    def token(self, secret):
        """The access of a request; an unknown secret is refused whatever it asks for."""
        if not self.is_on:
            return Access(None, [], "write", "write")
        name = secret or ANONYMOUS
        if name not in self.tokens and name != ANONYMOUS:
            raise Denied("ACL not found")
        token = self.tokens.get(name, {})
        default = "write" if self.default == "allow" else "deny"
        who = "anonymous token" if name == ANONYMOUS else (
            f"token with AccessorID '{token.get('accessor', name)}'")
        return Access(who, token.get("rules", []), default, token.get("agent", default))


class Access:
    """What one token may do."""

    def __init__(self, who, rules, default, agent):
        self.who = who
        self.default = default
        self.agent = agent
        self.exact = {}
        self.prefixes = {}
        for rule in rules:
            table, key = (
                (self.exact, rule["key"]) if "key" in rule else (self.prefixes, rule["key_prefix"]))
            level = rule["policy"]
            # [rules] Of several for the same key the strictest counts: deny, then write, then read.
            known = table.get(key)
            if "deny" in (level, known):
                table[key] = "deny"
            elif known is None or LEVELS[level] > LEVELS[known]:
                table[key] = level

    def may(self, level, key):
        """[rules] An exact rule counts before all prefixes, and of these the longest."""
        if key in self.exact:
            return self._includes(self.exact[key], level)
        matching = [prefix for prefix in self.prefixes if key.startswith(prefix)]
        rule = self.prefixes[max(matching, key=len)] if matching else self.default
        return self._includes(rule, level)

    def may_write_below(self, prefix):
        """To delete a tree is to write every key that may be in it."""
        below = [rule for table in (self.exact, self.prefixes)
                 for key, rule in table.items() if key.startswith(prefix)]
        return self.may("write", prefix) and all(rule == "write" for rule in below)

    def require(self, level, key):
        if not self.may(level, key):
            raise self.denial(f"key:{level}", key)

    def require_write_below(self, prefix):
        if not self.may_write_below(prefix):
            raise self.denial("key:write", prefix)

    def require_agent(self, node):
        if not self._includes(self.agent, "read"):
            raise self.denial("agent:read", node)

    def denial(self, permission, what):
        implicit = (
            ". The anonymous token is used implicitly when a request does not specify a token."
            if self.who == "anonymous token" else "")
        return Denied(
            f"Permission denied: {self.who} lacks permission '{permission}' on \"{what}\"{implicit}")

    @staticmethod
    def _includes(rule, level):
        return LEVELS[rule] >= LEVELS[level]
