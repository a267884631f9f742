/* A plugin that keeps every rule, with gaps in which the bad ones do their deed.
 *
 * It speaks to the harness's fake server "http": a resolver fetches /peers, a line for each address;
 * a registry keeps its records below /<key>/. The configuration is `{server}` or `{server secret}`,
 * as in `{127.0.0.1:4711}`.
 *
 * Each bad plugin defines one of the names below before it includes this file. It is built as a
 * resolver, or with -DREGISTRY as a registry.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "rqlite_disco.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- The gaps: statements, unless said otherwise -------------------------------------------- */

#ifndef ON_LOAD /* in a constructor */
#define ON_LOAD
#endif
#ifndef ON_ENTRY
#define ON_ENTRY
#endif
#ifndef ON_CREATE /* may return; `config` and `self` are there */
#define ON_CREATE
#endif
#ifndef ON_CREATED /* last in create */
#define ON_CREATED
#endif
#ifndef ON_DESTROY /* first in destroy */
#define ON_DESTROY
#endif
#ifndef ON_CALL /* first in every call; may return */
#define ON_CALL
#endif
#ifndef ON_FAILURE /* after a call of the server failed with `code`; may change it */
#define ON_FAILURE
#endif
#ifndef ON_WAIT /* first in wait; may return */
#define ON_WAIT
#endif
#ifndef ON_DESCRIBE
#define ON_DESCRIBE
#endif
#ifndef ON_ADDRESS /* before an address is given */
#define ON_ADDRESS
#endif
#ifndef ON_RECORD /* before a record is given */
#define ON_RECORD
#endif
#ifndef ON_READ
#define ON_READ
#endif
#ifndef ON_WRITE /* before a write is sent; may change `expected` */
#define ON_WRITE
#endif
#ifndef ON_ERASE
#define ON_ERASE
#endif
#ifndef ON_LIST
#define ON_LIST
#endif
#ifndef FIELDS /* members of an instance */
#define FIELDS
#endif
#ifndef GLOBALS /* anything at file scope */
#define GLOBALS
#endif
#ifndef INTERFACE /* may return, first in get_interface */
#define INTERFACE
#endif
#ifndef OPTION_NO_NOTE
#define OPTION_NO_NOTE 0
#endif
#ifndef DEADLINE /* an expression: when a call ends by itself, in nanoseconds */
#define DEADLINE call->deadline_ns
#endif
#ifndef CANCEL /* an expression: the descriptor to look at */
#define CANCEL call->cancel_fd
#endif
#ifndef LARGEST_ANSWER /* bytes */
#define LARGEST_ANSWER (256 << 10)
#endif
#ifndef TAG_OF_WRITE /* an expression: what write gives as the new revision */
#define TAG_OF_WRITE answer->tag
#endif
#ifndef IS_ABSENT /* an expression: whether the server says that there is nothing */
#define IS_ABSENT(answer) ((answer)->status == 404 && (answer)->is_tagged)
#endif
#ifndef READ_QUERY /* a text: what reads ask besides */
#define READ_QUERY ""
#endif
#ifndef TOKEN /* an expression: the token of `answer` */
#define TOKEN answer->tag
#endif

#ifdef REGISTRY
#define MODE "tested-registry"
#define ROLE RQD_ROLE_REGISTRY
#else
#define MODE "tested-resolver"
#define ROLE RQD_ROLE_RESOLVER
#endif
#ifndef NOTE
#define NOTE RQD_NOTE(0, ROLE, MODE);
#endif
#ifndef NOTES
#define NOTES NOTE
#endif

NOTES

struct rqd_instance {
    const rqd_host *host;
    struct sockaddr_in server;
    char server_text[64];
    char secret[64];
    char key[RQD_MAX_KEY * 3 + 1]; /* as in a path */
    FIELDS
};

GLOBALS

