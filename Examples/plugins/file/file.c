/* SPDX-License-Identifier: MIT
 *
 * The mode "file": the nodes stand in a file, one `host[:port]` in each line; `#` begins a comment.
 *
 *     -disco-mode file -disco-config '{"path": "/etc/rqlite/peers"}'
 *
 * An instance never changes after `create`, so `resolve` and `wait` may run side by side. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <rqlite_disco.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

RQD_NOTE(0, RQD_ROLE_RESOLVER, "file");

#define MAX_FILE 65536

struct rqd_instance {
    char path[1001];
    char folder[1001]; /* what is watched: a file that is replaced is another file */
};

/* Tells the operator why a call fails, and returns `code`. */
__attribute__((format(printf, 3, 4)))
static rqd_code fail(const rqd_sink *sink, rqd_code code, const char *format, ...) {
    char text[RQD_MAX_MESSAGE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    sink->message(sink, (rqd_text){text, strlen(text)});
    return code;
}

/* The file's content, ended by a zero byte, for the caller to free; or null, and errno says why. */
static char *read_file(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *content = file < 0 ? NULL : malloc(MAX_FILE + 1);
    ssize_t length = 0, count = 1;
    while (content && length <= MAX_FILE && count > 0) {
        count = read(file, content + length, (size_t)(MAX_FILE + 1 - length));
        length += count;
    }
    int error = count >= 0 && length > MAX_FILE ? EFBIG : errno;
    if (content && (count < 0 || length > MAX_FILE)) {
        free(content);
        content = NULL;
    }
    if (file >= 0) close(file);
    if (content) content[length] = 0;
    errno = error;
    return content;
}

/* A number for what is in the file (FNV-1a), or for its absence: the token of `rqd.watch`. */
static uint64_t state_of(const char *content) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *at = content ? content : ""; *at; at++) {
        hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    }
    return content ? hash : 0;
}

static void emit_state(const rqd_sink *sink, uint64_t state) {
    sink->token(sink, (rqd_bytes){(const uint8_t *)&state, sizeof state});
}

/* Emits "10.0.0.7", "node-1:4002" or "[2001:db8::7]:4002". Returns 0 for what is none of these. */
static int emit_address(const rqd_sink *sink, char *text, const char *source) {
    rqd_address address = {.size = sizeof address, .source = {source, strlen(source)}};
    char *port = strrchr(text, ':'), *end = text;
    if (*text == '[') {
        end = strchr(++text, ']');
        if (!end || (end[1] && end[1] != ':')) return 0;
        port = end[1] ? end + 1 : NULL;
        *end = 0;
    } else if (port && port != strchr(text, ':')) {
        port = NULL; /* an IPv6 address alone */
    }
    if (port) { /* without one, 0: the host fills in the port that the node itself uses */
        *port = 0;
        address.port = (uint32_t)strtoul(port + 1, &end, 10);
        if (port[1] < '1' || port[1] > '9' || strlen(port + 1) > 5 || *end) return 0;
    }
    address.host = (rqd_text){text, strlen(text)};
    return sink->address(sink, &address) == RQD_OK; /* the host checks name and port */
}

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    char *content = read_file(self->path), *rest = content, *line, source[RQD_MAX_SOURCE];
    rqd_code code = RQD_OK;
    (void)call; /* a local file is read at once */
    emit_state(sink, state_of(content));
    if (!content) {
        return fail(sink, RQD_UNAVAILABLE, "%s can't be read: %s", self->path, strerror(errno));
    }
    for (int number = 1; code == RQD_OK && (line = strsep(&rest, "\n")); number++) {
        line[strcspn(line, "#\r")] = 0;
        line += strspn(line, " \t");
        line[strcspn(line, " \t")] = 0;
        snprintf(source, sizeof source, "line %d of %.200s", number, self->path);
        if (*line && !emit_address(sink, line, source)) {
            code = fail(sink, RQD_PROTOCOL, "%s is not of the form host[:port]", source);
        }
    }
    free(content);
    return code;
}

static int milliseconds_until(uint64_t deadline_ns) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    uint64_t left = time < deadline_ns ? (deadline_ns - time) / 1000000u + 1 : 0;
    return left < 60000 ? (int)left : 60000;
}

static rqd_code wait_change(rqd_instance *self, const rqd_call *call, rqd_text name,
                            rqd_bytes token, const rqd_sink *sink) {
    /* Watched before it is read, so that no change falls in between. */
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    uint32_t events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE;
    char buffer[4096];
    rqd_code code = -1; /* not known yet */
    (void)name; /* empty: a resolver is watched as a whole */
    if (watch < 0 || inotify_add_watch(watch, self->folder, events) < 0) {
        code = fail(sink, RQD_UNAVAILABLE, "the folder %s can't be watched: %s", self->folder,
                    strerror(errno));
    }
    while (code < 0) {
        struct pollfd sources[] = {{watch, POLLIN, 0}, {call->cancel_fd, POLLIN, 0}};
        char *content = read_file(self->path);
        uint64_t state = state_of(content);
        free(content);
        if (token.length != sizeof state || memcmp(token.data, &state, sizeof state) != 0) {
            emit_state(sink, state);
            code = RQD_OK;
        } else if (milliseconds_until(call->deadline_ns) == 0) {
            code = RQD_TIMEOUT;
        } else if (poll(sources, 2, milliseconds_until(call->deadline_ns)) > 0) {
            if (sources[1].revents) code = RQD_CANCELLED;
            while (read(watch, buffer, sizeof buffer) > 0) continue;
        }
    }
    if (watch >= 0) close(watch);
    return code;
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    char text[1201] = "";
    int end = 0;
    (void)plugin, (void)host;
    rqd_instance *self = calloc(1, sizeof *self);
    if (!self) return fail(sink, RQD_INTERNAL, "memory is short");
    /* One member is no reason for a JSON parser. */
    if (args->config.length < sizeof text) {
        for (uint64_t i = 0; i < args->config.length; i++) text[i] = (char)args->config.data[i];
        sscanf(text, " { \"path\" : \"%1000[^\"\\]\" } %n", self->path, &end);
    }
    if (end == 0 || (uint64_t)end != args->config.length || *self->path != '/') {
        free(self);
        return fail(sink, RQD_CONFIG, "the configuration must be {\"path\": \"/…\"}: an absolute "
                    "path of at most 1000 bytes, without \" and \\; path is the only member");
    }
    strcpy(self->folder, self->path);
    char *slash = strrchr(self->folder, '/');
    slash[slash == self->folder] = 0;
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    static const rqd_watch watch = {sizeof watch, 0, wait_change};
    (void)self;
    if (RQD_IS(id, RQD_RESOLVER_1)) return &resolver;
    return RQD_IS(id, RQD_WATCH_1) ? (const void *)&watch : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("file")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.file"), RQD_TEXT("1.0.0"), RQD_TEXT("Example"), RQD_TEXT(""),
    RQD_TEXT("MIT"), modes, 1, 0, RQD_TEXT("{\"type\": \"object\", \"required\": [\"path\"]}"),
    create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
