/* Keeps its records in the memory of its own process. */
#define GLOBALS                                                                                    \
    static rqd_code kept_read(rqd_instance *, const rqd_sink *, rqd_text);                         \
    static rqd_code kept_write(rqd_instance *, const rqd_sink *, rqd_text, rqd_bytes, rqd_bytes);  \
    static rqd_code kept_erase(rqd_text, rqd_bytes);
#define ON_READ return kept_read(self, sink, name);
#define ON_WRITE return kept_write(self, sink, name, expected, value);
#define ON_ERASE return kept_erase(name, expected);
#include "plugin.h"

#ifdef REGISTRY
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    char name[RQD_MAX_NAME + 1], tag[24];
    uint8_t value[RQD_MAX_VALUE];
    size_t length;
} kept[64];
static unsigned long last;

static int find(rqd_text name) {
    for (int i = 0; i < 64; i++) {
        if (kept[i].tag[0] && strlen(kept[i].name) == name.length &&
            memcmp(kept[i].name, name.data, name.length) == 0) return i;
    }
    return -1;
}

static int differs(int i, rqd_bytes expected) {
    return expected.length != strlen(kept[i].tag) ||
           memcmp(expected.data, kept[i].tag, expected.length) != 0;
}

static rqd_code kept_read(rqd_instance *self, const rqd_sink *sink, rqd_text name) {
    pthread_mutex_lock(&lock);
    int i = find(name);
    rqd_code code = RQD_ABSENT;
    if (i >= 0) {
        rqd_bytes value = {kept[i].value, kept[i].length};
        code = give_record(self, sink, name, value, kept[i].tag);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static rqd_code kept_write(rqd_instance *self, const rqd_sink *sink, rqd_text name,
                           rqd_bytes expected, rqd_bytes value) {
    pthread_mutex_lock(&lock);
    int i = find(name);
    rqd_code code = RQD_OK;
    if (i < 0 && expected.length > 0) code = RQD_ABSENT;
    if (i >= 0 && (expected.length == 0 || differs(i, expected))) code = RQD_CONFLICT;
    for (int j = 0; i < 0 && j < 64; j++) {
        if (kept[j].tag[0] == 0) i = j;
    }
    if (code == RQD_OK) {
        memcpy(kept[i].name, name.data, name.length);
        kept[i].name[name.length] = 0;
        memcpy(kept[i].value, value.data, value.length);
        kept[i].length = value.length;
        sprintf(kept[i].tag, "%lu", ++last);
        code = give_record(self, sink, name, value, kept[i].tag);
    }
    pthread_mutex_unlock(&lock);
    return code;
}

static rqd_code kept_erase(rqd_text name, rqd_bytes expected) {
    pthread_mutex_lock(&lock);
    int i = find(name);
    rqd_code code = i < 0 ? RQD_ABSENT : differs(i, expected) ? RQD_CONFLICT : RQD_OK;
    if (code == RQD_OK) kept[i].tag[0] = 0;
    pthread_mutex_unlock(&lock);
    return code;
}
#endif
