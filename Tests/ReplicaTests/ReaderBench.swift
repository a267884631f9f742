import Foundation
import Glibc
import NodeLogic
import Raft
import Scratch
import Service
import StateMachine
import Testing
import Threads
import Time
import Wire

@testable import Replica

/// A database and what tests need around it.
final class Bench {
    let path: String
    let core = Mailbox<NodeEvent>()
    private let open = OpenRequests()
    private let directory: TemporaryDirectory
    private let applier: Applier

    struct TimedOut: Error {}

    init() throws {
        directory = try TemporaryDirectory("readers")
        let databases = DatabaseDirectory(path: directory.path)
        try databases.create(.first)
        path = databases.file(of: .first)
        applier = try Applier(path: path)
    }

    func pool(
        _ limits: ReaderPool.Limits, _ system: ReaderPool.System = ReaderPool.System(),
        path: String? = nil, kept: KeptCopies = KeptCopies()
    ) -> ReaderPool {
        ReaderPool(
            path: path ?? self.path, limits: limits, core: core, open: open,
            system: system, kept: kept)
    }

    func sink(isRemote: Bool = false, takesParts: Bool = false) -> Sink {
        Sink(isRemote: isRemote, takesParts: takesParts)
    }

    /// The one value of a reply, or its error.
    func text(_ reply: Reply) -> String {
        guard case .results(let result) = reply.outcome else { return "\(reply.outcome)" }
        switch result.statements.first?.outcome {
        case .rows(let rows):
            var reader = ByteReader(rows.cells)
            guard case .integer(let value)? = try? Value(from: &reader) else { return "no integer" }
            return "\(value)"
        case .failed(let message): return message
        default: return "\(result)"
        }
    }

    func eventually(_ condition: () -> Bool) throws -> Bool {
        let limit = ContinuousClock.now + .seconds(60)
        while !condition() {
            guard ContinuousClock.now < limit else { return false }
            try waitFor(.milliseconds(2))
        }
        return true
    }

    /// How many descriptors of this process are of the file at the path, or of one whose name begins so,
    /// deleted or not.
    static func descriptors(of path: String) -> Int {
        let links = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return links.count { link in
            let target = try? FileManager.default.destinationOfSymbolicLink(
                atPath: "/proc/self/fd/\(link)")
            return target?.hasPrefix(path) ?? false
        }
    }

    func waitFor(_ time: Duration) throws {
        _ = Mailbox<Int>().take(until: .now + time)
    }
}

/// Gathers the replies to its requests.
final class Sink: ReplySink {
    let isRemote: Bool
    let takesParts: Bool
    private let mailbox = Mailbox<Reply>()

    init(isRemote: Bool, takesParts: Bool) {
        self.isRemote = isRemote
        self.takesParts = takesParts
    }

    func deliver(_ replies: [Reply]) { mailbox.post(replies) }

    var isEmpty: Bool { mailbox.count == 0 }

    func read(
        _ id: UInt64, _ sql: String, timeout: Duration = .seconds(30), database: Duration? = nil
    ) -> ReadJob {
        let command = Command(kind: .query, statements: [Statement(sql)])
        let request = ClientRequest(
            id: RequestID(id),
            operation: .command(command, ReadOptions(level: .none, databaseTimeout: database)),
            timeout: timeout)
        return ReadJob(
            PendingRequest(request, key: RequestKey(0), now: .now),
            ReplyTarget(sink: self, id: RequestID(id)))
    }

    /// Waits for so many.
    /// - Parameter meanwhile: done again and again, as the core does.
    func replies(_ count: Int, meanwhile: () -> Void = {}) throws -> [Reply] {
        let limit = MonotonicTime.now + .seconds(60)
        var replies: [Reply] = []
        while replies.count < count {
            guard MonotonicTime.now < limit else { throw Bench.TimedOut() }
            meanwhile()
            replies += mailbox.take(until: .now + .milliseconds(10))
        }
        return replies
    }
}
