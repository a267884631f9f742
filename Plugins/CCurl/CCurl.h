/* libcurl, as the system has it, and the forms of its variadic functions that Swift can call. */
#ifndef RQD_CCURL_H
#define RQD_CCURL_H

#include <curl/curl.h>

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}

/* libcurl copies the text; null takes an option back. */
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}

/* libcurl copies the bytes. */
static inline CURLcode ccurl_set_blob(CURL *easy, CURLoption option, const void *data, size_t size) {
    struct curl_blob blob = {(void *)data, size, CURL_BLOB_COPY};
    return curl_easy_setopt(easy, option, &blob);
}

/* Both of the next two are borrowed until the transfer is over. */
static inline CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *list) {
    return curl_easy_setopt(easy, option, list);
}

static inline CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, void *pointer) {
    return curl_easy_setopt(easy, option, pointer);
}

typedef size_t (*ccurl_sink)(char *data, size_t size, size_t count, void *context);

/* For CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION. */
static inline CURLcode ccurl_set_sink(CURL *easy, CURLoption option, ccurl_sink sink) {
    return curl_easy_setopt(easy, option, sink);
}

typedef curl_socket_t (*ccurl_opener)(void *context, curlsocktype purpose,
                                      struct curl_sockaddr *address);

static inline CURLcode ccurl_set_opener(CURL *easy, ccurl_opener opener) {
    return curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, opener);
}

static inline CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}

/* The result of a message of CURLMSG_DONE, which is a member of a union. */
static inline CURLcode ccurl_result(const CURLMsg *message) { return message->data.result; }

#endif
