import NIOCore
package import NodeLogic
package import Raft
package import Service
package import StateMachine
import Synchronization
package import Telemetry
import Threads
import Time
package import Transport
package import Wire

/// A node of the cluster: its threads, and what others may ask of it. Clients' requests come in
/// through `submit`, other nodes' through the `PeerDelegate` methods; both only hand over.
package final class Node: NodeService, Sendable {
    /// What the operator chose, and who the data directory says the node is.
    package let options: NodeOptions
    /// Whether the disk held a cluster's state when the node started.
    package let beganInCluster: Bool
    let links: MachineThread.Links
    private let machine: NamedThread
    private let lock: DirectoryLock
    /// The machine has ended: what is posted to it nobody takes.
    private let isOver = Atomic<Bool>(false)

    /// - Parameter run: the machine's whole life, on its thread.
    init(
        options: NodeOptions, beganInCluster: Bool, links: MachineThread.Links,
        lock: consuming DirectoryLock, _ run: @escaping @Sendable () -> Void
    ) throws(ThreadShortage) {
        self.options = options
        self.beganInCluster = beganInCluster
        self.lock = lock
        self.links = links
        machine = try NamedThread("raft", run)
        links.transport.attach(self)
    }

    /// The node's own; its listeners are opened by whoever starts the node.
    package var transport: PeerTransport { links.transport }

    /// Addresses of other nodes that the operator gave.
    package func join(_ addresses: [PeerAddress]) {
        if !addresses.isEmpty { candidates(Candidates(addresses)) }
    }

    /// Addresses that discovery found.
    package func candidates(_ list: Candidates) {
        links.mailbox.post(.candidates(list))
    }

    /// What is wrong with discovery itself, for people; nil: nothing any more.
    package func discoveryTrouble(_ kind: DiscoveryTrouble, _ problem: String?) {
        links.mailbox.post(.discoveryTrouble(kind, problem))
    }

    /// Called each time the node begins to look for others, on a thread that must not be held up.
    package func onSeeking(_ action: @escaping @Sendable () -> Void) {
        links.board.onSeeking(action)
    }

    /// Called once, from any thread, when the node can't go on.
    package func onFault(_ action: @escaping @Sendable (String) -> Void) {
        links.board.onFault(action)
    }

    /// Hands leadership over, if there is somebody to take it; requests are served as before. The
    /// node says from now on that it isn't ready, so that no new clients are sent to it.
    package func leave() {
        links.mailbox.post(.leave)
        _ = links.ends.awaitLeft(until: .now + .seconds(10))
    }

    /// Lets what is under way end, refuses the rest, and closes log and database. That may take its time;
    /// what is asked meanwhile, and afterwards, is refused at once.
    package func stop() {
        links.mailbox.post(.stop)
        _ = links.ends.awaitStopped(until: .now + .seconds(10))
        machine.join()
        isOver.store(true, ordering: .sequentiallyConsistent)
        refuseUnread()
        do {
            try transport.shutdown().wait()
        } catch {
            links.logger.warning("transport did not end in order", ["cause": "\(error)"])
        }
        links.readers.stop()
        // What others could not take, and what proved to be a write.
        refuseUnread()
        links.apply.stop()
        links.log.stop()
    }

    /// Answers what came too late for the machine.
    private func refuseUnread() {
        var keys: [RequestKey] = []
        for event in links.mailbox.take(until: MonotonicTime.zero) {
            switch event {
            case .requests(let requests): keys += requests.map(\.key)
            case .forwardRefused(let unsent): keys += unsent
            default: break
            }
        }
        refuse(keys)
    }

    private func refuse(_ keys: [RequestKey]) {
        let error = ServiceError.notReady("node \(options.identity.id) is stopping")
        var replies = ReplyBatch()
        for target in links.open.take(keys) {
            if let target { replies.add(.failed(error), to: target) }
        }
        replies.deliver()
    }

    /// As of the last checkpoint, or of the start.
    package var databaseStatistics: DatabaseStatistics? { links.board.database }

    /// When VACUUM and the like were last run, as far as this node has applied the log. From any thread.
    package var upkeep: UpkeepTimes { links.board.upkeep }

    /// When this node applied something last, and when that was proposed. From any thread.
    package var applyTimes: ApplyTimes { links.board.applyTimes }

    /// The load whose parts are kept and has no end yet, as far as this node has applied the log. From any
    /// thread.
    package var openLoad: OpenLoad? { links.board.load }

    /// Threads that serve reads, those at one, reads that wait for one, and reads that wait for their
    /// turn at one.
    package var readers: (threads: Int, busy: Int, waiting: Int, givenUp: Int, resting: Int) {
        links.readers.counts
    }

    /// Answers in parts whose clients take nothing at present.
    package var stalledStreams: Int { links.readers.stalledStreams }

    /// Messages that the consensus core refused in this run, sorted by reason.
    package var droppedMessages: [(reason: DropReason, count: Int)] {
        status.droppedMessages.sorted { $0.key.rawValue < $1.key.rawValue }
            .map { ($0.key, $0.value) }
    }

    /// What is wrong now, as the log said when it began.
    package var troubles: [StateLog.Trouble] { links.states.troubles }

    /// As the machine published it at the end of its last turn. From any thread.
    package var status: NodeStatus { links.board.status }

    /// Serves reads where the node may, and hands everything else to the machine. From any thread;
    /// each request is answered once, through `sink`.
    package func submit(_ requests: [ClientRequest], replyTo sink: any ReplySink) {
        let now = MonotonicTime.now
        var reads: [ReadJob] = []
        var others: [PendingRequest] = []
        for request in requests {
            var pending = PendingRequest(request, key: RequestKey(0), now: now)
            if mayReadAtOnce(request.operation, now) {
                reads.append(ReadJob(pending, ReplyTarget(sink: sink, id: request.id)))
                continue
            }
            // Encoded here, on the caller's thread: the machine only sets the stamp.
            pending.encode()
            others.append(pending)
        }
        if !reads.isEmpty { links.readers.post(reads) }
        guard !others.isEmpty else { return }
        let keys = links.open.add(others.map { ReplyTarget(sink: sink, id: $0.content.request.id) })
        for (place, key) in keys.enumerated() { others[place].key = key }
        links.mailbox.post(.requests(others))
        // Whether it was posted in time is not known: each is answered once.
        if isOver.load(ordering: .sequentiallyConsistent) { refuse(keys) }
    }

    /// Reads end as soon as SQLite can be stopped, here or at the leader, and what waits for a leader
    /// is dropped; what is in the log takes its course.
    package func cancel(_ requests: [RequestID], replyTo sink: any ReplySink) {
        let cancelled =
            links.open.take(requests, of: sink) + links.forwarder.cancel(requests, of: sink)
        if !cancelled.isEmpty {
            links.mailbox.post(.cancelled(cancelled.map(\.key)))
            var replies = ReplyBatch()
            for (_, target) in cancelled {
                replies.add(.failed(.timedOut(waitingFor: "a client that has gone")), to: target)
            }
            replies.deliver()
        }
        links.readers.cancel(requests, from: sink)
    }

    package func demand(_ demands: [PartDemand], replyTo sink: any ReplySink) {
        let others = links.readers.demand(demands, from: sink)
        if !others.isEmpty { links.forwarder.demand(others, from: sink) }
    }

    /// Whether a read needs nothing from the machine.
    private func mayReadAtOnce(
        _ operation: ClientRequest.Operation, _ now: MonotonicTime
    ) -> Bool {
        if case .command(let command, _) = operation, command.isEntry { return false }
        guard let options = operation.readOptions, options.demand == nil else { return false }
        switch options.level {
        case .none: return options.freshness.limit == nil && links.gate.admitsLocalReads(at: now)
        case .weak: return links.gate.admitsLeaderReads(at: now)
        default: return false
        }
    }
}
