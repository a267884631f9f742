/* Gives the same page whatever it shall follow. */
#define GLOBALS                                                                                    \
    static rqd_code same_page(rqd_instance *, const rqd_call *, rqd_text, rqd_text, uint32_t,       \
                              const rqd_sink *);                                                   \
    static const rqd_pages pages = {sizeof pages, 0, same_page};
#define INTERFACE                                                                                  \
    if (RQD_IS(id, RQD_PAGES_1)) return &pages
#include "plugin.h"

static rqd_code same_page(rqd_instance *self, const rqd_call *call, rqd_text prefix, rqd_text after,
                          uint32_t most, const rqd_sink *sink) {
    (void)after;
    (void)most;
#ifdef REGISTRY
    return list_records(self, call, prefix, sink);
#else
    return RQD_UNSUPPORTED;
#endif
}
