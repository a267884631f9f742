// Functions of SQLite's whose time grows with the product of the lengths of their arguments, or
// whose depth grows with what they are given, made anew; see CSQLite.h. Each gives what SQLite's own
// gives for the same arguments, text that isn't UTF-8 included.
#define _GNU_SOURCE
#include "CSQLite.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

struct bounds {
    csqlite_charge charge;
    void *context;
    // Runs SQLite's own JSON functions; opened when first needed.
    sqlite3 *helper;
    sqlite3_stmt *statement;
};

// Whether a call may go through so many bytes; where not, its error is set.
static int may(sqlite3_context *call, int64_t bytes) {
    struct bounds *bounds = sqlite3_user_data(call);
    return !bounds->charge || bounds->charge(bounds->context, call, bytes);
}

static int length_limit(sqlite3_context *call) {
    return sqlite3_limit(sqlite3_context_db_handle(call), SQLITE_LIMIT_LENGTH, -1);
}

static int is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

// MARK: instr

// `needle` isn't empty. Where it begins, or NULL. In text it can only begin where a character does,
// or at the very front.
static const unsigned char *find(
    const unsigned char *hay, int hay_count, const unsigned char *needle, int count, int is_text) {
    if (count > hay_count) return 0;
    if (is_text && is_continuation(needle[0]))
        return memcmp(hay, needle, (size_t)count) == 0 ? hay : 0;
    return memmem(hay, (size_t)hay_count, needle, (size_t)count);
}

static void instr_found(
    sqlite3_context *call, sqlite3_value *hay_value, sqlite3_value *needle_value, int is_text) {
    const unsigned char *hay = is_text ? sqlite3_value_text(hay_value) : sqlite3_value_blob(hay_value);
    int hay_count = sqlite3_value_bytes(hay_value);
    const unsigned char *needle =
        is_text ? sqlite3_value_text(needle_value) : sqlite3_value_blob(needle_value);
    int count = sqlite3_value_bytes(needle_value);
    if (!needle || (hay_count > 0 && !hay)) return sqlite3_result_error_nomem(call);
    if (!may(call, (int64_t)hay_count + count)) return;
    const unsigned char *found = find(hay, hay_count, needle, count, is_text);
    if (!found) return sqlite3_result_int(call, 0);
    int position = 1;
    if (!is_text) position += (int)(found - hay);
    for (const unsigned char *at = hay + 1; is_text && at <= found; at++)
        position += !is_continuation(*at);
    sqlite3_result_int(call, position);
}

static void instr_function(sqlite3_context *call, int count, sqlite3_value **values) {
    (void)count;
    int hay_type = sqlite3_value_type(values[0]);
    int needle_type = sqlite3_value_type(values[1]);
    if (hay_type == SQLITE_NULL || needle_type == SQLITE_NULL) return;
    if (sqlite3_value_bytes(values[1]) == 0) return sqlite3_result_int(call, 1);
    int are_blobs = hay_type == SQLITE_BLOB && needle_type == SQLITE_BLOB;
    if (are_blobs || (hay_type != SQLITE_BLOB && needle_type != SQLITE_BLOB))
        return instr_found(call, values[0], values[1], !are_blobs);
    // A blob and a text: both are taken as text, without changing what the caller holds.
    sqlite3_value *hay = sqlite3_value_dup(values[0]);
    sqlite3_value *needle = sqlite3_value_dup(values[1]);
    if (hay && needle) instr_found(call, hay, needle, 1);
    else sqlite3_result_error_nomem(call);
    sqlite3_value_free(hay);
    sqlite3_value_free(needle);
}

// MARK: replace

