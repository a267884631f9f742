// Where SQLite's own random numbers come from; see CSQLite.h for what for.
//
// SQLite has one generator for the whole process. Each draw enters the mutex
// SQLITE_MUTEX_STATIC_PRNG, and a generator that was reset asks the default VFS for a seed. So, when
// a thread draws within a client's statement:
//
//   enter  the mutex is taken, then the generator is reset;
//   seed   the VFS answers with bytes made of the thread's key and its count of changed rows;
//   draw   SQLite computes what it draws;
//   leave  the generator is reset again, so that who draws next gets a seed of the system.
//
// No draw of another thread, and none that the same thread makes for other purposes, can be seen in
// what comes out.
#include "CSQLite.h"

#include <stdatomic.h>
#include <string.h>

static sqlite3_mutex_methods system_mutexes;
// Named anew by each thread that looks for it, and always the same.
static _Atomic(sqlite3_mutex *) generator_mutex;
static int is_installed;

static _Thread_local uint64_t key;
static _Thread_local uint64_t changed_rows;
static _Thread_local int is_active;
// Files are being opened: names of temporary files must differ between processes.
static _Thread_local int is_paused;
// This thread holds the generator, seeded by its key.
static _Thread_local int is_drawing;
// This thread resets the generator while it holds it.
static _Thread_local int is_resetting;

void csqlite_begin_chance(uint64_t new_key) {
    key = new_key;
    changed_rows = 0;
    csqlite_forget_words(new_key);
}

void csqlite_activate_chance(int is_on) { is_active = is_on; }
void csqlite_pause_chance(int is_on) { is_paused = is_on; }
void csqlite_count_changed_row(void) { changed_rows++; }

static int is_generators(sqlite3_mutex *mutex) {
    return mutex == atomic_load_explicit(&generator_mutex, memory_order_relaxed);
}

static void reset_generator(void) {
    is_resetting = 1;
    sqlite3_randomness(0, 0);
    is_resetting = 0;
}

static void enter(sqlite3_mutex *mutex) {
    if (!is_generators(mutex)) {
        system_mutexes.xMutexEnter(mutex);
        return;
    }
    if (is_resetting) return;
    system_mutexes.xMutexEnter(mutex);
    if (is_active && !is_paused) {
        is_drawing = 1;
        reset_generator();
    }
}

static void leave(sqlite3_mutex *mutex) {
    if (is_generators(mutex)) {
        if (is_resetting) return;
        if (is_drawing) {
            reset_generator();
            is_drawing = 0;
        }
    }
    system_mutexes.xMutexLeave(mutex);
}

static sqlite3_mutex *allocate(int kind) {
    sqlite3_mutex *mutex = system_mutexes.xMutexAlloc(kind);
    // Static mutexes are found again and again: always the same one.
    if (kind == SQLITE_MUTEX_STATIC_PRNG) {
        atomic_store_explicit(&generator_mutex, mutex, memory_order_relaxed);
    }
    return mutex;
}

// SplitMix64's output function (Steele, Lea, Flood 2014).
static uint64_t mixed(uint64_t word) {
    word = (word ^ word >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ word >> 27) * UINT64_C(0x94D049BB133111EB);
    return word ^ word >> 31;
}

int csqlite_seed(char *into, int count) {
    if (!is_drawing) return 0;
    uint64_t state = key ^ mixed(changed_rows + UINT64_C(0x9E3779B97F4A7C15));
    for (int at = 0; at < count; at += 8) {
        state += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t word = mixed(state);
        unsigned char bytes[8];
        for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(word >> 8 * i);
        memcpy(into + at, bytes, (size_t)(count - at < 8 ? count - at : 8));
    }
    return 1;
}

int csqlite_install_chance(void) {
    if (is_installed) return SQLITE_OK;
    // SQLite fills in the methods that it would use when it is initialized, and takes others only
    // while it is not.
    int rc = sqlite3_initialize();
    if (rc == SQLITE_OK) rc = sqlite3_shutdown();
    if (rc == SQLITE_OK) rc = sqlite3_config(SQLITE_CONFIG_GETMUTEX, &system_mutexes);
    if (rc != SQLITE_OK) return rc;
    // A build without threads has none; `Engine` refuses it.
    if (!system_mutexes.xMutexAlloc) return SQLITE_MISUSE;
    sqlite3_mutex_methods ours = system_mutexes;
    ours.xMutexAlloc = allocate;
    ours.xMutexEnter = enter;
    ours.xMutexLeave = leave;
    rc = sqlite3_config(SQLITE_CONFIG_MUTEX, &ours);
    is_installed = rc == SQLITE_OK;
    return rc;
}
