// Digests of values, and the trace of written rows; see CSQLite.h.
#include "CSQLite.h"

#include <string.h>

// Declared by sqlite3.h only where the application asks for it; a library may be without.
extern void *sqlite3_preupdate_hook(
    sqlite3 *db,
    void (*hook)(void *, sqlite3 *, int, char const *, char const *, sqlite3_int64, sqlite3_int64),
    void *context) __attribute__((weak));
extern int sqlite3_preupdate_old(sqlite3 *db, int column, sqlite3_value **value) __attribute__((weak));
extern int sqlite3_preupdate_new(sqlite3 *db, int column, sqlite3_value **value) __attribute__((weak));
extern int sqlite3_preupdate_count(sqlite3 *db) __attribute__((weak));

static __thread uint64_t trace_failures;

// Both halves of the product of 64 bits: a change of any bit of x changes about half of the bits.
static inline uint64_t fold(uint64_t x, uint64_t factor) {
    unsigned __int128 product = (unsigned __int128)x * factor;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline void add(csqlite_digest *digest, uint64_t word) {
    uint64_t turned = word << 32 | word >> 32;
    digest->low = fold(digest->low ^ word ^ 0x9E3779B97F4A7C15u, 0xA0761D6478BD642Fu) + digest->high;
    digest->high = fold(digest->high ^ turned ^ 0xE7037ED1A0B428DBu, 0x8EBC6AF09C88C6E3u) ^ digest->low;
}

static inline uint64_t little(const void *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static void add_bytes(csqlite_digest *digest, uint64_t tag, const void *bytes, uint64_t count) {
    const unsigned char *at = bytes;
    add(digest, tag | count << 8);
    if (!at) return;
    for (; count >= 8; count -= 8, at += 8) add(digest, little(at));
    if (count == 0) return;
    unsigned char rest[8] = {0};
    memcpy(rest, at, count);
    add(digest, little(rest));
}

void csqlite_digest_word(csqlite_digest *digest, uint64_t word) { add(digest, word); }

void csqlite_digest_bytes(csqlite_digest *digest, const void *bytes, uint64_t count) {
    add_bytes(digest, 6, bytes, count);
}

static void add_real(csqlite_digest *digest, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    add(digest, 2);
    add(digest, bits);
}

int64_t csqlite_digest_row(csqlite_digest *digest, sqlite3_stmt *stmt, int first) {
    int64_t total = 0;
    int count = sqlite3_column_count(stmt);
    for (int i = first; i < count; i++) {
        int64_t bytes = 8;
        switch (sqlite3_column_type(stmt, i)) {
        case SQLITE_INTEGER:
            add(digest, 1);
            add(digest, (uint64_t)sqlite3_column_int64(stmt, i));
            break;
        case SQLITE_FLOAT: add_real(digest, sqlite3_column_double(stmt, i)); break;
        case SQLITE_TEXT: {
            const void *text = sqlite3_column_text(stmt, i);
            bytes = sqlite3_column_bytes(stmt, i);
            add_bytes(digest, 3, text, (uint64_t)bytes);
            break;
        }
        case SQLITE_BLOB: {
            const void *blob = sqlite3_column_blob(stmt, i);
            bytes = sqlite3_column_bytes(stmt, i);
            add_bytes(digest, 4, blob, (uint64_t)bytes);
            break;
        }
        default: add(digest, 5); break;
        }
        total += bytes;
    }
    return total;
}

static void add_value(csqlite_digest *digest, sqlite3_value *value) {
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        add(digest, 1);
        add(digest, (uint64_t)sqlite3_value_int64(value));
        break;
    case SQLITE_FLOAT: add_real(digest, sqlite3_value_double(value)); break;
    case SQLITE_TEXT: {
        // Asked in this order, which makes it UTF-8 and then points to it; as a text it would be
        // copied to get a zero byte behind it.
        uint64_t count = (uint64_t)sqlite3_value_bytes(value);
        add_bytes(digest, 3, sqlite3_value_blob(value), count);
        break;
    }
    case SQLITE_BLOB: {
        const void *blob = sqlite3_value_blob(value);
        add_bytes(digest, 4, blob, (uint64_t)sqlite3_value_bytes(value));
        break;
    }
    default: add(digest, 5); break;
    }
}

static void digest_row_changes(
    void *context, sqlite3 *db, int operation, char const *database, char const *table,
    sqlite3_int64 old_key, sqlite3_int64 new_key) {
    (void)database;
    csqlite_digest *digest = context;
    add_bytes(digest, 16 + (uint64_t)operation, table, strlen(table));
    add(digest, (uint64_t)old_key);
    add(digest, (uint64_t)new_key);
    int count = sqlite3_preupdate_count(db);
    for (int i = 0; i < count; i++) {
        sqlite3_value *value = 0;
        int rc = operation == SQLITE_DELETE ? sqlite3_preupdate_old(db, i, &value)
                                            : sqlite3_preupdate_new(db, i, &value);
        if (rc != SQLITE_OK || !value) {
            trace_failures++;
            return;
        }
        add_value(digest, value);
    }
}

static void row_changes(
    void *context, sqlite3 *db, int operation, char const *database, char const *table,
    sqlite3_int64 old_key, sqlite3_int64 new_key) {
    // Nodes without this hook must count the same work.
    int64_t held = csqlite_work_held_paused();
    csqlite_pause_work(1);
    csqlite_pause_pages(1);
    digest_row_changes(context, db, operation, database, table, old_key, new_key);
    csqlite_pause_pages(0);
    csqlite_pause_work(0);
    // The row that SQLite has made for it goes when this returns. Of a new one it makes none; what it may write out for it, zeros at
    // its end, stays with the statement.
    if (operation != SQLITE_INSERT) csqlite_hold_paused_since(held);
}

// Deprecated since SQLite compiles anew by itself: here it must not, see StatementCompiler.
extern int sqlite3_expired(sqlite3_stmt *stmt) __attribute__((weak));

int csqlite_is_expired(sqlite3_stmt *stmt) { return !sqlite3_expired || sqlite3_expired(stmt) != 0; }

int csqlite_can_trace(void) {
    return sqlite3_preupdate_hook && sqlite3_preupdate_old && sqlite3_preupdate_new
        && sqlite3_preupdate_count;
}

void csqlite_trace_rows(sqlite3 *db, csqlite_digest *digest) {
    if (csqlite_can_trace()) (void)sqlite3_preupdate_hook(db, digest ? row_changes : 0, digest);
}

uint64_t csqlite_trace_failures(void) { return trace_failures; }
