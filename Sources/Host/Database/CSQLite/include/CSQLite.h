// SQLite as Swift can call it: the C API, wrappers for its variadic functions and destructor
// constants, and the VFS "rqlited".
//
// The VFS is "unix-excl" with four differences, each per thread:
//
//   clock   while a thread has frozen its clock, SQLite's "now" is the frozen time, wherever it is
//           asked for: statements, defaults, triggers, views;
//   full    a write that failed for lack of disk space is counted, so that a full disk can be told
//           from the other causes of SQLITE_FULL (an AUTOINCREMENT table at its last rowid); a quota and a
//           limit on the size of files are a full disk, too;
//   temp    what the temporary files of a statement hold is counted and limited;
//   faults  a test can make the writes of its thread fail.
#ifndef CSQLITE_H
#define CSQLITE_H

#include <sqlite3.h>
#include <stdint.h>

#define CSQLITE_VFS_NAME "rqlited"

// Registers the VFS; may be called any number of times, from any thread. [any-thread]
int csqlite_register_vfs(void);

// Freezes this thread's clock at a time in milliseconds since 1970.
void csqlite_freeze_clock(int64_t milliseconds);
void csqlite_release_clock(void);

// How many writes of this thread failed for lack of disk space, ever.
uint64_t csqlite_disk_full_count(void);

// The writes of this thread from the n-th next one on fail with this code; 0 ends it.
void csqlite_inject_write_fault(int code, int64_t after_writes);

// Chance (Chance.c). SQLite draws random numbers of its own for rowids of tables whose largest
// possible rowid is taken. While chance is active on a thread they are a function of the key and of
// how many rows the thread counted since; what other threads draw stays the system's.

// Sets this thread's key; no row is counted yet, and no new word (see `csqlite_forget_words`).
void csqlite_begin_chance(uint64_t key);
// Switches this thread's key on, for the time that a client's statement runs, and off.
void csqlite_activate_chance(int is_on);
// Counts a row that was written: the next draw is another one.
void csqlite_count_changed_row(void);

// Of the VFS: no draw is made of the key meanwhile; a seed from the key, or 0 where the system's is
// wanted; and the installation, before SQLite runs.
void csqlite_pause_chance(int is_on);
int csqlite_seed(char *into, int count);
int csqlite_install_chance(void);

// From here on the temporary files of this thread that are opened may hold so many bytes together:
// what statements sort and gather, and the copy that VACUUM makes. A write beyond it fails with
// SQLITE_FULL, which counts as no lack of disk space. The count is a function of what is executed.
void csqlite_limit_temporary(int64_t bytes);
// From here on what this thread's files hold counts for all threads of the process that share, too, of
// which each may say how much all may hold; INT64_MAX: files that are opened don't share. A write
// beyond it fails in the same way.
void csqlite_share_temporary(int64_t bytes);
// Whether a write failed for the first since, 1, or for the second, 2.
int csqlite_temporary_exceeded(void);

// Where temporary files are made from now on, in the whole process. Call it before the first
// connection is opened.
int csqlite_set_temporary_directory(const char *path);

// Memory (Memory.c). SQLite's allocator is wrapped so that a thread can see why an allocation
// failed: for lack of memory, or for a bound that is the same on every node.

// Installs the wrapper; SQLITE_MISUSE when SQLite runs already.
int csqlite_install_allocator(void);

// From here on blocks of at least `smallest` bytes that this thread allocates may be `bytes`
// together, and it may allocate or change blocks so many times; what would go beyond is refused as
// if there were no memory.
void csqlite_limit_memory(int64_t bytes, int64_t smallest, int64_t allocations);
void csqlite_unlimit_memory(void);
// From here on what this thread's blocks hold that count for such a limit counts for all threads of the
// process that share, too, beyond 16 MiB for each, with `beside`, which it holds already; each may say how
// much all may hold, in bytes. INT64_MAX: it shares no longer. What it holds is given back, too, where a limit is set
// or lifted. [thread]
void csqlite_share_memory(int64_t bytes, int64_t beside);
// From here on there may be no more than so many, if the limit allows for them. [thread]
void csqlite_lessen_allocations(int64_t left);
// How many allocations there were since the limit was set; also once it is lifted.
int64_t csqlite_allocations(void);
// What a module compiles while a statement runs may take so many allocations of less
// than 512 bytes until
// `csqlite_end_nested`, `csqlite_limit_memory` or `csqlite_unlimit_memory`; further calls until then
// change nothing.
void csqlite_limit_nested(int64_t allocations);
void csqlite_end_nested(void);
// Whether an allocation was refused for the limit since it was set, 1, or for what all that share hold, 2.
int csqlite_memory_exceeded(void);
// How many allocations of this thread the system refused, ever. SQLITE_NOMEM without any lies in
// the statement: a value or a program too large for SQLite, or the limit above.
uint64_t csqlite_memory_failures(void);

