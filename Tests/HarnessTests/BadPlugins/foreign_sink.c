/* Uses the sink on a thread of its own. */
#define GLOBALS                                                                                    \
    static void *use_sink(void *sink) {                                                            \
        static const rqd_text text = RQD_TEXT("from elsewhere");                                   \
        ((const rqd_sink *)sink)->message(sink, text);                                             \
        return NULL;                                                                               \
    }
#define ON_CALL pthread_t thread; pthread_create(&thread, NULL, use_sink, (void *)sink); pthread_join(thread, NULL)
#include "plugin.h"
