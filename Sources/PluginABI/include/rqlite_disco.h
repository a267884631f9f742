/* SPDX-License-Identifier: MIT
 *
 * rqlite_disco.h - the contract between rqlited and its discovery plugins, version 1.1
 *
 * A discovery plugin is a shared object that tells a node of a cluster where the other nodes are.
 * It either RESOLVES (answers "who might be there?" with addresses, as DNS does) or it is a
 * REGISTRY (keeps small records with compare-and-set, as Consul and etcd do). What the nodes do
 * with the answers is the host's business alone: a plugin decides nothing about the cluster.
 *
 * This file is all that a plugin needs: it includes nothing but the C library's own headers and is
 * valid C11 and C++17. Layouts hold for LP64 (64-bit Linux), are checked at its end, and are
 * frozen: what is built against 1.0 works with every host 1.x. What came after 1.0 says so.
 *
 *
 * A WHOLE PLUGIN
 *
 * It always answers with one address, which it takes from its configuration.
 *
 *     cc -std=c11 -shared -fPIC -fvisibility=hidden -o librqlite-disco-one.so one.c
 *     rqlited -disco-plugin-path . -disco-mode one -disco-config '{10.0.0.7}' ...
 *
 * ----8<---- one.c
 * #include "rqlite_disco.h"
 * #include <stdlib.h>
 * #include <string.h>
 *
 * RQD_NOTE(0, RQD_ROLE_RESOLVER, "one");
 *
 * struct rqd_instance {
 *     char host[RQD_MAX_HOST];
 *     uint64_t length;
 * };
 *
 * static int32_t resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
 *     rqd_address address = {0};
 *     (void)call;
 *     address.size = sizeof address;
 *     address.host.data = self->host;
 *     address.host.length = self->length;
 *     return sink->address(sink, &address);
 * }
 *
 * static int32_t create(const rqd_plugin *plugin, const rqd_host *host,
 *                       const rqd_create_args *args, const rqd_sink *sink,
 *                       rqd_instance **instance) {
 *     static const rqd_text wrong = RQD_TEXT("the configuration must be a host name in braces");
 *     rqd_bytes config = args->config;
 *     rqd_instance *self;
 *     (void)plugin;
 *     (void)host;
 *     if (config.length < 3 || config.length - 2 > RQD_MAX_HOST) {
 *         sink->message(sink, wrong);
 *         return RQD_CONFIG;
 *     }
 *     self = calloc(1, sizeof *self);
 *     if (self == NULL) return RQD_INTERNAL;
 *     self->length = config.length - 2;
 *     memcpy(self->host, config.data + 1, self->length);
 *     *instance = self;
 *     return RQD_OK;
 * }
 *
 * static void destroy(rqd_instance *self) { free(self); }
 *
 * static const void *get_interface(rqd_instance *self, rqd_text id) {
 *     static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
 *     (void)self;
 *     return RQD_IS(id, RQD_RESOLVER_1) ? &resolver : NULL;
 * }
 *
 * static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("one")};
 * static const rqd_mode *const modes[] = {&mode};
 * static const rqd_plugin plugin = {
 *     sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
 *     RQD_TEXT("org.example.one"), RQD_TEXT("1.0.0"), RQD_TEXT("Example"), RQD_TEXT(""),
 *     RQD_TEXT("MIT"), modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};
 *
 * const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
 *     (void)host_minor;
 *     return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
 * }
 * ----8<----
 *
 *
 * RULES
 *
 * Lifecycle.  note read from the file -> dlopen -> rqlite_disco_entry -> create -> get_interface ->
 * calls -> destroy. An object is never unloaded again (runtimes such as Swift's and Go's can't be),
 * so static data live until the process ends. create after destroy, and several instances side by
 * side, must work.
 *
 * Threads.  Each function below carries a tag:
 *   [load]      once, before any instance exists.
 *   [serial]    calls on one instance never overlap, but may come from different threads; calls on
 *               different instances run in parallel.
 *   [beside]    may run beside one [serial] call on the same instance, never beside another
 *               [beside].
 *   [callback]  given by the host; called by the plugin inside a call, on the thread of that call.
 *   [any]       given by the host; called from any thread at any time from the beginning of `create`
 *               to the end of `destroy`.
 * The host calls nothing of the plugin from within a callback. A plugin may start threads; they
 * block all signals, use nothing of the host but what is tagged [any], and are joined by `destroy`.
 * The host's threads that call a plugin have 1 MiB of stack: what needs more is allocated, or done
 * on a thread of the plugin's own.
 *
 * Time.  Every call that may do IO has a deadline and a descriptor that becomes readable when the
 * host gives the call up. The plugin returns within one second of either. A call that is not back
 * two seconds after that is abandoned with its instance, which is then never called, destroyed or
 * freed; after three such calls the mode is off until the host is restarted, or the host goes on with
 * the plugin in a process of its own, where it ends the process of a call that does not come back.
 * `create` and `destroy` have a second each. The time of `create` counts against the deadline of the
 * call that needed the instance: what takes long belongs into the calls.
 *
 * Memory.  Who made it frees it, and no allocator is shared. What a function gets is valid until it
 * returns, unless said otherwise; what a plugin hands to a sink is copied before the sink returns.
 *
 * Strings.  UTF-8, without NUL inside and not terminated by one. With length 0 `data` may be null.
 *
 * Growth.  Every struct but the two string types and the notes begins with `size`, set by whoever
 * fills it. A reader looks at no more than that many bytes, and at no more than its own header knows
 * (RQD_COVERS). An entry of a function table exists if `size` covers it and it is not null.
 * `reserved` members are 0 and not looked at.
 *
 * Versions.  A host 1.x runs every plugin of major version 1 whose note needs a minor version of at
 * most x, whatever it was built against; what it does not run it refuses before any code of it does.
 * A new minor version may append members to structs and entries to tables, add interfaces, status
 * codes, log levels and limits for new things. It never changes or removes a member, the meaning of
 * one, a number, or what is allowed: that would be a new interface ("rqd.x/2"), beside which hosts
 * keep "/1" for all of 1.x, or, for what is common to all, a new major version. So
 *   - a plugin sets `abi_minor_needed` to the version of the newest thing it can't do without, not
 *     to the one that it was built against;
 *   - a plugin that uses what came after 1.0 where it is there asks RQD_COVERS, or get_interface,
 *     first;
 *   - an unknown status code counts as RQD_INTERNAL, an unknown log level as RQD_LOG_ERROR, and an
 *     unknown interface is null;
 *   - a mode of an unknown role is passed over, beside others whose role is known.
 *
 * Manners.  A plugin never writes to standard output or error, installs a signal handler, changes
 * the working directory, locale or environment, calls exit, or forks without exec. Its descriptors
 * are close-on-exec. The host ignores SIGPIPE. A plugin may start programs: it waits for each by its
 * process ID (never for "any child"), leaves SIGCHLD as it is, and ends in `destroy` those that still
 * run; in a process of its own they end with that. No C++ exception, Rust panic or longjmp may cross
 * the boundary. Nothing may be exported but `rqlite_disco_entry`; with other compilers than in the
 * example above link with a version script: { global: rqlite_disco_entry; local: *; };
 *
 * Trust.  What comes out of a plugin is checked by the host before it is believed: lengths, counts,
 * UTF-8, host names, ports, JSON. What fails the check makes the call fail with RQD_PROTOCOL.
 */
