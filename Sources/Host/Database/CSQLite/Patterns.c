// LIKE and GLOB made anew; see CSQLite.h. SQLite's own take the product of the lengths of pattern and
// text, and report nothing meanwhile. These give the same, in time that grows with the text: at first in
// the same way, and where that takes long by following all places of a pattern at once, 64 of them in a
// word (the algorithm "Shift-And").
//
// Words: `%` and `*` cut a pattern into segments. A segment is a sequence of items, each of which fits
// one character: a letter, any (`_`, `?`), or a set (`[…]`).
#include "CSQLite.h"

#include <pthread.h>
#include <string.h>

typedef unsigned char byte;

struct rules {
    // SQLite's planner reads these three from here when it looks for an index.
    byte all, one, set;
    byte ignores_case;
    // The library was built so that blobs are like nothing.
    byte skips_blobs;
    csqlite_charge charge;
    void *context;
    struct shared *shared;
};

struct shared {
    struct rules like, glob, sensitive;
    // Functions that are registered with them.
    int users;
};

// MARK: Characters

// As SQLite reads them, also from what is no UTF-8.
static uint32_t read_character(const byte **at) {
    uint32_t c = *(*at)++;
    if (c < 0xC0) return c;
    if (c < 0xE0) c &= 0x1F;
    else if (c < 0xF0) c &= 0x0F;
    else if (c < 0xF8) c &= 0x07;
    else if (c < 0xFC) c &= 0x03;
    else c = c == 0xFD;
    while ((**at & 0xC0) == 0x80) c = (c << 6) + (*(*at)++ & 0x3F);
    int is_none = c < 0x80 || (c & 0xFFFFF800) == 0xD800 || (c & 0xFFFFFFFE) == 0xFFFE;
    return is_none ? 0xFFFD : c;
}

static uint32_t lower(uint32_t c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c; }

// MARK: Items

struct item {
    // `item_never`: the pattern breaks off here, and fits nothing.
    enum { item_end, item_all, item_one, item_letter, item_set, item_never } kind;
    uint32_t letter;
    // Behind the bracket that opens it.
    const byte *set;
};

// Whether a set has a character, and where the set ends: NULL: nowhere.
static int set_has(const byte *at, uint32_t c, const byte **end) {
    uint32_t prior = 0;
    int seen = 0, inverts = 0;
    uint32_t next = read_character(&at);
    if (next == '^') {
        inverts = 1;
        next = read_character(&at);
    }
    if (next == ']') {
        seen = c == ']';
        next = read_character(&at);
    }
    while (next && next != ']') {
        if (next == '-' && *at != ']' && *at != 0 && prior > 0) {
            next = read_character(&at);
            seen |= c >= prior && c <= next;
            prior = 0;
        } else {
            seen |= c == next;
            prior = next;
        }
        next = read_character(&at);
    }
    *end = next ? at : 0;
    return next && seen != inverts;
}

// The item at `at`, which isn't moved beyond the end.
// - other: the character that escapes the next, or opens a set; zero: there is none.
static struct item next_item(const struct rules *rules, uint32_t other, const byte **at) {
    const byte *begin = *at;
    uint32_t c = read_character(at);
    if (c == 0) {
        *at = begin;
        return (struct item){item_end, 0, 0};
    }
    if (c == rules->all) return (struct item){item_all, 0, 0};
    if (c == other) {
        if (rules->set) {
            const byte *end, *set = *at;
            set_has(set, 1, &end);
            if (end) *at = end;
            return (struct item){end ? item_set : item_never, 0, set};
        }
        c = **at ? read_character(at) : 0;
        return (struct item){c ? item_letter : item_never, c, 0};
    }
    if (c == rules->one) return (struct item){item_one, 0, 0};
    return (struct item){item_letter, c, 0};
}

// Whether the item stands for the character, which isn't zero.
static int fits(const struct rules *rules, const struct item *item, uint32_t c) {
    const byte *end;
    switch (item->kind) {
    case item_one: return 1;
    case item_letter: return c == item->letter || (rules->ignores_case && lower(c) == lower(item->letter));
    case item_set: return set_has(item->set, c, &end);
    default: return 0;
    }
}

// MARK: All places at once

struct segment {
    struct item *items;
    int count;
    // The words that have a bit for each item, and where characters from 0x80 on begin to fit others,
    // in order. A row of words for each of the first 128 characters, and for each beginning: bits of
    // the items that fit.
    int words, beginnings;
    uint32_t *from;
    uint64_t *rows, *state;
};

static void segment_free(struct segment *segment) {
    sqlite3_free(segment->items);
    sqlite3_free(segment->from);
    sqlite3_free(segment->rows);
    sqlite3_free(segment->state);
}

