/* Takes its time to end, and to come back from a call that was given up, the first time of each: files
 * beside it remember. */
#define ON_DESTROY late_once("destroy");
#define ON_FAILURE if (code == RQD_CANCELLED) late_once("cancel")
static void late_once(const char *what);
#include "plugin.h"
#include <dlfcn.h>

static void late_once(const char *what) {
    Dl_info info;
    char path[4096];
    if (dladdr((void *)late_once, &info) == 0) return;
    snprintf(path, sizeof path, "%s.was-late-in-%s", info.dli_fname, what);
    int file = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return;
    close(file);
    poll(NULL, 0, 4000);
}
