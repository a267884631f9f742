#define _GNU_SOURCE
#include "CRemote.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcurl: its functions as its header declares them. */
static struct {
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_setopt) easy_setopt;
    __typeof__(&curl_easy_perform) easy_perform;
    __typeof__(&curl_easy_getinfo) easy_getinfo;
    __typeof__(&curl_easy_cleanup) easy_cleanup;
    __typeof__(&curl_easy_strerror) easy_strerror;
    __typeof__(&curl_slist_append) slist_append;
    __typeof__(&curl_slist_free_all) slist_free_all;
} curl;

/* libcrypto of OpenSSL 3: only what is used here, so that no header of it is needed to build. */
static struct {
    const void *(*sha256)(void);
    void *(*md_ctx_new)(void);
    void (*md_ctx_free)(void *);
    int (*digest_init)(void *, const void *, void *);
    int (*digest_update)(void *, const void *, size_t);
    int (*digest_final)(void *, uint8_t *, unsigned *);
    uint8_t *(*hmac)(const void *, const void *, int, const uint8_t *, size_t, uint8_t *, unsigned *);
    void *(*bio_new)(const void *, int);
    int (*bio_free)(void *);
    void *(*read_key)(void *, void **, int (*)(char *, int, int, void *), void *);
    void (*key_free)(void *);
    int (*key_kind)(const void *);
    int (*sign_init)(void *, void **, const void *, void *, void *);
    int (*sign)(void *, uint8_t *, size_t *, const uint8_t *, size_t);
} crypto;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char problem[256];

static void *open_library(const char *name) {
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!library && !problem[0]) strncpy(problem, dlerror(), sizeof problem - 1);
    return library;
}

static void find(void *library, const char *name, void *place) {
    void *symbol = library ? dlsym(library, name) : NULL;
    if (!symbol && !problem[0]) {
        strcpy(problem, "missing in the library: ");
        strncat(problem, name, sizeof problem - strlen(problem) - 1);
    }
    memcpy(place, &symbol, sizeof symbol);
}