#ifndef RQLITE_DISCO_H
#define RQLITE_DISCO_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Version -------------------------------------------------------------------------------- */

/* A host refuses a plugin of another major version, and one that needs a newer minor version than
 * its own, before any code of it runs. */
#define RQD_ABI_MAJOR 1u
#define RQD_ABI_MINOR 1u

/* ---- Limits --------------------------------------------------------------------------------- */

/* In bytes, unless it is a count. What a plugin gets is never larger; what it gives must not be. The
 * host at hand may take more: see rqd_host_info.limit. */
#define RQD_MAX_CONFIG 1048576u
#define RQD_MAX_KEY 1024u
#define RQD_MAX_MODE 32u
#define RQD_MAX_NAME 300u      /* a record's name */
#define RQD_MAX_VALUE 8192u    /* a record's value */
#define RQD_MAX_REVISION 64u
#define RQD_MAX_TOKEN 64u
#define RQD_MAX_HOST 255u
#define RQD_MAX_SOURCE 255u
#define RQD_MAX_MESSAGE 4096u  /* longer ones are cut */
#define RQD_MAX_DESCRIBE 16384u
#define RQD_MAX_TEXT 1024u     /* id, version, vendor, url, license */
#define RQD_MAX_SCHEMA 65536u
#define RQD_MAX_MODES 16u      /* count, in one plugin */
#define RQD_MAX_ADDRESSES 1024u /* count, in one answer */
#define RQD_MAX_RECORDS 1024u  /* count, in one answer */

/* ---- Growing -------------------------------------------------------------------------------- */

/* Whether a struct from the other side has a member. Needless for those of 1.0, which always are
 * there.
 *
 * Rationale: a size in each struct, not one version for all, because a table can then come from
 * code that was built against another header than its neighbour, and both sides need only compare
 * two numbers. Lists of structs are arrays of pointers, so that the elements may grow, too. */
#define RQD_COVERS(type, pointer, member)                                                          \
    ((pointer)->size >= offsetof(type, member) + sizeof((pointer)->member))

/* ---- Strings -------------------------------------------------------------------------------- */

/* Rationale: pointer and length, because NUL-terminated strings force copies on every language but
 * C; by value, because the calling conventions of all LP64 Linux platforms pass a pair of words in
 * registers and every foreign-function interface can express it. The two are frozen as they are. */

typedef struct rqd_text {
    const char *data;
    uint64_t length;
} rqd_text;

typedef struct rqd_bytes {
    const uint8_t *data;
    uint64_t length;
} rqd_bytes;

/* Initialises a rqd_text from a string literal, which lives until the process ends. */
#define RQD_TEXT(literal) {(literal), sizeof(literal) - 1u}

/* Whether a rqd_text equals a string literal. */
#define RQD_IS(text, literal)                                                                      \
    ((text).length == sizeof(literal) - 1u &&                                                      \
     memcmp((text).data, (literal), sizeof(literal) - 1u) == 0)

