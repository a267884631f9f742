/* Uses the sink after the call has returned. */
#define GLOBALS                                                                                    \
    static void *use_sink(void *sink) {                                                            \
        static const rqd_text text = RQD_TEXT("from elsewhere");                                   \
        poll(NULL, 0, 30);                                                                         \
        ((const rqd_sink *)sink)->message(sink, text);                                             \
        return NULL;                                                                               \
    }
#define ON_CALL pthread_t thread; pthread_create(&thread, NULL, use_sink, (void *)sink); pthread_detach(thread)
#include "plugin.h"
