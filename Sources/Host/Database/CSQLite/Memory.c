// SQLite's allocator, wrapped; see CSQLite.h for what for.
#include "CSQLite.h"

#include <stdatomic.h>

static sqlite3_mem_methods system_memory;
static int is_installed;

static _Thread_local int64_t limit = -1;
static _Thread_local int64_t smallest_counted;
static _Thread_local int64_t allocations_left;
static _Thread_local int64_t allocations_allowed;
static _Thread_local int64_t nested_left = -1;
static _Thread_local int64_t held;
static _Thread_local int exceeded;
static _Thread_local uint64_t failures;
static _Thread_local int64_t allocations_before_fault = -1;

// What all threads that share hold together, and how much of it this thread has told.
static _Atomic int64_t shared;
static _Thread_local int64_t shared_limit = INT64_MAX;
static _Thread_local int64_t shared_beside;
static _Thread_local int64_t told;

// Smaller blocks need nothing but to be counted by their number: almost all that there are.
static _Thread_local int64_t plain_below = INT64_MAX;

// Work: see csqlite_limit_work.
static _Thread_local int64_t work_limit = -1;
static _Thread_local int64_t work_smallest;
static _Thread_local int is_work_coarse;
static _Thread_local int64_t work;
static _Thread_local int64_t work_held;
static _Thread_local int64_t work_peak;
static _Thread_local int64_t bound;
static _Thread_local int is_work_exceeded;
static _Thread_local int pauses;
// By blocks that were taken and given back during pauses.
static _Thread_local int64_t paused_held;

static void find_plain(void) {
    int64_t smallest = INT64_MAX;
    if (limit >= 0) smallest = smallest_counted;
    if (work_limit >= 0 && work_smallest < smallest) smallest = work_smallest;
    plain_below = nested_left >= 0 || allocations_before_fault >= 0 ? 0 : smallest;
}

// What a thread holds up to it is its own matter, and so much is told at a time beyond it.
enum { shared_from = 16 << 20, shared_step = 1 << 20 };

static void tell_less(int64_t holds) {
    atomic_fetch_sub_explicit(&shared, told - holds, memory_order_relaxed);
    told = holds;
}

// Whether this thread may hold `more` bytes of counted blocks beside what it holds.
static int may_share(int64_t more) {
    if (shared_limit == INT64_MAX) return 1;
    int64_t holds = shared_beside + held + more - shared_from;
    if (holds < told + shared_step) return 1;
    int64_t added = holds - told;
    if (atomic_fetch_add_explicit(&shared, added, memory_order_relaxed) + added > shared_limit) {
        atomic_fetch_sub_explicit(&shared, added, memory_order_relaxed);
        return 0;
    }
    told = holds;
    return 1;
}

void csqlite_share_memory(int64_t bytes, int64_t beside) {
    shared_limit = bytes;
    shared_beside = beside;
    if (told > 0) tell_less(0);
}

void csqlite_limit_memory(int64_t bytes, int64_t smallest, int64_t allocations) {
    csqlite_forget_query_words();
    if (told > 0) tell_less(0);
    limit = bytes;
    allocations_left = allocations_allowed = allocations;
    nested_left = -1;
    smallest_counted = smallest;
    held = 0;
    exceeded = 0;
    find_plain();
}

void csqlite_unlimit_memory(void) {
    if (told > 0) tell_less(0);
    limit = nested_left = -1;
    find_plain();
}
void csqlite_lessen_allocations(int64_t left) {
    if (limit < 0 || allocations_left <= left) return;
    allocations_allowed -= allocations_left - left;
    allocations_left = left;
}
int64_t csqlite_allocations(void) { return allocations_allowed - allocations_left; }
void csqlite_limit_nested(int64_t allocations) {
    if (nested_left < 0) nested_left = allocations;
    find_plain();
}
void csqlite_end_nested(void) {
    csqlite_forget_query_words();
    if (nested_left < 0) return;
    nested_left = -1;
    find_plain();
}
int csqlite_memory_exceeded(void) { return exceeded; }
uint64_t csqlite_memory_failures(void) { return failures; }
void csqlite_inject_memory_fault(int64_t after_allocations) {
    allocations_before_fault = after_allocations;
    find_plain();
}

enum { smallest_bound = 16 << 10, smallest_coarse = 4 << 20 };

void csqlite_limit_work(int64_t bytes, int64_t smallest, int is_coarse) {
    work_limit = bytes;
    work_smallest = is_coarse && smallest < smallest_coarse ? smallest_coarse : smallest;
    is_work_coarse = is_coarse;
    work = 0;
    work_held = work_peak = bound;
    is_work_exceeded = 0;
    find_plain();
}

void csqlite_unlimit_work(void) {
    work_limit = -1;
    find_plain();
}
int64_t csqlite_work(void) { return work; }
int64_t csqlite_work_held(void) { return work_held; }
int64_t csqlite_work_peak(void) {
    int64_t peak = work_peak;
    work_peak = work_held;
    return peak;
}
int csqlite_counts_work(void) { return work_limit >= 0 && pauses == 0; }
int csqlite_work_exceeded(void) { return is_work_exceeded; }
void csqlite_pause_work(int is_on) { pauses += is_on ? 1 : -1; }
int64_t csqlite_work_held_paused(void) { return paused_held; }
void csqlite_hold_paused_since(int64_t before) { work_held += paused_held - before; }
void csqlite_forget_bound(void) { bound = 0; }
int64_t csqlite_bound(void) { return bound; }
void csqlite_note_bound(uint64_t bytes) {
    if (bytes >= smallest_bound) bound += (int64_t)bytes;
}

