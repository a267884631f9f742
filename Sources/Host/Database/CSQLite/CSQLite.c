// The VFS "rqlited"; see CSQLite.h for what it adds to "unix-excl".
#include "CSQLite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

// SQLite counts time in milliseconds since noon of 24 November 4714 BC.
static const int64_t unix_epoch = INT64_C(210866760000000);

static _Thread_local int clock_is_frozen;
static _Thread_local int64_t frozen_milliseconds;
static _Thread_local uint64_t disk_full_count;
static _Thread_local int fault_code;
static _Thread_local int64_t writes_before_fault;

void csqlite_freeze_clock(int64_t milliseconds) {
    clock_is_frozen = 1;
    frozen_milliseconds = milliseconds;
}

void csqlite_release_clock(void) { clock_is_frozen = 0; }

uint64_t csqlite_disk_full_count(void) { return disk_full_count; }

void csqlite_inject_write_fault(int code, int64_t after_writes) {
    fault_code = code;
    writes_before_fault = after_writes;
}

// What the shim remembers of an open file, behind what the base VFS keeps of it.
struct file_note {
    // Bytes that count for the limit on temporary files; -1 for files that don't count.
    int64_t counted;
    // They count for the limit on all that share one, too.
    int shares;
};

static _Thread_local int64_t temporary_limit = INT64_MAX;
static _Thread_local int64_t temporary_bytes;
static _Thread_local int temporary_exceeded;
static _Thread_local int64_t shared_limit = INT64_MAX;
static _Atomic int64_t shared_bytes;

void csqlite_limit_temporary(int64_t bytes) {
    temporary_limit = bytes;
    temporary_bytes = 0;
    temporary_exceeded = 0;
}

void csqlite_share_temporary(int64_t bytes) { shared_limit = bytes; }

int csqlite_temporary_exceeded(void) { return temporary_exceeded; }

int csqlite_set_temporary_directory(const char *path) {
    // Taking memory is the library's first use, too.
    int rc = csqlite_register_vfs();
    if (rc != SQLITE_OK) return rc;
    char *copy = sqlite3_mprintf("%s", path);
    if (!copy) return SQLITE_NOMEM;
    // The old text is leaked on purpose, once per call: another thread may be reading it.
    sqlite3_temp_directory = copy;
    return SQLITE_OK;
}

static sqlite3_vfs *base;
static sqlite3_vfs shim;

// The base VFS gives a file one of a few method tables; each is copied once with the methods of the
// shim in place of its own.
enum { max_tables = 8 };
static struct {
    const sqlite3_io_methods *original;
    sqlite3_io_methods methods;
} tables[max_tables];
static int table_count;
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;

static struct file_note *note_of(sqlite3_file *file) {
    return (struct file_note *)((char *)file + base->szOsFile);
}

static const sqlite3_io_methods *original_of(sqlite3_file *file) {
    // `methods` is a member of the table, so the original is found from its address.
    const char *methods = (const char *)file->pMethods;
    return tables[(methods - (const char *)&tables[0].methods) / (long)sizeof tables[0]].original;
}

// Whether a temporary file may hold `end` bytes.
static int count_temporary(sqlite3_file *file, int64_t end) {
    struct file_note *note = note_of(file);
    if (note->counted < 0 || end <= note->counted) return 1;
    int64_t more = end - note->counted;
    if (temporary_bytes + more > temporary_limit) {
        temporary_exceeded = 1;
        return 0;
    }
    if (note->shares && atomic_fetch_add(&shared_bytes, more) + more > shared_limit) {
        atomic_fetch_sub(&shared_bytes, more);
        temporary_exceeded = 2;
        return 0;
    }
    temporary_bytes += more;
    note->counted = end;
    return 1;
}

// SQLite knows one lack of room. A quota that is used up, and a limit on the size of files, are the same:
// they pass, and nothing is damaged.
static int lack_of_room(sqlite3_file *file, int rc) {
    int code = 0;
    if (rc != SQLITE_IOERR_WRITE) return rc;
    if (original_of(file)->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &code) != SQLITE_OK) return rc;
    return code == EDQUOT || code == EFBIG ? SQLITE_FULL : rc;
}

static int shim_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int rc;
    if (fault_code != 0 && writes_before_fault-- <= 0) {
        rc = fault_code;
    } else {
        // No lack of room of this node's: not counted as such.
        if (!count_temporary(file, offset + count)) return SQLITE_FULL;
        rc = lack_of_room(file, original_of(file)->xWrite(file, bytes, count, offset));
    }
    if (rc == SQLITE_FULL) disk_full_count++;
    return rc;
}

static int shim_truncate(sqlite3_file *file, sqlite3_int64 size) {
    struct file_note *note = note_of(file);
    if (note->counted > size) {
        temporary_bytes -= note->counted - size;
        if (note->shares) atomic_fetch_sub(&shared_bytes, note->counted - size);
        note->counted = size;
    }
    return original_of(file)->xTruncate(file, size);
}

static int shim_close(sqlite3_file *file) {
    struct file_note *note = note_of(file);
    if (note->counted > 0) {
        temporary_bytes -= note->counted;
        if (note->shares) atomic_fetch_sub(&shared_bytes, note->counted);
    }
    note->counted = -1;
    return original_of(file)->xClose(file);
}

