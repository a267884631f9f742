// The tokenizers of FTS5 and FTS3, which take every text apart that comes into an index, leaves it or is
// checked against it: SQLite's own, that say as work how much they are given (see CSQLite.h).
#include "CSQLite.h"

#include <pthread.h>
#include <string.h>

// Of work, for each byte of a text: taking it apart and putting its words into an index is about half a
// step for a byte; a trigram begins with each character.
enum { words_cost = 64, trigrams_cost = 512 };

// SQLite keeps the characters that a tokenizer is told of in a list, and goes through it for each.
enum { most_arguments = 16 << 10 };

static int are_short(const char *const *arguments, int count) {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += strlen(arguments[i]);
    return bytes <= most_arguments;
}

// MARK: FTS5

// For each word of a query FTS5 keeps a page of its index in memory, in blocks that no limit sees, and it joins
// them in time that grows with the square of their number.
enum { most_query_words = 16 << 10 };

// Words of the query that is being taken apart, at most: no page is asked for meanwhile.
static _Thread_local int64_t query_words;
static _Thread_local uint32_t query_fetches;

void csqlite_forget_query_words(void) { query_words = 0; }

// Counts the words that a part of a query may have.
static int may_query(int64_t words) {
    if (query_fetches != csqlite_pages_fetched()) query_words = 0;
    query_fetches = csqlite_pages_fetched();
    query_words += words;
    return query_words <= most_query_words;
}

typedef int (*token_function)(void *, int, const char *, int, int, int);
static fts5_tokenizer unicode_own, ascii_own, trigram_own;
static _Thread_local uint64_t texts_seen;
static _Thread_local int finds_nothing;

// Who wants the words of a text that comes into an index.
struct reader {
    void *context;
    token_function token;
};

static int take_word(void *context, int flags, const char *word, int count, int start, int end) {
    const struct reader *reader = context;
    if (!csqlite_may_take_word(word, count, 1)) return SQLITE_NOMEM;
    return reader->token(reader->context, flags, word, count, start, end);
}

static int take_apart(
    const fts5_tokenizer *own, int64_t cost, Fts5Tokenizer *tokenizer, void *context, int flags,
    const char *text, int count, token_function token) {
    if (finds_nothing) return token(context, 0, "\1", 1, 0, count);
    texts_seen++;
    if (flags & FTS5_TOKENIZE_QUERY) {
        // A trigram begins with each character; other words have one and what separates them.
        if (!may_query(1 + (own == &trigram_own ? count : count / 2))) return SQLITE_TOOBIG;
        if (!csqlite_add_work(query_words)) return SQLITE_NOMEM;
    }
    if (!csqlite_add_work(count * cost)) return SQLITE_NOMEM;
    if (!(flags & FTS5_TOKENIZE_DOCUMENT)) return own->xTokenize(tokenizer, context, flags, text, count, token);
    struct reader reader = {context, token};
    return own->xTokenize(tokenizer, &reader, flags, text, count, take_word);
}

static int unicode_tokenize(
    Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int count, token_function token) {
    return take_apart(&unicode_own, words_cost, tokenizer, context, flags, text, count, token);
}

static int ascii_tokenize(
    Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int count, token_function token) {
    return take_apart(&ascii_own, words_cost, tokenizer, context, flags, text, count, token);
}

static int trigram_tokenize(
    Fts5Tokenizer *tokenizer, void *context, int flags, const char *text, int count, token_function token) {
    return take_apart(&trigram_own, trigrams_cost, tokenizer, context, flags, text, count, token);
}

static int unicode_create(void *context, const char **arguments, int count, Fts5Tokenizer **made) {
    return are_short(arguments, count) ? unicode_own.xCreate(context, arguments, count, made) : SQLITE_ERROR;
}

// FTS5 knows its trigrams, for LIKE, by the function that makes them.
static const struct own_tokenizer {
    const char *name;
    fts5_tokenizer *own;
    int (*create)(void *, const char **, int, Fts5Tokenizer **);
    int (*tokenize)(Fts5Tokenizer *, void *, int, const char *, int, token_function);
} tokenizers[] = {
    {"ascii", &ascii_own, 0, ascii_tokenize},
    {"trigram", &trigram_own, 0, trigram_tokenize},
    // The last one: see below.
    {"unicode61", &unicode_own, unicode_create, unicode_tokenize},
};
enum { tokenizer_count = sizeof tokenizers / sizeof tokenizers[0] };