// What SQLite holds back of the pages that a statement changes is one block of 64 KiB, less a field for
// bytes and with a pointer and that field before it. A transaction takes it once, or each statement does,
// if no earlier one needed more.
enum { statement_journal = 64 << 10, journal_block = statement_journal - 8 + 16 };

// The bytes of a block that count as work.
static int64_t work_of(int64_t size) {
    if (size < work_smallest || size == journal_block) return 0;
    // Tables of hashes, which modules keep from one statement to the next.
    if (is_work_coarse && (size & (size - 1)) == 0) return 0;
    return size;
}

int csqlite_add_work(int64_t bytes) {
    if (work_limit < 0 || pauses > 0) return 1;
    work = bytes > INT64_MAX - work ? INT64_MAX : work + bytes;
    if (work <= work_limit) return 1;
    is_work_exceeded = 1;
    return 0;
}

static int may_work(int64_t size) {
    int64_t more = work_of(size);
    if (more == 0 || pauses > 0) return 1;
    work += more;
    if (work <= work_limit) return 1;
    is_work_exceeded = 1;
    return 0;
}

static void hold_work(int64_t size, int64_t before) {
    int64_t more = work_of(size) - work_of(before);
    if (pauses > 0) {
        paused_held += more;
        return;
    }
    work_held += more;
    if (work_held > work_peak) work_peak = work_held;
}

static int64_t counted(int64_t size) { return size >= smallest_counted ? size : 0; }

// Whether a block may grow by so many counted bytes.
static int may_hold(int64_t more) {
    if (limit < 0) return 1;
    if (allocations_left <= 0 || (more > 0 && held + more > limit)) {
        exceeded = 1;
        return 0;
    }
    if (more > 0 && !may_share(more)) {
        exceeded = 2;
        return 0;
    }
    allocations_left--;
    return 1;
}

// Pages, and what goes with them, are no smaller: a node has more or fewer of them in memory.
enum { smallest_page = 512 };

// Whether what is compiled within a step may take a block more.
static int may_nest(int size) {
    if (nested_left < 0 || size >= smallest_page) return 1;
    if (nested_left == 0) {
        exceeded = 1;
        return 0;
    }
    nested_left--;
    return 1;
}

static int is_refused_by_test(void) {
    if (allocations_before_fault < 0) return 0;
    if (allocations_before_fault > 0) {
        allocations_before_fault--;
        return 0;
    }
    return 1;
}

// Whether a new block needs nothing more; its number is counted then.
static int is_plain(int64_t size) {
    if (size >= plain_below) return 0;
    if (limit < 0) return 1;
    if (allocations_left <= 0) return 0;
    allocations_left--;
    return 1;
}

static void *plain_malloc(int size) {
    void *block = system_memory.xMalloc(size);
    if (!block) failures++;
    return block;
}

// Sizes as SQLite rounds them where it keeps statistics of its own: limits must not depend on that.
static int rounded(int size) { return (size + 7) & ~7; }

static void *counting_malloc(int asked) {
    int size = rounded(asked);
    if (is_plain(size)) return plain_malloc(size);
    if (!may_hold(counted(size)) || !may_nest(size)) return 0;
    if (work_limit >= 0 && !may_work(size)) return 0;
    void *block = is_refused_by_test() ? 0 : system_memory.xMalloc(size);
    if (!block) {
        failures++;
    } else if (limit >= 0) {
        held += counted(size);
    }
    if (block && work_limit >= 0) hold_work(size, 0);
    return block;
}

// What is no longer held is there for others.
static void give_back(void) {
    if (told == 0) return;
    int64_t holds = shared_beside + held - shared_from;
    if (holds <= told - shared_step) tell_less(holds > 0 ? holds : 0);
}

static void counting_free(void *block) {
    // Blocks from before the limit was set count too, so that giving one back and taking another
    // is even.
    if (plain_below < INT64_MAX && block) {
        int64_t size = system_memory.xSize(block);
        if (size >= plain_below) {
            if (limit >= 0) {
                held -= counted(size);
                give_back();
            }
            if (work_limit >= 0) hold_work(0, size);
        }
    }
    system_memory.xFree(block);
}

static void *counting_realloc(void *block, int size) {
    int64_t more = 0;
    if (limit >= 0) {
        more = counted(size) - (block ? counted(system_memory.xSize(block)) : 0);
        if (!may_hold(more)) return 0;
    }
    if (!may_nest(size)) return 0;
    int64_t before = work_limit >= 0 && block ? system_memory.xSize(block) : 0;
    if (work_limit >= 0 && !may_work(size)) return 0;
    void *grown = is_refused_by_test() ? 0 : system_memory.xRealloc(block, size);
    if (!grown) {
        failures++;
    } else if (limit >= 0) {
        held += more;
        give_back();
    }
    if (grown && work_limit >= 0) hold_work(size, before);
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
    // Statistics of memory, which nobody asks for, take a mutex of the whole process for each block:
    // a twentieth of what a write costs, and readers wait there for the writer.
    if (rc == SQLITE_OK) rc = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    // As it is by default; see `work_of`.
    if (rc == SQLITE_OK) rc = sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, statement_journal);
    is_installed = rc == SQLITE_OK;
    return rc;
}
