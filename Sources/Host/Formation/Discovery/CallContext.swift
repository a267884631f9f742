import CPlatform
import Glibc
import PluginABI
import Synchronization
import Threads
import Time

/// One call from the plugin's side: the structs it is given, and what it hands back.
///
/// `@unchecked Sendable`: the pointers are constants whose targets do not change after `init`;
/// `results` is behind a lock, because a call that was given up may go on writing. The object lives
/// as long as that call's thread holds it, hence for ever if the call never returns.
final class CallContext: @unchecked Sendable {
    let deadline: MonotonicTime
    private let results: Mutex<CallResults>
    private let cancelledAt = Atomic<UInt64>(0)
    /// Readable once the call was given up.
    let cancelDescriptor: Int32
    let call: UnsafeMutablePointer<rqd_call>
    let sink: UnsafeMutablePointer<rqd_sink>

    init(deadline: MonotonicTime, kinds: CallResults.Kinds) throws(PluginError) {
        cancelDescriptor = cplatform_eventfd()
        guard cancelDescriptor >= 0 else {
            throw PluginError(
                .internal, "no descriptor for a plugin's call: \(String(cString: strerror(errno)))")
        }
        self.deadline = deadline
        results = Mutex(CallResults(kinds: kinds))
        call = .allocate(capacity: 1)
        sink = .allocate(capacity: 1)
        let context = Unmanaged.passUnretained(self).toOpaque()
        call.initialize(
            to: rqd_call(
                size: UInt32(MemoryLayout<rqd_call>.size), cancel_fd: cancelDescriptor,
                ctx: context,
                deadline_ns: deadline.nanoseconds,
                cancelled: { call in CallContext.of(call?.pointee.ctx)?.isCancelled == true ? 1 : 0
                }))
        sink.initialize(to: Self.sink(context))
    }

    deinit {
        call.deallocate()
        sink.deallocate()
        close(cancelDescriptor)
    }

    var isCancelled: Bool { cancelledAt.load(ordering: .acquiring) != 0 }

    /// When the plugin should be on its way back: the deadline, or the moment of the cancellation.
    var end: MonotonicTime {
        let cancelled = cancelledAt.load(ordering: .acquiring)
        return cancelled == 0 ? deadline : min(deadline, MonotonicTime(nanoseconds: cancelled))
    }

    func cancel() {
        let now = MonotonicTime.now.nanoseconds
        guard
            cancelledAt.compareExchange(expected: 0, desired: now, ordering: .acquiringAndReleasing)
                .exchanged
        else { return }
        var one: UInt64 = 1
        // Can't fail: the counter is 0 and the descriptor is ours.
        let written = write(cancelDescriptor, &one, 8)
        precondition(written == 8, "eventfd took \(written) of 8 bytes")
    }

    func withResults<Result: Sendable>(_ body: (inout CallResults) -> Result) -> Result {
        results.withLock { body(&$0) }
    }

    private static func of(_ context: UnsafeMutableRawPointer?) -> CallContext? {
        context.map { Unmanaged<CallContext>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func sink(_ context: UnsafeMutableRawPointer) -> rqd_sink {
        rqd_sink(
            size: UInt32(MemoryLayout<rqd_sink>.size), reserved: 0, ctx: context,
            message: { sink, message in
                CallContext.of(sink?.pointee.ctx)?.withResults { $0.take(message: message) }
                    ?? RQD_PROTOCOL
            },
            address: { sink, address in
                guard let address else { return RQD_PROTOCOL }
                return CallContext.of(sink?.pointee.ctx)?.withResults { $0.take(address) }
                    ?? RQD_PROTOCOL
            },
            record: { sink, record in
                guard let record else { return RQD_PROTOCOL }
                return CallContext.of(sink?.pointee.ctx)?.withResults { $0.take(record) }
                    ?? RQD_PROTOCOL
            },
            token: { sink, token in
                CallContext.of(sink?.pointee.ctx)?.withResults { $0.take(token: token) }
                    ?? RQD_PROTOCOL
            },
            text: { sink, text in
                CallContext.of(sink?.pointee.ctx)?.withResults { $0.take(text: text) }
                    ?? RQD_PROTOCOL
            })
    }
}
