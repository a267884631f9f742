/* SPDX-License-Identifier: MIT
 *
 * rqdisco_helper.h - what most plugins in C need beside rqlite_disco.h
 *
 * Not part of the contract: take what you like and change it. All functions are static, use no memory
 * but what they are given, and work in C and C++.
 *
 *   rqdisco_now      the clock of deadlines
 *   rqdisco_wait     poll, with the call's deadline and cancellation beside it
 *   rqdisco_fail     a status with a message, as printf formats it
 *   rqdisco_is_text  whether bytes are UTF-8 without NUL
 *   rqdisco_member   a member of a flat JSON object: a text or a number, as text
 *   rqdisco_emit     an address from "host", "host:port" or "[v6]:port"
 *   rqdisco_get      with -DRQDISCO_CURL: an HTTP document by libcurl's multi interface
 */
#ifndef RQDISCO_HELPER_H
#define RQDISCO_HELPER_H

#include "rqlite_disco.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __GNUC__
#define RQDISCO_UNUSED __attribute__((unused))
#else
#define RQDISCO_UNUSED
#endif

/* CLOCK_MONOTONIC in nanoseconds. */
RQDISCO_UNUSED static uint64_t rqdisco_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Waits until one of up to 15 descriptors is ready, or `milliseconds` are over (negative: as long as the
 * call may take). RQD_OK, then `revents` are filled in, all 0 when only the time was over;
 * RQD_TIMEOUT at the call's deadline, RQD_CANCELLED when the host gave it up. */
RQDISCO_UNUSED static rqd_code rqdisco_wait(const rqd_call *call, struct pollfd *fds, unsigned count,
                                            int milliseconds) {
    uint64_t end = milliseconds < 0 ? UINT64_MAX : rqdisco_now() + (uint64_t)milliseconds * 1000000u;
    struct pollfd all[16];
    unsigned i;
    if (count > 15) return RQD_INTERNAL;
    for (i = 0; i < count; i++) all[i] = fds[i];
    all[count].fd = call->cancel_fd;
    all[count].events = POLLIN;
    for (;;) {
        uint64_t now = rqdisco_now();
        uint64_t until = end < call->deadline_ns ? end : call->deadline_ns;
        uint64_t rest = until > now ? (until - now + 999999u) / 1000000u : 0;
        int ready;
        all[count].revents = 0;
        ready = poll(all, count + 1, rest > 1000000u ? 1000000 : (int)rest);
        if (ready > 0 && all[count].revents) return RQD_CANCELLED;
        if (ready < 0 && errno != EINTR) return RQD_INTERNAL;
        for (i = 0; i < count; i++) fds[i].revents = ready > 0 ? all[i].revents : 0;
        if (ready > 0) return RQD_OK;
        now = rqdisco_now();
        if (now >= call->deadline_ns) return RQD_TIMEOUT;
        if (now >= end) return RQD_OK;
    }
}

/* Hands the message to the sink and returns the code. */
#ifdef __GNUC__
__attribute__((format(printf, 3, 4)))
#endif
RQDISCO_UNUSED static rqd_code
rqdisco_fail(const rqd_sink *sink, rqd_code code, const char *format, ...) {
    char text[1024];
    rqd_text message;
    va_list arguments;
    int length;
    va_start(arguments, format);
    length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    message.data = text;
    message.length =
        length < 0 ? 0 : length < (int)sizeof text ? (uint64_t)length : sizeof text - 1;
    sink->message(sink, message);
    return code;
}

