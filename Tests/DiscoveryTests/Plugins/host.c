/* The least that a host is, to try plugins and headers of different versions on each other. Takes a
 * plugin's path; prints the address that it answers to "node-1". */
#include "rqlite_disco.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <time.h>

static rqd_code message(const rqd_sink *sink, rqd_text text) {
    (void)sink;
    printf("message %.*s\n", (int)text.length, text.data);
    return RQD_OK;
}

static rqd_code take_address(const rqd_sink *sink, const rqd_address *address) {
    (void)sink;
    printf("%.*s:%u priority %u weight %u ttl %u\n", (int)address->host.length, address->host.data,
           address->port, address->priority, address->weight, address->ttl_s);
    return RQD_OK;
}

static rqd_code take_token(const rqd_sink *sink, rqd_bytes token) {
    (void)sink;
    printf("token of %u bytes\n", (unsigned)token.length);
    return RQD_OK;
}

static void take_line(const rqd_host *host, int32_t level, rqd_text text) {
    (void)host;
    (void)level;
    (void)text;
}

static const void *get_nothing(const rqd_host *host, rqd_text id) {
    (void)host;
    (void)id;
    return NULL;
}

static int32_t is_cancelled(const rqd_call *call) {
    (void)call;
    return 0;
}

int main(int count, char **words) {
    rqd_host host = {0};
    rqd_create_args args = {0};
    rqd_call call = {0};
    rqd_sink sink = {0};
    rqd_instance *instance = NULL;
    struct timespec now;
    void *object = count == 2 ? dlopen(words[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    rqd_entry entry = object ? (rqd_entry)(intptr_t)dlsym(object, "rqlite_disco_entry") : NULL;
    const rqd_plugin *plugin = entry ? entry(RQD_ABI_MAJOR, RQD_ABI_MINOR) : NULL;
    if (plugin == NULL || !RQD_COVERS(rqd_plugin, plugin, get_interface)) return 2;
    host.size = sizeof host;
    host.log = take_line;
    host.get_interface = get_nothing;
    args.size = sizeof args;
    args.mode = plugin->modes[0]->name;
    args.config.data = (const uint8_t *)"node-1";
    args.config.length = 6;
    sink.size = sizeof sink;
    sink.message = message;
    sink.address = take_address;
    sink.token = take_token;
    if (plugin->create(plugin, &host, &args, &sink, &instance) != RQD_OK) return 3;
    clock_gettime(CLOCK_MONOTONIC, &now);
    call.size = sizeof call;
    call.cancel_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    call.cancelled = is_cancelled;
    call.deadline_ns = (uint64_t)now.tv_sec * 1000000000u + 1000000000u;
    const rqd_text id = RQD_TEXT(RQD_RESOLVER_1);
    const rqd_resolver *resolver = plugin->get_interface(instance, id);
    if (resolver == NULL || !RQD_COVERS(rqd_resolver, resolver, resolve)) return 4;
    rqd_code code = resolver->resolve(instance, &call, &sink);
    plugin->destroy(instance);
    printf("status %d, plugin built against %u.%u\n", code, plugin->abi_major, plugin->abi_minor);
    return 0;
}
