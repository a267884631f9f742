/* Never comes back when it is told what the node is. */
#define GLOBALS                                                                                    \
    static rqd_code update(rqd_instance *self, const rqd_call *call, const rqd_node *node,         \
                           const rqd_sink *sink) {                                                 \
        poll(NULL, 0, -1);                                                                         \
        return RQD_OK;                                                                             \
    }                                                                                              \
    static const rqd_node_watch told = {sizeof told, 0, update};
#define INTERFACE                                                                                  \
    if (RQD_IS(id, RQD_NODE_1)) return &told
#include "plugin.h"
