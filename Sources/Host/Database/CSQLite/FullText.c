// FTS5's snippet(), highlight() and bm25() made anew; see CSQLite.h. SQLite's own snippet() takes the
// square of the number of hits in a row, highlight() that of the length of what it gives, and none of
// them reports how much it does. These give the same, in time that grows with the row.
//
// Words: a hit is an instance of a phrase of the query in the row, `xInst` in FTS5; hits come in the
// order of column and place.
#define _GNU_SOURCE
#include "CSQLite.h"

#include <math.h>
#include <string.h>

struct charge {
    csqlite_charge charge;
    void *context;
};

// FTS5 goes through all phrases for each hit.
enum { most_phrases = 1000, bytes_per_hit = 16 };

struct call {
    const Fts5ExtensionApi *api;
    Fts5Context *row;
    sqlite3_context *context;
    // What was charged was too much, and the error is set.
    int is_refused;
};

static int may(struct call *call, int64_t bytes) {
    const struct charge *charge = call->api->xUserData(call->row);
    if (!charge->charge || charge->charge(charge->context, call->context, bytes)) return 1;
    call->is_refused = 1;
    return 0;
}

static void finish(struct call *call, int rc) {
    if (rc != SQLITE_OK && !call->is_refused) sqlite3_result_error_code(call->context, rc);
}

// How many hits the row has.
static int hit_count(struct call *call, int *count) {
    int phrases = call->api->xPhraseCount(call->row);
    if (phrases > most_phrases) {
        sqlite3_result_error(call->context, "a full-text query has too many phrases for this function", -1);
        call->is_refused = 1;
        return SQLITE_ERROR;
    }
    int tokens = 0;
    int rc = call->api->xColumnSize(call->row, -1, &tokens);
    if (rc != SQLITE_OK) return rc;
    if (!may(call, (int64_t)tokens + bytes_per_hit * phrases)) return SQLITE_ERROR;
    rc = call->api->xInstCount(call->row, count);
    if (rc == SQLITE_OK && !may(call, (int64_t)*count * (bytes_per_hit + phrases))) return SQLITE_ERROR;
    return rc;
}

static int tokenize(
    struct call *call, const char *text, int count, void *context,
    int (*token)(void *, int, const char *, int, int, int)) {
    // Taking a text apart is about as much work as going through it eight times.
    if (!may(call, 8 * (int64_t)count)) return SQLITE_ERROR;
    return call->api->xTokenize(call->row, text, count, context, token);
}

static const char *text_of(sqlite3_value *value) {
    const char *text = (const char *)sqlite3_value_text(value);
    return text ? text : "";
}

// MARK: A text that grows

struct output {
    struct call *call;
    char *bytes;
    int64_t count, capacity;
};

// Up to `count` bytes, or to a NUL.
static int append(struct output *out, const char *text, int64_t count) {
    if (!text) return SQLITE_OK;
    int64_t length = count < 0 ? (int64_t)strlen(text) : (int64_t)strnlen(text, (size_t)count);
    if (!may(out->call, length)) return SQLITE_ERROR;
    if (out->count + length + 1 > out->capacity) {
        int64_t capacity = 2 * (out->count + length) + 64;
        char *grown = sqlite3_realloc64(out->bytes, (sqlite3_uint64)capacity);
        if (!grown) return SQLITE_NOMEM;
        out->bytes = grown;
        out->capacity = capacity;
    }
    memcpy(out->bytes + out->count, text, (size_t)length);
    out->count += length;
    out->bytes[out->count] = 0;
    return SQLITE_OK;
}

// Hands the text over; NULL if nothing was appended.
static void give(struct output *out) {
    if (!out->bytes) return sqlite3_result_null(out->call->context);
    sqlite3_result_text64(
        out->call->context, out->bytes, (sqlite3_uint64)out->count, sqlite3_free, SQLITE_UTF8);
    out->bytes = 0;
}

// MARK: highlight

struct highlight {
    struct output out;
    const char *open, *close, *text;
    int count, column;
    // The next hit that is not in `first...last`, and how many there are.
    int hit, hits;
    // The first and last token of hits that run into each other; -1: there are no more.
    int first, last;
    // The present token, and what is shown of them; `to` is 0 or less where all are.
    int token, from, to;
    // Of the text, so much is done.
    int done;
};