__attribute__((constructor)) static void loaded(void) { ON_LOAD; }

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static rqd_code say(const rqd_sink *sink, rqd_code code, const char *text) {
    rqd_text message = {text, strlen(text)};
    sink->message(sink, message);
    return code;
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

struct answer {
    int status;      /* of HTTP */
    char tag[64];    /* the entity tag, "0" if there is none */
    int is_tagged;   /* whether the server sent one: a proxy doesn't */
    char *body;      /* not terminated */
    size_t length;
    char *memory;    /* to be freed */
};

/* Waits until the socket is ready or the call is over. */
static rqd_code ready(int fd, short events, const rqd_call *call) {
    for (;;) {
        struct pollfd fds[2] = {{fd, events, 0}, {CANCEL, POLLIN, 0}};
        uint64_t now = now_ns();
        uint64_t deadline = DEADLINE;
        int rest = 0;
        if (now < deadline) {
            uint64_t milliseconds = (deadline - now) / 1000000u + 1;
            rest = milliseconds > 1000000 ? 1000000 : (int)milliseconds;
        }
        int count = poll(fds, 2, rest);
        if (count > 0 && fds[1].revents != 0) return RQD_CANCELLED;
        if (count > 0 && fds[0].revents != 0) return RQD_OK;
        if (count == 0 && now_ns() >= DEADLINE) return RQD_TIMEOUT;
        if (count < 0 && errno != EINTR) return RQD_INTERNAL;
    }
}

/* Sends a request, `head` ending with an empty line, and reads to the end of the connection. */
static rqd_code exchange(rqd_instance *self, const rqd_call *call, const char *head,
                         const void *body, size_t body_length, struct answer *answer) {
    rqd_code code = RQD_UNAVAILABLE;
    size_t length = strlen(head), sent = 0, capacity = 4096, filled = 0;
    char *request = malloc(length + body_length), *bytes = malloc(capacity + 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memset(answer, 0, sizeof *answer);
    strcpy(answer->tag, "0");
    memcpy(request, head, length);
    if (body_length > 0) memcpy(request + length, body, body_length);
    length += body_length;
    if (connect(fd, (struct sockaddr *)&self->server, sizeof self->server) != 0 &&
        errno != EINPROGRESS) goto out;
    while (sent < length) {
        if ((code = ready(fd, POLLOUT, call)) != RQD_OK) goto out;
        ssize_t count = send(fd, request + sent, length - sent, MSG_NOSIGNAL);
        code = RQD_UNAVAILABLE;
        if (count <= 0) goto out;
        sent += (size_t)count;
    }
    for (;;) {
        if ((code = ready(fd, POLLIN, call)) != RQD_OK) goto out;
        if (filled == capacity) {
            code = RQD_PROTOCOL;
            if (capacity >= LARGEST_ANSWER) goto out;
            capacity *= 2;
            bytes = realloc(bytes, capacity + 1);
        }
        ssize_t count = recv(fd, bytes + filled, capacity - filled, 0);
        code = RQD_UNAVAILABLE;
        if (count < 0) goto out;
        if (count == 0) break;
        filled += (size_t)count;
    }
    bytes[filled] = 0;
    code = RQD_PROTOCOL;
    char *end = strstr(bytes, "\r\n\r\n"), *field;
    if (end == NULL || sscanf(bytes, "HTTP/1.1 %d ", &answer->status) != 1) goto out;
    *end = 0;
    field = strstr(bytes, "\r\nContent-Length: ");
    answer->body = end + 4;
    answer->length = filled - (size_t)(answer->body - bytes);
    if (field == NULL || strtoul(field + 18, NULL, 10) != answer->length) goto out;
    field = strstr(bytes, "\r\nETag: \"");
    if (field != NULL) answer->is_tagged = sscanf(field + 9, "%63[0-9]", answer->tag) == 1;
    answer->memory = bytes;
    bytes = NULL;
    code = RQD_OK;
out:
    if (fd >= 0) close(fd);
    free(request);
    free(bytes);
    return code;
}

/* The status of a call of the server that came to nothing, explained. */
static rqd_code failure(rqd_instance *self, const rqd_sink *sink, rqd_code code,
                        const struct answer *answer) {
    char text[256];
    ON_FAILURE;
    if (code == RQD_OK) code = RQD_UNAVAILABLE;
    snprintf(text, sizeof text, "the server %s: status %d, HTTP %d", self->server_text, code,
             answer->status);
    return say(sink, code, text);
}

/* A name as a part of a path. */
static void escape(char *output, const char *text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            c == '/' || c == '-' || c == '_') {
            *output++ = (char)c;
        } else {
            output += sprintf(output, "%%%02X", c);
        }
    }
    *output = 0;
}