/* ---- Status codes --------------------------------------------------------------------------- */

/* Returned by every call; an unknown code counts as RQD_INTERNAL. Whatever is not RQD_OK should
 * come with a message to the sink, written for an operator: what was asked of whom, what came back,
 * and what to do.
 *
 * After `write` and `erase` every status but RQD_OK, and an abandoned call, means that the OUTCOME
 * IS UNKNOWN, RQD_CONFLICT and RQD_ABSENT included: a transport that retried may have been answered
 * by its own first try. The host then reads again and recognises its value by a nonce inside it. */
typedef int32_t rqd_code;
/* Rationale: codes are for the host, which has to decide when to try again, and are few; texts are
 * for people, and are not kept short. Both of each failure, so that neither is guessed from the
 * other. A write that was refused is no proof that it did not happen: hence no code says so. */

#define RQD_OK 0
#define RQD_ABSENT 1      /* there is no such record */
#define RQD_CONFLICT 2    /* the record's revision is not the expected one; the host reads again */
#define RQD_CONFIG 3      /* the configuration is wrong; fatal at start, never retried */
#define RQD_UNAVAILABLE 4 /* the server can't be reached or has no quorum; retried */
#define RQD_AUTH 5        /* the server refuses the credentials; retried slowly */
#define RQD_TIMEOUT 6     /* the deadline has passed; retried */
#define RQD_CANCELLED 7   /* the host asked for it */
#define RQD_PROTOCOL 8    /* the server answered what it should not; retried slowly */
#define RQD_UNSUPPORTED 9 /* this instance can't do that; never retried */
#define RQD_INTERNAL 10   /* a defect of the plugin, or memory is short; retried slowly */

/* ---- What the host gives -------------------------------------------------------------------- */

typedef struct rqd_plugin rqd_plugin;
/* Defined by the plugin, as it likes. The host only passes it back. */
typedef struct rqd_instance rqd_instance;

#define RQD_LOG_DEBUG 0
#define RQD_LOG_INFO 1
#define RQD_LOG_WARNING 2
#define RQD_LOG_ERROR 3

/* The host, as one instance sees it. Owned by the host; valid until `destroy` returns. */
typedef struct rqd_host rqd_host;
struct rqd_host {
    uint32_t size;
    uint32_t reserved;
    void *ctx; /* the host's */
    /* [any] Writes one line to the host's log, which is copied; line ends inside become spaces, and
     * what is longer than RQD_MAX_MESSAGE is cut. `level` is one of RQD_LOG_*; others count as
     * RQD_LOG_ERROR. Say what changed, not what stayed; never log a secret. Lines beyond a rate
     * that the host chooses are dropped and counted. Never fails, never blocks for long. */
    void (*log)(const rqd_host *host, int32_t level, rqd_text message);
    /* [any] A further interface of the host, valid as long as the host, or null. 1.0 has none, and
     * answers null to every name. */
    const void *(*get_interface)(const rqd_host *host, rqd_text id);
};

/* Since 1.1. What host this is: rqd_host.get_interface(host, RQD_HOST_INFO_1). */
#define RQD_HOST_INFO_1 "rqd.host-info/1"

#define RQD_LIMIT_VALUE 1u     /* bytes of a record's value; at least RQD_MAX_VALUE */
#define RQD_LIMIT_ADDRESSES 2u /* count, in one answer; at least RQD_MAX_ADDRESSES */
#define RQD_LIMIT_RECORDS 3u   /* count, in one answer of `list`; at least RQD_MAX_RECORDS */
#define RQD_LIMIT_PAGED 4u     /* count, in all answers of `page` together */
#define RQD_LIMIT_STACK 5u     /* bytes of stack of the threads that call the plugin */

/* Owned by the host; valid as long as the host. Two instances may see two tables. */
typedef struct rqd_host_info {
    uint32_t size;
    uint32_t abi_minor; /* the host's RQD_ABI_MINOR */
    rqd_text name;      /* "rqlited" */
    rqd_text version;   /* for logs and user agents; to decide anything ask for interfaces */
    /* [any] One of RQD_LIMIT_*, as it is here; 0 for one that this host doesn't know.
     *
     * Rationale: the numbers above are what every host takes, for ever. A plugin that meets more
     * asks, and need not be built again when a host takes more. */
    uint64_t (*limit)(const rqd_host *host, uint32_t which);
} rqd_host_info;

/* One call: how long it may take and whether it is still wanted. Owned by the host; valid during
 * the call, on its thread.
 *
 * Rationale: an absolute time and a descriptor fit every way of waiting there is: `poll` with the
 * rest until the deadline, beside the sockets of c-ares or libcurl. */
typedef struct rqd_call rqd_call;
struct rqd_call {
    uint32_t size;
    /* Becomes readable, and stays so, when the host gives the call up. To poll, never to read or
     * close. */
    int32_t cancel_fd;
    void *ctx; /* the host's */
    /* CLOCK_MONOTONIC in nanoseconds; never 0. */
    uint64_t deadline_ns;
    /* [callback] Not 0 once the call was given up; for plugins that can't poll. */
    int32_t (*cancelled)(const rqd_call *call);
};