// Work: what SQLite's functions and operators do within one step of the virtual machine shows in the
// large blocks that they make. From here on this thread's blocks of at least `smallest` bytes are added
// up; what would go beyond `bytes` is refused as if there were no memory. Coarse: the statement writes
// into a virtual table, whose module may keep blocks from earlier ones; those of less than 4 MiB, and
// of a power of two, don't count. [thread]
void csqlite_limit_work(int64_t bytes, int64_t smallest, int is_coarse);
void csqlite_unlimit_work(void);
// The bytes of all such blocks since, also of those that are gone; and of those that are there, with
// what was bound before.
int64_t csqlite_work(void);
int64_t csqlite_work_held(void);
// The most that was there of them at a time since it was asked for last.
int64_t csqlite_work_peak(void);
// Adds work of a module of ours to it, in the same measure. 0: it is beyond the limit, and the call
// must fail with SQLITE_NOMEM.
int csqlite_add_work(int64_t bytes);
// Whether work is added up.
int csqlite_counts_work(void);
// Whether work was refused for this limit since it was set.
int csqlite_work_exceeded(void);
// What is allocated meanwhile follows from more than the statement; calls nest.
void csqlite_pause_work(int is_on);
// What was taken during pauses and not given back during them, ever; and, behind a pause, that what was taken since then counts as
// held, for it is given back when work is counted again. [thread]
int64_t csqlite_work_held_paused(void);
void csqlite_hold_paused_since(int64_t before);
// Large values bound from here on count as held by the statement that runs next.
void csqlite_forget_bound(void);
void csqlite_note_bound(uint64_t bytes);
// The bytes of all of them.
int64_t csqlite_bound(void);

// The system refuses this thread's allocations from the n-th next one on; negative ends it.
void csqlite_inject_memory_fault(int64_t after_allocations);

// Functions (TextFunctions.c): SQLite's own of the same names take time that grows with the product
// of the lengths of their arguments; these give the same results in time that grows with the sum.
//
// `charge` is told, with `context`, how many bytes a call goes through before it does, and says
// whether it may; where not it has set the call's error.
typedef int (*csqlite_charge)(void *context, sqlite3_context *call, int64_t bytes);
int csqlite_register_text_functions(sqlite3 *db, csqlite_charge charge, void *context);

// LIKE and GLOB (Patterns.c), in time that grows with the text; the pattern is limited by
// SQLITE_LIMIT_LIKE_PATTERN_LENGTH. `charge` is told behind each call what it took.
//
// One more, which clients can't call, is LIKE as it is after PRAGMA case_sensitive_like=ON. It has the
// name of the function behind an operator that SQLite parses just like LIKE and has no function for.
#define CSQLITE_SENSITIVE_LIKE "regexp"
int csqlite_register_patterns(sqlite3 *db, csqlite_charge charge, void *context);
// An extension has a function of that name, which clients may call: connections don't get ours any more.
void csqlite_leave_regexp(void);
int csqlite_leaves_regexp(void);
// Whether LIKE and GLOB are ours on connections of this library: SQLite keeps to itself which function
// it uses indexes for, and where it can't be told that ours are, its own stay. [any-thread]
int csqlite_can_replace_like(void);

// FTS5's auxiliary functions (FullText.c): snippet(), highlight() and bm25() give what SQLite's own
// give, in time that grows with the row instead of with its square, and tell `charge` of it. Does
// nothing where SQLite has no FTS5.
int csqlite_register_full_text(sqlite3 *db, csqlite_charge charge, void *context);
// NULL where SQLite was built without FTS5.
fts5_api *csqlite_full_text(sqlite3 *db);