static void load(void) {
    void *c = open_library("libcurl.so.4");
    find(c, "curl_global_init", &curl.global_init);
    find(c, "curl_easy_init", &curl.easy_init);
    find(c, "curl_easy_setopt", &curl.easy_setopt);
    find(c, "curl_easy_perform", &curl.easy_perform);
    find(c, "curl_easy_getinfo", &curl.easy_getinfo);
    find(c, "curl_easy_cleanup", &curl.easy_cleanup);
    find(c, "curl_easy_strerror", &curl.easy_strerror);
    find(c, "curl_slist_append", &curl.slist_append);
    find(c, "curl_slist_free_all", &curl.slist_free_all);
    void *s = open_library("libcrypto.so.3");
    find(s, "EVP_sha256", &crypto.sha256);
    find(s, "EVP_MD_CTX_new", &crypto.md_ctx_new);
    find(s, "EVP_MD_CTX_free", &crypto.md_ctx_free);
    find(s, "EVP_DigestInit_ex", &crypto.digest_init);
    find(s, "EVP_DigestUpdate", &crypto.digest_update);
    find(s, "EVP_DigestFinal_ex", &crypto.digest_final);
    find(s, "HMAC", &crypto.hmac);
    find(s, "BIO_new_mem_buf", &crypto.bio_new);
    find(s, "BIO_free", &crypto.bio_free);
    find(s, "PEM_read_bio_PrivateKey", &crypto.read_key);
    find(s, "EVP_PKEY_free", &crypto.key_free);
    find(s, "EVP_PKEY_get_base_id", &crypto.key_kind);
    find(s, "EVP_DigestSignInit", &crypto.sign_init);
    find(s, "EVP_DigestSign", &crypto.sign);
    if (!problem[0] && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        strcpy(problem, "libcurl can't start");
}

const char *cremote_unavailable(void) {
    pthread_once(&once, load);
    return problem[0] ? problem : NULL;
}

/* Requests. */

typedef struct {
    cremote_request *request;
    CURL *easy;
    int64_t sent;
} transfer;

static int64_t file_bytes(const cremote_request *r) { return r->file_size > 0 ? r->file_size : 0; }

static int64_t body_size(const cremote_request *r) {
    return (int64_t)r->head_size + file_bytes(r) + (int64_t)r->tail_size;
}

static size_t give(char *buffer, size_t size, size_t count, void *context) {
    transfer *t = context;
    const cremote_request *r = t->request;
    int64_t room = (int64_t)(size * count), head = (int64_t)r->head_size, end = head + file_bytes(r);
    int64_t got = 0;
    if (t->sent < head) {
        got = head - t->sent < room ? head - t->sent : room;
        memcpy(buffer, (const char *)r->head + t->sent, (size_t)got);
    } else if (t->sent < end) {
        got = end - t->sent < room ? end - t->sent : room;
        got = pread(r->file, buffer, (size_t)got, r->file_offset + t->sent - head);
        /* The file is shorter than it was, or can't be read. */
        if (got <= 0) return CURL_READFUNC_ABORT;
    } else if (t->sent < body_size(r)) {
        got = body_size(r) - t->sent < room ? body_size(r) - t->sent : room;
        memcpy(buffer, (const char *)r->tail + (t->sent - end), (size_t)got);
    }
    t->sent += got;
    return (size_t)got;
}

static int again(void *context, curl_off_t offset, int origin) {
    transfer *t = context;
    if (origin != SEEK_SET || offset < 0 || offset > body_size(t->request)) return CURL_SEEKFUNC_FAIL;
    t->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static size_t take(char *bytes, size_t size, size_t count, void *context) {
    transfer *t = context;
    long status = 0;
    curl.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    return t->request->receive(t->request->context, status, bytes, size * count) == 0 ? size * count : 0;
}

static size_t take_header(char *line, size_t size, size_t count, void *context) {
    transfer *t = context;
    t->request->header(t->request->context, line, size * count);
    return size * count;
}

static int progress(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
    (void)a, (void)b, (void)c, (void)d;
    transfer *t = context;
    return t->request->is_cancelled(t->request->context);
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address) {
    (void)context, (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

#define SET(option, value) \
    if (code == CURLE_OK) code = curl.easy_setopt(t->easy, option, value)

static CURLcode describe(transfer *t, struct curl_slist *lines) {
    cremote_request *r = t->request;
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, r->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    /* What is signed is the path as it stands. */
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, r->error);
    SET(CURLOPT_HTTPHEADER, lines);
    SET(CURLOPT_CONNECTTIMEOUT_MS, r->connect_time);
    SET(CURLOPT_TIMEOUT_MS, r->total_time);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, r->stall_time);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, progress);
    SET(CURLOPT_XFERINFODATA, t);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, t);
    SET(CURLOPT_WRITEFUNCTION, take);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    if (r->is_local) SET(CURLOPT_PROXY, "");
    if (r->file_size >= 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_CUSTOMREQUEST, r->method);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)body_size(r));
        SET(CURLOPT_READFUNCTION, give);
        SET(CURLOPT_READDATA, t);
        SET(CURLOPT_SEEKFUNCTION, again);
        SET(CURLOPT_SEEKDATA, t);
    } else if (strcmp(r->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else {
        SET(CURLOPT_HTTPGET, 1L);
        SET(CURLOPT_CUSTOMREQUEST, r->method);
    }
    return code;
}

int cremote_perform(cremote_request *request, long *status) {
    *status = 0;
    request->error[0] = 0;
    if (cremote_unavailable()) return -1;
    transfer t = {request, curl.easy_init(), 0};
    if (!t.easy) return CURLE_OUT_OF_MEMORY;
    struct curl_slist *lines = NULL;
    CURLcode code = CURLE_OK;
    for (size_t i = 0; i < request->header_count && code == CURLE_OK; i++) {
        struct curl_slist *longer = curl.slist_append(lines, request->headers[i]);
        if (longer) lines = longer;
        else code = CURLE_OUT_OF_MEMORY;
    }
    if (code == CURLE_OK) code = describe(&t, lines);
    /* libcurl's thread for names inherits the mask: signals are the process's business. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (code == CURLE_OK) code = curl.easy_perform(t.easy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    curl.easy_getinfo(t.easy, CURLINFO_RESPONSE_CODE, status);
    curl.easy_cleanup(t.easy);
    curl.slist_free_all(lines);
    return code;
}

const char *cremote_text(int code) {
    return cremote_unavailable() ? problem : curl.easy_strerror((CURLcode)code);
}

/* Hashes and signatures. */

struct cremote_digest {
    void *context;
    int has_failed;
};

cremote_digest *cremote_digest_begin(void) {
    if (cremote_unavailable()) return NULL;
    cremote_digest *digest = malloc(sizeof *digest);
    if (!digest) return NULL;
    digest->has_failed = 0;
    digest->context = crypto.md_ctx_new();
    if (digest->context && crypto.digest_init(digest->context, crypto.sha256(), NULL) == 1) return digest;
    crypto.md_ctx_free(digest->context);
    free(digest);
    return NULL;
}

void cremote_digest_add(cremote_digest *digest, const void *bytes, size_t count) {
    if (count && crypto.digest_update(digest->context, bytes, count) != 1) digest->has_failed = 1;
}

int cremote_digest_end(cremote_digest *digest, uint8_t *output) {
    int is_good = output && !digest->has_failed && crypto.digest_final(digest->context, output, NULL) == 1;
    crypto.md_ctx_free(digest->context);
    free(digest);
    return is_good;
}

int cremote_hmac(const void *key, size_t key_count, const void *bytes, size_t count, uint8_t *output) {
    if (cremote_unavailable()) return 0;
    /* A null key would mean the one before. */
    return crypto.hmac(crypto.sha256(), key_count ? key : "", (int)key_count, bytes, count, output, NULL)
        != NULL;
}

/* Nobody is asked for a password. */
static int no_password(char *buffer, int size, int is_writing, void *context) {
    (void)buffer, (void)size, (void)is_writing, (void)context;
    return -1;
}

size_t cremote_sign(const void *pem, size_t pem_count, const void *bytes, size_t count, uint8_t *output,
                    size_t room) {
    enum { rsa = 6 /* EVP_PKEY_RSA */ };
    if (cremote_unavailable() || pem_count > 1 << 20) return 0;
    void *source = crypto.bio_new(pem, (int)pem_count);
    void *key = source ? crypto.read_key(source, NULL, no_password, NULL) : NULL;
    void *context = crypto.md_ctx_new();
    size_t size = 0;
    if (key && context && crypto.key_kind(key) == rsa
        && crypto.sign_init(context, NULL, crypto.sha256(), NULL, key) == 1
        && crypto.sign(context, NULL, &size, bytes, count) == 1 && size <= room) {
        size = room;
        if (crypto.sign(context, output, &size, bytes, count) != 1) size = 0;
    } else {
        size = 0;
    }
    crypto.md_ctx_free(context);
    if (key) crypto.key_free(key);
    if (source) crypto.bio_free(source);
    return size;
}