// What a tokenizer of FTS5 is kept in begins so.
struct module_head {
    const char *name;
    void *context;
};

// What the interface stands at the front of (`Fts5Global`), from the connection on.
struct global_tail {
    sqlite3 *db;
    sqlite3_int64 next_id;
    void *functions;
    struct module_head *tokenizers, *standard;
};

// A table that names no tokenizer gets the one that was registered first, for which there is no
// interface. `unicode61` was registered last, so it leads the list.
static void replace_standard(sqlite3 *db, fts5_api *api) {
    int version = sqlite3_libversion_number();
    if (version < 3025000) return;
    // The interface has had two functions more since 3.47.
    struct global_tail *tail = (void *)((char *)api + (version < 3047000 ? 32 : 48));
    if (tail->db != db || !tail->tokenizers || !tail->standard) return;
    if (strcmp(tail->tokenizers->name, "unicode61") == 0 && strcmp(tail->standard->name, "unicode61") == 0)
        tail->standard = tail->tokenizers;
}

static pthread_mutex_t finding = PTHREAD_MUTEX_INITIALIZER;

static int replace_tokenizers(sqlite3 *db, fts5_api *api) {
    for (int i = 0; i < tokenizer_count; i++) {
        void *context = 0;
        fts5_tokenizer found;
        if (api->xFindTokenizer(api, tokenizers[i].name, &context, &found) != SQLITE_OK) continue;
        pthread_mutex_lock(&finding);
        // The same functions on every connection.
        *tokenizers[i].own = found;
        pthread_mutex_unlock(&finding);
        if (tokenizers[i].create) found.xCreate = tokenizers[i].create;
        found.xTokenize = tokenizers[i].tokenize;
        int rc = api->xCreateTokenizer(api, tokenizers[i].name, context, &found, 0);
        if (rc != SQLITE_OK) return rc;
    }
    replace_standard(db, api);
    return SQLITE_OK;
}

// MARK: FTS3

// The interface of FTS3's tokenizers (fts3_tokenizer.h, which isn't installed).
struct tokenizer3;
struct cursor3;
struct module3 {
    int version;
    int (*create)(int count, const char *const *arguments, struct tokenizer3 **made);
    int (*destroy)(struct tokenizer3 *tokenizer);
    int (*open)(struct tokenizer3 *tokenizer, const char *text, int count, struct cursor3 **cursor);
    int (*close)(struct cursor3 *cursor);
    int (*next)(
        struct cursor3 *cursor, const char **token, int *count, int *start, int *end, int *position);
    int (*language)(struct cursor3 *cursor, int language);
};

static const struct module3 *simple3_own, *porter3_own, *unicode3_own;

static int open3(
    const struct module3 *own, struct tokenizer3 *tokenizer, const char *text, int count,
    struct cursor3 **cursor) {
    if (text && count < 0) count = (int)strlen(text);
    texts_seen++;
    if (!csqlite_add_work((int64_t)count * words_cost)) return SQLITE_NOMEM;
    return own->open(tokenizer, text, count, cursor);
}

static int simple3_open(struct tokenizer3 *tokenizer, const char *text, int count, struct cursor3 **cursor) {
    return open3(simple3_own, tokenizer, text, count, cursor);
}

static int porter3_open(struct tokenizer3 *tokenizer, const char *text, int count, struct cursor3 **cursor) {
    return open3(porter3_own, tokenizer, text, count, cursor);
}

static int unicode3_open(struct tokenizer3 *tokenizer, const char *text, int count, struct cursor3 **cursor) {
    return open3(unicode3_own, tokenizer, text, count, cursor);
}

// A word that was found.
static int take_word3(int rc, const char *const *word, const int *count) {
    return rc == SQLITE_OK && !csqlite_may_take_word(*word, *count, 0) ? SQLITE_NOMEM : rc;
}

static int simple3_next(
    struct cursor3 *cursor, const char **word, int *count, int *start, int *end, int *position) {
    return take_word3(simple3_own->next(cursor, word, count, start, end, position), word, count);
}