// Moves on to the next hits that run into each other.
static int next_hits(struct highlight *h) {
    struct call *call = h->out.call;
    h->first = h->last = -1;
    for (; h->hit < h->hits; h->hit++) {
        int phrase, column, place;
        int rc = call->api->xInst(call->row, h->hit, &phrase, &column, &place);
        if (rc != SQLITE_OK) return rc;
        if (column != h->column) continue;
        int last = place - 1 + call->api->xPhraseSize(call->row, phrase);
        if (h->first < 0) {
            h->first = place;
            h->last = last;
        } else if (place > h->last) {
            return SQLITE_OK;
        } else if (last > h->last) {
            h->last = last;
        }
    }
    return SQLITE_OK;
}

static int begin_hits(struct highlight *h, int column) {
    h->column = column;
    h->hit = 0;
    int rc = hit_count(h->out.call, &h->hits);
    return rc == SQLITE_OK ? next_hits(h) : rc;
}

// The text up to a place, and a mark behind it.
static int append_through(struct highlight *h, int end, const char *mark) {
    int rc = append(&h->out, h->text + h->done, end > h->done ? end - h->done : 0);
    if (rc == SQLITE_OK) rc = append(&h->out, mark, -1);
    h->done = end;
    return rc;
}

static int highlight_token(void *context, int flags, const char *bytes, int count, int start, int end) {
    (void)bytes;
    (void)count;
    struct highlight *h = context;
    if (flags & FTS5_TOKEN_COLOCATED) return SQLITE_OK;
    int token = h->token++, rc = SQLITE_OK;
    if (h->to > 0) {
        if (token < h->from || token > h->to) return SQLITE_OK;
        if (h->from && token == h->from) h->done = start;
    }
    if (token == h->first) rc = append_through(h, start, h->open);
    if (rc == SQLITE_OK && token == h->last) {
        if (h->to && h->first < h->from) rc = append(&h->out, h->open, -1);
        if (rc == SQLITE_OK) rc = append_through(h, end, h->close);
        if (rc == SQLITE_OK) rc = next_hits(h);
    }
    if (rc == SQLITE_OK && h->to > 0 && token == h->to) {
        int is_within = token >= h->first && token < h->last;
        rc = append_through(h, end, is_within ? h->close : 0);
    }
    return rc;
}

static void highlight_function(
    const Fts5ExtensionApi *api, Fts5Context *row, sqlite3_context *context, int count,
    sqlite3_value **values) {
    if (count != 3)
        return sqlite3_result_error(context, "wrong number of arguments to function highlight()", -1);
    struct call call = {api, row, context, 0};
    struct highlight h = {
        .out = {&call, 0, 0, 0}, .open = text_of(values[1]), .close = text_of(values[2]), .to = -1};
    int column = sqlite3_value_int(values[0]);
    int rc = api->xColumnText(row, column, &h.text, &h.count);
    if (h.text) {
        if (rc == SQLITE_OK) rc = begin_hits(&h, column);
        if (rc == SQLITE_OK) rc = tokenize(&call, h.text, h.count, &h, highlight_token);
        if (rc == SQLITE_OK) rc = append_through(&h, h.count, 0);
        if (rc == SQLITE_OK) give(&h.out);
    }
    sqlite3_free(h.out.bytes);
    finish(&call, rc);
}

// MARK: snippet

// Where sentences begin, by tokens.
struct sentences {
    const char *text;
    int token;
    int *starts;
    int count, capacity;
};

static int sentence_token(void *context, int flags, const char *bytes, int count, int start, int end) {
    (void)bytes;
    (void)count;
    (void)end;
    struct sentences *s = context;
    if (flags & FTS5_TOKEN_COLOCATED) return SQLITE_OK;
    int is_start = s->token == 0;
    if (!is_start) {
        int i = start - 1;
        char c = 0;
        for (; i >= 0; i--) {
            c = s->text[i];
            if (c != ' ' && c != '\t' && c != '\n' && c != '\r') break;
        }
        is_start = i != start - 1 && (c == '.' || c == ':');
    }
    if (is_start) {
        if (s->count == s->capacity) {
            int capacity = 2 * s->capacity + 64;
            int *grown = sqlite3_realloc64(s->starts, (sqlite3_uint64)capacity * sizeof *grown);
            if (!grown) return SQLITE_NOMEM;
            s->starts = grown;
            s->capacity = capacity;
        }
        s->starts[s->count++] = s->token;
    }
    s->token++;
    return SQLITE_OK;
}