/* ---- The registry --------------------------------------------------------------------------- */

#ifdef REGISTRY
#define HEAD_SIZE (RQD_MAX_KEY * 3 + RQD_MAX_NAME * 3 + 512)

static void head_of(char *head, const char *method, rqd_instance *self, rqd_text name,
                    const char *query, const char *condition, size_t length) {
    char path[RQD_MAX_NAME * 3 + 1];
    escape(path, name.data, name.length);
    snprintf(head, HEAD_SIZE,
             "%s /%s/%s%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
             method, self->key, path, query, condition, length);
}

static rqd_code give_token(const rqd_sink *sink, const struct answer *answer) {
    rqd_bytes token = {(const uint8_t *)TOKEN, strlen(TOKEN)};
    return sink->token(sink, token);
}

static rqd_code give_record(rqd_instance *self, const rqd_sink *sink, rqd_text name,
                            rqd_bytes value, const char *tag) {
    rqd_record record = {0};
    record.size = sizeof record;
    record.name = name;
    record.value = value;
    record.revision.data = (const uint8_t *)tag;
    record.revision.length = strlen(tag);
    (void)self;
    ON_RECORD;
    return sink->record(sink, &record);
}

static rqd_code read_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                            const rqd_sink *sink) {
    char head[HEAD_SIZE];
    struct answer space, *answer = &space;
    ON_CALL;
    ON_READ;
    head_of(head, "GET", self, name, READ_QUERY, "", 0);
    rqd_code code = exchange(self, call, head, NULL, 0, answer);
    if (code == RQD_OK && IS_ABSENT(answer)) {
        code = RQD_ABSENT;
        give_token(sink, answer);
    } else if (code == RQD_OK && answer->status == 200 && strcmp(answer->tag, "0") != 0) {
        rqd_bytes value = {(const uint8_t *)answer->body, answer->length};
        give_token(sink, answer);
        code = give_record(self, sink, name, value, answer->tag);
    } else {
        code = failure(self, sink, code, answer);
    }
    free(answer->memory);
    return code;
}

/* The header of a comparison. */
static void condition_of(char *condition, rqd_bytes expected) {
    if (expected.length == 0) {
        strcpy(condition, "If-None-Match: *\r\n");
    } else {
        snprintf(condition, 128, "If-Match: \"%.*s\"\r\n", (int)expected.length,
                 (const char *)expected.data);
    }
}

static rqd_code change_status(rqd_instance *self, const rqd_sink *sink, rqd_code code,
                              const struct answer *answer) {
    if (code == RQD_OK && answer->status == 200) return RQD_OK;
    if (code == RQD_OK && IS_ABSENT(answer)) return RQD_ABSENT;
    if (code == RQD_OK && answer->status == 412) return RQD_CONFLICT;
    return failure(self, sink, code, answer);
}

static rqd_code write_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, rqd_bytes value, const rqd_sink *sink) {
    char head[HEAD_SIZE], condition[160];
    struct answer space, *answer = &space;
    rqd_bytes none = {NULL, 0};
    ON_CALL;
    ON_WRITE;
    condition_of(condition, expected);
    head_of(head, "PUT", self, name, "", condition, value.length);
    rqd_code code = exchange(self, call, head, value.data, value.length, answer);
    code = change_status(self, sink, code, answer);
    if (code == RQD_OK && strcmp(answer->tag, "0") == 0) {
        code = failure(self, sink, RQD_PROTOCOL, answer);
    }
    if (code == RQD_OK) code = give_record(self, sink, name, none, TAG_OF_WRITE);
    free(answer->memory);
    return code;
}

static rqd_code erase_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, const rqd_sink *sink) {
    char head[HEAD_SIZE], condition[160];
    struct answer space, *answer = &space;
    ON_CALL;
    ON_ERASE;
    condition_of(condition, expected);
    head_of(head, "DELETE", self, name, "", condition, 0);
    rqd_code code = exchange(self, call, head, NULL, 0, answer);
    code = change_status(self, sink, code, answer);
    free(answer->memory);
    return code;
}