/* One address where a node might be. Filled by the plugin; valid until the sink returns. */
typedef struct rqd_address {
    uint32_t size;
    /* 1-65535: the port of either of the node's addresses, that of its Raft traffic (4002) or that of
     * its HTTP API (4001). Or 0 = "the Raft port that the asking node advertises", which the host
     * fills in. */
    uint32_t port;
    /* A host name or an IP address, without brackets, zone and port. The host resolves names. */
    rqd_text host;
    /* Where it was found, for operators: "A rqlite.local from 10.0.0.53". May be empty. */
    rqd_text source;
    /* As in DNS SRV (RFC 2782): the lower priority first. Only a hint. */
    uint32_t priority;
    uint32_t weight;
    /* Seconds for which the answer holds; 0 = unknown. */
    uint32_t ttl_s;
    uint32_t reserved;
} rqd_address;

/* One record of a registry. Filled by the plugin; valid until the sink returns. */
typedef struct rqd_record {
    uint32_t size;
    uint32_t reserved;
    rqd_text name;
    rqd_bytes value;
    /* Names the state of this one record: differs after every write. Never empty. */
    rqd_bytes revision;
} rqd_record;

/* Takes the results of one call. Owned by the host; valid during the call, on its thread.
 *
 * Each member copies what it is given and returns RQD_OK, or RQD_PROTOCOL when it is over a limit,
 * malformed, or not among the results of this call; the call then fails whatever it returns, so a
 * plugin may go on or return at once.
 *
 * Rationale: results go into a sink, and are not returned, so that no memory changes hands: there is
 * no allocator to share and nothing to forget to free. One sink for all calls, not one type each:
 * bindings are written once per language. */
typedef struct rqd_sink rqd_sink;
struct rqd_sink {
    uint32_t size;
    uint32_t reserved;
    void *ctx; /* the host's */
    /* [callback] Explains the status about to be returned; the last message counts. What is longer
     * than RQD_MAX_MESSAGE is cut, what is not UTF-8 replaced: always RQD_OK. */
    rqd_code (*message)(const rqd_sink *sink, rqd_text message);
    /* [callback] One result of `resolve`; at most RQD_MAX_ADDRESSES in a call. */
    rqd_code (*address)(const rqd_sink *sink, const rqd_address *address);
    /* [callback] One result of `read`, `write`, `list` or `page`; at most RQD_MAX_RECORDS in a call. */
    rqd_code (*record)(const rqd_sink *sink, const rqd_record *record);
    /* [callback] The state that was seen, for `rqd_watch.wait`, in at most RQD_MAX_TOKEN bytes that
     * are opaque to the host; from `resolve`, `read` and `wait`. The last one counts. */
    rqd_code (*token)(const rqd_sink *sink, rqd_bytes token);
    /* [callback] The answer of `rqd_status.describe`, in at most RQD_MAX_DESCRIBE bytes. */
    rqd_code (*text)(const rqd_sink *sink, rqd_text text);
};

/* What an instance is made from. Owned by the host; valid during `create`, so what is needed later
 * is copied. The texts without a limit of their own have at most RQD_MAX_TEXT bytes.
 *
 * Rationale: the configuration is the plugin's business alone, down to its syntax. A host that
 * parsed it would have to be changed for every plugin. */
typedef struct rqd_create_args {
    uint32_t size;
    uint32_t reserved;
    rqd_text mode; /* one of the plugin's own, which may have several */
    rqd_text key;  /* -disco-key; registries put their records below it */
    /* -disco-config, byte for byte: the host neither expands nor parses it. Length 0: none was
     * given, use defaults. */
    rqd_bytes config;
    rqd_text node_id;
    rqd_text instance; /* tells instances of one process apart in logs */
    rqd_text raft_adv; /* host:port that the node advertises to its peers */
    rqd_text api_url;  /* URL of the node's HTTP API, as advertised */
} rqd_create_args;

/* ---- Interfaces of an instance -------------------------------------------------------------- */

/* Names of the form "rqd.*" belong to this header; others may use their own, by reverse domain. */

/* Every mode of role resolver must offer it. */
#define RQD_RESOLVER_1 "rqd.resolver/1"

typedef struct rqd_resolver {
    uint32_t size;
    uint32_t reserved;
    /* [serial] Emits every address known now, in any order; duplicates do no harm. RQD_OK with none
     * means that there are none. One source that fails should not hide what the others gave: emit
     * that, log the rest, return RQD_OK. May emit a token. Any status but RQD_ABSENT and
     * RQD_CONFLICT; addresses that were emitted before a failure are forgotten. */
    rqd_code (*resolve)(rqd_instance *self, const rqd_call *call, const rqd_sink *sink);
} rqd_resolver;

/* Every mode of role registry must offer it.
 *
 * A store of small records with compare-and-set and nothing else: no leases, no sessions, no locks.
 * The host owns all content; values are opaque bytes and come back as they were written. A record
 * `name` (`leader`, `nodes/<percent-encoded node id>`) is kept below rqd_create_args.key, so that
 * the full key reads <key>/<name>. Reads must be linearizable: they show every write that returned
 * RQD_OK before they began, by whomever.
 *
 * Rationale: no leases, because one that ends while its cluster is cut off from the store would let
 * a second cluster be born; no locks, because their holders die. Compare-and-set is all that it
 * takes to agree on who is first, and every store has it. */
