// SQLite's allocator, wrapped; see CSQLite.h for what for.
#include "CSQLite.h"

static sqlite3_mem_methods system_memory;
static int is_installed;

static _Thread_local int64_t limit = -1;
static _Thread_local int64_t smallest_counted;
static _Thread_local int64_t allocations_left;
static _Thread_local int64_t held;
static _Thread_local int exceeded;
static _Thread_local uint64_t failures;
static _Thread_local int64_t allocations_before_fault = -1;

void csqlite_limit_memory(int64_t bytes, int64_t smallest, int64_t allocations) {
    limit = bytes;
    allocations_left = allocations;
    smallest_counted = smallest;
    held = 0;
    exceeded = 0;
}

void csqlite_unlimit_memory(void) { limit = -1; }
int csqlite_memory_exceeded(void) { return exceeded; }
uint64_t csqlite_memory_failures(void) { return failures; }
void csqlite_inject_memory_fault(int64_t after_allocations) {
    allocations_before_fault = after_allocations;
}

static int64_t counted(int64_t size) { return size >= smallest_counted ? size : 0; }

// Whether a block may grow by so many counted bytes.
static int may_hold(int64_t more) {
    if (limit < 0) return 1;
    if (allocations_left > 0 && (more <= 0 || held + more <= limit)) {
        allocations_left--;
        return 1;
    }
    exceeded = 1;
    return 0;
}

static int is_refused_by_test(void) {
    if (allocations_before_fault < 0) return 0;
    if (allocations_before_fault > 0) {
        allocations_before_fault--;
        return 0;
    }
    return 1;
}

static void *counting_malloc(int size) {
    if (!may_hold(counted(size))) return 0;
    void *block = is_refused_by_test() ? 0 : system_memory.xMalloc(size);
    if (!block) {
        failures++;
    } else if (limit >= 0) {
        held += counted(size);
    }
    return block;
}

static void counting_free(void *block) {
    // Blocks from before the limit was set count too, so that giving one back and taking another
    // is even.
    if (limit >= 0 && block) held -= counted(system_memory.xSize(block));
    system_memory.xFree(block);
}

static void *counting_realloc(void *block, int size) {
    int64_t more = 0;
    if (limit >= 0) {
        more = counted(size) - (block ? counted(system_memory.xSize(block)) : 0);
        if (!may_hold(more)) return 0;
    }
    void *grown = is_refused_by_test() ? 0 : system_memory.xRealloc(block, size);
    if (!grown) {
        failures++;
    } else if (limit >= 0) {
        held += more;
    }
    return grown;
}

int csqlite_install_allocator(void) {
    if (is_installed) return SQLITE_OK;
    int rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory);
    if (rc != SQLITE_OK) return rc;
    sqlite3_mem_methods counting = system_memory;
    counting.xMalloc = counting_malloc;
    counting.xFree = counting_free;
    counting.xRealloc = counting_realloc;
    rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &counting);
    is_installed = rc == SQLITE_OK;
    return rc;
}