static void replace_function(sqlite3_context *call, int count, sqlite3_value **values) {
    (void)count;
    const char *text = (const char *)sqlite3_value_text(values[0]);
    if (!text) return;
    size_t text_count = (size_t)sqlite3_value_bytes(values[0]);
    const char *pattern = (const char *)sqlite3_value_text(values[1]);
    if (!pattern) return;
    if (pattern[0] == 0) return sqlite3_result_value(call, values[0]);
    size_t pattern_count = (size_t)sqlite3_value_bytes(values[1]);
    const char *with = (const char *)sqlite3_value_text(values[2]);
    if (!with) return;
    size_t with_count = (size_t)sqlite3_value_bytes(values[2]);
    // SQLite's own wants room for a NUL within the limit.
    if ((int64_t)text_count + 1 > length_limit(call)) return sqlite3_result_error_toobig(call);
    if (!may(call, (int64_t)(2 * text_count + pattern_count + with_count))) return;

    const char *end = text + text_count;
    int64_t matches = 0;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), pattern, pattern_count));
         at += pattern_count)
        matches++;
    int64_t size = (int64_t)text_count + matches * ((int64_t)with_count - (int64_t)pattern_count);
    if (with_count > pattern_count && size > length_limit(call))
        return sqlite3_result_error_toobig(call);
    if (!may(call, size)) return;
    char *result = sqlite3_malloc64((sqlite3_uint64)size + 1);
    if (!result) return sqlite3_result_error_nomem(call);
    char *out = result;
    const char *from = text;
    for (const char *at; (at = memmem(from, (size_t)(end - from), pattern, pattern_count));
         from = at + pattern_count) {
        memcpy(out, from, (size_t)(at - from));
        out += at - from;
        memcpy(out, with, with_count);
        out += with_count;
    }
    memcpy(out, from, (size_t)(end - from));
    result[size] = 0;
    sqlite3_result_text64(call, result, (sqlite3_uint64)size, sqlite3_free, SQLITE_UTF8);
}

// MARK: trim

enum { short_character = 4 };

// The characters to trim, found by their bytes in constant time. A "character" that is no UTF-8 may
// be longer than four bytes: those are kept in a list.
struct trim_set {
    // By hash; `order` 0 is an empty slot.
    struct slot {
        uint32_t bytes;
        uint32_t count;
        // SQLite takes the first that fits: its place in the set, from 1 on.
        uint32_t order;
    } *slots;
    uint32_t mask;
    struct long_character {
        const unsigned char *bytes;
        uint32_t count;
        uint32_t order;
    } *longs;
    uint32_t long_count;
    // Bit n: a character of n bytes is there.
    unsigned lengths;
};

static uint32_t packed(const unsigned char *bytes, uint32_t count) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

// Of this process. Who knows it could choose characters that all want one slot. What is trimmed doesn't depend on it.
static uint64_t slot_keys[2] = {UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xBF58476D1CE4E5B9)};
static pthread_once_t slot_once = PTHREAD_ONCE_INIT;

static void choose_slot_keys(void) {
    uint64_t chosen[2];
    if (getrandom(chosen, sizeof chosen, 0) != (ssize_t)sizeof chosen) return;
    slot_keys[0] = chosen[0];
    slot_keys[1] = chosen[1] | 1;
}

static struct slot *slot_of(const struct trim_set *set, uint32_t bytes, uint32_t count) {
    uint64_t character = (uint64_t)bytes << 3 | count;
    unsigned __int128 product = (unsigned __int128)(character ^ slot_keys[0]) * slot_keys[1];
    uint32_t index = (uint32_t)((uint64_t)(product >> 64) ^ (uint64_t)product >> 32) & set->mask;
    while (set->slots[index].order && (set->slots[index].bytes != bytes || set->slots[index].count != count))
        index = (index + 1) & set->mask;
    return &set->slots[index];
}

static const unsigned char *after_character(const unsigned char *at) {
    if (*at++ >= 0xC0)
        while (is_continuation(*at)) at++;
    return at;
}

static void trim_set_free(struct trim_set *set) {
    sqlite3_free(set->slots);
    sqlite3_free(set->longs);
}

