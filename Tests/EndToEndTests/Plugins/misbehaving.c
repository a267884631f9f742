/* The registry in a directory, and a resolver that always answers with the node's own host, until a
 * test writes `FUNCTION HOW` into `<dir>/control/misbehave`: from then on the function never comes
 * back (`hang`), crashes (`crash`) or hands over what it must not (`garbage`). */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#define rqlite_disco_entry directory_entry
#define plugin directory_plugin
#define mode directory_mode
#define modes directory_modes
#include "directory.c"
#undef rqlite_disco_entry
#undef plugin
#undef mode
#undef modes

RQD_NOTE(0, RQD_ROLE_RESOLVER, "own-host");

/* Whether the function shall hand over garbage. */
static int misbehaves(const rqd_instance *self, const char *function) {
    char text[64], *how;
    if (!control(self, "misbehave", text, sizeof text)) return 0;
    how = strchr(text, ' ');
    if (how == NULL || strncmp(text, function, (size_t)(how - text)) != 0 ||
        function[how - text] != 0) {
        return 0;
    }
    if (strcmp(how, " hang") == 0) {
        for (;;) pause();
    }
    if (strcmp(how, " crash") == 0) {
        volatile int *nowhere = NULL;
        *nowhere = 1;
    }
    return 1;
}

static rqd_code resolve(rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    rqd_address address = {0};
    static const rqd_text good = RQD_TEXT("127.0.0.1"), bad = RQD_TEXT("no such:host");
    (void)call;
    address.size = sizeof address;
    address.host = misbehaves(self, "resolve") ? bad : good;
    sink->address(sink, &address);
    return RQD_OK;
}

static rqd_code give_garbage(const rqd_sink *sink) {
    static const rqd_text name = RQD_TEXT("somebody/else");
    static uint8_t much[RQD_MAX_VALUE + 1];
    rqd_bytes value = {much, sizeof much};
    rqd_record record = {sizeof record, 0, name, value, value};
    sink->record(sink, &record);
    sink->token(sink, value);
    return RQD_OK;
}

static rqd_code read_badly(rqd_instance *self, const rqd_call *call, rqd_text name,
                           const rqd_sink *sink) {
    if (misbehaves(self, "read")) return give_garbage(sink);
    return read_record(self, call, name, sink);
}

static rqd_code write_badly(rqd_instance *self, const rqd_call *call, rqd_text name,
                            rqd_bytes expected, rqd_bytes value, const rqd_sink *sink) {
    if (misbehaves(self, "write")) return give_garbage(sink);
    return write_record(self, call, name, expected, value, sink);
}

static rqd_code list_badly(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                           const rqd_sink *sink) {
    if (misbehaves(self, "list")) return give_garbage(sink);
    return list_records(self, call, prefix, sink);
}

static rqd_code wait_badly(rqd_instance *self, const rqd_call *call, rqd_text name,
                           rqd_bytes token, const rqd_sink *sink) {
    if (misbehaves(self, "wait")) return give_garbage(sink);
    return wait_change(self, call, name, token, sink);
}

static rqd_code describe(rqd_instance *self, const rqd_sink *sink) {
    static const rqd_text good = RQD_TEXT("{\"described\":true}"), bad = RQD_TEXT("[1,");
    return sink->text(sink, misbehaves(self, "describe") ? bad : good);
}

static rqd_code create_badly(const rqd_plugin *plugin, const rqd_host *host,
                             const rqd_create_args *args, const rqd_sink *sink,
                             rqd_instance **instance) {
    rqd_code code = create(plugin, host, args, sink, instance);
    if (code == RQD_OK && misbehaves(*instance, "create")) *instance = NULL;
    return code;
}

static void destroy_badly(rqd_instance *self) {
    misbehaves(self, "destroy");
    destroy(self);
}

static const void *get_interface_of_all(rqd_instance *self, rqd_text id) {
    static const rqd_resolver resolver = {sizeof resolver, 0, resolve};
    static const rqd_registry registry = {
        sizeof registry, 0, read_badly, write_badly, erase_record, list_badly};
    static const rqd_watch watch = {sizeof watch, 0, wait_badly};
    static const rqd_status status = {sizeof status, 0, describe};
    if (RQD_IS(id, RQD_RESOLVER_1)) return &resolver;
    if (RQD_IS(id, RQD_REGISTRY_1)) return &registry;
    if (RQD_IS(id, RQD_WATCH_1)) return &watch;
    return RQD_IS(id, RQD_STATUS_1) ? (const void *)&status : get_interface(self, id);
}

static const rqd_mode own_host = {sizeof own_host, RQD_ROLE_RESOLVER, RQD_TEXT("own-host")};
static const rqd_mode *const both[] = {&directory_mode, &own_host};
static const rqd_plugin misbehaving = {
    sizeof misbehaving, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.misbehaving"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    both, 2, 0, RQD_TEXT(""), create_badly, destroy_badly, get_interface_of_all};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &misbehaving : NULL;
}
