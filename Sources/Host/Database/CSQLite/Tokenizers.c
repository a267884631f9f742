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

typedef int (*token_function)(void *, int, const char *, int, int, int);
static fts5_tokenizer unicode_own, ascii_own, trigram_own;
static _Thread_local uint64_t texts_seen;

static int take_apart(
    const fts5_tokenizer *own, int64_t cost, Fts5Tokenizer *tokenizer, void *context, int flags,
    const char *text, int count, token_function token) {
    texts_seen++;
    if (!csqlite_add_work(count * cost)) return SQLITE_NOMEM;
    return own->xTokenize(tokenizer, context, flags, text, count, token);
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

int csqlite_register_tokenizers(sqlite3 *db) {
    fts5_api *api = csqlite_full_text(db);
    return api ? replace_tokenizers(db, api) : SQLITE_OK;
}

uint64_t csqlite_texts_taken_apart(void) { return texts_seen; }