static int porter3_next(
    struct cursor3 *cursor, const char **word, int *count, int *start, int *end, int *position) {
    return take_word3(porter3_own->next(cursor, word, count, start, end, position), word, count);
}

static int unicode3_next(
    struct cursor3 *cursor, const char **word, int *count, int *start, int *end, int *position) {
    return take_word3(unicode3_own->next(cursor, word, count, start, end, position), word, count);
}

static int unicode3_create(int count, const char *const *arguments, struct tokenizer3 **made) {
    return are_short(arguments, count) ? unicode3_own->create(count, arguments, made) : SQLITE_ERROR;
}

static struct {
    const char *name;
    const struct module3 **own;
    int (*open)(struct tokenizer3 *, const char *, int, struct cursor3 **);
    int (*create)(int, const char *const *, struct tokenizer3 **);
    int (*next)(struct cursor3 *, const char **, int *, int *, int *, int *);
    // For the whole process: it stays as it is once it was made.
    struct module3 made;
} tokenizers3[] = {
    {"simple", &simple3_own, simple3_open, 0, simple3_next, {0}},
    {"porter", &porter3_own, porter3_open, 0, porter3_next, {0}},
    {"unicode61", &unicode3_own, unicode3_open, unicode3_create, unicode3_next, {0}},
};
enum { tokenizer3_count = sizeof tokenizers3 / sizeof tokenizers3[0] };

// Calls fts3_tokenizer(), which gives and takes pointers as blobs where they are bound.
static int exchange3(sqlite3 *db, const char *name, const struct module3 **module, int is_new) {
    sqlite3_stmt *statement = 0;
    const char *sql = is_new ? "SELECT fts3_tokenizer(?1, ?2)" : "SELECT fts3_tokenizer(?1)";
    // A library without FTS3.
    if (sqlite3_prepare_v2(db, sql, -1, &statement, 0) != SQLITE_OK) return SQLITE_NOTFOUND;
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (is_new) sqlite3_bind_blob(statement, 2, module, sizeof *module, SQLITE_TRANSIENT);
    int rc = sqlite3_step(statement) == SQLITE_ROW ? SQLITE_OK : SQLITE_NOTFOUND;
    if (rc == SQLITE_OK && !is_new) {
        if (sqlite3_column_bytes(statement, 0) == (int)sizeof *module)
            memcpy(module, sqlite3_column_blob(statement, 0), sizeof *module);
        else
            rc = SQLITE_NOTFOUND;
    }
    int ended = sqlite3_finalize(statement);
    // One of another name is not there, and no fault.
    return (ended & 0xFF) == SQLITE_NOMEM ? SQLITE_NOMEM : rc;
}

static int replace_tokenizers3(sqlite3 *db) {
    for (int i = 0; i < tokenizer3_count; i++) {
        const struct module3 *found = 0;
        int rc = exchange3(db, tokenizers3[i].name, &found, 0);
        if (rc == SQLITE_NOMEM) return rc;
        if (rc != SQLITE_OK || !found || found->version > 1) continue;
        pthread_mutex_lock(&finding);
        if (!*tokenizers3[i].own) {
            *tokenizers3[i].own = found;
            tokenizers3[i].made = (struct module3){
                .version = found->version, .create = found->create, .destroy = found->destroy,
                .open = tokenizers3[i].open, .close = found->close, .next = tokenizers3[i].next,
                // Modules of version 0 end before it.
                .language = found->version >= 1 ? found->language : 0};
            if (tokenizers3[i].create) tokenizers3[i].made.create = tokenizers3[i].create;
        }
        pthread_mutex_unlock(&finding);
        const struct module3 *made = &tokenizers3[i].made;
        rc = exchange3(db, tokenizers3[i].name, &made, 1);
        if (rc == SQLITE_NOMEM) return rc;
    }
    return SQLITE_OK;
}

int csqlite_register_tokenizers(sqlite3 *db) {
    int rc = replace_tokenizers3(db);
    if (rc != SQLITE_OK) return rc;
    fts5_api *api = csqlite_full_text(db);
    return api ? replace_tokenizers(db, api) : SQLITE_OK;
}

uint64_t csqlite_texts_taken_apart(void) { return texts_seen; }
void csqlite_find_nothing(int is_on) { finds_nothing = is_on; }
