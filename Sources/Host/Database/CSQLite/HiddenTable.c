// The daemon's own table, which no schema lists; see CSQLite.h.
#include "CSQLite.h"

#define COLUMNS                                                                     \
    "(id INTEGER PRIMARY KEY, format INTEGER NOT NULL, cluster BLOB, foreign_keys " \
    "INTEGER NOT NULL, membership BLOB NOT NULL, membership_index INTEGER NOT "     \
    "NULL, progress BLOB NOT NULL)"
#define CREATION "CREATE TABLE \"" CSQLITE_HIDDEN_TABLE "\"" COLUMNS
// As the schema lists it while it is made and while VACUUM runs: a name that is the same in every
// encoding of a database.
#define LISTED "sqlite_rqlite"
#define LISTED_CREATION "CREATE TABLE " LISTED COLUMNS

static int is_known(sqlite3 *db, const char *name) {
    return sqlite3_table_column_metadata(db, "main", name, "progress", 0, 0, 0, 0, 0) == SQLITE_OK;
}

// Makes the connection read the schema anew.
static int reload(sqlite3 *db) {
    return sqlite3_exec(db, "PRAGMA writable_schema=RESET", 0, 0, 0);
}

int csqlite_reveal(sqlite3 *db) {
    static const char *const look = "SELECT 1 FROM main.sqlite_schema LIMIT 1";
    // Loads the schema anew where it has changed, which would drop the entry later.
    int rc = sqlite3_exec(db, look, 0, 0, 0);
    if (rc != SQLITE_OK || is_known(db, CSQLITE_HIDDEN_TABLE)) return rc;
    if (is_known(db, LISTED)) {
        // The schema was loaded while VACUUM ran. With a second entry a check would count its pages
        // twice.
        rc = reload(db);
        if (rc == SQLITE_OK) rc = sqlite3_exec(db, look, 0, 0, 0);
        if (rc != SQLITE_OK || is_known(db, LISTED)) return rc;
    }
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, db, "main", 1, CSQLITE_HIDDEN_ROOT);
    rc = sqlite3_exec(db, CREATION, 0, 0, 0);
    sqlite3_test_control(SQLITE_TESTCTRL_IMPOSTER, db, "main", 0, 0);
    if (rc != SQLITE_OK || !sqlite3_get_autocommit(db)) return rc;
    // SQLite takes the entry for a change of the schema that a rollback would have to undo. The end
    // of any statement that reads the file makes it final.
    return sqlite3_exec(db, look, 0, 0, 0);
}

const char *csqlite_hidden_name(sqlite3 *db) {
    return is_known(db, CSQLITE_HIDDEN_TABLE) || !is_known(db, LISTED) ? CSQLITE_HIDDEN_TABLE
                                                                        : LISTED;
}

int csqlite_overwrite_progress(sqlite3 *db, long long id, const void *bytes, int count) {
    sqlite3_blob *blob = 0;
    int rc = sqlite3_blob_open(db, "main", CSQLITE_HIDDEN_TABLE, "progress", id, 1, &blob);
    if ((rc & 0xff) == SQLITE_ERROR && csqlite_reveal(db) == SQLITE_OK)
        rc = sqlite3_blob_open(db, "main", CSQLITE_HIDDEN_TABLE, "progress", id, 1, &blob);
    if (rc == SQLITE_OK) rc = sqlite3_blob_write(blob, bytes, count, 0);
    int closed = sqlite3_blob_close(blob);
    return rc != SQLITE_OK ? rc : closed;
}

// Runs SQL of ours that writes the schema, which needs what clients never get.
static int write_schema(sqlite3 *db, const char *sql) {
    int was_defensive = 0;
    int rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, -1, &was_defensive);
    if (rc == SQLITE_OK) rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, (int *)0);
    if (rc == SQLITE_OK) rc = sqlite3_db_config(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 1, (int *)0);
    if (rc == SQLITE_OK) rc = sqlite3_exec(db, sql, 0, 0, 0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0, (int *)0);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, was_defensive, (int *)0);
    return rc;
}

int csqlite_create_hidden(sqlite3 *db) { return write_schema(db, LISTED_CREATION); }

int csqlite_list_hidden(sqlite3 *db) {
    // The first row of the schema: VACUUM writes tables in the order of their rows, so this one
    // gets the first page after that of the schema itself.
    char *sql = sqlite3_mprintf(
        "INSERT INTO main.sqlite_schema(rowid, type, name, tbl_name, rootpage, sql) SELECT "
        "min(rowid) - 1, 'table', %Q, %Q, %d, %Q FROM main.sqlite_schema HAVING NOT EXISTS "
        "(SELECT 1 FROM main.sqlite_schema WHERE name = %Q)",
        LISTED, LISTED, CSQLITE_HIDDEN_ROOT, LISTED_CREATION, LISTED);
    if (!sql) return SQLITE_NOMEM;
    int rc = write_schema(db, sql);
    sqlite3_free(sql);
    // VACUUM reads the table by what the connection knows.
    return rc == SQLITE_OK ? reload(db) : rc;
}

int csqlite_unlist_hidden(sqlite3 *db) {
    // Copies of the file shall not show the row in what is free of a page.
    int rc = sqlite3_exec(db, "PRAGMA main.secure_delete=ON", 0, 0, 0);
    if (rc == SQLITE_OK)
        rc = write_schema(db, "DELETE FROM main.sqlite_schema WHERE name = '" LISTED "'");
    sqlite3_exec(db, "PRAGMA main.secure_delete=OFF", 0, 0, 0);
    return rc == SQLITE_OK ? reload(db) : rc;
}

int csqlite_list_first(sqlite3 *db) {
    int rc = write_schema(
        db,
        "UPDATE main.sqlite_schema SET rowid = (SELECT min(rowid) - 1 FROM main.sqlite_schema) "
        "WHERE name = '" LISTED "'");
    return rc == SQLITE_OK ? reload(db) : rc;
}

int csqlite_write_schema(sqlite3 *db, const char *sql) { return write_schema(db, sql); }
