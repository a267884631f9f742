/* What Linux offers and Swift's Glibc module leaves out. */
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stdint.h>

/* A new, non-blocking, close-on-exec eventfd whose counter is 0; -1 with errno set. */
int32_t cplatform_eventfd(void);

/* Names the calling thread; the kernel keeps 15 bytes. */
void cplatform_name_thread(const char *name);

/* Runs the program `path` with the arguments `argv` and the environment `envp` (null at the end of each;
 * null for `envp`: the caller's), the caller's user, and no descriptors but these: 0 is empty, 1 and 2
 * are the caller's 2, and 3 is `channel`. Signals are at their defaults and none is blocked. It leads a
 * process group of its own. Gives the process ID, or an error number below 0. */
int32_t cplatform_spawn(const char *path, char *const argv[], char *const envp[], int32_t channel);

/* "SEGV" for SIGSEGV; null for a number that has no name. */
const char *cplatform_signal_name(int32_t number);

/* For a process that lives for its parent: when the thread that started it ends, it is ended with
 * all processes that it started. Signals that a terminal or a supervisor sends to both are left to the parent. */
void cplatform_follow_parent(void);

/* Ends this process and, where it leads a group of its own, all of that. */
void cplatform_end_group(void) __attribute__((noreturn));

/* Hashes what a descriptor's file holds, from where it stands (FNV-1a, 64 bits). Not 0 if it was read to
 * its end. No defence against who can choose the content. */
int32_t cplatform_hash_file(int32_t descriptor, uint64_t *hash);

/* `st_dev` of a device, from the numbers that /proc shows. */
uint64_t cplatform_device(uint32_t major, uint32_t minor);

/* Not 0 if `stat` and /proc/self/maps are known to show the same device and inode of a file: not on
 * overlayfs and btrfs, which give files numbers of their own. */
int32_t cplatform_shows_one_number(const char *path);

/* From now on a crash on a thread that is inside an activity says so on standard error before it
 * takes its course. To be called once, before plugins run. */
void cplatform_explain_crashes(void);

/* What the calling thread is at, as a line that a crash prints before its signal's name; null: at
 * nothing that is worth a line. `text` must live until the next call. */
void cplatform_begin_activity(const char *text);

/* Bounds what stays at the end of each heap of the C library's, once it is free: for the whole process, and
 * best before its threads begin. Without it the bound grows with the largest block that was ever freed, to
 * 64 MiB for each heap, and cplatform_give_back_memory does not reach there. mallopt(3), M_TRIM_THRESHOLD. */
void cplatform_bound_free_memory(void);

/* Gives pages of the heap in which nothing is any more back to the system, of all threads; takes about a
 * millisecond for each 10 MiB, and other threads that allocate may wait for it. */
void cplatform_give_back_memory(void);

#endif
