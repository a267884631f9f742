// Words that want one place in what full-text modules keep in memory; see CSQLite.h.
//
// FTS3, FTS4 and FTS5 gather the words of new rows in lists, and find a word's list by a hash that is linear in the bits of
// the word. So anybody finds a million words that share a list, and to put them there takes the square of their number,
// within one step: half a million of them are an hour. SQLite's table grows with the words, up to one list for each; what
// shares a list of many shares one of the 1024 here, too.
#include "CSQLite.h"

#include <pthread.h>
#include <string.h>

enum {
    list_count = 1 << 10,
    mark_count = 1 << 20,
    most_noted = 512,
    // Of words in a list so many are no matter, nor so many times as many as others have.
    free_words = 256,
    times_others = 4,
    // In the measure of `csqlite_add_work`: to pass a word, and to look at a byte of a prefix.
    work_of_word = 32,
    work_of_byte = 4,
    longest_prefix = 999,
};

struct lists {
    // A bit for each mark: a word of this mark was counted.
    uint64_t marked[mark_count / 64];
    uint32_t words[list_count];
    uint64_t all;
    // The first ones, so that few words are forgotten soon.
    struct {
        uint32_t mark, list;
    } noted[most_noted];
};

static pthread_key_t lists_key;
static int has_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct lists *lists;
static _Thread_local int are_of_unit;
static _Thread_local uint64_t mark_key;
static _Thread_local int16_t prefixes[longest_prefix];
static _Thread_local int prefix_count;

void csqlite_forget_words(uint64_t key) {
    are_of_unit = 0;
    mark_key = key;
}

void csqlite_set_prefixes(const int16_t *lengths, int count) {
    prefix_count = count < longest_prefix ? count : longest_prefix;
    if (prefix_count > 0) memcpy(prefixes, lengths, (size_t)prefix_count * sizeof *lengths);
}

static void make_key(void) { has_key = pthread_key_create(&lists_key, sqlite3_free) == 0; }

static void clear(struct lists *l) {
    if (l->all > most_noted) {
        memset(l, 0, sizeof *l);
        return;
    }
    for (uint64_t i = 0; i < l->all; i++) {
        l->marked[l->noted[i].mark / 64] = 0;
        l->words[l->noted[i].list] = 0;
    }
    l->all = 0;
}

// NULL: there is no memory.
static struct lists *lists_of_unit(void) {
    if (!lists) {
        pthread_once(&once, make_key);
        // It stays for the thread, and is no work of the statement that is the first.
        csqlite_pause_work(1);
        lists = sqlite3_malloc64(sizeof *lists);
        csqlite_pause_work(0);
        if (!lists) return 0;
        memset(lists, 0, sizeof *lists);
        if (has_key) (void)pthread_setspecific(lists_key, lists);
    }
    if (!are_of_unit) clear(lists);
    are_of_unit = 1;
    return lists;
}

// As FTS5 begins at a word's end, and FTS3 at its front. What they do with it behind that keeps apart what is apart.
static uint32_t hash_from_end(const char *word, int count) {
    uint32_t hash = 13;
    for (int i = count - 1; i >= 0; i--) hash = hash << 3 ^ hash ^ (unsigned char)word[i];
    return hash;
}

static uint32_t hash_from_front(const char *word, int count) {
    uint32_t hash = 0;
    for (int i = 0; i < count; i++) hash = hash << 3 ^ hash ^ (unsigned char)word[i];
    return hash;
}

// Words that are alike have one mark. Which others have the same one nobody knows beforehand who doesn't know the unit's key.
static uint32_t mark_of(const char *word, int count, int index) {
    uint64_t hash = mark_key + (uint64_t)index * UINT64_C(0x9E3779B97F4A7C15);
    for (int i = 0; i < count; i++) hash = (hash ^ (unsigned char)word[i]) * UINT64_C(0x100000001B3);
    hash = (hash ^ hash >> 32) * UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(hash >> 44);
}

// Whether the word may go by those of its list.
static int may_join(struct lists *l, uint32_t hash, uint32_t mark) {
    uint32_t list = hash % list_count;
    uint64_t bit = UINT64_C(1) << mark % 64;
    if (!(l->marked[mark / 64] & bit)) {
        l->marked[mark / 64] |= bit;
        if (l->all < most_noted) {
            l->noted[l->all].mark = mark;
            l->noted[l->all].list = list;
        }
        l->words[list]++;
        l->all++;
    }
    int64_t passed =
        (int64_t)l->words[list] - free_words - times_others * (int64_t)(l->all / list_count);
    return passed <= 0 || csqlite_add_work(passed * work_of_word);
}

// The bytes of so many characters at the front of a word; zero: it has fewer.
static int bytes_of(const char *word, int count, int characters) {
    int at = 0;
    for (int i = 0; i < characters; i++) {
        if (at >= count) return 0;
        if ((unsigned char)word[at++] < 0xC0) continue;
        while (at < count && (word[at] & 0xC0) == 0x80) at++;
    }
    return at;
}

int csqlite_may_take_word(const char *word, int count, int is_of_fts5) {
    if (!csqlite_counts_work()) return 1;
    struct lists *l = lists_of_unit();
    if (!l) return 0;
    uint32_t (*hash)(const char *, int) = is_of_fts5 ? hash_from_end : hash_from_front;
    if (!may_join(l, hash(word, count), mark_of(word, count, 0))) return 0;
    for (int i = 0; i < prefix_count && prefixes[i] <= count; i++) {
        // FTS3 counts them in bytes.
        int bytes = is_of_fts5 ? bytes_of(word, count, prefixes[i]) : prefixes[i];
        if (bytes == 0) break;
        if (!csqlite_add_work((int64_t)bytes * work_of_byte)) return 0;
        if (!may_join(l, hash(word, bytes) ^ (uint32_t)(i + 1), mark_of(word, bytes, i + 1))) return 0;
    }
    return 1;
}
