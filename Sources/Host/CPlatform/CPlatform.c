#define _GNU_SOURCE
#include "CPlatform.h"

#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

int32_t cplatform_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cplatform_name_thread(const char *name) {
    char kept[16] = {0};
    strncpy(kept, name, sizeof kept - 1);
    pthread_setname_np(pthread_self(), kept);
}
