internal import CPlatform

/// The memory of the process, which all of its threads share.
package enum ProcessMemory {
    /// Bounds what the C library keeps of what was freed, to 1 MiB for each group of threads; without it
    /// that grows with the largest block that was ever freed. For a program's start, before it has threads.
    package static func boundWhatIsKept() { cplatform_bound_free_memory() }

    /// Gives back to the system what was freed: the C library keeps it otherwise, for each group of threads apart, and
    /// many threads that held much at once leave it all behind. Takes milliseconds, in which others that
    /// allocate may wait: not on an event loop, and not often.
    package static func giveBack() { cplatform_give_back_memory() }
}
