/* A registry in a directory, for tests with real processes: every record is a file, one lock guards
 * them all. A test reads and writes the same files, reads in `journal` what each node did, stops a
 * node at a step, and makes the registry fail.
 *
 *     <dir>/lock                 locked (flock) around every operation
 *     <dir>/revision             the last revision given
 *     <dir>/<key>/<name>         a record: its revision in decimal, a line feed, the value
 *     <dir>/journal              lines: node, operation, name, expected revision or -, status, what
 *                                a written entry says (forming, formed or -)
 *     <dir>/control/stop-at      a step: `before write forming`. The first node that comes there
 *                                renames the file to `stopped-<node>` and stays until it is gone;
 *                                nor does any other call of that node do anything until then
 *     <dir>/control/fail         `down`: every call fails; `hang`: none comes back before its end
 */
#define _GNU_SOURCE
#include "rqlite_disco.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

RQD_NOTE(0, RQD_ROLE_REGISTRY, "directory");

struct rqd_instance {
    char root[1024];
    char key[256];
    char node[256];
};

struct record {
    char revision[32];
    char value[RQD_MAX_VALUE + 1];
    uint64_t length;
};

static void copy(char *to, size_t room, const void *from, uint64_t length) {
    if (length >= room) length = room - 1;
    memcpy(to, from, length);
    to[length] = 0;
}

static void path_of(const rqd_instance *self, const char *name, char *path) {
    snprintf(path, 2048, "%s/%s/%s", self->root, self->key, name);
}

/* The call's end: its deadline, or that the host gave it up. */
static int is_over(const rqd_call *call, int wait_ms) {
    struct pollfd cancel = {call->cancel_fd, POLLIN, 0};
    struct timespec now;
    if (poll(&cancel, 1, wait_ms) > 0) return 1;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec >= call->deadline_ns;
}

static const char *state_of(const char *value, uint64_t length) {
    if (memmem(value, length, "forming", 7)) return "forming";
    return memmem(value, length, "formed", 6) ? "formed" : "-";
}

/* ---- What a test asks for ------------------------------------------------------------------- */

static int control(const rqd_instance *self, const char *name, char *text, size_t room) {
    char path[2048];
    ssize_t count;
    int file;
    snprintf(path, sizeof path, "%s/control/%s", self->root, name);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    count = read(file, text, room - 1);
    close(file);
    text[count > 0 ? count : 0] = 0;
    return 1;
}

/* Stays while the node is stopped at a step; nonzero when the call ended meanwhile. */
static int is_held(const rqd_instance *self, const rqd_call *call) {
    char path[2048];
    snprintf(path, sizeof path, "%s/control/stopped-%s", self->root, self->node);
    while (access(path, F_OK) == 0) {
        if (is_over(call, 10)) return 1;
    }
    return 0;
}

/* Stays at the step if a test wants that; nonzero when the call ended meanwhile. */
static int stay(const rqd_instance *self, const rqd_call *call, const char *when,
                const char *operation, const char *state) {
    char wanted[128], here[128], from[2048], to[2048];
    snprintf(here, sizeof here, "%s %s %s", when, operation, state);
    if (!control(self, "stop-at", wanted, sizeof wanted) || strcmp(wanted, here) != 0) return 0;
    snprintf(from, sizeof from, "%s/control/stop-at", self->root);
    snprintf(to, sizeof to, "%s/control/stopped-%s", self->root, self->node);
    if (rename(from, to) != 0) return 0;
    return is_held(self, call);
}

static rqd_code failure(const rqd_instance *self, const rqd_call *call, const rqd_sink *sink) {
    static const rqd_text down = RQD_TEXT("the directory is down: a test wants it so");
    char text[32];
    if (is_held(self, call)) return RQD_TIMEOUT;
    if (!control(self, "fail", text, sizeof text)) return RQD_OK;
    if (strcmp(text, "hang") == 0) {
        while (!is_over(call, 20)) {}
        return RQD_TIMEOUT;
    }
    sink->message(sink, down);
    return RQD_UNAVAILABLE;
}

static void note(const rqd_instance *self, const char *operation, const char *name,
                 const char *expected, rqd_code code, const char *state) {
    char path[2048], line[1024];
    int file, count;
    snprintf(path, sizeof path, "%s/journal", self->root);
    count = snprintf(line, sizeof line, "%s %s %s/%s %s %d %s\n", self->node, operation, self->key,
                     name, expected[0] ? expected : "-", (int)code, state);
    file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return;
    if (write(file, line, (size_t)count) != count) abort();
    close(file);
}

/* ---- The store ------------------------------------------------------------------------------ */

static int lock(const rqd_instance *self) {
    char path[2048];
    int file;
    snprintf(path, sizeof path, "%s/lock", self->root);
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0) flock(file, LOCK_EX);
    return file;
}

static int load(const char *path, struct record *record) {
    char buffer[sizeof *record];
    ssize_t count;
    char *end;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    count = read(file, buffer, sizeof buffer);
    close(file);
    if (count < 0) return 0;
    end = memchr(buffer, '\n', (size_t)count);
    if (end == NULL) return 0;
    copy(record->revision, sizeof record->revision, buffer, (uint64_t)(end - buffer));
    record->length = (uint64_t)(buffer + count - end - 1);
    copy(record->value, sizeof record->value, end + 1, record->length);
    return 1;
}

