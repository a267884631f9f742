/* Hashes of passwords, by libcrypt. All calls may come from any thread, and take as long as a hash's
 * author wanted. */
#ifndef CCRYPT_H
#define CCRYPT_H

#include <stddef.h>
#include <stdint.h>

/* Of a hash that `ccrypt_make` wrote, with its null. */
#define CCRYPT_HASH_SIZE 384

/* 1 if the hash is one that this library can compute and that is strong enough, 0 if not. */
int32_t ccrypt_is_usable(const char *hash);

/* 1 if the phrase has this hash, 0 if not or if it can't be computed. The time does not tell where the
 * two differ. */
int32_t ccrypt_matches(const char *phrase, const char *hash);

/* Writes a new hash of the phrase. `method` is the prefix of one of crypt(5), `cost` as there, 0 for the
 * method's own. 0, or -1 with errno set. */
int32_t ccrypt_make(const char *phrase, const char *method, unsigned long cost, char *hash, size_t size);

/* Fills the buffer from the system's source of secrets. 0, or -1 with errno set. */
int32_t ccrypt_random(void *bytes, size_t count);

#endif
