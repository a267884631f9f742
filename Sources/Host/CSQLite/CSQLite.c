// The VFS "rqlited"; see CSQLite.h for what it adds to "unix-excl".
#include "CSQLite.h"

#include <pthread.h>

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

static sqlite3_vfs *base;
static sqlite3_vfs shim;

// The base VFS gives a file one of a few method tables; each is copied once with xWrite replaced.
enum { max_tables = 8 };
static struct {
    const sqlite3_io_methods *original;
    sqlite3_io_methods methods;
} tables[max_tables];
static int table_count;
static pthread_mutex_t tables_lock = PTHREAD_MUTEX_INITIALIZER;

static int shim_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset) {
    int rc;
    if (fault_code != 0 && writes_before_fault-- <= 0) {
        rc = fault_code;
    } else {
        // `methods` is a member of the table, so the original is found from its address.
        const char *methods = (const char *)file->pMethods;
        int i = (int)((methods - (const char *)&tables[0].methods) / (long)sizeof tables[0]);
        rc = tables[i].original->xWrite(file, bytes, count, offset);
    }
    if (rc == SQLITE_FULL) disk_full_count++;
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
        found = &tables[table_count++].methods;
    }
    pthread_mutex_unlock(&tables_lock);
    return found;
}

static int shim_open(
    sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    // The base finds its locking rules by the name of the VFS it is handed: its own.
    csqlite_pause_chance(1);
    int rc = base->xOpen(base, name, file, flags, out_flags);
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
    registered = csqlite_install_chance();
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