#define RQD_REGISTRY_1 "rqd.registry/1"

typedef struct rqd_registry {
    uint32_t size;
    uint32_t reserved;
    /* [serial] RQD_OK with exactly one record, RQD_ABSENT, or a failure. May emit a token, also if
     * absent. */
    rqd_code (*read)(rqd_instance *self, const rqd_call *call, rqd_text name, const rqd_sink *sink);
    /* [serial] Writes if the record's revision is `expected`, or, when that is empty, if there is
     * no record. Atomically; never otherwise. RQD_OK with exactly one record that has the new
     * revision (its value may be left empty); RQD_CONFLICT; RQD_ABSENT when a revision was expected
     * and there is no record. */
    rqd_code (*write)(rqd_instance *self, const rqd_call *call, rqd_text name, rqd_bytes expected,
                      rqd_bytes value, const rqd_sink *sink);
    /* [serial] Removes the record if its revision is `expected`, which is never empty. RQD_OK
     * without a record, RQD_CONFLICT, RQD_ABSENT, or a failure. */
    rqd_code (*erase)(rqd_instance *self, const rqd_call *call, rqd_text name, rqd_bytes expected,
                      const rqd_sink *sink);
    /* [serial] Emits every record whose name begins with `prefix`, names without the key, in any
     * order; RQD_OK, also with none, or a failure. */
    rqd_code (*list)(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                     const rqd_sink *sink);
} rqd_registry;

/* Since 1.1; optional, for registries: lists without a limit. A host that knows it calls it instead
 * of rqd_registry.list. */
#define RQD_PAGES_1 "rqd.pages/1"

typedef struct rqd_pages {
    uint32_t size;
    uint32_t reserved;
    /* [serial] Of the records whose name begins with `prefix` and comes after `after` (as bytes are
     * compared; empty: from the first), emits the first `most`, in ascending order. `most` is 1 to
     * RQD_MAX_RECORDS. Fewer than `most` mean that there are no more. RQD_OK, also with none, or a
     * failure.
     *
     * Rationale: the last name is the cursor. It holds no memory on either side, survives a restart of
     * the server, and a record that is erased between two pages hides no other. */
    rqd_code (*page)(rqd_instance *self, const rqd_call *call, rqd_text prefix, rqd_text after,
                     uint32_t most, const rqd_sink *sink);
} rqd_pages;

/* Optional, for both roles: spares the host asking again and again. */
#define RQD_WATCH_1 "rqd.watch/1"

typedef struct rqd_watch {
    uint32_t size;
    uint32_t reserved;
    /* [beside] Returns RQD_OK as soon as the state differs from the one that `token` stands for:
     * the addresses (resolver; `name` is empty), or the record `name`, its absence included. An
     * empty token stands for no state at all. RQD_TIMEOUT when nothing changed until the deadline.
     * May return RQD_OK too early but should not make a habit of it; the host reads again in any
     * case. May emit the new token. */
    rqd_code (*wait)(rqd_instance *self, const rqd_call *call, rqd_text name, rqd_bytes token,
                     const rqd_sink *sink);
} rqd_watch;

/* Since 1.1; optional, for both roles: what the node is, for plugins that tell others (a service of
 * Consul's, a record of mDNS) and say goodbye. */
#define RQD_NODE_1 "rqd.node/1"

#define RQD_NODE_JOINED 1u  /* is a member of a cluster */
#define RQD_NODE_VOTER 2u   /* has a vote in it */
#define RQD_NODE_LEADS 4u   /* is its leader; cleared: no longer */
#define RQD_NODE_READY 8u   /* serves requests, as /readyz has it */
#define RQD_NODE_LEAVING 16u /* stops; the last call before `destroy` */

/* The node as it is now. Owned by the host; valid during the call. */
typedef struct rqd_node {
    uint32_t size;
    uint32_t flags;    /* RQD_NODE_*; others may be set and mean nothing to those who don't know them */
    uint32_t changed;  /* which of the flags differ from the last call that returned RQD_OK */
    uint32_t tag_count;
    rqd_text node_id;  /* the one that is stored, which may differ from that of rqd_create_args */
    rqd_text raft_adv; /* as in rqd_create_args */
    rqd_text api_url;
    rqd_text health;   /* one line for operators: why it isn't ready; empty if it is */
    /* Words for a service's entry: "leader" or "follower", "voter" or "non-voter", "ready". */
    const rqd_text *tags;
} rqd_node;

typedef struct rqd_node_watch {
    uint32_t size;
    uint32_t reserved;
    /* [serial] Told once after `create`, and when something has changed. RQD_OK, or a failure: then
     * it is told again, some time later, what is true by then. Any status but RQD_ABSENT and
     * RQD_CONFLICT; none keeps the node from what it does. With RQD_NODE_LEAVING the deadline is at
     * most two seconds away, and nobody asks again.
     *
     * Rationale: the state, not events: a plugin that was restarted, or whose server was down, has
     * missed nothing, and no queue can overflow. */
    rqd_code (*update)(rqd_instance *self, const rqd_call *call, const rqd_node *node,
                       const rqd_sink *sink);
} rqd_node_watch;