// The index of the write-ahead log is memory of SQLite's here, and when it grows is this node's matter.
static int shim_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **out) {
    csqlite_pause_work(1);
    int rc = original_of(file)->xShmMap(file, region, size, extend, out);
    csqlite_pause_work(0);
    return rc;
}

// NULL when there are more tables than expected.
static const sqlite3_io_methods *shimmed(const sqlite3_io_methods *original) {
    const sqlite3_io_methods *found = 0;
    pthread_mutex_lock(&tables_lock);
    for (int i = 0; i < table_count && !found; i++)
        if (tables[i].original == original) found = &tables[i].methods;
    if (!found && table_count < max_tables) {
        tables[table_count].original = original;
        tables[table_count].methods = *original;
        tables[table_count].methods.xWrite = shim_write;
        tables[table_count].methods.xTruncate = shim_truncate;
        tables[table_count].methods.xClose = shim_close;
        if (original->iVersion >= 2 && original->xShmMap)
            tables[table_count].methods.xShmMap = shim_shm_map;
        found = &tables[table_count++].methods;
    }
    pthread_mutex_unlock(&tables_lock);
    return found;
}

static int shim_open(
    sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    // What a statement sorts and gathers, and the copy that VACUUM makes. Statement journals don't
    // count: they hold no more than the pages of the database that the statement changes.
    int counts = flags & (SQLITE_OPEN_TEMP_DB | SQLITE_OPEN_TRANSIENT_DB | SQLITE_OPEN_TEMP_JOURNAL);
    note_of(file)->counted = counts ? 0 : -1;
    note_of(file)->shares = counts && shared_limit != INT64_MAX;
    // The base finds its locking rules by the name of the VFS it is handed: its own.
    csqlite_pause_chance(1);
    int rc = base->xOpen(base, name, file, flags, out_flags);
    // The folder for temporary files went while a name in it was chosen: there are others.
    if (rc == SQLITE_CANTOPEN && !name) rc = base->xOpen(base, name, file, flags, out_flags);
    csqlite_pause_chance(0);
    if (rc == SQLITE_OK && file->pMethods) {
        const sqlite3_io_methods *methods = shimmed(file->pMethods);
        if (!methods) {
            file->pMethods->xClose(file);
            file->pMethods = 0;
            return SQLITE_CANTOPEN;
        }
        file->pMethods = methods;
    }
    return rc;
}

static int shim_delete(sqlite3_vfs *vfs, const char *name, int sync) {
    (void)vfs;
    return base->xDelete(base, name, sync);
}

static int shim_access(sqlite3_vfs *vfs, const char *name, int flags, int *result) {
    (void)vfs;
    return base->xAccess(base, name, flags, result);
}

static int shim_full_pathname(sqlite3_vfs *vfs, const char *name, int count, char *out) {
    (void)vfs;
    return base->xFullPathname(base, name, count, out);
}

static int shim_current_time_64(sqlite3_vfs *vfs, sqlite3_int64 *time) {
    (void)vfs;
    if (!clock_is_frozen) return base->xCurrentTimeInt64(base, time);
    *time = unix_epoch + frozen_milliseconds;
    return SQLITE_OK;
}

static int shim_current_time(sqlite3_vfs *vfs, double *days) {
    sqlite3_int64 time = 0;
    int rc = shim_current_time_64(vfs, &time);
    *days = (double)time / 86400000.0;
    return rc;
}

static int shim_randomness(sqlite3_vfs *vfs, int count, char *into) {
    (void)vfs;
    return csqlite_seed(into, count) ? count : base->xRandomness(base, count, into);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int registered = SQLITE_ERROR;

static void register_once(void) {
    // Only before SQLite is initialized can its allocator and its cache be replaced. Where something else
    // came first they would go uncounted, and what a statement costs would differ from other nodes.
    registered = csqlite_install_allocator();
    if (registered == SQLITE_OK) registered = csqlite_install_chance();
    if (registered == SQLITE_OK) registered = csqlite_install_page_count();
    if (registered == SQLITE_OK) registered = sqlite3_initialize();
    if (registered != SQLITE_OK) return;
    base = sqlite3_vfs_find("unix-excl");
    if (!base || base->iVersion < 2) {
        registered = SQLITE_NOTFOUND;
        return;
    }
    shim = *base;
    shim.zName = CSQLITE_VFS_NAME;
    shim.pNext = 0;
    shim.szOsFile = base->szOsFile + (int)sizeof(struct file_note);
    shim.xOpen = shim_open;
    shim.xDelete = shim_delete;
    shim.xAccess = shim_access;
    shim.xFullPathname = shim_full_pathname;
    shim.xRandomness = shim_randomness;
    shim.xCurrentTime = shim_current_time;
    shim.xCurrentTimeInt64 = shim_current_time_64;
    // SQLite asks the default VFS for the seed of its random numbers.
    registered = sqlite3_vfs_register(&shim, 1);
}

int csqlite_register_vfs(void) {
    pthread_once(&once, register_once);
    return registered;
}
