/* A resolver as people wrote it for version 1.0: against the header beside it, which stays as it
 * was. Uses all that 1.0 has for resolvers. Its configuration is the host name that it answers. */
#include "rqlite_disco.h"
#include <poll.h>
#include <stdlib.h>

RQD_NOTE(0, RQD_ROLE_RESOLVER, "frozen");

struct rqd_instance {
    const rqd_host *host;
    char name[RQD_MAX_HOST];
    uint64_t length;
};

static const uint8_t seen[] = {1, 0, 1};
static const rqd_bytes token = {seen, sizeof seen};

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    rqd_address address = {0};
    rqd_code code;
    if (call->cancelled(call)) return RQD_CANCELLED;
    if (self->host->get_interface(self->host, (rqd_text)RQD_TEXT("rqd.none/1")) != NULL) {
        return RQD_INTERNAL;
    }
    address.size = sizeof address;
    address.port = 4002;
    address.host.data = self->name;
    address.host.length = self->length;
    address.source = (rqd_text)RQD_TEXT("frozen");
    address.priority = 1;
    address.weight = 2;
    address.ttl_s = 3;
    code = sink->address(sink, &address);
    sink->token(sink, token);
    return code;
}

static rqd_code wait_change(rqd_instance *self, const rqd_call *call, rqd_text name,
                            rqd_bytes last, const rqd_sink *sink) {
    struct pollfd cancel = {call->cancel_fd, POLLIN, 0};
    (void)self;
    (void)name;
    sink->token(sink, token);
    if (last.length != token.length || memcmp(last.data, seen, sizeof seen) != 0) return RQD_OK;
    return poll(&cancel, 1, 20) > 0 ? RQD_CANCELLED : RQD_TIMEOUT;
}

static rqd_code describe(rqd_instance *self, const rqd_sink *sink) {
    (void)self;
    return sink->text(sink, (rqd_text)RQD_TEXT("{\"frozen\":\"1.0\"}"));
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    rqd_instance *self = calloc(1, sizeof *self);
    (void)plugin;
    if (self == NULL) return RQD_INTERNAL;
    if (args->config.length == 0 || args->config.length > sizeof self->name) {
        sink->message(sink, (rqd_text)RQD_TEXT("the configuration must be a host name"));
        free(self);
        return RQD_CONFIG;
    }
    self->host = host;
    self->length = args->config.length;
    memcpy(self->name, args->config.data, self->length);
    host->log(host, RQD_LOG_INFO, args->mode);
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    static const rqd_watch watch = {sizeof watch, 0, wait_change};
    static const rqd_status status = {sizeof status, 0, describe};
    (void)self;
    if (RQD_IS(id, RQD_RESOLVER_1)) return &resolver;
    if (RQD_IS(id, RQD_WATCH_1)) return &watch;
    return RQD_IS(id, RQD_STATUS_1) ? (const void *)&status : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("frozen")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.frozen"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
