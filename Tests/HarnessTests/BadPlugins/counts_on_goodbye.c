/* Breaks no rule: it takes the goodbye of the node for the last call before its end, as it may. */
#define FIELDS int is_over;
#define ON_CALL                                                                                    \
    if (self->is_over) abort();
#define ON_WAIT ON_CALL
#define ON_DESCRIBE ON_CALL
#define GLOBALS                                                                                    \
    static rqd_code update(rqd_instance *self, const rqd_call *call, const rqd_node *node,         \
                           const rqd_sink *sink) {                                                 \
        ON_CALL;                                                                                   \
        self->is_over = (node->flags & RQD_NODE_LEAVING) != 0;                                     \
        return RQD_OK;                                                                             \
    }                                                                                              \
    static const rqd_node_watch told = {sizeof told, 0, update};
#define INTERFACE                                                                                  \
    if (RQD_IS(id, RQD_NODE_1)) return &told
#include "plugin.h"