/* One line of a list: PATH TAG HEX. Anything else did not come from the server. */
static rqd_code give_line(rqd_instance *self, const rqd_sink *sink, char *line, size_t key_length) {
    uint8_t value[RQD_MAX_VALUE];
    char *tag = strchr(line, ' '), *hex = tag == NULL ? NULL : strchr(tag + 1, ' ');
    size_t length = 0;
    if (*line != '/' || hex == NULL) return RQD_PROTOCOL;
    if (strlen(line) <= key_length) return RQD_OK;
    *tag++ = 0;
    *hex++ = 0;
    for (unsigned byte; length < sizeof value && sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        value[length++] = (uint8_t)byte;
    }
    rqd_text name = {line + key_length, strlen(line + key_length)};
    rqd_bytes bytes = {value, length};
    give_record(self, sink, name, bytes, tag);
    return RQD_OK;
}

static rqd_code list_records(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                             const rqd_sink *sink) {
    char head[HEAD_SIZE];
    struct answer space, *answer = &space;
    ON_CALL;
    ON_LIST;
    head_of(head, "GET", self, prefix, "?list", "", 0);
    rqd_code code = exchange(self, call, head, NULL, 0, answer);
    if (code != RQD_OK || answer->status != 200) {
        code = failure(self, sink, code, answer);
    } else {
        /* Paths come as they are: '/', the key, '/'. */
        size_t key_length = 2;
        for (const char *c = self->key; *c != 0; c++, key_length++) {
            if (*c == '%') c += 2;
        }
        answer->body[answer->length] = 0;
        for (char *save, *line = strtok_r(answer->body, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
            if (code == RQD_OK) code = give_line(self, sink, line, key_length);
        }
        if (code != RQD_OK) code = failure(self, sink, code, answer);
    }
    free(answer->memory);
    return code;
}

#define WATCHED_HEAD head_of(head, "GET", self, name, query, "", 0)

static const rqd_registry registry_table = {sizeof registry_table, 0, read_record, write_record,
                                            erase_record, list_records};

/* ---- The resolver --------------------------------------------------------------------------- */

#else
#define HEAD_SIZE 512

static rqd_code give_token(const rqd_sink *sink, const struct answer *answer) {
    rqd_bytes token = {(const uint8_t *)TOKEN, strlen(TOKEN)};
    return sink->token(sink, token);
}

/* A line `host port`. */
static rqd_code give_address(rqd_instance *self, const rqd_sink *sink, const char *line) {
    static const char source[] = "/peers";
    char host[RQD_MAX_HOST + 1];
    rqd_address address = {0};
    if (sscanf(line, "%255s %u", host, &address.port) != 2) return RQD_PROTOCOL;
    address.size = sizeof address;
    address.host.data = host;
    address.host.length = strlen(host);
    address.source.data = source;
    address.source.length = sizeof source - 1;
    (void)self;
    ON_ADDRESS;
    return sink->address(sink, &address);
}

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    struct answer space, *answer = &space;
    ON_CALL;
    rqd_code code = exchange(self, call, "GET /peers HTTP/1.1\r\nConnection: close\r\n\r\n", NULL,
                             0, answer);
    if (code != RQD_OK || answer->status != 200 || strcmp(answer->tag, "0") == 0) {
        code = failure(self, sink, code, answer);
    } else {
        give_token(sink, answer);
        answer->body[answer->length] = 0;
        for (char *save, *line = strtok_r(answer->body, "\n", &save); line != NULL;
             line = strtok_r(NULL, "\n", &save)) {
            if (give_address(self, sink, line) != RQD_OK) code = RQD_PROTOCOL;
        }
    }
    free(answer->memory);
    return code;
}

#define WATCHED_HEAD                                                                               \
    ((void)name, snprintf(head, sizeof head,                                                       \
                          "GET /peers%s HTTP/1.1\r\nConnection: close\r\n\r\n", query))

static const rqd_resolver resolver_table = {sizeof resolver_table, 0, resolve};
#endif

/* ---- What both have ------------------------------------------------------------------------- */

