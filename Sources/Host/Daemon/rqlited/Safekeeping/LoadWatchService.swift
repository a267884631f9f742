import NodeLogic
import Raft
import Replica
import Service
import StateMachine
import Telemetry
import Threads
import Time
import Wire

/// While this node leads, has loads in parts forgotten that nobody goes on with and that the log's clock
/// would keep, on a thread of its own. `LoadWatch` says which.
final class LoadWatchService: Sendable {
    private let node: Node
    private let logger: Logger
    /// Behind its stop what is in the log takes its course.
    let worker = ServiceThread()

    private static let timeout = Duration.seconds(60)
    private static let pause = Duration.seconds(5)

    init(_ node: Node, logger: Logger) {
        self.node = node
        self.logger = logger
    }

    /// - Throws: `ThreadShortage`.
    func start() throws {
        try worker.start("load-watch") { self.run() }
    }

    private func run() {
        let enquiry = NodeEnquiry(node)
        var watch = LoadWatch()
        while !worker.isStopped {
            let open = node.openLoad
            let isAbandoned = watch.isAbandoned(open?.id, parts: open?.parts ?? 0, at: .now)
            if isAbandoned, let open { forget(open, enquiry) }
            worker.rest(until: .now + Self.pause)
        }
    }

    /// What fails is tried again after the pause.
    private func forget(_ open: OpenLoad, _ enquiry: NodeEnquiry) {
        let status = node.status
        guard status.role == .leader, status.isReady else { return }
        logger.announce("forgetting a load that nobody goes on with")
        let end = LoadEnd(
            id: open.id, action: .forget, parts: open.parts, byteCount: open.byteCount)
        _ = enquiry.ask(
            .loadEnd(end, isBoot: false), timeout: Self.timeout,
            while: { !worker.isStopped })
    }
}