static void sort(uint32_t *values, int count) {
    for (int gap = count / 2; gap > 0; gap /= 2) {
        for (int i = gap; i < count; i++) {
            uint32_t value = values[i];
            int j = i;
            for (; j >= gap && values[j - gap] > value; j -= gap) values[j] = values[j - gap];
            values[j] = value;
        }
    }
}

// Each character of the pattern, and the one behind it, are where something may change.
static void find_beginnings(struct segment *segment, const byte *pattern, const byte *end) {
    int count = 0;
    segment->from[count++] = 0x80;
    while (pattern < end) {
        uint32_t c = read_character(&pattern);
        if (c >= 0x7F) segment->from[count++] = c + 1;
        if (c >= 0x80) segment->from[count++] = c;
    }
    sort(segment->from, count);
    segment->beginnings = 1;
    for (int i = 1; i < count; i++) {
        if (segment->from[i] != segment->from[segment->beginnings - 1])
            segment->from[segment->beginnings++] = segment->from[i];
    }
}

// The rows of a segment whose items stand in `pattern...end`. 0: there is no memory.
static int segment_prepare(
    const struct rules *rules, struct segment *segment, const byte *pattern, const byte *end) {
    segment->words = (segment->count + 63) / 64;
    segment->from = sqlite3_malloc64((sqlite3_uint64)(2 * (end - pattern) + 1) * sizeof *segment->from);
    if (!segment->from) return 0;
    find_beginnings(segment, pattern, end);
    size_t rows = (size_t)(128 + segment->beginnings), size = (size_t)segment->words * sizeof(uint64_t);
    segment->rows = sqlite3_malloc64(rows * size);
    segment->state = sqlite3_malloc64(size);
    if (!segment->rows || !segment->state) return 0;
    memset(segment->rows, 0, rows * size);
    memset(segment->state, 0, size);
    for (size_t row = 1; row < rows; row++) {
        uint32_t c = row < 128 ? (uint32_t)row : segment->from[row - 128];
        uint64_t *bits = segment->rows + row * (size_t)segment->words;
        for (int i = 0; i < segment->count; i++)
            bits[i / 64] |= (uint64_t)fits(rules, &segment->items[i], c) << i % 64;
    }
    return 1;
}

static const uint64_t *row_of(const struct segment *segment, uint32_t c) {
    size_t row = c;
    if (c >= 128) {
        int low = 0, high = segment->beginnings;
        while (high - low > 1) {
            int middle = (low + high) / 2;
            if (segment->from[middle] <= c) low = middle;
            else high = middle;
        }
        row = 128 + (size_t)low;
    }
    return segment->rows + row * (size_t)segment->words;
}

// Behind the first place in the text that the segment fits; NULL: there is none.
static const byte *segment_find(struct segment *segment, const byte *text) {
    int last = segment->count - 1;
    while (*text) {
        const uint64_t *row = row_of(segment, read_character(&text));
        uint64_t carried = 1;
        for (int i = 0; i < segment->words; i++) {
            uint64_t word = segment->state[i];
            segment->state[i] = (word << 1 | carried) & row[i];
            carried = word >> 63;
        }
        if (segment->state[last / 64] >> last % 64 & 1) return text;
    }
    return 0;
}

// Whether the segment fits the end of the text.
static int segment_ends(const struct rules *rules, const struct segment *segment, const byte *text) {
    int64_t characters = 0;
    for (const byte *at = text; *at; characters++) read_character(&at);
    for (; characters > segment->count; characters--) read_character(&text);
    if (characters < segment->count) return 0;
    for (int i = 0; i < segment->count; i++)
        if (!fits(rules, &segment->items[i], read_character(&text))) return 0;
    return 1;
}

// MARK: Patterns

enum { is_not = 0, is_match = 1, lacks_memory = -1 };

struct search {
    const struct rules *rules;
    uint32_t other;
    // What it took, about in bytes gone through once.
    int64_t work;
};

// From behind a `%` on, in time that grows with the text.
static int match_rest(struct search *search, const byte *pattern, const byte *text) {
    const struct rules *rules = search->rules;
    for (;;) {
        struct segment segment = {0};
        const byte *begin = pattern, *end = pattern;
        segment.items = sqlite3_malloc64((strlen((const char *)pattern) + 1) * sizeof *segment.items);
        if (!segment.items) return lacks_memory;
        struct item item;
        while ((item = next_item(rules, search->other, &pattern)).kind != item_end) {
            if (item.kind == item_all || item.kind == item_never) break;
            segment.items[segment.count++] = item;
            end = pattern;
        }
        int result = is_match, is_over = item.kind != item_all;
        if (item.kind == item_never) result = is_not;
        else if (item.kind == item_end) result = segment_ends(rules, &segment, text);
        else if (segment.count > 0 && !segment_prepare(rules, &segment, begin, end)) result = lacks_memory;
        else if (segment.count > 0) {
            const byte *found = segment_find(&segment, text);
            int64_t bytes = found ? found - text : (int64_t)strlen((const char *)text);
            // To look what each row of words fits is most of the work where the text is short.
            search->work +=
                2 * bytes * (4 + segment.words) + (int64_t)(128 + segment.beginnings) * segment.count;
            if (!found) result = is_not;
            else text = found;
        }
        segment_free(&segment);
        if (is_over || result != is_match) return result;
    }
}

