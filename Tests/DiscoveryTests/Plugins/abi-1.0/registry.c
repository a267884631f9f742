/* A registry in memory, for tests: shared by all instances of the process. */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

RQD_NOTE(0, RQD_ROLE_REGISTRY, "memory");

struct entry {
    char name[RQD_MAX_NAME];
    uint64_t name_length;
    uint8_t value[RQD_MAX_VALUE];
    uint64_t length;
    uint64_t revision;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry entries[64];
static uint64_t count;
static uint64_t last;

struct rqd_instance {
    int unused;
};

static struct entry *find(rqd_text name) {
    for (uint64_t i = 0; i < count; i++) {
        if (entries[i].name_length == name.length &&
            memcmp(entries[i].name, name.data, name.length) == 0) return &entries[i];
    }
    return NULL;
}

static rqd_code emit(const rqd_sink *sink, const struct entry *entry) {
    rqd_record record = {0};
    record.size = sizeof record;
    record.name.data = entry->name;
    record.name.length = entry->name_length;
    record.value.data = entry->value;
    record.value.length = entry->length;
    record.revision.data = (const uint8_t *)&entry->revision;
    record.revision.length = sizeof entry->revision;
    return sink->record(sink, &record);
}

static void emit_token(const rqd_sink *sink, const struct entry *entry) {
    uint64_t revision = entry ? entry->revision : 0;
    rqd_bytes token = {(const uint8_t *)&revision, sizeof revision};
    sink->token(sink, token);
}

static int matches(const struct entry *entry, rqd_bytes expected) {
    return expected.length == sizeof entry->revision &&
           memcmp(expected.data, &entry->revision, sizeof entry->revision) == 0;
}

static rqd_code read_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                            const rqd_sink *sink) {
    rqd_code code = RQD_ABSENT;
    (void)self;
    (void)call;
    pthread_mutex_lock(&lock);
    struct entry *entry = find(name);
    if (entry) code = emit(sink, entry);
    emit_token(sink, entry);
    pthread_mutex_unlock(&lock);
    return code;
}

static rqd_code put(struct entry *entry, rqd_bytes value, const rqd_sink *sink) {
    if (value.length) memcpy(entry->value, value.data, value.length);
    entry->length = value.length;
    entry->revision = ++last;
    return emit(sink, entry);
}

static rqd_code write_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, rqd_bytes value, const rqd_sink *sink) {
    rqd_code code;
    (void)self;
    (void)call;
    pthread_mutex_lock(&lock);
    struct entry *entry = find(name);
    if (expected.length == 0) {
        if (entry || count == sizeof entries / sizeof entries[0]) {
            code = RQD_CONFLICT;
        } else {
            entry = &entries[count++];
            memcpy(entry->name, name.data, name.length);
            entry->name_length = name.length;
            code = put(entry, value, sink);
        }
    } else if (entry == NULL) {
        code = RQD_ABSENT;
    } else {
        code = matches(entry, expected) ? put(entry, value, sink) : RQD_CONFLICT;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static rqd_code erase_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, const rqd_sink *sink) {
    rqd_code code = RQD_OK;
    (void)self;
    (void)call;
    (void)sink;
    pthread_mutex_lock(&lock);
    struct entry *entry = find(name);
    if (entry == NULL) {
        code = RQD_ABSENT;
    } else if (!matches(entry, expected)) {
        code = RQD_CONFLICT;
    } else {
        *entry = entries[--count];
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static rqd_code list_records(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                             const rqd_sink *sink) {
    (void)self;
    (void)call;
    pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < count; i++) {
        if (entries[i].name_length >= prefix.length &&
            (prefix.length == 0 || memcmp(entries[i].name, prefix.data, prefix.length) == 0)) {
            emit(sink, &entries[i]);
        }
    }
    pthread_mutex_unlock(&lock);
    return RQD_OK;
}

/* Looks every few milliseconds: enough for a test. */
static rqd_code wait_change(rqd_instance *self, const rqd_call *call, rqd_text name,
                            rqd_bytes token, const rqd_sink *sink) {
    (void)self;
    for (;;) {
        struct timespec now;
        struct pollfd cancel = {call->cancel_fd, POLLIN, 0};
        pthread_mutex_lock(&lock);
        struct entry *entry = find(name);
        uint64_t revision = entry ? entry->revision : 0;
        int same = token.length == sizeof revision && memcmp(token.data, &revision, 8) == 0;
        if (!same) emit_token(sink, entry);
        pthread_mutex_unlock(&lock);
        if (!same) return RQD_OK;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= call->deadline_ns) {
            return RQD_TIMEOUT;
        }
        if (poll(&cancel, 1, 5) > 0) return RQD_CANCELLED;
    }
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    (void)plugin;
    (void)host;
    (void)args;
    (void)sink;
    *instance = calloc(1, sizeof **instance);
    return *instance ? RQD_OK : RQD_INTERNAL;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_registry registry = {
        sizeof registry, 0, read_record, write_record, erase_record, list_records};
    static const rqd_watch watch = {sizeof watch, 0, wait_change};
    (void)self;
    if (RQD_IS(id, RQD_REGISTRY_1)) return &registry;
    return RQD_IS(id, RQD_WATCH_1) ? (const void *)&watch : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_REGISTRY, RQD_TEXT("memory")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.memory"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
