// Pages of the database that a statement asks for; see CSQLite.h. SQLite's cache of pages is wrapped, for
// its own counters leave out pages whose content need not be read. Which those are follows from the
// transaction: a free page that is taken is one, unless it became free in the same transaction.
#include "CSQLite.h"

static sqlite3_pcache_methods2 system_cache;

// The cache of the database that is watched; each of SQLite's temporary tables has one of its own.
static _Thread_local sqlite3_pcache *watched;
static _Thread_local int is_finding;
static _Thread_local uint32_t asked;
static _Thread_local uint32_t fetched;
static _Thread_local int pauses;
// SQLite asks for a page, makes room where there is none, and asks again.
static _Thread_local unsigned without_room;
// A page that is freed is looked for in memory, and where it is not there it may be asked for behind the
// first one of the list of free pages, to become that itself.
static _Thread_local unsigned not_there;
static _Thread_local int asked_since;
enum { most_asked_since = 2 };

static sqlite3_pcache_page *counting_fetch(sqlite3_pcache *cache, unsigned page, int create) {
    sqlite3_pcache_page *found = system_cache.xFetch(cache, page, create);
    fetched++;
    if (cache != watched || pauses > 0) return found;
    if (create == 0) {
        not_there = found ? 0 : page;
        asked_since = 0;
        return found;
    }
    int is_repeated = create == 2 && without_room == page;
    without_room = found ? 0 : page;
    if (is_repeated) return found;
    asked_since++;
    if (page != not_there || asked_since > most_asked_since) asked++;
    return found;
}

static int finding_count(sqlite3_pcache *cache) {
    if (is_finding && !watched) watched = cache;
    return system_cache.xPagecount(cache);
}

void csqlite_watch_pages(sqlite3 *db) {
    watched = 0;
    asked = 0;
    without_room = 0;
    not_there = 0;
    is_finding = 1;
    int used = 0, peak = 0;
    // SQLite counts the pages of each database, the main one first.
    (void)sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_USED, &used, &peak, 0);
    is_finding = 0;
}

void csqlite_end_page_watch(void) { watched = 0; }

void csqlite_pause_pages(int is_on) { pauses += is_on ? 1 : -1; }

uint32_t csqlite_pages_asked(void) { return asked; }

uint32_t csqlite_pages_fetched(void) { return fetched; }

int csqlite_install_page_count(void) {
    int rc = sqlite3_config(SQLITE_CONFIG_GETPCACHE2, &system_cache);
    if (rc != SQLITE_OK) return rc;
    sqlite3_pcache_methods2 counting = system_cache;
    counting.xFetch = counting_fetch;
    counting.xPagecount = finding_count;
    return sqlite3_config(SQLITE_CONFIG_PCACHE2, &counting);
}