// `characters` ends with a NUL.
static int trim_set_make(struct trim_set *set, const unsigned char *characters) {
    uint32_t total = 0, longs = 0;
    for (const unsigned char *at = characters, *next; *at; at = next, total++) {
        next = after_character(at);
        longs += next - at > short_character;
    }
    uint32_t size = 8;
    while (size < 2 * (total - longs) && size < UINT32_C(1) << 31) size *= 2;
    memset(set, 0, sizeof *set);
    set->slots = sqlite3_malloc64((sqlite3_uint64)size * sizeof *set->slots);
    set->longs = sqlite3_malloc64((sqlite3_uint64)(longs + 1) * sizeof *set->longs);
    if (!set->slots || !set->longs) return 0;
    memset(set->slots, 0, size * sizeof *set->slots);
    set->mask = size - 1;
    uint32_t order = 0;
    for (const unsigned char *at = characters, *next; *at; at = next) {
        next = after_character(at);
        uint32_t count = (uint32_t)(next - at);
        order++;
        if (count > short_character) {
            set->longs[set->long_count++] = (struct long_character){at, count, order};
            continue;
        }
        struct slot *slot = slot_of(set, packed(at, count), count);
        if (!slot->order) *slot = (struct slot){packed(at, count), count, order};
        set->lengths |= 1u << count;
    }
    return 1;
}

// The length of the character of the set at the front of the text, or at its end; 0 when there is
// none.
static uint32_t trim_match(
    const struct trim_set *set, const unsigned char *text, int64_t text_count, int at_end) {
    uint32_t order = UINT32_MAX, found = 0;
    for (uint32_t count = 1; count <= short_character && count <= text_count; count++) {
        if (!(set->lengths & 1u << count)) continue;
        const unsigned char *at = at_end ? text + text_count - count : text;
        const struct slot *slot = slot_of(set, packed(at, count), count);
        if (slot->order && slot->order < order) {
            order = slot->order;
            found = count;
        }
    }
    for (uint32_t i = 0; i < set->long_count && set->longs[i].order < order; i++) {
        const struct long_character *c = &set->longs[i];
        if (c->count > text_count) continue;
        if (memcmp(at_end ? text + text_count - c->count : text, c->bytes, c->count) == 0)
            return c->count;
    }
    return found;
}

