// The table CSQLITE_COUNTER; see CSQLite.h.
#include "CSQLite.h"

static int counter_connect(
    sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **table,
    char **error) {
    (void)context, (void)count, (void)arguments, (void)error;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(a)");
    if (rc != SQLITE_OK) return rc;
    *table = sqlite3_malloc(sizeof **table);
    if (!*table) return SQLITE_NOMEM;
    **table = (sqlite3_vtab){0};
    return SQLITE_OK;
}

static int counter_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

static int counter_best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    info->estimatedCost = 1;
    info->estimatedRows = 0;
    // One row at most: what deletes it needs no journal to undo its half.
    info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
    return SQLITE_OK;
}

static int counter_open(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor) {
    (void)table;
    *cursor = sqlite3_malloc(sizeof **cursor);
    if (!*cursor) return SQLITE_NOMEM;
    **cursor = (sqlite3_vtab_cursor){0};
    return SQLITE_OK;
}

static int counter_close(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int counter_filter(
    sqlite3_vtab_cursor *cursor, int plan, const char *text, int count, sqlite3_value **values) {
    (void)cursor, (void)plan, (void)text, (void)count, (void)values;
    return SQLITE_OK;
}

static int counter_next(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return SQLITE_OK;
}

static int counter_eof(sqlite3_vtab_cursor *cursor) {
    (void)cursor;
    return 1;
}

static int counter_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column) {
    (void)cursor, (void)column;
    sqlite3_result_null(context);
    return SQLITE_OK;
}

static int counter_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
    (void)cursor;
    *rowid = 0;
    return SQLITE_OK;
}

static int counter_update(
    sqlite3_vtab *table, int count, sqlite3_value **values, sqlite3_int64 *rowid) {
    (void)table, (void)count, (void)values;
    *rowid = 0;
    return SQLITE_OK;
}

static const sqlite3_module counter = {
    .iVersion = 0,
    .xConnect = counter_connect,
    .xBestIndex = counter_best_index,
    .xDisconnect = counter_disconnect,
    .xOpen = counter_open,
    .xClose = counter_close,
    .xFilter = counter_filter,
    .xNext = counter_next,
    .xEof = counter_eof,
    .xColumn = counter_column,
    .xRowid = counter_rowid,
    .xUpdate = counter_update,
};

int csqlite_register_counter(sqlite3 *db) {
    return sqlite3_create_module(db, CSQLITE_COUNTER, &counter, 0);
}
