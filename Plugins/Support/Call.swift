package import Glibc
import PluginABI

/// The limits of one call: its deadline, and the descriptor by which the host gives it up.
package struct Call {
    /// CLOCK_MONOTONIC in nanoseconds.
    package let deadline: UInt64
    /// Readable once the host gives the call up; to poll alone. Negative: nobody will.
    package let cancelDescriptor: Int32

    package init(deadline: UInt64, cancelDescriptor: Int32) {
        self.deadline = deadline
        self.cancelDescriptor = cancelDescriptor
    }

    init(_ call: UnsafePointer<rqd_call>) {
        self.init(deadline: call.pointee.deadline_ns, cancelDescriptor: call.pointee.cancel_fd)
    }

    /// The same call with a deadline that may be nearer.
    package func limited(nanoseconds: UInt64) -> Call {
        let (limit, isOver) = Self.now.addingReportingOverflow(nanoseconds)
        return Call(
            deadline: isOver ? deadline : min(deadline, limit), cancelDescriptor: cancelDescriptor)
    }

    package static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Lets time pass, for those who look again later.
    /// - Throws: `RQD_TIMEOUT` with those words when the deadline comes before, and `RQD_CANCELLED`.
    package func pause(nanoseconds: UInt64, orSay words: String) throws(CallFailure) {
        let (end, isOver) = Self.now.addingReportingOverflow(nanoseconds)
        let due = isOver ? UInt64.max : end
        while true {
            let now = Self.now
            guard now < due else { return }
            var nothing: [pollfd] = []
            do throws(Interruption) {
                try poll(&nothing, milliseconds: Int32(clamping: (due - now + 999_999) / 1_000_000))
            } catch {
                switch error {
                case .deadline: throw CallFailure(RQD_TIMEOUT, words)
                case .cancelled: throw CallFailure(RQD_CANCELLED, "the host gave the wait up")
                }
            }
        }
    }

    package enum Interruption: Error {
        case deadline
        case cancelled
    }

    /// Waits until one of the descriptors is ready, or `milliseconds` are over; then `revents` are
    /// filled in. The call's own limits come first.
    package func poll(
        _ descriptors: inout [pollfd], milliseconds: Int32?
    ) throws(Interruption) {
        let now = Self.now
        guard now < deadline else { throw .deadline }
        // Rounded up, so that the last wait does not spin.
        let rest = Int32(clamping: (deadline - now + 999_999) / 1_000_000)
        var all = descriptors + [pollfd(fd: cancelDescriptor, events: Int16(POLLIN), revents: 0)]
        // An interrupted poll looks like one whose time is over: the caller looks and polls again.
        let ready = Glibc.poll(&all, nfds_t(all.count), min(rest, milliseconds ?? rest))
        if ready > 0, all[descriptors.count].revents != 0 { throw .cancelled }
        descriptors = Array(all.dropLast())
        if ready <= 0 {
            for index in descriptors.indices { descriptors[index].revents = 0 }
        }
    }
}
