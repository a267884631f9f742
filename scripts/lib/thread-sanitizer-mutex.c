// The slow path of the standard library's Mutex, for builds that ThreadSanitizer watches. The library's own is not
// instrumented: a lock that was waited for would not be seen to have been taken, and what it guards would be taken for
// a race. Linked into the program, this one comes before the library's. It leaves no mark of a waiter behind, so that
// an unlock never takes the slow path.
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef _Atomic(uint32_t) Holder;

// Synchronization._MutexHandle._lockSlow(_: UInt32); zero is free, else the thread that holds it.
__attribute__((swiftcall)) void lock_slow(uint32_t own, __attribute__((swift_context)) Holder *holder)
    __asm__("$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF");

__attribute__((swiftcall)) void lock_slow(uint32_t own, __attribute__((swift_context)) Holder *holder) {
    for (int tries = 0;; tries++) {
        uint32_t found = 0;
        if (__c11_atomic_compare_exchange_strong(
                holder, &found, own, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
            return;
        }
        // As the library does where a thread locks twice.
        if (found == own) abort();
        if (tries < 100) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        }
    }
}