struct hit {
    int phrase, place;
};

// The hits that stand in a stretch of tokens, while it moves on through the column.
struct window {
    const struct hit *hits;
    int hit_count;
    // Those in it are low..<high.
    int low, high;
    // How often each phrase is in it, and how many are.
    int *times;
    int phrases;
};

// Moves the window to begin at a token. Its score: a phrase counts a thousand, each repetition one.
static int move_window(struct window *w, int64_t start, int64_t tokens) {
    for (; w->high < w->hit_count && w->hits[w->high].place < start + tokens; w->high++)
        w->phrases += w->times[w->hits[w->high].phrase]++ == 0;
    for (; w->low < w->high && w->hits[w->low].place < start; w->low++)
        w->phrases -= --w->times[w->hits[w->low].phrase] == 0;
    int found = w->high - w->low;
    return 1000 * w->phrases + (found - w->phrases);
}

struct snippet {
    struct call *call;
    int tokens, phrase_count, hit_count;
    struct sentences sentences;
    struct hit *hits;
    int *times;
    // The best place so far.
    int score, column, start, column_tokens;
};

static void offer(struct snippet *s, int score, int column, int64_t start, int column_tokens) {
    if (score <= s->score) return;
    s->score = score;
    s->column = column;
    s->start = (int)start;
    s->column_tokens = column_tokens;
}

// The hits of a column, in order.
static int gather_hits(struct snippet *s, int column, int column_tokens, int *count) {
    *count = 0;
    for (int i = 0; i < s->hit_count; i++) {
        int phrase, found, place;
        int rc = s->call->api->xInst(s->call->row, i, &phrase, &found, &place);
        if (rc != SQLITE_OK) return rc;
        if (found != column) continue;
        if (place > column_tokens || (*count > 0 && place < s->hits[*count - 1].place))
            return SQLITE_CORRUPT_VTAB;
        s->hits[(*count)++] = (struct hit){phrase, place};
    }
    return SQLITE_OK;
}

static void search_column(struct snippet *s, int column, int column_tokens, int count) {
    memset(s->times, 0, 2 * sizeof *s->times * (size_t)s->phrase_count);
    struct window here = {s->hits, count, 0, 0, s->times, 0};
    struct window sentence = {s->hits, count, 0, 0, s->times + s->phrase_count, 0};
    const struct sentences *starts = &s->sentences;
    int next = 0;
    for (int i = 0; i < count; i++) {
        int place = s->hits[i].place;
        int score = move_window(&here, place, s->tokens);
        int64_t start = -1, last = 0;
        if (here.high > here.low) {
            const struct hit *end = &s->hits[here.high - 1];
            start = s->hits[here.low].place;
            last = (int64_t)end->place + s->call->api->xPhraseSize(s->call->row, end->phrase);
        }
        start -= (s->tokens - (last - start)) / 2;
        if (start + s->tokens > column_tokens) start = column_tokens - s->tokens;
        if (start < 0) start = 0;
        offer(s, score, column, start, column_tokens);
        if (starts->count == 0 || column_tokens <= s->tokens) continue;
        while (next < starts->count - 1 && starts->starts[next + 1] <= place) next++;
        if (starts->starts[next] >= place) continue;
        score = move_window(&sentence, starts->starts[next], s->tokens);
        score += starts->starts[next] == 0 ? 120 : 100;
        offer(s, score, column, starts->starts[next], column_tokens);
    }
}

