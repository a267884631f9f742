import NIOCore
package import Raft
package import Service
package import StateMachine
import Telemetry
import Time
package import Transport
import Wire

/// A node of the cluster: its threads, and what others may ask of it. Clients' requests come in
/// through `submit`, other nodes' through the `PeerDelegate` methods; both only hand over.
package final class Node: NodeService, Sendable {
    package let options: NodeOptions
    /// Whether the disk held a cluster's state when the node started.
    package let beganInCluster: Bool
    let mailbox: Mailbox<CoreEvent>
    let readerPool: ReaderPool
    let board: StatusBoard
    let gate: ReadGate
    let logger: Logger
    package let transport: Transport
    let reception: SnapshotReception
    private let log: LogThread
    private let apply: ApplyThread
    private let core: NamedThread
    private let lock: DirectoryLock

    /// - Parameter run: the core's whole life, on its thread.
    init(
        options: NodeOptions, beganInCluster: Bool, links: Core.Links,
        lock: consuming DirectoryLock, _ run: @escaping @Sendable () -> Void
    ) {
        self.options = options
        self.beganInCluster = beganInCluster
        self.lock = lock
        mailbox = links.mailbox
        readerPool = links.readers
        board = links.board
        gate = links.gate
        logger = links.logger
        transport = links.transport
        reception = SnapshotReception(directory: options.dataDirectory)
        log = links.log
        apply = links.apply
        core = NamedThread("raft", run)
        transport.attach(self)
    }

    /// Addresses of other nodes that the operator gave.
    package func join(_ addresses: [PeerAddress]) {
        if !addresses.isEmpty { candidates(Candidates(addresses)) }
    }

    /// Addresses that discovery found.
    package func candidates(_ list: Candidates) {
        mailbox.post(.candidates(list))
    }

    /// Called once, from any thread, when the node can't go on.
    package func onFault(_ action: @escaping @Sendable (String) -> Void) {
        board.onFault(action)
    }

    /// Hands leadership over, if there is somebody to take it; requests are served as before. The
    /// node says from now on that it isn't ready, so that no new clients are sent to it.
    package func leave() {
        let left = Mailbox<Bool>()
        mailbox.post(.leave { left.post(true) })
        _ = left.take(until: .now + .seconds(10))
    }

    /// Lets what is under way end, refuses the rest, and closes log and database.
    package func stop() {
        let stopped = Mailbox<Bool>()
        mailbox.post(.stop { stopped.post(true) })
        _ = stopped.take(until: .now + .seconds(10))
        core.join()
        do {
            try transport.shutdown().wait()
        } catch {
            logger.warning("transport did not end in order", ["cause": "\(error)"])
        }
        readerPool.stop()
        apply.stop()
        log.stop()
    }

    /// As of the last checkpoint, or of the start.
    package var databaseStatistics: DatabaseStatistics? { board.database }

    package var readers: (threads: Int, busy: Int, waiting: Int) { readerPool.counts }

    package var droppedMessages: [(reason: DropReason, count: Int)] {
        board.droppedMessages.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { ($0.key, $0.value) }
    }

    package var reapings: Reapings { board.reapings }

    package var status: NodeStatus { board.status }

    package func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        let now = MonotonicTime.now
        var reads: [ReadJob] = []
        var others: [PendingRequest] = []
        for request in requests {
            var pending = PendingRequest(request, sink: sink, now: now)
            guard case .command(let command, let options) = request.operation else {
                others.append(pending)
                continue
            }
            if mayReadAtOnce(command.kind, options, now) {
                reads.append(ReadJob(pending))
                continue
            }
            // Encoded here, on the caller's thread: the core only sets the stamp.
            pending.encode()
            others.append(pending)
        }
        if !reads.isEmpty { readerPool.post(reads) }
        if !others.isEmpty { mailbox.post(.requests(others)) }
    }

    /// Whether a read needs nothing from the core.
    private func mayReadAtOnce(
        _ kind: CommandKind, _ options: ReadOptions, _ now: MonotonicTime
    ) -> Bool {
        guard kind != .execute else { return false }
        switch options.level {
        case .none: return options.freshness.limit == nil && gate.admitsLocalReads(at: now)
        case .weak: return gate.admitsLeaderReads(at: now)
        default: return false
        }
    }
}