// The tokenizers of FTS5 and of FTS3 and FTS4 (Tokenizers.c): SQLite's own, which add to the work (see
// `csqlite_add_work`) what they are given, and refuse arguments of more than 16 KiB. Those of FTS5 refuse
// queries of more than 16,384 words, with SQLITE_TOOBIG. Call it before the schema is read.
int csqlite_register_tokenizers(sqlite3 *db);
// New words that full-text modules keep in memory (NewWords.c): where far more of them share a list there than others do, those
// that come to it cost what they go by (see `csqlite_add_work`). Whether a word, or one of its prefixes, may be taken; else
// the module must fail with SQLITE_NOMEM. [thread]
int csqlite_may_take_word(const char *word, int count, int is_of_fts5);
// A unit begins, and nothing is new in memory. The key is one that clients don't know beforehand, the same on all nodes. [thread]
void csqlite_forget_words(uint64_t key);
// How long the prefixes are that have an index of their own, in ascending order; copied. They stay for the thread: to be
// set for each statement. [thread]
void csqlite_set_prefixes(const int16_t *lengths, int count);
// What was counted of a query doesn't belong to the next: called where a statement begins, and where
// SQLite reports steps. [thread]
void csqlite_forget_query_words(void);
// How many texts went through them on this thread, ever. [thread]
uint64_t csqlite_texts_taken_apart(void);
// Until it is switched off, FTS5's find one word in each text, which is in no index. [thread]
void csqlite_find_nothing(int is_on);

// Pages (Pages.c): those of the database that the connection asks for from here on, in memory or not, read,
// or only taken: their number follows from the statements, whatever transactions they stand in. One
// connection is watched at a time. [connection's thread]
void csqlite_watch_pages(sqlite3 *db);
void csqlite_end_page_watch(void);
// Those asked for meanwhile follow from more than the statement; calls nest. [thread]
void csqlite_pause_pages(int is_on);
// Of the last watch; modulo 2^32.
uint32_t csqlite_pages_asked(void);
// Of whatever database this thread asked for pages, ever; modulo 2^32. [thread]
uint32_t csqlite_pages_fetched(void);
// Before SQLite runs.
int csqlite_install_page_count(void);

// Modules (Modules.c): what they do by statements of their own while a client's statement runs.
//
// FTS5 keeps what is new in memory, up to its option `hashsize`: more than this, in bytes, can't be set.
enum { csqlite_most_pending = 64 << 20 };

typedef struct {
    sqlite3 *db;
    // The client's own, which is no module's; it is compared and never used.
    sqlite3_stmt *client;
    sqlite3_stmt *reading;
    uint32_t pages_before;
    // That were asked for to read what a module may have in memory already.
    uint32_t pages;
    // A module has set an option beyond its limit. The statement was interrupted; should it not
    // fail, its changes must be undone.
    int is_refused;
} csqlite_module_watch;

// Watches the modules of a connection, which must have no other trace, until the watch is ended. It must
// stay where it is until then. Where constants were not made once (`csqlite_factor_constants`), they are
// again once the client's statement runs. [connection's thread]
void csqlite_watch_modules(csqlite_module_watch *watch, sqlite3 *db, sqlite3_stmt *client);
// Does nothing where nothing is watched.
void csqlite_end_module_watch(csqlite_module_watch *watch);

