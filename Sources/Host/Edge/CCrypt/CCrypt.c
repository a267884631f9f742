#define _GNU_SOURCE
#include "CCrypt.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* Methods with a salt and a cost of their own. */
static const char *const methods[] = {"$y$", "$gy$", "$7$", "$2b$", "$2a$", "$2y$", "$6$", "$5$"};

int32_t ccrypt_is_usable(const char *hash) {
    size_t length = strlen(hash);
    if (length < 20 || length >= CRYPT_OUTPUT_SIZE) return 0;
    for (size_t place = 0; place < sizeof methods / sizeof *methods; place++) {
        if (strncmp(hash, methods[place], strlen(methods[place])) != 0) continue;
        int check = crypt_checksalt(hash);
        return check != CRYPT_SALT_INVALID && check != CRYPT_SALT_METHOD_DISABLED;
    }
    return 0;
}

int32_t ccrypt_matches(const char *phrase, const char *hash) {
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL) return 0;
    const char *own = crypt_rn(phrase, hash, data, (int)sizeof *data);
    int32_t matches = 0;
    size_t length = strlen(hash);
    if (own != NULL && strlen(own) == length) {
        unsigned char difference = 0;
        for (size_t place = 0; place < length; place++) {
            difference |= (unsigned char)(own[place] ^ hash[place]);
        }
        matches = difference == 0;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return matches;
}

int32_t ccrypt_make(const char *phrase, const char *method, unsigned long cost, char *hash, size_t size) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    /* Null for the salt: the library takes it from the system. */
    if (crypt_gensalt_rn(method, cost, NULL, 0, setting, (int)sizeof setting) == NULL) return -1;
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL) return -1;
    const char *own = crypt_rn(phrase, setting, data, (int)sizeof *data);
    int32_t result = -1;
    if (own != NULL && strlen(own) < size) {
        memcpy(hash, own, strlen(own) + 1);
        result = 0;
    }
    int cause = errno;
    explicit_bzero(data, sizeof *data);
    free(data);
    errno = cause;
    return result;
}

int32_t ccrypt_random(void *bytes, size_t count) {
    unsigned char *next = bytes;
    while (count > 0) {
        ssize_t taken = getrandom(next, count, 0);
        if (taken < 0 && errno == EINTR) continue;
        if (taken < 0) return -1;
        next += taken;
        count -= (size_t)taken;
    }
    return 0;
}
