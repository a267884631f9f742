/* What Linux offers and Swift's Glibc module leaves out. */
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stdint.h>

/* A new, non-blocking, close-on-exec eventfd whose counter is 0; -1 with errno set. */
int32_t cplatform_eventfd(void);

/* Names the calling thread; the kernel keeps 15 bytes. */
void cplatform_name_thread(const char *name);

#endif