static void store(const rqd_instance *self, const char *path, struct record *record) {
    char counter[2048], unfinished[2100], text[32] = "";
    unsigned long last = 0;
    FILE *file;
    snprintf(counter, sizeof counter, "%s/revision", self->root);
    file = fopen(counter, "re");
    if (file) {
        if (fgets(text, sizeof text, file)) last = strtoul(text, NULL, 10);
        fclose(file);
    }
    file = fopen(counter, "we");
    fprintf(file, "%lu", last + 1);
    fclose(file);
    snprintf(record->revision, sizeof record->revision, "%lu", last + 1);
    snprintf(unfinished, sizeof unfinished, "%s.new", path);
    file = fopen(unfinished, "we");
    fprintf(file, "%s\n", record->revision);
    fwrite(record->value, 1, record->length, file);
    fclose(file);
    rename(unfinished, path);
}

static rqd_code emit(const rqd_sink *sink, const char *name, const struct record *record) {
    rqd_record out = {0};
    out.size = sizeof out;
    out.name.data = name;
    out.name.length = strlen(name);
    out.value.data = (const uint8_t *)record->value;
    out.value.length = record->length;
    out.revision.data = (const uint8_t *)record->revision;
    out.revision.length = strlen(record->revision);
    return sink->record(sink, &out);
}

static void emit_token(const rqd_sink *sink, const struct record *record) {
    const char *text = record ? record->revision : "none";
    rqd_bytes token = {(const uint8_t *)text, strlen(text)};
    sink->token(sink, token);
}

/* ---- The interface -------------------------------------------------------------------------- */

static rqd_code read_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                            const rqd_sink *sink) {
    struct record record;
    char text[RQD_MAX_NAME + 1], path[2048];
    rqd_code code = failure(self, call, sink);
    int guard;
    if (code != RQD_OK) return code;
    copy(text, sizeof text, name.data, name.length);
    path_of(self, text, path);
    guard = lock(self);
    code = load(path, &record) ? emit(sink, text, &record) : RQD_ABSENT;
    emit_token(sink, code == RQD_ABSENT ? NULL : &record);
    close(guard);
    return code;
}

static rqd_code write_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, rqd_bytes value, const rqd_sink *sink) {
    struct record record;
    char text[RQD_MAX_NAME + 1], path[2048], revision[32];
    const char *state;
    rqd_code code = failure(self, call, sink);
    int guard, found;
    if (code != RQD_OK) return code;
    copy(text, sizeof text, name.data, name.length);
    copy(revision, sizeof revision, expected.data, expected.length);
    path_of(self, text, path);
    state = strcmp(text, "leader") == 0 ? state_of((const char *)value.data, value.length) : "-";
    if (stay(self, call, "before", "write", state)) return RQD_TIMEOUT;
    guard = lock(self);
    found = load(path, &record);
    if (expected.length == 0 ? found : !found || strcmp(revision, record.revision) != 0) {
        code = found ? RQD_CONFLICT : RQD_ABSENT;
    } else {
        copy(record.value, sizeof record.value, value.data, value.length);
        record.length = value.length;
        store(self, path, &record);
    }
    note(self, "write", text, revision, code, state);
    close(guard);
    if (stay(self, call, "after", "write", state)) return RQD_TIMEOUT;
    return code == RQD_OK ? emit(sink, text, &record) : code;
}

static rqd_code erase_record(rqd_instance *self, const rqd_call *call, rqd_text name,
                             rqd_bytes expected, const rqd_sink *sink) {
    struct record record;
    char text[RQD_MAX_NAME + 1], path[2048], revision[32];
    rqd_code code = failure(self, call, sink);
    int guard;
    if (code != RQD_OK) return code;
    copy(text, sizeof text, name.data, name.length);
    copy(revision, sizeof revision, expected.data, expected.length);
    path_of(self, text, path);
    guard = lock(self);
    if (!load(path, &record)) {
        code = RQD_ABSENT;
    } else if (strcmp(revision, record.revision) != 0) {
        code = RQD_CONFLICT;
    } else {
        unlink(path);
    }
    note(self, "erase", text, revision, code, "-");
    close(guard);
    return code;
}

static void list_folder(const rqd_instance *self, const char *folder, const char *prefix,
                        const rqd_sink *sink) {
    struct record record;
    char path[2048], name[RQD_MAX_NAME + 1];
    struct dirent *item;
    DIR *directory;
    path_of(self, folder, path);
    directory = opendir(path);
    while (directory && (item = readdir(directory)) != NULL) {
        size_t length = strlen(item->d_name);
        if (length > 4 && strcmp(item->d_name + length - 4, ".new") == 0) continue;
        snprintf(name, sizeof name, "%s%s", folder, item->d_name);
        path_of(self, name, path);
        if (strncmp(name, prefix, strlen(prefix)) == 0 && load(path, &record)) {
            emit(sink, name, &record);
        }
    }
    if (directory) closedir(directory);
}

