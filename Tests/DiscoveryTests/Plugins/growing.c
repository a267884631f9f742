/* A registry of what came with 1.1: pages, the node's state, the host's information. Its
 * configuration says how it behaves. */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

RQD_NOTE(1, RQD_ROLE_REGISTRY, "growing");
#ifdef FLAGS
RQD_FLAGS(FLAGS);
#endif
#ifdef UNKNOWN_ROLE
RQD_NOTE(1, 9, "later");
#endif
#ifdef GO
__attribute__((used, section(".note.go.buildid"), aligned(4))) static const struct {
    uint32_t sizes[3];
    char name[4], id[4];
} go = {{4, 4, 4}, "Go\0", "abc"};
#endif

#define COUNT 2500

struct rqd_instance {
    const rqd_host *host;
    char config[64];
    int updates;
};

static int is(const rqd_instance *self, const char *behaviour) {
    return strcmp(self->config, behaviour) == 0;
}

static void say(const rqd_instance *self, const char *line) {
    rqd_text text = {line, strlen(line)};
    self->host->log(self->host, RQD_LOG_INFO, text);
}

static rqd_code emit(const rqd_sink *sink, int number) {
    char name[32];
    rqd_record record = {0};
    record.size = sizeof record;
    record.name.length = (uint64_t)snprintf(name, sizeof name, "nodes/%05d", number);
    record.name.data = name;
    record.revision.data = (const uint8_t *)"r";
    record.revision.length = 1;
    return sink->record(sink, &record);
}

static rqd_code page(rqd_instance *self, const rqd_call *call, rqd_text prefix, rqd_text after,
                     uint32_t most, const rqd_sink *sink) {
    char text[32] = {0};
    int first = 0;
    (void)call;
    (void)prefix;
    if (after.length && !is(self, "repeats")) {
        memcpy(text, after.data, after.length);
        first = atoi(text + 6) + 1;
    }
    if (is(self, "fails later") && after.length) return RQD_UNAVAILABLE;
    if (is(self, "too many")) most += 1;
    for (int i = 0; i < (int)most; i++) {
        int number = is(self, "falls") ? first + (int)most - i : first + i;
        if (!is(self, "endless") && first + i >= COUNT) break;
        emit(sink, number);
    }
    return RQD_OK;
}

static rqd_code update(rqd_instance *self, const rqd_call *call, const rqd_node *node,
                       const rqd_sink *sink) {
    char line[512];
    int length = snprintf(line, sizeof line, "%.*s %.*s flags %u changed %u",
                          (int)node->node_id.length, node->node_id.data,
                          (int)node->health.length, node->health.data, node->flags,
                          node->changed);
    (void)call;
    (void)sink;
    for (uint32_t i = 0; i < node->tag_count; i++) {
        length += snprintf(line + length, sizeof line - (size_t)length, " %.*s",
                           (int)node->tags[i].length, node->tags[i].data);
    }
    say(self, line);
    return is(self, "refuses once") && self->updates++ == 0 ? RQD_UNAVAILABLE : RQD_OK;
}

static rqd_code read_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                            const rqd_sink *sink) {
    (void)call;
    (void)name;
    (void)sink;
    if (is(self, "crash")) abort();
    if (is(self, "parent")) {
        /* A program that the plugin forgets. */
        char line[64];
        pid_t child = vfork();
        if (child == 0) {
            execlp("sleep", "sleep", "1000", (char *)NULL);
            _exit(1);
        }
        snprintf(line, sizeof line, "started %d", (int)child);
        say(self, line);
    }
    return RQD_ABSENT;
}

static rqd_code write_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, rqd_bytes value, const rqd_sink *sink) {
    (void)self, (void)call, (void)name, (void)expected, (void)value, (void)sink;
    return RQD_CONFLICT;
}

static rqd_code erase_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, const rqd_sink *sink) {
    (void)self, (void)call, (void)name, (void)expected, (void)sink;
    return RQD_CONFLICT;
}

static rqd_code list(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                     const rqd_sink *sink) {
    (void)self, (void)call, (void)prefix, (void)sink;
    return RQD_UNSUPPORTED;
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    static const rqd_text id = RQD_TEXT(RQD_HOST_INFO_1);
    const rqd_host_info *info = host->get_interface(host, id);
    rqd_instance *self = calloc(1, sizeof *self);
    char line[256];
    (void)plugin;
    (void)sink;
    self->host = host;
    memcpy(self->config, args->config.data, args->config.length);
    if (is(self, "info") && info) {
        snprintf(line, sizeof line, "%.*s %.*s minor %u limits %lu %lu %lu", (int)info->name.length,
                 info->name.data, (int)info->version.length, info->version.data, info->abi_minor,
                 info->limit(host, RQD_LIMIT_VALUE), info->limit(host, RQD_LIMIT_PAGED),
                 info->limit(host, 999));
        say(self, line);
    }
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_registry registry = {
        sizeof registry, 0, read_record, write_record, erase_record, list};
    static const rqd_pages pages = {sizeof pages, 0, page};
    static const rqd_node_watch node = {sizeof node, 0, update};
    if (RQD_IS(id, RQD_REGISTRY_1)) return &registry;
    if (RQD_IS(id, RQD_PAGES_1)) return &pages;
    if (RQD_IS(id, RQD_NODE_1) && !is(self, "deaf")) return &node;
    return NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_REGISTRY, RQD_TEXT("growing")};
static const rqd_mode later = {sizeof mode, 9, RQD_TEXT("later")};
static const rqd_mode *const modes[] = {&mode, &later};
#ifdef UNKNOWN_ROLE
#define MODES 2
#else
#define MODES 1
#endif
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 1,
    RQD_TEXT("org.example.growing"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    modes, MODES, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    return host_major == RQD_ABI_MAJOR && host_minor >= 1 ? &plugin : NULL;
}
