// Lists of PRAGMAs in an order of their own; see CSQLite.h.
#define _GNU_SOURCE  // qsort_r
#include "CSQLite.h"

#include <stdlib.h>
#include <string.h>

// What a list looks like: that of SQLite's own table-valued function.
typedef struct {
    const char *pragma;
    const char *columns;
    int column_count;
    // Hidden columns that take the argument and the schema.
    int has_argument, has_schema;
    // The argument is a number that limits the rows, unless it is a name.
    int has_limit;
    // Where the PRAGMA itself would answer for its own connection: what is asked in its place.
    const char *answer;
} list_shape;

static const list_shape shapes[] = {
    {"table_list", "\"schema\",\"name\",\"type\",\"ncol\",\"wr\",\"strict\"", 6, 1, 0, 0, 0},
    {"foreign_key_check", "\"table\",\"rowid\",\"parent\",\"fkid\"", 4, 1, 1, 0, 0},
    {"integrity_check", "\"integrity_check\"", 1, 1, 1, 1, 0},
    {"quick_check", "\"quick_check\"", 1, 1, 1, 1, 0},
    {"function_list", "\"name\",\"builtin\",\"type\",\"enc\",\"narg\",\"flags\"", 6, 0, 0, 0, 0},
    {"module_list", "\"name\"", 1, 0, 0, 0, 0},
    // SQLite takes the question for a write.
    {"journal_mode", "\"journal_mode\"", 1, 0, 0, 0, "SELECT 'wal'"},
    // The writer's is set anew for each unit, and for a batch in another way: the limits on writes say
    // how large the database may be.
    {"max_page_count", "\"max_page_count\"", 1, 0, 0, 0, "SELECT 1073741823"},
    // It counts what others than the connection commit: to the one that writes, nobody does.
    {"data_version", "\"data_version\"", 1, 0, 0, 0, "SELECT 1"},
};
enum { shape_count = sizeof shapes / sizeof shapes[0] };

// Problems that a check looks for, at most, and then sorts.
enum { most_problems = 10000, usual_problems = 100 };
// Rows of any list: all of them are in memory while they are sorted.
enum { most_rows = 200000 };

typedef struct {
    sqlite3_vtab base;
    sqlite3 *db;
    const list_shape *shape;
} list_table;

typedef struct {
    sqlite3_vtab_cursor base;
    sqlite3_value **values;
    int row_count, row, capacity;
} list_cursor;

static int list_connect(
    sqlite3 *db, void *context, int count, const char *const *arguments, sqlite3_vtab **out,
    char **error) {
    (void)count, (void)arguments, (void)error;
    const list_shape *shape = context;
    char *sql = sqlite3_mprintf(
        "CREATE TABLE x(%s%s%s)", shape->columns, shape->has_argument ? ",arg HIDDEN" : "",
        shape->has_schema ? ",schema HIDDEN" : "");
    if (!sql) return SQLITE_NOMEM;
    int rc = sqlite3_declare_vtab(db, sql);
    sqlite3_free(sql);
    if (rc != SQLITE_OK) return rc;
    list_table *table = sqlite3_malloc(sizeof *table);
    if (!table) return SQLITE_NOMEM;
    *table = (list_table){.db = db, .shape = shape};
    *out = &table->base;
    return SQLITE_OK;
}

static int list_disconnect(sqlite3_vtab *table) {
    sqlite3_free(table);
    return SQLITE_OK;
}

