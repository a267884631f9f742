/*
 * An SQLite extension of each kind of thing that one can bring: a function that says it is deterministic, one
 * that doesn't, two in place of functions of the daemon's, a collation, and a module of virtual tables.
 *
 * ANSWER: what twice() multiplies by.
 */
#include <sqlite3ext.h>
#include <stdlib.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

#ifndef ANSWER
#define ANSWER 2
#endif

static void twice(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int64(context, ANSWER * sqlite3_value_int64(values[0]));
}

static void moody(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    sqlite3_result_int64(context, rand());
}

static void constant(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    (void)values;
    sqlite3_result_int64(context, 42);
}

static void contains(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    const char *pattern = (const char *)sqlite3_value_text(values[0]);
    const char *text = (const char *)sqlite3_value_text(values[1]);
    sqlite3_result_int(context, pattern && text && strstr(text, pattern) != NULL);
}

static int backwards(void *unused, int a_count, const void *a, int b_count, const void *b) {
    (void)unused;
    int order = memcmp(b, a, a_count < b_count ? a_count : b_count);
    return order ? order : b_count - a_count;
}

/* The eponymous table `digits`: 0, 1, 2. */
struct cursor {
    sqlite3_vtab_cursor base;
    int row;
};

static int connect(
    sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **table, char **error) {
    (void)aux, (void)argc, (void)argv, (void)error;
    *table = sqlite3_malloc(sizeof **table);
    if (!*table) return SQLITE_NOMEM;
    memset(*table, 0, sizeof **table);
    return sqlite3_declare_vtab(db, "CREATE TABLE x(n)");
}

static int disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info) {
    (void)table;
    info->estimatedCost = 3;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **cursor) {
    (void)table;
    struct cursor *made = sqlite3_malloc(sizeof *made);
    if (!made) return SQLITE_NOMEM;
    memset(made, 0, sizeof *made);
    *cursor = &made->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *cursor) {
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int filter(sqlite3_vtab_cursor *cursor, int plan, const char *name, int argc, sqlite3_value **argv) {
    (void)plan, (void)name, (void)argc, (void)argv;
    ((struct cursor *)cursor)->row = 0;
    return SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *cursor) {
    ((struct cursor *)cursor)->row++;
    return SQLITE_OK;
}

static int at_end(sqlite3_vtab_cursor *cursor) { return ((struct cursor *)cursor)->row > 2; }

static int column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int index) {
    (void)index;
    sqlite3_result_int(context, ((struct cursor *)cursor)->row);
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *id) {
    *id = ((struct cursor *)cursor)->row;
    return SQLITE_OK;
}

static sqlite3_module digits = {
    .xConnect = connect,
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next,
    .xEof = at_end,
    .xColumn = column,
    .xRowid = rowid,
};

int sqlite3_extension_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    (void)error;
    SQLITE_EXTENSION_INIT2(api);
    int pure = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int rc = sqlite3_create_function(db, "twice", 1, pure, NULL, twice, NULL, NULL);
    if (!rc) rc = sqlite3_create_function(db, "moody", 0, SQLITE_UTF8, NULL, moody, NULL, NULL);
    if (!rc) rc = sqlite3_create_function(db, "random", 0, SQLITE_UTF8, NULL, constant, NULL, NULL);
    if (!rc) rc = sqlite3_create_function(db, "glob", 2, pure, NULL, constant, NULL, NULL);
    if (!rc) rc = sqlite3_create_function(db, "regexp", 2, pure, NULL, contains, NULL, NULL);
    if (!rc) rc = sqlite3_create_collation(db, "backwards", SQLITE_UTF8, NULL, backwards);
    if (!rc) rc = sqlite3_create_module(db, "digits", &digits, NULL);
    return rc;
}
