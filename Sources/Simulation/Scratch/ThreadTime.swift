import Glibc

/// What the calling thread has worked: neighbours on the machine take none of it, be they as many as they will. For tests.
package enum ThreadTime {
    /// A reading; the difference of two is a time, where both are taken by the same thread.
    package static var now: Duration {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Duration.seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
