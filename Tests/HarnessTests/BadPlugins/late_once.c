/* Takes its time to end, the first time that it ends at all: a file beside it remembers. */
#define ON_DESTROY late_once();
static void late_once(void);
#include "plugin.h"
#include <dlfcn.h>

static void late_once(void) {
    Dl_info info;
    char path[4096];
    if (dladdr((void *)late_once, &info) == 0) return;
    snprintf(path, sizeof path, "%s.was-late", info.dli_fname);
    int file = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return;
    close(file);
    poll(NULL, 0, 2500);
}