/* Whether bytes are UTF-8 without NUL, as all texts of the contract must be. */
RQDISCO_UNUSED static int rqdisco_is_text(const uint8_t *bytes, uint64_t length) {
    uint64_t i = 0;
    while (i < length) {
        uint8_t c = bytes[i];
        uint64_t more = c < 0x80 ? 0 : (c & 0xE0) == 0xC0 ? 1 : (c & 0xF0) == 0xE0 ? 2 : 3;
        uint64_t k;
        if (c == 0 || (c & 0xC0) == 0x80 || c > 0xF4 || c == 0xC0 || c == 0xC1) return 0;
        if (i + more >= length) return 0;
        if (c == 0xE0 && bytes[i + 1] < 0xA0) return 0;
        if (c == 0xED && bytes[i + 1] > 0x9F) return 0;
        if (c == 0xF0 && bytes[i + 1] < 0x90) return 0;
        if (c == 0xF4 && bytes[i + 1] > 0x8F) return 0;
        for (k = 1; k <= more; k++) {
            if ((bytes[i + k] & 0xC0) != 0x80) return 0;
        }
        i += more + 1;
    }
    return 1;
}

RQDISCO_UNUSED static const uint8_t *rqdisco_blank(const uint8_t *p, const uint8_t *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) p++;
    return p;
}

/* One string or number of JSON; null if it is none, or does not fit. `\u` stands for ASCII only. */
RQDISCO_UNUSED static const uint8_t *rqdisco_value(const uint8_t *p, const uint8_t *end, char *out,
                                                   size_t room) {
    size_t used = 0;
    int quoted = p < end && *p == '"';
    if (quoted) p++;
    while (p < end && (quoted ? *p != '"' : (*p >= '0' && *p <= '9') || *p == '-' || *p == '.')) {
        unsigned c = *p++;
        if (quoted && c < 0x20) return NULL;
        if (c == '\\') {
            if (p == end) return NULL;
            c = *p++;
            if (c == 'n') c = '\n';
            else if (c == 't') c = '\t';
            else if (c == 'r') c = '\r';
            else if (c == 'u') {
                unsigned i;
                if (end - p < 4) return NULL;
                for (i = 0, c = 0; i < 4; i++, p++) {
                    unsigned d = *p >= '0' && *p <= '9'   ? *p - 48u
                                 : *p >= 'a' && *p <= 'f' ? *p - 87u
                                 : *p >= 'A' && *p <= 'F' ? *p - 55u
                                                          : 16u;
                    if (d > 15) return NULL;
                    c = c * 16 + d;
                }
                if (c == 0 || c > 127) return NULL;
            } else if (c != '"' && c != '\\' && c != '/') {
                return NULL;
            }
        }
        if (used + 1 >= room) return NULL;
        out[used++] = (char)c;
    }
    if (quoted && (p == end || *p++ != '"')) return NULL;
    if (!quoted && used == 0) return NULL;
    out[used] = 0;
    return p;
}

/* Reads a flat JSON object of texts and numbers: 1 and the member's value if it is there, 0 if not, -1 if
 * the bytes are no such object, or, with `only`, another member is there. */
RQDISCO_UNUSED static int rqdisco_member(rqd_bytes json, const char *name, char *out, size_t room,
                                         int only) {
    const uint8_t *p, *end = json.data + json.length;
    char key[64], value[4096];
    int found = 0;
    if (json.length == 0 || !rqdisco_is_text(json.data, json.length)) return -1;
    p = rqdisco_blank(json.data, end);
    if (p == end || *p++ != '{') return -1;
    p = rqdisco_blank(p, end);
    if (p < end && *p == '}') return rqdisco_blank(p + 1, end) == end ? 0 : -1;
    for (;;) {
        p = rqdisco_blank(p, end);
        if (p == end || *p != '"' || !(p = rqdisco_value(p, end, key, sizeof key))) return -1;
        p = rqdisco_blank(p, end);
        if (p == end || *p++ != ':') return -1;
        p = rqdisco_value(rqdisco_blank(p, end), end, value, sizeof value);
        if (!p) return -1;
        if (strcmp(key, name) == 0) {
            if (strlen(value) + 1 > room) return -1;
            strcpy(out, value);
            found = 1;
        } else if (only) {
            return -1;
        }
        p = rqdisco_blank(p, end);
        if (p == end) return -1;
        if (*p == ',') {
            p++;
            continue;
        }
        return *p == '}' && rqdisco_blank(p + 1, end) == end ? found : -1;
    }
}

/* Emits "host", "host:port" or "[v6]:port"; without a port it is the asking node's own. RQD_PROTOCOL for
 * what is none of these. */
