/* Lets a C++ exception out of a call. */
#include "rqlite_disco.h"
#include <stdexcept>

RQD_NOTE(0, RQD_ROLE_RESOLVER, "tested-resolver");

struct rqd_instance {
    int unused;
};

static rqd_code resolve(rqd_instance *, const rqd_call *, const rqd_sink *) {
    throw std::runtime_error("nobody catches this");
}

static rqd_code create(const rqd_plugin *, const rqd_host *, const rqd_create_args *,
                       const rqd_sink *, rqd_instance **instance) {
    *instance = new rqd_instance();
    return RQD_OK;
}

static void destroy(rqd_instance *self) { delete self; }

static const rqd_resolver resolver = {sizeof resolver, 0, resolve};

static const void *get_interface(rqd_instance *, rqd_text id) {
    return RQD_IS(id, RQD_RESOLVER_1) ? &resolver : nullptr;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_RESOLVER, RQD_TEXT("tested-resolver")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.tested"), RQD_TEXT("1.0.0"), RQD_TEXT("Example"), RQD_TEXT(""),
    RQD_TEXT("MIT"), modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t) {
    return host_major == RQD_ABI_MAJOR ? &plugin : nullptr;
}