// Where a segment that begins with this item may begin.
static const byte *skip(const struct rules *rules, const struct item *first, const byte *text) {
    if (first->kind != item_letter || first->letter >= 0x80) return text;
    char c = (char)first->letter;
    char stops[3] = {c, 0, 0};
    if (rules->ignores_case && lower(first->letter) >= 'a' && lower(first->letter) <= 'z')
        stops[1] = (char)(c ^ 0x20);
    return text + strcspn((const char *)text, stops);
}

// Step by step and back to the last `%`, as long as that doesn't take long.
static int match(struct search *search, const byte *pattern, const byte *text, int64_t length) {
    const struct rules *rules = search->rules;
    const byte *segment = 0, *from = 0;
    struct item first = {0};
    for (int64_t allowed = 4096 + 8 * length; search->work <= allowed;) {
        const byte *before = text;
        struct item item = next_item(rules, search->other, &pattern);
        if (item.kind == item_never) return is_not;
        if (item.kind == item_all) {
            const byte *at = segment = pattern;
            first = next_item(rules, search->other, &at);
            if (first.kind == item_end) return is_match;
            from = text = skip(rules, &first, text);
            search->work += (text - before) / 4;
            continue;
        }
        if (item.kind == item_end) {
            if (*text == 0) return is_match;
        } else {
            if (*text == 0) return is_not;
            uint32_t c = read_character(&text);
            search->work += 1 + text - before;
            if (item.kind == item_set) search->work += 2 * (pattern - item.set);
            if (fits(rules, &item, c)) continue;
        }
        if (!segment) return is_not;
        before = from;
        read_character(&from);
        text = from = skip(rules, &first, from);
        search->work += (from - before) / 4;
        pattern = segment;
    }
    return segment ? match_rest(search, segment, from) : is_not;
}

// MARK: Functions

// Set on a thread that wants to know where SQLite keeps what it knows of a function.
static _Thread_local int is_capturing;
static _Thread_local void *captured;

// What SQLite hands to functions begins so (`sqlite3_context`).
struct call_head {
    void *out;
    void *function;
};

static void match_function(sqlite3_context *call, int count, sqlite3_value **values) {
    if (is_capturing) captured = ((struct call_head *)call)->function;
    struct rules rules = *(struct rules *)sqlite3_user_data(call);
    if (rules.skips_blobs
        && (sqlite3_value_type(values[0]) == SQLITE_BLOB || sqlite3_value_type(values[1]) == SQLITE_BLOB))
        return sqlite3_result_int(call, 0);
    sqlite3 *db = sqlite3_context_db_handle(call);
    if (sqlite3_value_bytes(values[0]) > sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1))
        return sqlite3_result_error(call, "LIKE or GLOB pattern too complex", -1);
    struct search search = {&rules, rules.set, 0};
    if (count == 3) {
        const byte *escape = sqlite3_value_text(values[2]);
        if (!escape) return;
        search.other = *escape ? read_character(&escape) : 0;
        if (search.other == 0 || *escape)
            return sqlite3_result_error(call, "ESCAPE expression must be a single character", -1);
        if (search.other == rules.all) rules.all = 0;
        if (search.other == rules.one) rules.one = 0;
    }
    const byte *pattern = sqlite3_value_text(values[0]);
    const byte *text = sqlite3_value_text(values[1]);
    if (!pattern || !text) return;
    int found = match(&search, pattern, text, sqlite3_value_bytes(values[1]));
    if (rules.charge && !rules.charge(rules.context, call, search.work)) return;
    if (found == lacks_memory) return sqlite3_result_error_nomem(call);
    sqlite3_result_int(call, found);
}

// MARK: Registration

// How SQLite keeps what it knows of a function (`FuncDef`, since 3.25). Its planner looks for an index
// where a flag says that the function is LIKE, and there is no interface to set it.
struct function_head {
    signed char count;
    uint32_t flags;
    void *user_data, *next;
    void (*function)(sqlite3_context *, int, sqlite3_value **);
    void *finish, *value, *inverse;
    const char *name;
};

enum { flag_like = 0x0004, flag_case = 0x0008, flag_constant = 0x0800 };

