/* A resolver, under two names, that always answers with the node's own host, and logs what it is told of the
 * node, when it is made and later, unless its configuration has the word "deaf"; with "late" it says that it was
 * told too late, with "hung" it does not say so until it is given up, with "lingers" its goodbye lasts as long as it
 * may, and with "stuck" it does not answer before another instance in the process says goodbye. */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

RQD_NOTE(1, RQD_ROLE_RESOLVER, "telling");
RQD_NOTE(1, RQD_ROLE_RESOLVER, "telling-too");

struct rqd_instance {
    const rqd_host *host;
    char config[64];
};

static atomic_int goodbyes;

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    static const rqd_text host = RQD_TEXT("127.0.0.1");
    rqd_address address = {0};
    if (strstr(self->config, "stuck"))
        while (atomic_load(&goodbyes) == 0 && !call->cancelled(call)) poll(NULL, 0, 10);
    address.size = sizeof address;
    address.host = host;
    return sink->address(sink, &address);
}

/* Until the deadline, or until the host gives the call up. */
static void wait_for_end(const rqd_call *call) {
    struct pollfd cancel = {call->cancel_fd, POLLIN, 0};
    struct timespec now;
    uint64_t time;
    clock_gettime(CLOCK_MONOTONIC, &now);
    time = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    if (time < call->deadline_ns) poll(&cancel, 1, (int)((call->deadline_ns - time) / 1000000u));
}

static rqd_code update(rqd_instance *self, const rqd_call *call, const rqd_node *node,
                       const rqd_sink *sink) {
    char line[256];
    rqd_text text = {line, 0};
    int leaves = (node->flags & RQD_NODE_LEAVING) != 0;
    (void)sink;
    if (strstr(self->config, "deaf")) {
        static const rqd_text refusal = RQD_TEXT("won't be told");
        self->host->log(self->host, RQD_LOG_INFO, refusal);
        return RQD_UNSUPPORTED;
    }
    text.length = (uint64_t)snprintf(
        line, sizeof line, "%s:%s%s%s%s%s at %.*s", strstr(self->config, "stuck") ? "stuck" : "told",
        node->flags & RQD_NODE_JOINED ? " joined" : "",
        node->flags & RQD_NODE_VOTER ? " voter" : "", node->flags & RQD_NODE_LEADS ? " leads" : "",
        node->flags & RQD_NODE_READY ? " ready" : "",
        node->flags & RQD_NODE_LEAVING ? " leaving" : "", (int)node->api_url.length,
        node->api_url.data);
    self->host->log(self->host, RQD_LOG_INFO, text);
    if (leaves) atomic_fetch_add(&goodbyes, 1);
    if (strstr(self->config, leaves ? "lingers" : "hung")) wait_for_end(call);
    if (leaves) {
        static const rqd_text words = RQD_TEXT("has said goodbye");
        self->host->log(self->host, RQD_LOG_INFO, words);
    }
    return strstr(self->config, "late") ? RQD_TIMEOUT : RQD_OK;
}

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    char line[256];
    rqd_text text = {line, 0};
    (void)plugin;
    (void)sink;
    text.length = (uint64_t)snprintf(
        line, sizeof line, "made at %.*s", (int)args->api_url.length, args->api_url.data);
    host->log(host, RQD_LOG_INFO, text);
    *instance = calloc(1, sizeof **instance);
    if (*instance == NULL) return RQD_INTERNAL;
    (*instance)->host = host;
    if (args->config.length < sizeof (*instance)->config)
        memcpy((*instance)->config, args->config.data, args->config.length);
    return RQD_OK;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    static const rqd_node_watch node = {sizeof node, 0, update};
    (void)self;
    if (RQD_IS(id, RQD_RESOLVER_1)) return &resolver;
    return RQD_IS(id, RQD_NODE_1) ? (const void *)&node : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("telling")};
static const rqd_mode mode_too = {sizeof mode_too, RQD_ROLE_RESOLVER, RQD_TEXT("telling-too")};
static const rqd_mode *const modes[] = {&mode, &mode_too};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 1,
    RQD_TEXT("org.example.telling"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    modes, 2, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
