import NodeLogic
import ObjectStorage
import Raft
import Replica
import Service
import Synchronization
import Telemetry
import Threads
import Time
import Wire

/// Brings what `-auto-restore` downloaded into the cluster, once: the node that leads proposes it, as an
/// entry that no database takes that holds anything, or in parts with an end of which that is true. Until that is settled this node says that it isn't
/// ready, and takes no writes of clients.
final class RestoreService: Sendable {
    private let node: Node
    private let file: RestoreFile
    private let counters: RestoreCounters
    private let logger: Logger
    /// What is not settled at its stop is left to the next start, also what is being looked at.
    let worker = ServiceThread()
    private let loads: LoadDesk
    private let content: Mutex<RestoreContent?>
    private let isSettled = Atomic<Bool>(false)
    private let isOpen = Atomic<Bool>(false)
    private let recentFault: RecentFault

    private static let beat = Duration.milliseconds(50)
    private static let patience = Duration.seconds(60)
    private static let lookTimeout = Duration.seconds(10)
    /// So long a follower's clients wait for a leader that may bring nothing.
    private static let hold = Duration.seconds(10)
    /// Between two looks at a file that can't be looked at.
    private static let pause = Duration.seconds(5)

    init(
        _ content: RestoreContent, _ file: RestoreFile, _ loads: LoadDesk, node: Node,
        counters: RestoreCounters, logger: Logger
    ) {
        self.content = Mutex(content)
        self.loads = loads
        self.file = file
        self.node = node
        self.counters = counters
        self.logger = logger
        recentFault = RecentFault(logger)
    }

    /// Whether clients' writes wait.
    var holdsWrites: Bool { !isOpen.load(ordering: .acquiring) }
    /// Whether what this node holds may still be replaced.
    var isPending: Bool { !isSettled.load(ordering: .acquiring) }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        try worker.start("auto-restore") { self.run() }
    }

    private func run() {
        let enquiry = NodeEnquiry(node)
        var followsSince: MonotonicTime?
        var applied = LogIndex.zero
        var parts: PartedRestore?
        while !worker.isStopped, isPending {
            let status = node.status
            if status.role == .leader, status.isReady {
                followsSince = nil
                bring(enquiry, &parts)
            } else if status.leader != nil, status.isReady {
                // Parts that come show in the log: nobody else may write.
                if status.appliedIndex != applied { followsSince = nil }
                applied = status.appliedIndex
                let since = followsSince ?? .now
                followsSince = since
                let isEmpty = enquiry.isEmpty(
                    at: .none, timeout: Self.lookTimeout, while: { !worker.isStopped })
                if isEmpty == false {
                    counters.skipped.add()
                    settle("the cluster has data: this node's download is dropped")
                } else if MonotonicTime.now - since > hold {
                    isOpen.store(true, ordering: .releasing)
                }
            }
            if isPending { worker.rest(until: .now + Self.beat) }
        }
    }

    private var hold: Duration {
        guard case .parts(let count)? = content.withLock({ $0 }) else { return Self.hold }
        return Self.hold + PartedRestore.endTime(of: count)
    }

    private func bring(_ enquiry: NodeEnquiry, _ parts: inout PartedRestore?) {
        switch content.withLock({ $0 }) {
        case nil: return
        case .image(let image): bring(image, enquiry)
        case .parts: bringParts(enquiry, &parts)
        }
    }

    private func bringParts(_ enquiry: NodeEnquiry, _ parts: inout PartedRestore?) {
        do throws(StorageFault) {
            var restore: PartedRestore
            if let parts {
                restore = parts
            } else {
                guard let parcel = try file.parcel(loads, while: { !worker.isStopped }) else {
                    counters.failed.add()
                    return settle("failed to restore: the file is another than at the start")
                }
                restore = PartedRestore(parcel)
            }
            let outcome = restore.bring(
                enquiry, limit: node.status.limits.database, while: { !worker.isStopped })
            parts = restore
            switch outcome {
            case .later: worker.rest(until: .now + .seconds(1))
            case .refused(let text): wait(for: text)
            case .partsLost:
                parts = nil
                throw StorageFault("the file of its parts can't be read any more")
            case .restored:
                counters.restored.add()
                settle("restored the database")
            case .occupied:
                counters.skipped.add()
                settle("the cluster has data: nothing was restored")
            case .failed(let cause):
                counters.failed.add()
                settle("failed to restore: \(cause)")
            }
        } catch {
            guard !worker.isStopped else { return }
            // It was found fit at the start. What fails now is this node's disk or memory, and passes:
            // without the file the cluster would begin empty.
            recentFault.note(error, "the restore can't go on now, and is tried again")
            worker.rest(until: .now + Self.pause)
        }
        if !isPending { parts = nil }
    }

    private func bring(_ image: DatabaseImage, _ enquiry: NodeEnquiry) {
        let outcome = enquiry.ask(
            .load(image), timeout: Self.patience, while: { !worker.isStopped })
        if case .failed(.unsuitable(let text))? = outcome { return wait(for: text) }
        // Anything else may be tried again, by whoever leads then.
        guard case .results(let result) = outcome else { return }
        switch result.error {
        case nil:
            counters.restored.add()
            settle("restored the database")
        case DatabaseImage.notEmpty:
            counters.skipped.add()
            settle("the cluster has data: nothing was restored")
        case let error?:
            counters.failed.add()
            settle("failed to restore: \(error)")
        }
    }

    /// Writes wait, too, so whoever can change what is in the way must hear of it.
    private func wait(for text: String) {
        recentFault.note(StorageFault(text), "the restore waits, and all writes with it")
        worker.rest(until: .now + .seconds(1))
    }

    private func settle(_ what: String) {
        file.remove()
        content.withLock { $0 = nil }
        isSettled.store(true, ordering: .releasing)
        isOpen.store(true, ordering: .releasing)
        logger.announce("auto-restore: \(what)")
    }
}

/// The node as clients see it while a restore is to come.
struct RestoreGate: NodeService {
    let node: any NodeService
    let restore: RestoreService

    private static let text = "the restore of the database is not done"

    func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        guard restore.holdsWrites else { return node.submit(requests, replyTo: sink) }
        var passed: [ClientRequest] = []
        var replies: [Reply] = []
        for request in requests {
            if let outcome = Self.refusal(of: request.operation) {
                replies.append(Reply(id: request.id, outcome: outcome))
            } else {
                passed.append(request)
            }
        }
        if !passed.isEmpty { node.submit(passed, replyTo: sink) }
        if !replies.isEmpty { sink.deliver(replies) }
    }

    func cancel(_ requests: [RequestID], replyTo sink: any ReplySink) {
        node.cancel(requests, replyTo: sink)
    }

    func demand(_ demands: [PartDemand], replyTo sink: any ReplySink) {
        node.demand(demands, replyTo: sink)
    }

    private static func refusal(of operation: ClientRequest.Operation) -> Outcome? {
        switch operation {
        case .readiness(let check):
            check.nodeOnly ? nil : .readiness(.storeNotReady(text))
        case .command(let command, _): command.kind == .query ? nil : .failed(.notReady(text))
        case .load, .loadDump, .loadPart, .loadEnd, .boot: .failed(.notReady(text))
        default: nil
        }
    }
}