/* Optional, for both roles. */
#define RQD_STATUS_1 "rqd.status/1"

typedef struct rqd_status {
    uint32_t size;
    uint32_t reserved;
    /* [serial] Emits one JSON object as text, of at most RQD_MAX_DESCRIBE bytes: what an operator
     * wants to see of this instance in /status. Does no IO and returns at once. No secrets. What is
     * no JSON object, and any status but RQD_OK, shows nothing and does no other harm. */
    rqd_code (*describe)(rqd_instance *self, const rqd_sink *sink);
} rqd_status;

/* ---- The plugin ----------------------------------------------------------------------------- */

#define RQD_ROLE_RESOLVER 1u
#define RQD_ROLE_REGISTRY 2u

/* What users write after -disco-mode. */
typedef struct rqd_mode {
    uint32_t size;
    uint32_t role; /* RQD_ROLE_* */
    rqd_text name; /* [a-z0-9-]{1,32} */
} rqd_mode;

/* The plugin's descriptor. Owned by the plugin, unchanged and valid until the process ends.
 * Versions and modes must be those of the note. */
struct rqd_plugin {
    uint32_t size;
    uint32_t abi_major;        /* RQD_ABI_MAJOR */
    uint32_t abi_minor;        /* RQD_ABI_MINOR: what it was built against */
    uint32_t abi_minor_needed; /* the oldest host it works with */
    rqd_text id;               /* reverse domain: "org.example.mdns"; not empty */
    rqd_text version;          /* the plugin's own; not empty */
    rqd_text vendor;           /* this and the next two may be empty */
    rqd_text url;
    rqd_text license;          /* SPDX */
    const rqd_mode *const *modes;
    uint32_t mode_count;       /* 1-RQD_MAX_MODES */
    uint32_t reserved;
    rqd_text config_schema;    /* JSON Schema of the configuration, or empty */
    /* [serial] Makes an instance and stores it in `*instance` if it returns RQD_OK; otherwise it
     * leaves nothing behind. Checks the configuration (RQD_CONFIG, with a message that names the
     * member). Does no IO but reading files, and returns within a second: a server that is down is no
     * reason to fail. `host` may be kept, and used at once: `log` works in `create`. */
    rqd_code (*create)(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance);
    /* [serial] Ends an instance and its threads, and frees all that is its own, within a second.
     * No call is running, and none follows. */
    void (*destroy)(rqd_instance *self);
    /* [serial] The table of an interface, or null for one that this instance does not have. It
     * lives as long as the instance and never changes; what is offered may depend on mode and
     * configuration. */
    const void *(*get_interface)(rqd_instance *self, rqd_text id);
};

#if defined(__GNUC__)
#define RQD_EXPORT __attribute__((visibility("default")))
#else
#define RQD_EXPORT
#endif

/* [load] The one exported symbol. Gets the host's version; returns the descriptor, or null to
 * refuse this host. Does nothing else. May be called again, and then returns the same.
 *
 * Rationale: one symbol, so that plugins can be loaded side by side and into any program without
 * meeting each other's names; all else is reached through tables, which can grow. */
RQD_EXPORT const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor);

typedef const rqd_plugin *(*rqd_entry)(uint32_t host_major, uint32_t host_minor);

/* ---- The note ------------------------------------------------------------------------------- */