static rqd_code wait_for_change(rqd_instance *self, const rqd_call *call, rqd_text name,
                                rqd_bytes token, const rqd_sink *sink) {
    char head[HEAD_SIZE], query[128] = "";
    struct answer space, *answer = &space;
    ON_WAIT;
    if (token.length == 0) return RQD_OK;
    snprintf(query, sizeof query, "?wait=%.*s", (int)token.length, (const char *)token.data);
    WATCHED_HEAD;
    rqd_code code = exchange(self, call, head, NULL, 0, answer);
    if (code == RQD_OK && (answer->status == 200 || IS_ABSENT(answer))) {
        give_token(sink, answer);
    } else {
        code = failure(self, sink, code, answer);
    }
    free(answer->memory);
    return code;
}

static rqd_code describe(rqd_instance *self, const rqd_sink *sink) {
    char text[128];
    snprintf(text, sizeof text, "{\"server\":\"%s\"}", self->server_text);
    rqd_text description = {text, strlen(text)};
    ON_DESCRIBE;
    return sink->text(sink, description);
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    rqd_bytes config = args->config;
    rqd_instance *self = NULL;
    (void)plugin;
    (void)self;
    ON_CREATE;
    if (config.length < 3 || config.length > 140 || config.data[0] != '{' ||
        config.data[config.length - 1] != '}') {
        return say(sink, RQD_CONFIG, "the configuration must be {server} or {server secret}");
    }
    char text[160];
    unsigned port = 0;
    char address[32], secret[64] = "";
    memcpy(text, config.data + 1, config.length - 2);
    text[config.length - 2] = 0;
    struct in_addr parsed;
    if (sscanf(text, "%31[0-9.]:%u %63[a-z]", address, &port, secret) < 2 || port == 0 ||
        port > 65535 || inet_pton(AF_INET, address, &parsed) != 1) {
        return say(sink, RQD_CONFIG, "the server must be IP:port");
    }
    self = calloc(1, sizeof *self);
    if (self == NULL) return say(sink, RQD_INTERNAL, "out of memory");
    self->host = host;
    self->server.sin_family = AF_INET;
    self->server.sin_port = htons((uint16_t)port);
    self->server.sin_addr = parsed;
    snprintf(self->server_text, sizeof self->server_text, "%s:%u", address, port);
    strcpy(self->secret, secret);
    escape(self->key, args->key.data, args->key.length);
    ON_CREATED;
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) {
    ON_DESTROY;
    free(self);
}

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_watch watch = {sizeof watch, 0, wait_for_change};
    static const rqd_status status = {sizeof status, 0, describe};
    (void)self;
    INTERFACE;
#ifdef REGISTRY
    if (RQD_IS(id, RQD_REGISTRY_1)) return &registry_table;
#else
    if (RQD_IS(id, RQD_RESOLVER_1)) return &resolver_table;
#endif
    if (RQD_IS(id, RQD_WATCH_1)) return &watch;
    if (RQD_IS(id, RQD_STATUS_1)) return &status;
    return NULL;
}

#ifndef MODES
static const rqd_mode mode = {sizeof mode, ROLE, RQD_TEXT(MODE)};
static const rqd_mode *const modes[] = {&mode};
#define MODES modes, 1
#endif
#ifndef TEXTS
#define TEXTS                                                                                      \
    RQD_TEXT("org.example.tested"), RQD_TEXT("1.0.0"), RQD_TEXT("Example"), RQD_TEXT(""),          \
        RQD_TEXT("MIT")
#endif
#ifndef SCHEMA
#define SCHEMA RQD_TEXT("{\"type\":\"string\"}")
#endif
#ifndef VERSIONS
#define VERSIONS RQD_ABI_MAJOR, RQD_ABI_MINOR, 0
#endif
#ifndef FUNCTIONS
#define FUNCTIONS create, destroy, get_interface
#endif
#ifndef DESCRIPTOR
static const rqd_plugin descriptor = {sizeof descriptor, VERSIONS, TEXTS, MODES, 0, SCHEMA,
                                      FUNCTIONS};
#define DESCRIPTOR &descriptor
#endif
#ifndef IS_SERVED
#define IS_SERVED (host_major == RQD_ABI_MAJOR)
#endif
#ifndef ENTRY_NAME
#define ENTRY_NAME rqlite_disco_entry
#endif

RQD_EXPORT const rqd_plugin *ENTRY_NAME(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    (void)host_major;
    ON_ENTRY;
    return IS_SERVED ? DESCRIPTOR : NULL;
}