// The plan's bits say which of the hidden columns are given: 1 the argument, 2 the schema.
static int list_best_index(sqlite3_vtab *base, sqlite3_index_info *info) {
    const list_shape *shape = ((list_table *)base)->shape;
    int seen[2] = {-1, -1};
    info->estimatedCost = 20;
    info->estimatedRows = 20;
    for (int i = 0; i < info->nConstraint; i++) {
        int hidden = info->aConstraint[i].iColumn - shape->column_count;
        if (hidden < 0 || hidden > 1 || info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
        seen[hidden] = i;
    }
    int next = 1;
    for (int hidden = 0; hidden < 2; hidden++) {
        if (seen[hidden] < 0) continue;
        info->aConstraintUsage[seen[hidden]].argvIndex = next++;
        info->aConstraintUsage[seen[hidden]].omit = 1;
        info->idxNum |= 1 << hidden;
    }
    return SQLITE_OK;
}

static int list_open(sqlite3_vtab *table, sqlite3_vtab_cursor **out) {
    (void)table;
    list_cursor *cursor = sqlite3_malloc(sizeof *cursor);
    if (!cursor) return SQLITE_NOMEM;
    *cursor = (list_cursor){0};
    *out = &cursor->base;
    return SQLITE_OK;
}

static void list_clear(list_cursor *cursor, int column_count) {
    for (int i = 0; i < cursor->row_count * column_count; i++)
        sqlite3_value_free(cursor->values[i]);
    sqlite3_free(cursor->values);
    cursor->values = 0;
    cursor->row_count = cursor->row = cursor->capacity = 0;
}

static int list_close(sqlite3_vtab_cursor *base) {
    list_cursor *cursor = (list_cursor *)base;
    list_clear(cursor, ((list_table *)base->pVtab)->shape->column_count);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int list_add(list_cursor *cursor, int column_count, sqlite3_stmt *row) {
    if (cursor->row_count == cursor->capacity) {
        int capacity = cursor->capacity ? cursor->capacity * 2 : 16;
        void *grown = sqlite3_realloc64(
            cursor->values, sizeof *cursor->values * (sqlite3_uint64)capacity * column_count);
        if (!grown) return SQLITE_NOMEM;
        cursor->values = grown;
        cursor->capacity = capacity;
    }
    sqlite3_value **values = cursor->values + cursor->row_count * column_count;
    for (int i = 0; i < column_count; i++) {
        values[i] = sqlite3_value_dup(sqlite3_column_value(row, i));
        if (values[i]) continue;
        while (i-- > 0) sqlite3_value_free(values[i]);
        return SQLITE_NOMEM;
    }
    cursor->row_count++;
    return SQLITE_OK;
}

static int compare_values(sqlite3_value *a, sqlite3_value *b) {
    int type = sqlite3_value_type(a);
    if (type != sqlite3_value_type(b)) return type - sqlite3_value_type(b);
    if (type == SQLITE_INTEGER) {
        sqlite3_int64 x = sqlite3_value_int64(a), y = sqlite3_value_int64(b);
        return x < y ? -1 : x > y;
    }
    const unsigned char *x = sqlite3_value_text(a), *y = sqlite3_value_text(b);
    if (!x || !y) return (x != 0) - (y != 0);
    return strcmp((const char *)x, (const char *)y);
}

static int compare_rows(const void *a, const void *b, void *context) {
    sqlite3_value *const *x = a, *const *y = b;
    int count = *(const int *)context;
    for (int i = 0; i < count; i++) {
        int order = compare_values(x[i], y[i]);
        if (order) return order;
    }
    return 0;
}

// Values of the daemon's own names stay out.
static int is_hidden(const list_shape *shape, sqlite3_stmt *row) {
    const char *pragma = shape->pragma;
    if (!strcmp(pragma, "function_list"))
        return !csqlite_leaves_regexp()
            && !strcmp((const char *)sqlite3_column_text(row, 0), CSQLITE_SENSITIVE_LIKE);
    int names = !strcmp(pragma, "table_list") || !strcmp(pragma, "module_list");
    if (!names) return 0;
    const char *name = (const char *)sqlite3_column_text(row, shape->column_count == 1 ? 0 : 1);
    return name && !sqlite3_strnicmp(name, "sqlite_rqlite", 13);
}

static int prepare(
    list_table *table, const char *schema, sqlite3_value *argument, sqlite3_stmt **statement) {
    const list_shape *shape = table->shape;
    if (shape->answer) return sqlite3_prepare_v2(table->db, shape->answer, -1, statement, 0);
    const char *text = 0;
    char number[16];
    if (argument && sqlite3_value_type(argument) != SQLITE_NULL)
        text = (const char *)sqlite3_value_text(argument);
    if (shape->has_limit && (!text || strtoll(text, 0, 10) > 0)) {
        sqlite3_snprintf(sizeof number, number, "%d", most_problems);
        text = number;
    }
    sqlite3_str *sql = sqlite3_str_new(table->db);
    sqlite3_str_appendall(sql, "PRAGMA ");
    if (schema) sqlite3_str_appendf(sql, "%Q.", schema);
    sqlite3_str_appendall(sql, shape->pragma);
    if (text) sqlite3_str_appendf(sql, "=%Q", text);
    char *whole = sqlite3_str_finish(sql);
    if (!whole) return SQLITE_NOMEM;
    int rc = sqlite3_prepare_v2(table->db, whole, -1, statement, 0);
    sqlite3_free(whole);
    return rc;
}

// What one list takes, in the measure of `csqlite_add_work`: a statement is compiled; a check of the
// database goes through its pages.
enum { work_of_list = 16 << 10, work_of_row = 1 << 10, work_of_page = 8 << 10 };

static int charge(list_table *table) {
    int64_t pages = 0;
    if (table->shape->has_limit) {
        sqlite3_stmt *count = 0;
        int rc = sqlite3_prepare_v2(table->db, "PRAGMA main.page_count", -1, &count, 0);
        if (rc == SQLITE_OK && sqlite3_step(count) == SQLITE_ROW) pages = sqlite3_column_int64(count, 0);
        rc = sqlite3_finalize(count);
        if (rc != SQLITE_OK) return rc;
    }
    return csqlite_add_work(work_of_list + pages * work_of_page) ? SQLITE_OK : SQLITE_NOMEM;
}

static int list_filter(
    sqlite3_vtab_cursor *base, int plan, const char *name, int count, sqlite3_value **values) {
    (void)name, (void)count;
    list_cursor *cursor = (list_cursor *)base;
    list_table *table = (list_table *)base->pVtab;
    const list_shape *shape = table->shape;
    sqlite3_value *argument = plan & 1 ? *values++ : 0;
    const char *schema = plan & 2 ? (const char *)sqlite3_value_text(*values) : 0;
    list_clear(cursor, shape->column_count);
    // Without it a check would miss the page that is in no schema.
    int rc = shape->has_limit ? csqlite_reveal(table->db) : SQLITE_OK;
    if (rc == SQLITE_OK) rc = charge(table);
    sqlite3_stmt *statement = 0;
    if (rc == SQLITE_OK) rc = prepare(table, schema, argument, &statement);
    while (rc == SQLITE_OK && statement && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
        rc = SQLITE_OK;
        if (is_hidden(shape, statement)) continue;
        if (cursor->row_count == most_rows) {
            base->pVtab->zErrMsg = sqlite3_mprintf(
                "PRAGMA %s has more than %d rows: mend these first", shape->pragma, most_rows);
            sqlite3_finalize(statement);
            return SQLITE_ERROR;
        }
        rc = csqlite_add_work(work_of_row) ? list_add(cursor, shape->column_count, statement)
                                           : SQLITE_NOMEM;
    }
    if (rc == SQLITE_DONE) rc = SQLITE_OK;
    if (rc != SQLITE_OK) {
        base->pVtab->zErrMsg = sqlite3_mprintf("%s", sqlite3_errmsg(table->db));
        sqlite3_finalize(statement);
        return rc;
    }
    sqlite3_finalize(statement);
    int column_count = shape->column_count;
    if (cursor->row_count > 1)
        qsort_r(
            cursor->values, (size_t)cursor->row_count, sizeof *cursor->values * column_count,
            compare_rows, &column_count);
    if (shape->has_limit) {
        sqlite3_int64 limit = argument ? sqlite3_value_int64(argument) : 0;
        if (limit <= 0) limit = usual_problems;
        while (cursor->row_count > limit)
            sqlite3_value_free(cursor->values[--cursor->row_count]);
    }
    return SQLITE_OK;
}

static int list_next(sqlite3_vtab_cursor *base) {
    ((list_cursor *)base)->row++;
    return SQLITE_OK;
}

static int list_eof(sqlite3_vtab_cursor *base) {
    list_cursor *cursor = (list_cursor *)base;
    return cursor->row >= cursor->row_count;
}

static int list_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column) {
    list_cursor *cursor = (list_cursor *)base;
    const list_shape *shape = ((list_table *)base->pVtab)->shape;
    if (column < shape->column_count)
        sqlite3_result_value(context, cursor->values[cursor->row * shape->column_count + column]);
    return SQLITE_OK;
}

static int list_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
    *rowid = ((list_cursor *)base)->row;
    return SQLITE_OK;
}

static const sqlite3_module list = {
    .iVersion = 0,
    .xConnect = list_connect,
    .xBestIndex = list_best_index,
    .xDisconnect = list_disconnect,
    .xOpen = list_open,
    .xClose = list_close,
    .xFilter = list_filter,
    .xNext = list_next,
    .xEof = list_eof,
    .xColumn = list_column,
    .xRowid = list_rowid,
};

int csqlite_register_lists(sqlite3 *db) {
    int rc = SQLITE_OK;
    static const char *const prefixes[] = {"pragma_", CSQLITE_LIST_PREFIX};
    for (int i = 0; i < shape_count && rc == SQLITE_OK; i++)
        for (int j = 0; j < 2 && rc == SQLITE_OK; j++) {
            char *name = sqlite3_mprintf("%s%s", prefixes[j], shapes[i].pragma);
            if (!name) return SQLITE_NOMEM;
            rc = sqlite3_create_module(db, name, &list, (void *)&shapes[i]);
            sqlite3_free(name);
        }
    return rc;
}