/* Before it loads a plugin the host reads these ELF notes from the file, so that it can list modes
 * and roles, and refuse versions, without running foreign code. There is one note for each mode. A
 * file without any is not a plugin.
 *
 *     offset  size  content
 *          0     4  8, length of the name
 *          4     4  52, length of the rest
 *          8     4  1, type
 *         12     8  "rqdisco" and a zero byte
 *         20     4  ABI major
 *         24     4  ABI minor built against
 *         28     4  ABI minor needed; the same in all notes of a file, as are the two before
 *         32     4  role
 *         36    36  mode, filled up with zero bytes, at least one
 *
 * Since 1.1 there may be one more, of type 2, on the whole file (hosts of 1.0 pass it over):
 *
 *     offset  size  content
 *          0     4  8, length of the name
 *          4     4  4, length of the rest
 *          8     4  2, type
 *         12     8  "rqdisco" and a zero byte
 *         20     4  RQD_FLAG_*; a host refuses a file with one of the lower 16 that it doesn't know,
 *                   and ignores others
 *
 * RQD_FLAG_OWN_PROCESS says that the plugin must run in a process of its own (-disco-isolation
 * process), as one whose runtime changes the process does: that of Go installs signal handlers. Hosts
 * also know Go's objects by their own note. Such a file is refused elsewhere, before it is loaded.
 *
 * Integers have the machine's byte order. The section is called .note.rqdisco, is of type SHT_NOTE,
 * allocated (so that a PT_NOTE segment covers it and `strip` keeps it), and aligned to 4.
 *
 * Rationale: only fields of 4 bytes and a fixed size, because some compilers can place nothing else
 * into a named section.
 *
 * C and C++:  RQD_NOTE(needed, role, "mode");  at file scope, one line for each mode, and, if need be,
 *             RQD_FLAGS(RQD_FLAG_OWN_PROCESS);
 * Go:         the same, in the C preamble of a file without //export lines.
 *
 * Rust (1.63, no crates):
 *     #[repr(C)] pub struct Note { head: [u32; 3], name: [u8; 8], desc: [u32; 4], mode: [u8; 36] }
 *     #[used] #[link_section = ".note.rqdisco"]
 *     pub static NOTE: Note = Note { head: [8, 52, 1], name: *b"rqdisco\0", desc: [1, 0, 0, 1],
 *         mode: *b"one\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" };
 *
 * Zig (0.17):
 *     const Note = extern struct { head: [3]u32, name: [8]u8, desc: [4]u32, mode: [36]u8 };
 *     export const note: Note linksection(".note.rqdisco") = .{ .head = .{ 8, 52, 1 },
 *         .name = "rqdisco\x00".*, .desc = .{ 1, 0, 0, 1 }, .mode = mode: {
 *             var m: [36]u8 = @splat(0);
 *             @memcpy(m[0..3], "one");
 *             break :mode m;
 *         } };
 *
 * Swift (6.3), the texts as little-endian words; words of the mode after its end are 0:
 *     @used @section(".note.rqdisco")
 *     let note: (UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
 *         UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32) =
 *         (8, 52, 1, 0x6964_7172, 0x006f_6373, 1, 0, 0, 1, 0x0065_6e6f, 0, 0, 0, 0, 0, 0, 0, 0)
 */
#define RQD_NOTE_NAME "rqdisco"
#define RQD_NOTE_TYPE 1u
#define RQD_NOTE_SECTION ".note.rqdisco"

typedef struct rqd_note {
    uint32_t name_size;
    uint32_t descriptor_size;
    uint32_t type;
    char name[8];
    uint32_t abi_major;
    uint32_t abi_minor;
    uint32_t abi_minor_needed;
    uint32_t role;
    char mode[36];
} rqd_note;

#define RQD_NOTE_JOIN_(a, b) a##b
#define RQD_NOTE_AT_(line) RQD_NOTE_JOIN_(rqd_note_, line)
#define RQD_NOTE(needed, role, mode)                                                               \
    __attribute__((used, section(RQD_NOTE_SECTION), aligned(4))) static const rqd_note             \
    RQD_NOTE_AT_(__LINE__) = {8u, 52u, RQD_NOTE_TYPE, RQD_NOTE_NAME, RQD_ABI_MAJOR, RQD_ABI_MINOR, \
                              (needed), (role), mode}

#define RQD_FLAGS_TYPE 2u
#define RQD_FLAG_OWN_PROCESS 1u

typedef struct rqd_flags_note {
    uint32_t name_size;
    uint32_t descriptor_size;
    uint32_t type;
    char name[8];
    uint32_t flags;
} rqd_flags_note;

#define RQD_FLAGS(flags)                                                                           \
    __attribute__((used, section(RQD_NOTE_SECTION), aligned(4))) static const rqd_flags_note       \
    RQD_NOTE_AT_(__LINE__) = {8u, 4u, RQD_FLAGS_TYPE, RQD_NOTE_NAME, (flags)}

/* ---- The layout, checked -------------------------------------------------------------------- */

#ifdef __cplusplus
#define RQD_CHECK_(condition) static_assert(condition, #condition)
#else
#define RQD_CHECK_(condition) _Static_assert(condition, #condition)
#endif
#define RQD_SIZE_(type, bytes) RQD_CHECK_(sizeof(type) == (bytes))
#define RQD_AT_(type, member, offset) RQD_CHECK_(offsetof(type, member) == (offset))

RQD_SIZE_(void *, 8);
RQD_SIZE_(void (*)(void), 8);

RQD_SIZE_(rqd_text, 16);
RQD_AT_(rqd_text, data, 0);
RQD_AT_(rqd_text, length, 8);
RQD_SIZE_(rqd_bytes, 16);
RQD_AT_(rqd_bytes, data, 0);
RQD_AT_(rqd_bytes, length, 8);

RQD_SIZE_(rqd_host, 32);
RQD_AT_(rqd_host, size, 0);
RQD_AT_(rqd_host, ctx, 8);
RQD_AT_(rqd_host, log, 16);
RQD_AT_(rqd_host, get_interface, 24);

RQD_SIZE_(rqd_host_info, 48);
RQD_AT_(rqd_host_info, size, 0);
RQD_AT_(rqd_host_info, abi_minor, 4);
RQD_AT_(rqd_host_info, name, 8);
RQD_AT_(rqd_host_info, version, 24);
RQD_AT_(rqd_host_info, limit, 40);

RQD_SIZE_(rqd_call, 32);
RQD_AT_(rqd_call, size, 0);
RQD_AT_(rqd_call, cancel_fd, 4);
RQD_AT_(rqd_call, ctx, 8);
RQD_AT_(rqd_call, deadline_ns, 16);
RQD_AT_(rqd_call, cancelled, 24);

