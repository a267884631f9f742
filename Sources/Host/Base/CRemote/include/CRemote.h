/* libcurl and libcrypto, loaded when something is first asked of them: a machine that has neither runs the
 * daemon, and can't back up or restore over the network (docs/decisions/0133). */
#ifndef RQD_CREMOTE_H
#define RQD_CREMOTE_H

#include <stddef.h>
#include <stdint.h>

/* Null if both libraries are there, else what the system's loader says. From any thread; the text stays. */
const char *_Nullable cremote_unavailable(void);

/* One request and what takes the answer. All pointers are borrowed until `cremote_perform` returns. */
typedef struct {
    const char *_Nullable method;
    const char *_Nullable url;
    /* Lines `Name: value`. */
    const char *_Nullable const *_Nullable headers;
    size_t header_count;
    /* The body: bytes, `file_size` bytes of a file from `file_offset` on, bytes. A negative size: no body. */
    const void *_Nullable head;
    size_t head_size;
    int file;
    int64_t file_offset;
    int64_t file_size;
    const void *_Nullable tail;
    size_t tail_size;
    /* Milliseconds for connection and TLS; and for all, 0 for no limit. */
    long connect_time;
    long total_time;
    /* Seconds in which at least a byte must move. */
    long stall_time;
    /* Nonzero: no proxy, whatever the environment says. */
    int is_local;

    void *_Nullable context;
    /* A line of the answer's head. */
    void (*_Nullable header)(void *_Nullable context, const char *_Nonnull line, size_t count);
    /* Bytes of the answer's body; anything but 0 ends the transfer. */
    int (*_Nullable receive)(void *_Nullable context, long status, const void *_Nonnull bytes, size_t count);
    /* Asked about once a second; anything but 0 ends the transfer. */
    int (*_Nullable is_cancelled)(void *_Nullable context);
    /* Why there is no whole answer; may be empty. */
    char error[256];
} cremote_request;

/* Blocks until the answer is whole. Returns 0, or libcurl's code; -1 if the libraries are not there. */
int cremote_perform(cremote_request *_Nonnull request, long *_Nonnull status);

/* libcurl's own words for a code. */
const char *_Nonnull cremote_text(int code);

typedef struct cremote_digest cremote_digest;

/* SHA-256 by and by; null: no memory, or no library. `end` frees it, and with `output` null does no more; it
 * returns 1, or 0 for a failure. */
cremote_digest *_Nullable cremote_digest_begin(void);
void cremote_digest_add(cremote_digest *_Nonnull digest, const void *_Nullable bytes, size_t count);
int cremote_digest_end(cremote_digest *_Nonnull digest, uint8_t *_Nullable output);

/* HMAC-SHA-256, 32 bytes. Returns 1, or 0 for a failure. */
int cremote_hmac(const void *_Nullable key, size_t key_count, const void *_Nullable bytes, size_t count,
                 uint8_t *_Nonnull output);

/* RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2), by a private key in PEM.
 * Returns the signature's size; 0 if the key is none of RSA without a password, or `output` is too small. */
size_t cremote_sign(const void *_Nullable pem, size_t pem_count, const void *_Nullable bytes, size_t count,
                    uint8_t *_Nonnull output, size_t room);

#endif