static inline int csqlite_bind_text(sqlite3_stmt *stmt, int index, const char *text, uint64_t count) {
    csqlite_note_bound(count);
    return sqlite3_bind_text64(stmt, index, text, count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static inline int csqlite_bind_blob(sqlite3_stmt *stmt, int index, const void *bytes, uint64_t count) {
    csqlite_note_bound(count);
    return count == 0 ? sqlite3_bind_zeroblob(stmt, index, 0)
                      : sqlite3_bind_blob64(stmt, index, bytes, count, SQLITE_TRANSIENT);
}

static inline void csqlite_result_text(sqlite3_context *context, const char *text, uint64_t count) {
    sqlite3_result_text64(context, text, count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static inline void csqlite_result_blob(sqlite3_context *context, const void *bytes, uint64_t count) {
    sqlite3_result_blob64(context, bytes, count, SQLITE_TRANSIENT);
}

// Whether what is compiled from here on makes its constants once, instead of in each row. Off it gives the
// same rows. SQLite goes through all constants of a statement for each of them.
static inline void csqlite_factor_constants(sqlite3 *db, int is_on) {
    enum { factor_out_constants = 0x0008 };
    sqlite3_test_control(SQLITE_TESTCTRL_OPTIMIZATIONS, db, is_on ? 0 : factor_out_constants);
}

// Sets a Boolean option of sqlite3_db_config.
static inline int csqlite_db_config(sqlite3 *db, int option, int value) {
    return sqlite3_db_config(db, option, value, (int *)0);
}

// The daemon's own table. Its b-tree has a fixed root, and no schema lists it: clients can't see
// it, and its name holds a byte that is in no UTF-8 text, so they can't say it either. SQLite knows
// the table by an entry that is added to a connection's schema in memory (the test control
// SQLITE_TESTCTRL_IMPOSTER, which RBU and the shell's recovery use for the same purpose). The entry
// goes whenever SQLite loads the schema anew. All [connection's thread]; all return an SQLite code.
#define CSQLITE_HIDDEN_TABLE "sqlite_rqlite\xff"
#define CSQLITE_HIDDEN_ROOT 2

// Adds the entry where it is missing and the table isn't listed either.
int csqlite_reveal(sqlite3 *db);
// The name by which the connection knows the table then; it lives for ever.
const char *csqlite_hidden_name(sqlite3 *db);
// Overwrites the blob `progress` of its row `id` in place. Unlike UPDATE this leaves what changes() and
// total_changes() say.
int csqlite_overwrite_progress(sqlite3 *db, long long id, const void *bytes, int count);
// Makes the table as any other, listed in the schema as `sqlite_rqlite`.
int csqlite_create_hidden(sqlite3 *db);
// Lists the table while VACUUM runs, which drops what isn't listed; and ends that.
int csqlite_list_hidden(sqlite3 *db);
int csqlite_unlist_hidden(sqlite3 *db);
// Makes the row of the schema that lists the table the first one.
int csqlite_list_first(sqlite3 *db);
// Runs SQL of our own that changes the schema table by hand.
int csqlite_write_schema(sqlite3 *db, const char *sql);

// Registers the eponymous table CSQLITE_COUNTER, which has no rows and forgets what is inserted.
// So changes() can be set by counting, without a table of the database.
#define CSQLITE_COUNTER "sqlite_rqlite_counter"
int csqlite_register_counter(sqlite3 *db);

// Registers tables in place of SQLite's table-valued PRAGMA functions whose rows come in the order
// of its hash tables, which depends on the history of a connection: `pragma_table_list` and others
// give them sorted, and without the daemon's table. Each has a second name, CSQLITE_LIST_PREFIX and
// the PRAGMA's, which no object of a client can take.
#define CSQLITE_LIST_PREFIX "sqlite_rqlite_list_"
int csqlite_register_lists(sqlite3 *db);

// Digests (Digest.c): 128 bits over a sequence of values, the same on every machine.
typedef struct csqlite_digest {
    uint64_t low;
    uint64_t high;
} csqlite_digest;

void csqlite_digest_word(csqlite_digest *digest, uint64_t word);
// The count is digested, too.
void csqlite_digest_bytes(csqlite_digest *digest, const void *bytes, uint64_t count);
// The columns of the present row from the given one on. Returns about how many bytes they have.
int64_t csqlite_digest_row(csqlite_digest *digest, sqlite3_stmt *stmt, int first);

// The trace: from here on every row that a statement on the connection inserts, updates or deletes
// goes into the digest; NULL ends it. Statements compiled meanwhile may do without the shortcut that
// empties a table at once, so it is switched on only while a statement runs. [connection's thread]
void csqlite_trace_rows(sqlite3 *db, csqlite_digest *digest);
// Whether a compiled statement would be compiled again when it runs: since it was, something changed by
// which SQLite compiles. Always true with a library that can't tell. [connection's thread]
int csqlite_is_expired(sqlite3_stmt *stmt);
// Whether the library can tell of rows before they are written (SQLITE_ENABLE_PREUPDATE_HOOK).
int csqlite_can_trace(void);
// How many rows of this thread could not be read for the trace, ever: their trace means nothing.
uint64_t csqlite_trace_failures(void);

// Gives back the clean pages that the connection has in memory, so that they are read again.
static inline void csqlite_drop_cache(sqlite3 *db) { (void)sqlite3_db_release_memory(db); }

// The open file of the main database, or of its write-ahead log; NULL when there is none.
static inline sqlite3_file *csqlite_main_file(sqlite3 *db) {
    sqlite3_file *file = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    return rc == SQLITE_OK && file && file->pMethods ? file : 0;
}

static inline sqlite3_file *csqlite_wal_file(sqlite3 *db) {
    sqlite3_file *file = 0;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file);
    return rc == SQLITE_OK && file && file->pMethods ? file : 0;
}

static inline int csqlite_file_size(sqlite3_file *file, int64_t *size) {
    sqlite3_int64 found = 0;
    int rc = file->pMethods->xFileSize(file, &found);
    *size = found;
    return rc;
}

static inline int csqlite_file_read(sqlite3_file *file, void *into, int count, int64_t offset) {
    return file->pMethods->xRead(file, into, count, offset);
}

static inline int csqlite_file_sync(sqlite3_file *file) {
    return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
}

#endif