static rqd_code list_records(rqd_instance *self, const rqd_call *call, rqd_text prefix,
                             const rqd_sink *sink) {
    char text[RQD_MAX_NAME + 1];
    rqd_code code = failure(self, call, sink);
    int guard;
    if (code != RQD_OK) return code;
    copy(text, sizeof text, prefix.data, prefix.length);
    guard = lock(self);
    list_folder(self, "", text, sink);
    list_folder(self, "nodes/", text, sink);
    close(guard);
    return RQD_OK;
}

/* Looks every few milliseconds: enough for a test. */
static rqd_code wait_change(rqd_instance *self, const rqd_call *call, rqd_text name,
                            rqd_bytes token, const rqd_sink *sink) {
    char text[RQD_MAX_NAME + 1], path[2048], seen[64], now[64];
    rqd_code code = failure(self, call, sink);
    if (code != RQD_OK) return code;
    copy(text, sizeof text, name.data, name.length);
    copy(seen, sizeof seen, token.data, token.length);
    path_of(self, text, path);
    for (;;) {
        FILE *file = fopen(path, "re");
        strcpy(now, "none");
        if (file && fgets(now, sizeof now, file)) now[strcspn(now, "\n")] = 0;
        if (file) fclose(file);
        if (strcmp(now, seen) != 0) {
            rqd_bytes changed = {(const uint8_t *)now, strlen(now)};
            return sink->token(sink, changed);
        }
        if (is_over(call, 10)) return RQD_TIMEOUT;
    }
}

#ifdef LISTENS
/* Takes all the time that it gets to be told of the node, and notes how many milliseconds that is. */
static rqd_code update(rqd_instance *self, const rqd_call *call, const rqd_node *node,
                       const rqd_sink *sink) {
    struct timespec now;
    uint64_t begin;
    (void)node;
    (void)sink;
    clock_gettime(CLOCK_MONOTONIC, &now);
    begin = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    note(self, "update", "-", "",
         begin < call->deadline_ns ? (rqd_code)((call->deadline_ns - begin) / 1000000u) : 0, "-");
    while (!is_over(call, 20)) {}
    return RQD_TIMEOUT;
}
#endif

static rqd_code create(const rqd_plugin *plugin, const rqd_host *host, const rqd_create_args *args,
                       const rqd_sink *sink, rqd_instance **instance) {
    static const rqd_text wrong = RQD_TEXT("the configuration must be a directory in braces");
    char path[2048];
    rqd_instance *self;
    (void)plugin;
    (void)host;
    if (args->config.length < 3 || args->config.length > sizeof self->root) {
        sink->message(sink, wrong);
        return RQD_CONFIG;
    }
    self = calloc(1, sizeof *self);
    if (self == NULL) return RQD_INTERNAL;
    copy(self->root, sizeof self->root, args->config.data + 1, args->config.length - 2);
#ifdef EACH_PROCESS_FOR_ITSELF
    /* As a registry in the process's memory would be. */
    size_t length = strlen(self->root);
    snprintf(self->root + length, sizeof self->root - length, "/%d", (int)getpid());
    mkdir(self->root, 0755);
    snprintf(self->root + length, sizeof self->root - length, "/%d/control", (int)getpid());
    mkdir(self->root, 0755);
    snprintf(self->root + length, sizeof self->root - length, "/%d", (int)getpid());
#endif
    copy(self->key, sizeof self->key, args->key.data, args->key.length);
    copy(self->node, sizeof self->node, args->node_id.data, args->node_id.length);
    path_of(self, "", path);
    mkdir(path, 0755);
    path_of(self, "nodes", path);
    mkdir(path, 0755);
    *instance = self;
    return RQD_OK;
}

static void destroy(rqd_instance *self) { free(self); }

static const void *get_interface(rqd_instance *self, rqd_text id) {
    static const rqd_registry registry = {
        sizeof registry, 0, read_record, write_record, erase_record, list_records};
    static const rqd_watch watch = {sizeof watch, 0, wait_change};
    (void)self;
#ifdef LISTENS
    static const rqd_node_watch told = {sizeof told, 0, update};
    if (RQD_IS(id, RQD_NODE_1)) return &told;
#endif
    if (RQD_IS(id, RQD_REGISTRY_1)) return &registry;
    return RQD_IS(id, RQD_WATCH_1) ? (const void *)&watch : NULL;
}

static const rqd_mode mode = {sizeof mode, RQD_ROLE_REGISTRY, RQD_TEXT("directory")};
static const rqd_mode *const modes[] = {&mode};
static const rqd_plugin plugin = {
    sizeof plugin, RQD_ABI_MAJOR, RQD_ABI_MINOR, 0,
    RQD_TEXT("org.example.directory"), RQD_TEXT("1"), RQD_TEXT(""), RQD_TEXT(""), RQD_TEXT(""),
    modes, 1, 0, RQD_TEXT(""), create, destroy, get_interface};

const rqd_plugin *rqlite_disco_entry(uint32_t host_major, uint32_t host_minor) {
    (void)host_minor;
    return host_major == RQD_ABI_MAJOR ? &plugin : NULL;
}