RQD_SIZE_(rqd_address, 56);
RQD_AT_(rqd_address, size, 0);
RQD_AT_(rqd_address, port, 4);
RQD_AT_(rqd_address, host, 8);
RQD_AT_(rqd_address, source, 24);
RQD_AT_(rqd_address, priority, 40);
RQD_AT_(rqd_address, weight, 44);
RQD_AT_(rqd_address, ttl_s, 48);

RQD_SIZE_(rqd_record, 56);
RQD_AT_(rqd_record, size, 0);
RQD_AT_(rqd_record, name, 8);
RQD_AT_(rqd_record, value, 24);
RQD_AT_(rqd_record, revision, 40);

RQD_SIZE_(rqd_sink, 56);
RQD_AT_(rqd_sink, size, 0);
RQD_AT_(rqd_sink, ctx, 8);
RQD_AT_(rqd_sink, message, 16);
RQD_AT_(rqd_sink, address, 24);
RQD_AT_(rqd_sink, record, 32);
RQD_AT_(rqd_sink, token, 40);
RQD_AT_(rqd_sink, text, 48);

RQD_SIZE_(rqd_create_args, 120);
RQD_AT_(rqd_create_args, size, 0);
RQD_AT_(rqd_create_args, mode, 8);
RQD_AT_(rqd_create_args, key, 24);
RQD_AT_(rqd_create_args, config, 40);
RQD_AT_(rqd_create_args, node_id, 56);
RQD_AT_(rqd_create_args, instance, 72);
RQD_AT_(rqd_create_args, raft_adv, 88);
RQD_AT_(rqd_create_args, api_url, 104);

RQD_SIZE_(rqd_resolver, 16);
RQD_AT_(rqd_resolver, size, 0);
RQD_AT_(rqd_resolver, resolve, 8);

RQD_SIZE_(rqd_registry, 40);
RQD_AT_(rqd_registry, size, 0);
RQD_AT_(rqd_registry, read, 8);
RQD_AT_(rqd_registry, write, 16);
RQD_AT_(rqd_registry, erase, 24);
RQD_AT_(rqd_registry, list, 32);

RQD_SIZE_(rqd_pages, 16);
RQD_AT_(rqd_pages, size, 0);
RQD_AT_(rqd_pages, page, 8);

RQD_SIZE_(rqd_node, 88);
RQD_AT_(rqd_node, size, 0);
RQD_AT_(rqd_node, flags, 4);
RQD_AT_(rqd_node, changed, 8);
RQD_AT_(rqd_node, tag_count, 12);
RQD_AT_(rqd_node, node_id, 16);
RQD_AT_(rqd_node, raft_adv, 32);
RQD_AT_(rqd_node, api_url, 48);
RQD_AT_(rqd_node, health, 64);
RQD_AT_(rqd_node, tags, 80);

RQD_SIZE_(rqd_node_watch, 16);
RQD_AT_(rqd_node_watch, size, 0);
RQD_AT_(rqd_node_watch, update, 8);

RQD_SIZE_(rqd_watch, 16);
RQD_AT_(rqd_watch, size, 0);
RQD_AT_(rqd_watch, wait, 8);

RQD_SIZE_(rqd_status, 16);
RQD_AT_(rqd_status, size, 0);
RQD_AT_(rqd_status, describe, 8);

RQD_SIZE_(rqd_mode, 24);
RQD_AT_(rqd_mode, size, 0);
RQD_AT_(rqd_mode, role, 4);
RQD_AT_(rqd_mode, name, 8);

RQD_SIZE_(rqd_plugin, 152);
RQD_AT_(rqd_plugin, size, 0);
RQD_AT_(rqd_plugin, abi_major, 4);
RQD_AT_(rqd_plugin, abi_minor, 8);
RQD_AT_(rqd_plugin, abi_minor_needed, 12);
RQD_AT_(rqd_plugin, id, 16);
RQD_AT_(rqd_plugin, version, 32);
RQD_AT_(rqd_plugin, vendor, 48);
RQD_AT_(rqd_plugin, url, 64);
RQD_AT_(rqd_plugin, license, 80);
RQD_AT_(rqd_plugin, modes, 96);
RQD_AT_(rqd_plugin, mode_count, 104);
RQD_AT_(rqd_plugin, config_schema, 112);
RQD_AT_(rqd_plugin, create, 128);
RQD_AT_(rqd_plugin, destroy, 136);
RQD_AT_(rqd_plugin, get_interface, 144);

RQD_SIZE_(rqd_note, 72);
RQD_AT_(rqd_note, name, 12);
RQD_AT_(rqd_note, abi_major, 20);
RQD_AT_(rqd_note, abi_minor, 24);
RQD_AT_(rqd_note, abi_minor_needed, 28);
RQD_AT_(rqd_note, role, 32);
RQD_AT_(rqd_note, mode, 36);

RQD_SIZE_(rqd_flags_note, 24);
RQD_AT_(rqd_flags_note, name, 12);
RQD_AT_(rqd_flags_note, flags, 20);

#ifdef __cplusplus
}
#endif

#endif /* RQLITE_DISCO_H */