// Finds the best stretch of all columns, or of one.
static int search(struct snippet *s, int wanted) {
    struct call *call = s->call;
    s->phrase_count = call->api->xPhraseCount(call->row);
    int rc = hit_count(call, &s->hit_count);
    if (rc != SQLITE_OK) return rc;
    s->hits = sqlite3_malloc64(((sqlite3_uint64)s->hit_count + 1) * sizeof *s->hits);
    s->times = sqlite3_malloc64(2 * ((sqlite3_uint64)s->phrase_count + 1) * sizeof *s->times);
    if (!s->hits || !s->times) return SQLITE_NOMEM;
    int columns = call->api->xColumnCount(call->row);
    for (int i = 0; i < columns; i++) {
        if (wanted >= 0 && wanted != i) continue;
        int bytes = 0, column_tokens = 0, count = 0;
        s->sentences.token = s->sentences.count = 0;
        rc = call->api->xColumnText(call->row, i, &s->sentences.text, &bytes);
        if (rc == SQLITE_OK) rc = tokenize(call, s->sentences.text, bytes, &s->sentences, sentence_token);
        if (rc == SQLITE_OK) rc = call->api->xColumnSize(call->row, i, &column_tokens);
        if (rc == SQLITE_OK && !may(call, (int64_t)s->hit_count * bytes_per_hit)) rc = SQLITE_ERROR;
        if (rc == SQLITE_OK) rc = gather_hits(s, i, column_tokens, &count);
        if (rc != SQLITE_OK) return rc;
        search_column(s, i, column_tokens, count);
    }
    return SQLITE_OK;
}

// Gives what was found, with the hits in it marked.
static int show(struct snippet *s, const char *const *marks) {
    struct call *call = s->call;
    struct highlight h = {.out = {call, 0, 0, 0}, .open = marks[0], .close = marks[1]};
    int rc = call->api->xColumnText(call->row, s->column, &h.text, &h.count);
    if (rc == SQLITE_OK && s->column_tokens == 0)
        rc = call->api->xColumnSize(call->row, s->column, &s->column_tokens);
    if (rc != SQLITE_OK || !h.text) return rc;
    rc = begin_hits(&h, s->column);
    h.from = s->start;
    h.to = (int)((int64_t)s->start + s->tokens - 1);
    if (rc == SQLITE_OK && s->start > 0) rc = append(&h.out, marks[2], -1);
    while (rc == SQLITE_OK && h.first >= 0 && h.first < s->start) rc = next_hits(&h);
    if (rc == SQLITE_OK) rc = tokenize(call, h.text, h.count, &h, highlight_token);
    if (rc == SQLITE_OK) {
        if (h.to >= s->column_tokens - 1) rc = append_through(&h, h.count, 0);
        else rc = append(&h.out, marks[2], -1);
    }
    if (rc == SQLITE_OK) give(&h.out);
    sqlite3_free(h.out.bytes);
    return rc;
}

static void snippet_function(
    const Fts5ExtensionApi *api, Fts5Context *row, sqlite3_context *context, int count,
    sqlite3_value **values) {
    if (count != 5)
        return sqlite3_result_error(context, "wrong number of arguments to function snippet()", -1);
    struct call call = {api, row, context, 0};
    struct snippet s = {.call = &call, .tokens = sqlite3_value_int(values[4])};
    int wanted = sqlite3_value_int(values[0]);
    const char *marks[] = {text_of(values[1]), text_of(values[2]), text_of(values[3])};
    s.column = wanted >= 0 ? wanted : 0;
    int rc = search(&s, wanted);
    if (rc == SQLITE_OK) rc = show(&s, marks);
    sqlite3_free(s.sentences.starts);
    sqlite3_free(s.hits);
    sqlite3_free(s.times);
    finish(&call, rc);
}

// MARK: bm25

// What is the same for all rows of a query.
struct ranking {
    double average_tokens;
    int phrase_count;
    // For each phrase how rare it is; behind them, how often it is in the present row.
    double rarity[];
};

static int count_row(const Fts5ExtensionApi *api, Fts5Context *row, void *count) {
    (void)api;
    (void)row;
    ++*(int64_t *)count;
    return SQLITE_OK;
}

