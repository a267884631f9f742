/* Gives what it has read before. */
#define FIELDS char kept[64], kept_tag[64]; size_t kept_length;
#define ON_READ                                                                                    \
    if (self->kept_length > 0) {                                                                   \
        rqd_bytes kept = {(const uint8_t *)self->kept, self->kept_length};                         \
        return give_record(self, sink, name, kept, self->kept_tag);                                \
    }
#define ON_RECORD                                                                                  \
    if (self->kept_length == 0 && value.length > 0 && value.length < sizeof self->kept) {          \
        memcpy(self->kept, value.data, value.length);                                              \
        self->kept_length = value.length;                                                          \
        strcpy(self->kept_tag, tag);                                                               \
    }
#include "plugin.h"
