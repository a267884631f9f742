package import Service
package import Raft
package import Time
import Wire

/// Names a client's request from its arrival until it is answered, within one run of a node.
package struct RequestKey: Hashable, Comparable, Sendable {
    /// Counted by the shell, across threads.
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    package static func < (a: RequestKey, b: RequestKey) -> Bool { a.rawValue < b.rawValue }
}

/// A client's request with what came of it on the way to the machine. Who waits for its answer, the
/// shell remembers under its key.
package struct PendingRequest: Sendable {
    /// What is asked for, apart from what comes of it: it is large, and handed on many times. It is read
    /// where it lies, and not lent by an accessor (decision 276).
    package final class Content: Sendable {
        package let request: ClientRequest

        package init(_ request: ClientRequest) { self.request = request }
    }

    /// Under which the answer is given.
    package var key: RequestKey
    /// As the client, or the node that forwarded it, asked.
    package var content: Content
    /// When it came to this node.
    package var arrival: MonotonicTime
    /// When its client stops waiting: arrival and the request's own time.
    package var deadline: MonotonicTime
    /// The log entry for commands that write, its stamp still empty; encoded on the caller's
    /// thread.
    package var encoded: [UInt8]
    /// Reads of a `/db/request` turned out to write: don't try the readers again.
    package var isWrite = false
    /// While it is parked: until when, in the database, if nothing else changes. Nil: it waits for something else.
    var awaited: LogIndex?
    /// While it is parked: it waits for what the database has not seen, and not for a leader.
    var waitsForDatabase = false
    /// A readiness check that waits until everything through here is applied.
    package var syncIndex: LogIndex?

    /// Its deadline follows from the request's own time. What writes is not encoded yet: see
    /// `encode()`.
    package init(_ request: ClientRequest, key: RequestKey, now: MonotonicTime) {
        self.key = key
        content = Content(request)
        arrival = now
        deadline = now + request.timeout
        encoded = []
    }

    /// Makes the log entry, unless that is done.
    package mutating func encode() {
        guard encoded.isEmpty else { return }
        switch content.request.operation {
        case .command(let command, _), .loadDump(let command):
            encoded = LogCommand.command(command).encoded()
        case .load(let image), .boot(let image): encoded = LogCommand.load(image).encoded()
        case .loadPart(let part, _): encoded = LogCommand.loadPart(part).encoded()
        case .loadEnd(let end, _): encoded = LogCommand.loadEnd(end).encoded()
        default: break
        }
    }

    /// Bytes that it holds while it waits, roughly.
    var byteCount: Int { encoded.count + 256 }

    /// Until when a leader must have taken it in.
    func parkedDeadline(applyTimeout: Duration) -> MonotonicTime {
        switch content.request.operation {
        case .load, .loadDump, .boot, .loadPart, .loadEnd:
            return min(deadline, arrival + applyTimeout)
        default: break
        }
        guard case .command(let command, _) = content.request.operation,
            command.isEntry || isWrite
        else { return deadline }
        return min(deadline, arrival + applyTimeout)
    }

    /// When a linearizable read has waited for long enough.
    var readDeadline: MonotonicTime {
        guard let options = content.request.operation.readOptions else { return deadline }
        return min(deadline, arrival + options.linearizableTimeout)
    }
}
