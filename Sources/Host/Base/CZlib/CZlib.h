/* zlib, as the system has it, and the forms of its macros that Swift can call. */
#ifndef RQD_CZLIB_H
#define RQD_CZLIB_H

#include <zlib.h>

/* One gzip stream (RFC 1952), whatever the window of the machine. */
static inline int czlib_begin_writing(z_stream *stream, int level) {
    return deflateInit2(stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
}

static inline int czlib_begin_reading(z_stream *stream) { return inflateInit2(stream, 15 + 16); }

/* What a zip file has: deflate without a frame. */
static inline int czlib_begin_reading_raw(z_stream *stream) { return inflateInit2(stream, -15); }

#endif
