// What modules of virtual tables do by statements of their own; see CSQLite.h. SQLite's trace tells of
// each statement that begins and ends, whoever runs it.
#include "CSQLite.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int begins(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

static int ends(const char *text, const char *with) {
    size_t length = strlen(text), count = strlen(with);
    return length >= count && strcmp(text + length - count, with) == 0;
}

// FTS3 and FTS4 read by it what they count of their rows, and once for each connection whether to merge
// by themselves.
static int reads_statistics(const char *sql) {
    return begins(sql, "SELECT value FROM ") && ends(sql, "_stat' WHERE id=?");
}

static int writes_option(const char *sql) {
    return begins(sql, "REPLACE INTO ") && ends(sql, "_config' VALUES(?,?)");
}

// Whether it would let FTS5 keep more in memory than `csqlite_most_pending` before it writes it.
static int is_beyond_memory(sqlite3_stmt *statement) {
    static const char values[] = "' VALUES('hashsize',";
    char *sql = sqlite3_expanded_sql(statement);
    if (!sql) return 1;
    int is_beyond = begins(sql, "--");
    const char *found = 0;
    for (const char *at = sql; (at = strchr(at, '\'')); at++) {
        if (strncasecmp(at, values, sizeof values - 1) == 0) found = at;
    }
    if (found) {
        const char *number = found + sizeof values - 1;
        long long value = strtoll(*number == '\'' ? number + 1 : number, 0, 10);
        // FTS5 takes the lower 32 bits.
        is_beyond = value > csqlite_most_pending || value < INT_MIN;
    }
    sqlite3_free(sql);
    return is_beyond;
}

static void statement_ended(csqlite_module_watch *watch, sqlite3_stmt *statement) {
    if (statement == watch->reading) {
        watch->reading = 0;
        watch->pages += csqlite_pages_asked() - watch->pages_before;
        return;
    }
    const char *sql = sqlite3_sql(statement);
    // Only now, when it doesn't run any more, SQLite tells what was bound to it.
    if (sql && writes_option(sql) && is_beyond_memory(statement)) {
        watch->is_refused = 1;
        sqlite3_interrupt(watch->db);
    }
}

static void statement_begins(csqlite_module_watch *watch, sqlite3_stmt *statement) {
    const char *sql = sqlite3_sql(statement);
    if (!sql || !reads_statistics(sql)) return;
    watch->reading = statement;
    watch->pages_before = csqlite_pages_asked();
}

static int on_trace(unsigned event, void *context, void *subject, void *detail) {
    (void)detail;
    csqlite_module_watch *watch = context;
    // A trigger begins as a part of the client's.
    if (subject == watch->client) {
        // It is compiled; modules compile what they keep.
        csqlite_factor_constants(watch->db, 1);
        return 0;
    }
    if (event == SQLITE_TRACE_STMT) statement_begins(watch, subject);
    else statement_ended(watch, subject);
    return 0;
}

void csqlite_watch_modules(csqlite_module_watch *watch, sqlite3 *db, sqlite3_stmt *client) {
    *watch = (csqlite_module_watch){.db = db, .client = client};
    (void)sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, on_trace, watch);
}

void csqlite_end_module_watch(csqlite_module_watch *watch) {
    if (watch->db) (void)sqlite3_trace_v2(watch->db, 0, 0, 0);
    watch->db = 0;
}
