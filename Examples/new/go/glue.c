/* The tables of the interface, for plugin.go. */
#define _GNU_SOURCE
#include "rqdisco_helper.h"
#include "_cgo_export.h"

RQD_NOTE(0, RQD_ROLE_RESOLVER, "@NAME@");
RQD_FLAGS(RQD_FLAG_OWN_PROCESS);

#define ROOM (256 << 10)

struct rqd_instance {
    char nodes[4096];
};

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    uint64_t now = rqdisco_now();
    uint64_t left = call->deadline_ns > now ? call->deadline_ns - now : 0;
    char *out = malloc(ROOM), *next, *word;
    rqd_code code;
    if (out == NULL) return RQD_INTERNAL;
    code = goResolve(self->nodes, left > INT64_MAX ? INT64_MAX : left, call->cancel_fd, out, ROOM);
    if (code != RQD_OK) {
        code = rqdisco_fail(sink, code, "%s", out);
    } else {
        for (word = strtok_r(out, "\n", &next); word && code == RQD_OK;
             word = strtok_r(NULL, "\n", &next)) {
            if (rqdisco_emit(sink, word, "-disco-config") != RQD_OK) {
                code = rqdisco_fail(sink, RQD_PROTOCOL, "%s is not host[:port]", word);
            }
        }
    }
    free(out);
    return code;
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    rqd_instance *self = calloc(1, sizeof *self);
    char why[1024];
    rqd_code code = RQD_OK;
    (void)plugin;
    (void)host;
    if (self == NULL) return RQD_INTERNAL;
    if (rqdisco_member(args->config, "nodes", self->nodes, sizeof self->nodes, 1) != 1) {
        code = rqdisco_fail(sink, RQD_CONFIG,
                            "the configuration must be {\"nodes\": \"HOST[:PORT] ...\"}; nodes is the "
                            "only member");
    } else if (goCheck(self->nodes, why, sizeof why) != 0) {
        code = rqdisco_fail(sink, RQD_CONFIG, "%s", why);
    }
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
