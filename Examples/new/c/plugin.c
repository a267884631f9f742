/* The mode "@NAME@": answers with the nodes that its configuration lists.
 *
 *     -disco-mode @NAME@ -disco-config '{"nodes": "10.0.0.7:4002 10.0.0.8"}'
 *
 * Change `resolve`; what waits there waits with rqdisco_wait. */
#define _GNU_SOURCE
#include "rqdisco_helper.h"

RQD_NOTE(0, RQD_ROLE_RESOLVER, "@NAME@");

struct rqd_instance {
    char nodes[4096];
};

/* Each word of a list; stops at the first that is no address. */
static rqd_code each(const char *list, const rqd_sink *sink, int emit) {
    char copy[4096], *next, *word;
    strcpy(copy, list);
    for (word = strtok_r(copy, " ,", &next); word; word = strtok_r(NULL, " ,", &next)) {
        char *colon = strrchr(word, ':'), *end;
        if (emit) {
            if (rqdisco_emit(sink, word, "-disco-config") != RQD_OK) return RQD_PROTOCOL;
        } else if (colon && (strchr(word, ':') == colon || colon[-1] == ']')) {
            unsigned long port = strtoul(colon + 1, &end, 10);
            if (*end || port == 0 || port > 65535) {
                return rqdisco_fail(sink, RQD_CONFIG, "nodes: %s is not host[:port]", word);
            }
        }
    }
    return RQD_OK;
}

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    (void)call;
    return each(self->nodes, sink, 1);
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    rqd_instance *self = calloc(1, sizeof *self);
    rqd_code code = RQD_OK;
    (void)plugin;
    (void)host;
    if (self == NULL) return RQD_INTERNAL;
    if (rqdisco_member(args->config, "nodes", self->nodes, sizeof self->nodes, 1) != 1) {
        code = rqdisco_fail(sink, RQD_CONFIG,
                            "the configuration must be {\"nodes\": \"HOST[:PORT] ...\"}; nodes is the "
                            "only member");
    }
    if (code == RQD_OK) code = each(self->nodes, sink, 0);
    if (code == RQD_OK) *instance = self;
    else free(self);
    return code;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    (void)self;
    return RQD_IS(id, RQD_RESOLVER_1) ? &resolver : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("@NAME@")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.@NAME@"), RQD_TEXT("0.1.0"), RQD_TEXT(""), RQD_TEXT(""),
    RQD_TEXT("MIT"), modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