// Makes SQLite's planner take a function of ours for what it replaces. 0: it isn't kept as expected, and
// nothing was changed.
static int mark(sqlite3 *db, const char *name, const char *probe, int count, void *rules, uint32_t flags) {
    captured = 0;
    is_capturing = 1;
    int rc = sqlite3_exec(db, probe, 0, 0, 0);
    is_capturing = 0;
    struct function_head *head = captured;
    if (rc != SQLITE_OK || !head || head->count != count || head->user_data != rules
        || head->function != match_function || head->finish || head->value || head->inverse || !head->name
        || sqlite3_stricmp(head->name, name) != 0)
        return 0;
    if ((head->flags & 3) != SQLITE_UTF8 || !(head->flags & flag_constant)
        || head->flags & (flag_like | flag_case))
        return 0;
    head->flags |= flags;
    return 1;
}

static void rules_free(void *pointer) {
    struct shared *shared = ((struct rules *)pointer)->shared;
    if (--shared->users == 0) sqlite3_free(shared);
}

static int add(sqlite3 *db, const char *name, int count, struct rules *rules) {
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    rules->shared->users++;
    // Where it fails SQLite gives the memory back, too.
    return sqlite3_create_function_v2(db, name, count, flags, rules, match_function, 0, 0, rules_free);
}

static _Atomic int leaves_regexp;

void csqlite_leave_regexp(void) { leaves_regexp = 1; }

int csqlite_leaves_regexp(void) { return leaves_regexp; }

// - own: also in place of SQLite's. `is_marked` says then whether indexes will be used.
static int install(sqlite3 *db, csqlite_charge charge, void *context, int own, int *is_marked) {
    struct shared *shared = sqlite3_malloc64(sizeof *shared);
    if (!shared) return SQLITE_NOMEM;
    byte skips_blobs = sqlite3_compileoption_used("LIKE_DOESNT_MATCH_BLOBS") != 0;
    shared->like = (struct rules){'%', '_', 0, 1, skips_blobs, charge, context, shared};
    shared->sensitive = (struct rules){'%', '_', 0, 0, skips_blobs, charge, context, shared};
    shared->glob = (struct rules){'*', '?', '[', 0, skips_blobs, charge, context, shared};
    shared->users = 1;
    int rc = SQLITE_OK;
    if (!leaves_regexp) rc = add(db, CSQLITE_SENSITIVE_LIKE, 2, &shared->sensitive);
    if (!leaves_regexp && rc == SQLITE_OK) rc = add(db, CSQLITE_SENSITIVE_LIKE, 3, &shared->sensitive);
    if (rc == SQLITE_OK && own) rc = add(db, "like", 2, &shared->like);
    if (rc == SQLITE_OK && own) rc = add(db, "like", 3, &shared->like);
    if (rc == SQLITE_OK && own) rc = add(db, "glob", 2, &shared->glob);
    if (rc == SQLITE_OK && own) {
        *is_marked = mark(db, "like", "SELECT like('','')", 2, &shared->like, flag_like)
            && mark(db, "like", "SELECT like('','','x')", 3, &shared->like, flag_like)
            && mark(db, "glob", "SELECT glob('','')", 2, &shared->glob, flag_like | flag_case);
    }
    rules_free(&shared->like);
    return rc;
}

static int has_range(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement = 0;
    int found = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, 0) == SQLITE_OK) {
        while (sqlite3_step(statement) == SQLITE_ROW) {
            const char *text = (const char *)sqlite3_column_text(statement, 3);
            found |= text && strstr(text, ">? AND ") != 0;
        }
    }
    sqlite3_finalize(statement);
    return found;
}

static pthread_once_t probed = PTHREAD_ONCE_INIT;
static int can_replace;

// Whether this library's planner takes ours as its own.
static void probe_library(void) {
    sqlite3 *db = 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY;
    int is_marked = 0;
    if (sqlite3_open_v2(":memory:", &db, flags, 0) == SQLITE_OK
        && install(db, 0, 0, 1, &is_marked) == SQLITE_OK && is_marked
        && sqlite3_exec(
               db, "CREATE TABLE t(a TEXT COLLATE NOCASE, b TEXT); CREATE INDEX ta ON t(a); CREATE INDEX tb ON t(b)",
               0, 0, 0) == SQLITE_OK) {
        can_replace = has_range(db, "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a LIKE 'x%'")
            && has_range(db, "EXPLAIN QUERY PLAN SELECT * FROM t WHERE a LIKE 'x%' ESCAPE '!'")
            && has_range(db, "EXPLAIN QUERY PLAN SELECT * FROM t WHERE b GLOB 'x*'");
    }
    sqlite3_close(db);
}

int csqlite_can_replace_like(void) {
    pthread_once(&probed, probe_library);
    return can_replace;
}

int csqlite_register_patterns(sqlite3 *db, csqlite_charge charge, void *context) {
    int own = csqlite_can_replace_like(), is_marked = 1;
    int rc = install(db, charge, context, own, &is_marked);
    return rc == SQLITE_OK && !is_marked ? SQLITE_ERROR : rc;
}