static int make_ranking(struct call *call, struct ranking **made) {
    *made = call->api->xGetAuxdata(call->row, 0);
    if (*made) return SQLITE_OK;
    sqlite3_int64 rows = 0, tokens = 0;
    int count = call->api->xPhraseCount(call->row);
    int rc = call->api->xRowCount(call->row, &rows);
    if (rc == SQLITE_OK) rc = call->api->xColumnTotalSize(call->row, -1, &tokens);
    if (rc != SQLITE_OK) return rc;
    struct ranking *r =
        sqlite3_malloc64(sizeof *r + 2 * (sqlite3_uint64)count * sizeof r->rarity[0]);
    if (!r) return SQLITE_NOMEM;
    r->average_tokens = (double)tokens / (double)rows;
    r->phrase_count = count;
    for (int i = 0; i < count && rc == SQLITE_OK; i++) {
        int64_t hits = 0;
        rc = call->api->xQueryPhrase(call->row, i, &hits, count_row);
        if (rc == SQLITE_OK && !may(call, bytes_per_hit * hits)) rc = SQLITE_ERROR;
        double rarity = log(((double)(rows - hits) + 0.5) / ((double)hits + 0.5));
        r->rarity[i] = rarity <= 0.0 ? 1e-6 : rarity;
    }
    if (rc != SQLITE_OK) sqlite3_free(r);
    else rc = call->api->xSetAuxdata(call->row, r, sqlite3_free);
    *made = rc == SQLITE_OK ? r : 0;
    return rc;
}

static int score(
    struct call *call, struct ranking *r, int weights, sqlite3_value **values, double *result) {
    static const double k1 = 1.2, b = 0.75;
    double *times = r->rarity + r->phrase_count;
    for (int i = 0; i < r->phrase_count; i++) times[i] = 0.0;
    int hits = 0, tokens = 0;
    int rc = hit_count(call, &hits);
    for (int i = 0; i < hits && rc == SQLITE_OK; i++) {
        int phrase, column, place;
        rc = call->api->xInst(call->row, i, &phrase, &column, &place);
        if (rc == SQLITE_OK)
            times[phrase] += weights > column ? sqlite3_value_double(values[column]) : 1.0;
    }
    if (rc == SQLITE_OK) rc = call->api->xColumnSize(call->row, -1, &tokens);
    if (rc != SQLITE_OK) return rc;
    double sum = 0.0, length = (double)tokens;
    for (int i = 0; i < r->phrase_count; i++)
        sum += r->rarity[i]
            * ((times[i] * (k1 + 1.0)) / (times[i] + k1 * (1 - b + b * length / r->average_tokens)));
    *result = -1.0 * sum;
    return SQLITE_OK;
}

static void bm25_function(
    const Fts5ExtensionApi *api, Fts5Context *row, sqlite3_context *context, int count,
    sqlite3_value **values) {
    struct call call = {api, row, context, 0};
    struct ranking *ranking = 0;
    double result = 0.0;
    int hits = 0;
    // First of all whether there are too many phrases to look for each of them.
    int rc = hit_count(&call, &hits);
    if (rc == SQLITE_OK) rc = make_ranking(&call, &ranking);
    if (rc == SQLITE_OK) rc = score(&call, ranking, count, values, &result);
    if (rc == SQLITE_OK) sqlite3_result_double(context, result);
    finish(&call, rc);
}

// MARK: Registration

fts5_api *csqlite_full_text(sqlite3 *db) {
    fts5_api *api = 0;
    sqlite3_stmt *statement = 0;
    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, 0) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", 0);
        sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return api && api->iVersion >= 2 ? api : 0;
}

int csqlite_register_full_text(sqlite3 *db, csqlite_charge charge, void *context) {
    static const struct {
        const char *name;
        fts5_extension_function function;
    } functions[] = {
        {"highlight", highlight_function}, {"snippet", snippet_function}, {"bm25", bm25_function}};
    fts5_api *api = csqlite_full_text(db);
    if (!api) return SQLITE_OK;
    for (int i = 0; i < (int)(sizeof functions / sizeof functions[0]); i++) {
        struct charge *copy = sqlite3_malloc64(sizeof *copy);
        if (!copy) return SQLITE_NOMEM;
        *copy = (struct charge){charge, context};
        int rc = api->xCreateFunction(api, functions[i].name, copy, functions[i].function, sqlite3_free);
        if (rc != SQLITE_OK) {
            sqlite3_free(copy);
            return rc;
        }
    }
    return SQLITE_OK;
}
