/* A resolver for tests. Its configuration says how it behaves; the macros below make plugins that
 * must be refused. */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef MODE
#define MODE "tested"
#endif
#ifndef NOTE_MODE
#define NOTE_MODE MODE
#endif
#ifndef MAJOR
#define MAJOR RQD_ABI_MAJOR
#endif
#ifndef NEEDED
#define NEEDED 0u
#endif
#ifndef NOTE_MAJOR
#define NOTE_MAJOR MAJOR
#endif
#ifndef NOTE_MINOR
#define NOTE_MINOR RQD_ABI_MINOR
#endif
#ifndef PLUGIN_SIZE
#define PLUGIN_SIZE sizeof(rqd_plugin)
#endif

#ifndef NO_NOTE
__attribute__((used, section(RQD_NOTE_SECTION), aligned(4))) static const rqd_note note = {
    8, 52, RQD_NOTE_TYPE, RQD_NOTE_NAME, NOTE_MAJOR, NOTE_MINOR, NEEDED, RQD_ROLE_RESOLVER, NOTE_MODE};
#endif
#ifdef SECOND_MODE
RQD_NOTE(NEEDED, RQD_ROLE_REGISTRY, SECOND_MODE);
#endif

struct rqd_instance {
    const rqd_host *host;
    char config[256];
    uint64_t length;
    uint32_t calls;
};

static const rqd_text nothing = {NULL, 0};

static rqd_text text(const char *string) {
    rqd_text result = {string, strlen(string)};
    return result;
}

static int is(const rqd_instance *self, const char *behaviour) {
    return strcmp(self->config, behaviour) == 0;
}

static rqd_code emit(const rqd_sink *sink, rqd_text host, uint32_t port, rqd_text source) {
    rqd_address address = {0};
    address.size = sizeof address;
    address.host = host;
    address.port = port;
    address.source = source;
    address.ttl_s = 30;
    return sink->address(sink, &address);
}

/* As a good plugin does: until the deadline or the cancellation. */
static rqd_code obey(const rqd_call *call) {
    struct pollfd cancel = {call->cancel_fd, POLLIN, 0};
    for (;;) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        if (time >= call->deadline_ns) return RQD_TIMEOUT;
        if (poll(&cancel, 1, (int)((call->deadline_ns - time) / 1000000u + 1)) > 0) {
            return call->cancelled(call) ? RQD_CANCELLED : RQD_INTERNAL;
        }
    }
}

static void hang(void) {
    for (;;) pause();
}

/* A fault, for a signal that is raised would wait: plugin threads block all of them. */
static void crash(void) {
    volatile int *nowhere = NULL;
    *nowhere = 1;
}

/* What only a plugin in a process of its own may do. Descriptor 3 is the host's. */
static void misbehave(const rqd_instance *self) {
    static const unsigned char garbage[] = {10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 99, 0};
    static const unsigned char foreign[] = {13, 0, 0, 0, 77, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 0};
    static const unsigned char giant[] = {255, 255, 255, 127};
    static const unsigned char reversed[] = {9, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4};
    ssize_t sent = 0;
    if (is(self, "{crash}")) crash();
    if (is(self, "{exit}")) exit(3);
    if (is(self, "{close}")) shutdown(3, SHUT_RDWR);
    if (is(self, "{garbage}")) sent = write(3, garbage, sizeof garbage);
    if (is(self, "{foreign}")) sent = write(3, foreign, sizeof foreign);
    if (is(self, "{giant}")) sent = write(3, giant, sizeof giant);
    if (is(self, "{reversed}")) sent = write(3, reversed, sizeof reversed);
    if (sent > 0 || is(self, "{close}")) hang();
}

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    static const uint8_t token[] = {7, 0, 7};
    rqd_bytes seen = {token, sizeof token};
    rqd_text local = text("10.0.0.7");
    self->calls++;
    misbehave(self);
    if (is(self, "{hang}")) hang();
    if (is(self, "{hang once}")) {
        static int done;
        if (!done++) hang();
    }
    if (is(self, "{obey}")) return obey(call);
    if (is(self, "{fail}")) {
        sink->message(sink, text("the oracle is silent"));
        return RQD_UNAVAILABLE;
    }
    if (is(self, "{null}")) {
        rqd_text missing = {NULL, 5};
        sink->message(sink, missing);
        self->host->log(self->host, RQD_LOG_INFO, missing);
        return emit(sink, missing, 1, nothing);
    }
    if (is(self, "{strange}")) return 77;
    if (is(self, "{short}")) {
        rqd_address address = {offsetof(rqd_address, source), 4002, local, text("hidden"), 1, 2, 3, 0};
        return sink->address(sink, &address);
    }
    if (is(self, "{absent}")) return RQD_ABSENT;
    if (is(self, "{host}")) return emit(sink, text("no such:host"), 1, nothing), RQD_OK;
    if (is(self, "{digits}")) return emit(sink, text("10.0.0.256"), 1, nothing), RQD_OK;
    if (is(self, "{port}")) return emit(sink, local, 65536, nothing), RQD_OK;
    if (is(self, "{nul}")) {
        rqd_text host = {"a\0b", 3};
        return emit(sink, host, 1, nothing), RQD_OK;
    }
    if (is(self, "{utf8}")) return emit(sink, local, 1, text("\xC3")), RQD_OK;
    if (is(self, "{long}")) {
        rqd_text host = {self->config, UINT64_C(1) << 40};
        return emit(sink, host, 1, nothing), RQD_OK;
    }
    if (is(self, "{many}")) {
        for (int i = 0; i < 1025; i++) emit(sink, local, 1, nothing);
        return RQD_OK;
    }
    if (is(self, "{record}")) {
        rqd_record record = {sizeof record, 0, {"a", 1}, {NULL, 0}, seen};
        return sink->record(sink, &record), RQD_OK;
    }
    if (is(self, "{environment $WANTED}")) {
        for (char **entry = environ; *entry; entry++) {
            self->host->log(self->host, RQD_LOG_INFO, text(*entry));
        }
    }
    if (is(self, "{chatter}")) {
        for (int i = 0; i < 500; i++) self->host->log(self->host, RQD_LOG_INFO, text("line\nline"));
    }
    emit(sink, text("2001:db8::1"), 4002, text("test"));
    emit(sink, local, 0, text(self->config));
    sink->token(sink, seen);
    return RQD_OK;
}

