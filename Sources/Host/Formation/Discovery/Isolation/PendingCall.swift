import CPlatform
import Glibc
import Synchronization

/// A question to the process of a plugin, from sending until it is answered.
final class PendingCall: Sendable {
    enum Answer: Sendable {
        case returned(Int32)
        /// The plugin could not be started, or its process is gone.
        case failed(PluginError)
    }

    let context: CallContext
    private let answer = Mutex<Answer?>(nil)
    private let answered: Int32

    init(_ context: CallContext) throws(PluginError) {
        self.context = context
        answered = cplatform_eventfd()
        guard answered >= 0 else {
            throw PluginError(
                .internal, "no descriptor for a plugin's call: \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(answered) }

    /// The first answer counts.
    func give(_ new: Answer) {
        let isFirst = answer.withLock { answer in
            defer { answer = answer ?? new }
            return answer == nil
        }
        guard isFirst else { return }
        var one: UInt64 = 1
        let written = write(answered, &one, 8)
        precondition(written == 8, "eventfd took \(written) of 8 bytes")
    }

    /// Blocks until the answer is there; tells once when the call was cancelled meanwhile. It has no
    /// limit of its own: whoever loses patience ends the process, and that is an answer.
    func wait(onCancel: () -> Void) -> Answer {
        var descriptors = [
            pollfd(fd: answered, events: Int16(POLLIN), revents: 0),
            pollfd(fd: context.cancelDescriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            if let answer = answer.withLock({ $0 }) { return answer }
            poll(&descriptors, nfds_t(descriptors.count), -1)
            if descriptors[1].revents != 0 {
                onCancel()
                descriptors[1].fd = -1
                descriptors[1].revents = 0
            }
        }
    }
}