static void trim_values(sqlite3_context *call, int count, sqlite3_value **values, int left, int right) {
    if (sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    const unsigned char *text = sqlite3_value_text(values[0]);
    if (!text) return;
    int64_t text_count = sqlite3_value_bytes(values[0]);
    const unsigned char *characters =
        count == 1 ? (const unsigned char *)" " : sqlite3_value_text(values[1]);
    if (!characters) return;
    int64_t set_count = count == 1 ? 1 : sqlite3_value_bytes(values[1]);
    if (!may(call, text_count + 8 * set_count)) return;
    struct trim_set set;
    if (!trim_set_make(&set, characters)) {
        trim_set_free(&set);
        return sqlite3_result_error_nomem(call);
    }
    // Each of the long ones, which no UTF-8 has, may be compared at every place.
    if (set.long_count > 0 && text_count / 4 * (set.long_count + set_count / 1024) > 1 << 28) {
        trim_set_free(&set);
        return sqlite3_result_error(call, "the characters to trim are not UTF-8", -1);
    }
    uint32_t matched;
    while (left && text_count > 0 && (matched = trim_match(&set, text, text_count, 0))) {
        text += matched;
        text_count -= matched;
    }
    while (right && text_count > 0 && (matched = trim_match(&set, text, text_count, 1)))
        text_count -= matched;
    trim_set_free(&set);
    sqlite3_result_text64(
        call, (const char *)text, (sqlite3_uint64)text_count, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void trim_function(sqlite3_context *call, int count, sqlite3_value **values) {
    trim_values(call, count, values, 1, 1);
}
static void ltrim_function(sqlite3_context *call, int count, sqlite3_value **values) {
    trim_values(call, count, values, 1, 0);
}
static void rtrim_function(sqlite3_context *call, int count, sqlite3_value **values) {
    trim_values(call, count, values, 0, 1);
}

// MARK: JSON

// Values with this subtype are JSON to SQLite's JSON functions, not text.
enum { json_subtype = 'J', deepest_path = 2000 };

// The helper's statement for a SQL text; the last one is kept.
static sqlite3_stmt *open_helper(struct bounds *bounds, sqlite3_context *call, const char *sql) {
    if (!bounds->helper) {
        int rc = sqlite3_open_v2(
            ":memory:", &bounds->helper,
            SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY, 0);
        if (rc != SQLITE_OK) {
            sqlite3_close(bounds->helper);
            bounds->helper = 0;
            sqlite3_result_error_code(call, rc);
            return 0;
        }
    }
    sqlite3_limit(bounds->helper, SQLITE_LIMIT_LENGTH, length_limit(call));
    if (bounds->statement && strcmp(sqlite3_sql(bounds->statement), sql) == 0) return bounds->statement;
    sqlite3_finalize(bounds->statement);
    bounds->statement = 0;
    int rc = sqlite3_prepare_v3(
        bounds->helper, sql, -1, SQLITE_PREPARE_PERSISTENT, &bounds->statement, 0);
    if (rc != SQLITE_OK) sqlite3_result_error(call, sqlite3_errmsg(bounds->helper), -1);
    return bounds->statement;
}

// What it takes depends on what was called before.
static sqlite3_stmt *helper_statement(struct bounds *bounds, sqlite3_context *call, const char *sql) {
    csqlite_pause_work(1);
    sqlite3_stmt *statement = open_helper(bounds, call, sql);
    csqlite_pause_work(0);
    return statement;
}

static int bind_value(sqlite3_stmt *statement, int index, sqlite3_value *value) {
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER: return sqlite3_bind_int64(statement, index, sqlite3_value_int64(value));
    case SQLITE_FLOAT: return sqlite3_bind_double(statement, index, sqlite3_value_double(value));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_value_text(value);
        return sqlite3_bind_text64(
            statement, index, text, (sqlite3_uint64)sqlite3_value_bytes(value), SQLITE_STATIC, SQLITE_UTF8);
    }
    case SQLITE_BLOB: {
        const void *bytes = sqlite3_value_blob(value);
        int count = sqlite3_value_bytes(value);
        return count == 0 ? sqlite3_bind_zeroblob(statement, index, 0)
                          : sqlite3_bind_blob(statement, index, bytes, count, SQLITE_STATIC);
    }
    default: return sqlite3_bind_null(statement, index);
    }
}

// What SQLite's own function of this name gives.
static void call_own(sqlite3_context *call, const char *name, int count, sqlite3_value **values) {
    // Room for the name and 127 arguments.
    char sql[2048];
    char *end = sql + sizeof sql, *at = sql;
    at += strlen(sqlite3_snprintf((int)(end - at), at, "SELECT %s(", name));
    for (int i = 0; i < count; i++) {
        int is_json = sqlite3_value_subtype(values[i]) == json_subtype;
        const char *form = is_json ? "%sjson(?%d)" : "%s?%d";
        at += strlen(sqlite3_snprintf((int)(end - at), at, form, i ? "," : "", i + 1));
    }
    sqlite3_snprintf((int)(end - at), at, ")");
    sqlite3_stmt *statement = helper_statement(sqlite3_user_data(call), call, sql);
    if (!statement) return;
    int rc = SQLITE_OK;
    for (int i = 0; i < count && rc == SQLITE_OK; i++) rc = bind_value(statement, i + 1, values[i]);
    if (rc == SQLITE_OK) rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        sqlite3_result_value(call, sqlite3_column_value(statement, 0));
        if (sqlite3_column_type(statement, 0) == SQLITE_TEXT) sqlite3_result_subtype(call, json_subtype);
    } else if (rc == SQLITE_NOMEM) {
        sqlite3_result_error_nomem(call);
    } else if (rc == SQLITE_TOOBIG) {
        sqlite3_result_error_toobig(call);
    } else {
        sqlite3_result_error(call, sqlite3_errmsg(sqlite3_db_handle(statement)), -1);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

// How often one of two bytes stands in a text.
static int64_t occurrences(sqlite3_value *value, char first, char second) {
    const char *text = (const char *)sqlite3_value_text(value);
    int64_t found = 0;
    for (int i = 0, count = text ? sqlite3_value_bytes(value) : 0; i < count; i++)
        found += text[i] == first || text[i] == second;
    return found;
}

// SQLite's own looks for each member of the patch among all of the target, and compares names of one length byte by byte.
static void json_patch_function(sqlite3_context *call, int count, sqlite3_value **values) {
    int64_t target = sqlite3_value_bytes(values[0]), patch = sqlite3_value_bytes(values[1]);
    int64_t members = occurrences(values[0], ':', ':'), patched = occurrences(values[1], ':', ':');
    int64_t comparisons = members * patched;
    // A name is no longer than all of its document.
    int64_t compared = members * patch < patched * target ? members * patch : patched * target;
    if (comparisons > INT64_C(1) << 32 || compared > INT64_C(1) << 36)
        return sqlite3_result_error(call, "json_patch() of objects with so many members takes too long", -1);
    // What is compared so costs an eighth of what is looked at.
    if (may(call, 4 * (target + patch) + 16 * comparisons + compared / 8))
        call_own(call, "json_patch", count, values);
}

// SQLite's own makes what is missing on a path step by step, each step deeper on the stack.
static void json_edit(sqlite3_context *call, const char *name, int count, sqlite3_value **values) {
    int64_t bytes = 0;
    for (int i = 0; i < count; i++) {
        bytes += sqlite3_value_bytes(values[i]);
        if (i % 2 == 1 && occurrences(values[i], '.', '[') > deepest_path)
            return sqlite3_result_error(call, "a JSON path has at most 2000 steps", -1);
    }
    if (may(call, 4 * bytes)) call_own(call, name, count, values);
}

static void json_set_function(sqlite3_context *call, int count, sqlite3_value **values) {
    json_edit(call, "json_set", count, values);
}
static void json_insert_function(sqlite3_context *call, int count, sqlite3_value **values) {
    json_edit(call, "json_insert", count, values);
}

// MARK: Registration

static void bounds_free(void *pointer) {
    struct bounds *bounds = pointer;
    sqlite3_finalize(bounds->statement);
    sqlite3_close(bounds->helper);
    sqlite3_free(bounds);
}

int csqlite_register_text_functions(sqlite3 *db, csqlite_charge charge, void *context) {
    static const struct {
        const char *name;
        int count;
        int takes_subtypes;
        void (*function)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"instr", 2, 0, instr_function},       {"replace", 3, 0, replace_function},
        {"trim", 1, 0, trim_function},         {"trim", 2, 0, trim_function},
        {"ltrim", 1, 0, ltrim_function},       {"ltrim", 2, 0, ltrim_function},
        {"rtrim", 1, 0, rtrim_function},       {"rtrim", 2, 0, rtrim_function},
        {"json_set", -1, 1, json_set_function}, {"json_insert", -1, 1, json_insert_function},
        {"json_patch", 2, 0, json_patch_function},
    };
    pthread_once(&slot_once, choose_slot_keys);
    struct bounds *bounds = sqlite3_malloc64(sizeof *bounds);
    if (!bounds) return SQLITE_NOMEM;
    *bounds = (struct bounds){charge, context, 0, 0};
    int last = (int)(sizeof functions / sizeof functions[0]) - 1;
    for (int i = 0; i <= last; i++) {
        int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
            | (functions[i].takes_subtypes ? SQLITE_SUBTYPE : 0);
        // The last one gives the memory back, also when it can't be registered.
        int rc = sqlite3_create_function_v2(
            db, functions[i].name, functions[i].count, flags, bounds, functions[i].function, 0, 0,
            i == last ? bounds_free : 0);
        if (rc != SQLITE_OK) {
            if (i != last) bounds_free(bounds);
            return rc;
        }
    }
    return SQLITE_OK;
}