static rqd_code describe(rqd_instance *self, const rqd_sink *sink) {
    if (is(self, "{hang describe}")) hang();
    if (is(self, "{crash describe}")) crash();
    if (is(self, "{undescribed}")) return sink->text(sink, text("[1]"));
    return sink->text(sink, text("{\"name\":\"oracle\",\"port\":4002,\"mode\":\"forged\"}"));
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    rqd_instance *self = calloc(1, sizeof *self);
    (void)plugin;
    if (self == NULL) return RQD_INTERNAL;
    if (args->config.length >= sizeof self->config) {
        /* Tells how much came, and whether it is what was sent. */
        char found[64];
        uint64_t sum = 0;
        for (uint64_t i = 0; i < args->config.length; i++) sum = sum * 31 + args->config.data[i];
        snprintf(found, sizeof found, "%llu bytes, sum %llu",
                 (unsigned long long)args->config.length, (unsigned long long)sum);
        sink->message(sink, text(found));
        free(self);
        return RQD_CONFIG;
    }
    self->host = host;
    self->length = args->config.length;
    if (self->length) memcpy(self->config, args->config.data, self->length);
    if (is(self, "{wrong}")) {
        sink->message(sink, text("member x is unknown"));
        free(self);
        return RQD_CONFIG;
    }
    if (strncmp(self->config, "{await ", 7) == 0) {
        /* Until there is a file of that name. */
        char path[sizeof self->config] = "";
        sscanf(self->config, "{await %255[^}]", path);
        host->log(host, RQD_LOG_INFO, text("awaits"));
        while (access(path, F_OK) != 0) poll(NULL, 0, 5);
    }
    if (is(self, "{hang create}")) hang();
    if (is(self, "{crash create}")) crash();
    if (is(self, "{forgetful}")) {
        free(self);
        return RQD_OK;
    }
    host->log(host, RQD_LOG_WARNING, args->key);
    host->log(host, RQD_LOG_DEBUG, args->raft_adv);
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) {
    if (is(self, "{hang destroy}")) hang();
    self->host->log(self->host, RQD_LOG_INFO, text("destroyed"));
    free(self);
}

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    static const rqd_resolver truncated = {8, 0, resolve};
    static const rqd_resolver half = {12, 0, resolve};
    static const rqd_status status = {sizeof status, 0, describe};
    if (RQD_IS(id, RQD_RESOLVER_1) && is(self, "{half}")) return &half;
    if (RQD_IS(id, RQD_RESOLVER_1)) return is(self, "{truncated}") ? &truncated : &resolver;
    return RQD_IS(id, RQD_STATUS_1) ? (const void *)&status : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT(MODE)};
#ifdef SECOND_MODE
static const rqd_mode second = {sizeof mode, RQD_ROLE_REGISTRY, RQD_TEXT(SECOND_MODE)};
static const rqd_mode *const modes[] = {&second, &mode};
#else
static const rqd_mode *const modes[] = {&mode};
#endif

static const rqd_plugin plugin = {
    PLUGIN_SIZE, MAJOR, RQD_ABI_MINOR, NEEDED,
    RQD_TEXT("org.example.resolver"), RQD_TEXT("1.2.3"), RQD_TEXT("Example"), RQD_TEXT(""),
    RQD_TEXT("MIT"), modes, sizeof modes / sizeof modes[0], 0, RQD_TEXT("{}"),
    create, destroy, get_interface};

#ifdef NO_ENTRY
RQD_EXPORT const void *something_else(void);
const void *something_else(void) { return &plugin; }
#else
#ifdef NEEDS_LIBRARY
extern int absent_function(void);
#endif
const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
#ifdef NEEDS_LIBRARY
    absent_function();
#endif
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
#endif