RQDISCO_UNUSED static rqd_code rqdisco_emit(const rqd_sink *sink, const char *text,
                                            const char *source) {
    rqd_address address;
    const char *host = text, *stop = text + strlen(text), *colon = NULL;
    memset(&address, 0, sizeof address);
    address.size = sizeof address;
    if (*text == '[') {
        const char *close = strchr(text, ']');
        if (!close || (close[1] && close[1] != ':')) return RQD_PROTOCOL;
        host = text + 1;
        stop = close;
        if (close[1]) colon = close + 1;
    } else if ((colon = strchr(text, ':')) != NULL) {
        if (strchr(colon + 1, ':')) colon = NULL; /* an IPv6 address alone */
        if (colon) stop = colon;
    }
    if (colon) {
        char *rest;
        unsigned long port = strtoul(colon + 1, &rest, 10);
        if (colon[1] < '0' || colon[1] > '9' || *rest || port == 0 || port > 65535) {
            return RQD_PROTOCOL;
        }
        address.port = (uint32_t)port;
    }
    address.host.data = host;
    address.host.length = (uint64_t)(stop - host);
    address.source.data = source;
    address.source.length = strlen(source);
    return address.host.length ? sink->address(sink, &address) : RQD_PROTOCOL;
}

#ifdef RQDISCO_CURL
#include <curl/curl.h>

struct rqdisco_document {
    char *bytes; /* terminated; to be freed, also after a failure */
    size_t length, limit;
    long status; /* of HTTP */
};

RQDISCO_UNUSED static size_t rqdisco_take(char *bytes, size_t size, size_t count, void *context) {
    struct rqdisco_document *document = (struct rqdisco_document *)context;
    size_t more = size * count;
    char *grown;
    if (document->length + more > document->limit) return 0;
    grown = (char *)realloc(document->bytes, document->length + more + 1);
    if (!grown) return 0;
    memcpy(grown + document->length, bytes, more);
    document->bytes = grown;
    document->length += more;
    grown[document->length] = 0;
    return more;
}

/* Fetches a document of at most `limit` bytes within the call's limits. `easy` has the URL and what else
 * is wanted; it is used for this call alone. RQD_OK for any answer of HTTP: look at `status`. */
RQDISCO_UNUSED static rqd_code rqdisco_get(const rqd_call *call, const rqd_sink *sink, CURL *easy,
                                           size_t limit, struct rqdisco_document *document) {
    CURLM *multi = curl_multi_init();
    rqd_code code = RQD_OK;
    int running = 1, left;
    memset(document, 0, sizeof *document);
    document->limit = limit;
    if (!multi) return RQD_INTERNAL;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Before 7.87 a name that the system is slow to look up holds up the end of the call. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, rqdisco_take);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, document);
    curl_multi_add_handle(multi, easy);
    while (code == RQD_OK && curl_multi_perform(multi, &running) == CURLM_OK && running) {
        uint64_t now = rqdisco_now();
        struct curl_waitfd cancel;
        int rest = now < call->deadline_ns ? (int)((call->deadline_ns - now) / 1000000u) + 1 : 0;
        cancel.fd = call->cancel_fd;
        cancel.events = CURL_WAIT_POLLIN;
        cancel.revents = 0;
        if (rest == 0) code = RQD_TIMEOUT;
        else curl_multi_wait(multi, &cancel, 1, rest > 1000 ? 1000 : rest, NULL);
        if (cancel.revents) code = RQD_CANCELLED;
    }
    if (code == RQD_OK) {
        CURLMsg *message = curl_multi_info_read(multi, &left);
        CURLcode result = message ? message->data.result : CURLE_FAILED_INIT;
        if (result != CURLE_OK) {
            code = rqdisco_fail(sink, RQD_UNAVAILABLE, "%s", curl_easy_strerror(result));
        } else {
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &document->status);
        }
    }
    curl_multi_remove_handle(multi, easy);
    curl_multi_cleanup(multi);
    return code;
}
#endif

#endif /* RQDISCO_HELPER_H */
