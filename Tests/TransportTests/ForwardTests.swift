import NIOCore
import PeerProtocol
import Raft
import Service
import Testing
import Transport
import Wire

/// Clients' requests on their way to the leader and back.
@Suite(.timeLimit(.minutes(15))) struct ForwardTests {
    private func request(_ id: UInt64, timeout: Duration = .seconds(30)) -> ClientRequest {
        ClientRequest(
            id: RequestID(id), operation: .remove(NodeID("r\(id)")), timeout: timeout)
    }

    private func name(_ request: ClientRequest) -> String {
        if case .remove(let node) = request.operation { return node.rawValue }
        return ""
    }

    @Test func `Two sinks with equal IDs share a connection without mixing`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let one = RecordingSink()
        let two = RecordingSink()
        a.transport.forward([request(1), request(2)], to: b.address, sink: one)
        a.transport.forward([request(1), request(2)], to: b.address, sink: two)
        let seen = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 4
        }
        let requests = seen.flatMap(\.requests)
        #expect(Set(requests.map(\.id)).count == 4)
        #expect(requests.map(name) == ["r1", "r2", "r1", "r2"])
        // Backwards, each with its place in the error, to tell them apart.
        for (place, request) in requests.enumerated().reversed() {
            seen[0].sink.deliver([
                Reply(id: request.id, outcome: .failed(.notReady("\(place)")))
            ])
        }
        for (sink, base) in [(one, 0), (two, 2)] {
            let replies = try await sink.replies.wait(count: 2)
            #expect(replies.count == 2)
            for reply in replies {
                let place = base + Int(reply.id.rawValue) - 1
                #expect("\(reply.outcome)" == "\(Outcome.failed(.notReady("\(place)")))")
                #expect(reply.servedBy == b.address)
            }
        }
        #expect(b.transport.statistics.inbound.peers == 1)
        try await a.stop()
        try await b.stop()
    }

    @Test func `A broken connection fails what is outstanding, once`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        a.transport.forward([request(1), request(2)], to: b.address, sink: sink) { _, _ in
            Issue.record("They were sent: nothing comes back")
        }
        try await b.delegate.forwards.wait { $0.reduce(0) { $0 + $1.requests.count } == 2 }
        try await b.stop()
        let replies = try await sink.replies.wait(count: 2)
        #expect(Set(replies.map(\.id)) == [RequestID(1), RequestID(2)])
        for reply in replies {
            guard case .failed(.forwardingFailed(let address, _)) = reply.outcome else {
                Issue.record("\(reply)")
                continue
            }
            #expect(address == b.address)
        }

        // A node at the same address gets only what is new.
        let again = try await TestNode.start("b", at: b.address)
        a.transport.forward([request(3)], to: b.address, sink: sink)
        let forwarded = try await again.delegate.forwards.first()
        #expect(forwarded.requests.map(name) == ["r3"])
        forwarded.sink.deliver([Reply(id: forwarded.requests[0].id, outcome: .done)])
        try await sink.replies.wait(count: 3)
        #expect(sink.replies.items.last?.id == RequestID(3))
        try await a.stop()
        try await again.stop()
    }

    @Test func `What never left comes back to be sent elsewhere`() async throws {
        let a = try await TestNode.start("a")
        let gone = try await TestNode.start("b")
        try await gone.stop()
        let sink = RecordingSink()
        let returned = Mailbox<([ClientRequest], TransportError)>()
        a.transport.forward([request(1), request(2)], to: gone.address, sink: sink) {
            returned.put(($0, $1))
        }
        let (requests, error) = try await returned.first()
        #expect(requests.map(\.id) == [RequestID(1), RequestID(2)])
        #expect(error.reason == .connectionRefused)
        #expect(sink.replies.items.isEmpty)

        a.transport.forward([request(3)], to: gone.address, sink: sink)
        let reply = try await sink.replies.first()
        let expected = ServiceError.forwardingFailed(
            to: gone.address, cause: "connection refused")
        #expect("\(reply.outcome)" == "\(Outcome.failed(expected))")
        try await a.stop()
    }

    @Test func `A request that is never answered ends when its time has passed`() async throws {
        var limits = TransportLimits.quick
        limits.forwardGrace = .milliseconds(1)
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        // On a connection that is up, all is written before the first look at the time.
        let opening = RecordingSink()
        a.transport.forward([request(0)], to: b.address, sink: opening)
        let first = try await b.delegate.forwards.first()
        first.sink.deliver([Reply(id: first.requests[0].id, outcome: .done)])
        try await opening.replies.wait(count: 1)

        let sink = RecordingSink()
        a.transport.forward(
            [request(1, timeout: .seconds(1)), request(2)], to: b.address, sink: sink)
        let forwarded = try await b.delegate.forwards.wait {
            $0.reduce(0) { $0 + $1.requests.count } == 3
        }
        let reply = try await sink.replies.first()
        #expect(reply.id == RequestID(1))
        let expected = ServiceError.timedOut(
            waitingFor: "an answer of the node at \(b.address)")
        #expect("\(reply.outcome)" == "\(Outcome.failed(expected))")
        // A reply after that goes nowhere; the other is still answered.
        for request in forwarded.dropFirst().flatMap(\.requests) {
            first.sink.deliver([Reply(id: request.id, outcome: .done)])
        }
        let replies = try await sink.replies.wait(count: 2)
        #expect(replies.map(\.id) == [RequestID(1), RequestID(2)])
        try await a.stop()
        try await b.stop()
    }

    @Test func `Too large and too many are refused before anything is sent`() async throws {
        var limits = TransportLimits.quick
        limits.snapshotChunkBytes = 1000
        limits.maxCallBytes = 2000
        limits.maxFrameBytes = 4000
        limits.maxQueuedForwardBytes = 1000
        let a = try await TestNode.start("a", limits: limits)
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        let large = ClientRequest(
            id: RequestID(9),
            operation: .command(
                Command(
                    kind: .execute,
                    statements: [Statement(String(repeating: "x", count: 5000))]),
                ReadOptions()))
        a.transport.forward([large], to: b.address, sink: sink)
        let reply = try await sink.replies.first()
        #expect("\(reply.outcome)" == "\(Outcome.failed(.requestTooLarge(limit: 4000)))")
        #expect(b.delegate.forwards.items.isEmpty)

        // Each takes more than half of the queue, and no loop turn lies between them.
        a.transport.forward((1...3).map { request($0) }, to: b.address, sink: sink)
        for id in 4..<200 { a.transport.forward([request(UInt64(id))], to: b.address, sink: sink) }
        let replies = try await sink.replies.wait { $0.count >= 2 }
        #expect(replies.dropFirst().contains { "\($0.outcome)".contains("busy") })
        try await a.stop()
        try await b.stop()
    }

    @Test func `A reply no frame holds becomes a failure that says so`() async throws {
        var limits = TransportLimits.quick
        limits.snapshotChunkBytes = 1000
        limits.maxCallBytes = 2000
        limits.maxFrameBytes = 4000
        limits.maxReplyBytes = 4000
        limits.maxHeldReplyBytes = 4000
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b", limits: limits)
        let sink = RecordingSink()
        a.transport.forward([request(1)], to: b.address, sink: sink)
        let forwarded = try await b.delegate.forwards.first()
        let rows = RowSet(
            columns: ["a"], types: ["blob"], rowCount: 1,
            cells: [4, 0x88, 0x13, 0, 0] + [UInt8](repeating: 0, count: 5000))
        forwarded.sink.deliver([
            Reply(
                id: forwarded.requests[0].id,
                outcome: .results(CommandResult([StatementResult(.rows(rows))])))
        ])
        let reply = try await sink.replies.first()
        guard case .failed(.forwardingFailed(_, let cause)) = reply.outcome else {
            Issue.record("\(reply)")
            return
        }
        #expect(cause.contains("over the limit of 4000"))
        try await a.stop()
        try await b.stop()
    }

    @Test func `A stopping node answers what is outstanding`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let sink = RecordingSink()
        a.transport.forward([request(1)], to: b.address, sink: sink)
        try await b.delegate.forwards.wait(count: 1)
        try await a.stop()
        let reply = try await sink.replies.first()
        let expected = ServiceError.forwardingFailed(
            to: b.address, cause: "this node is stopping")
        #expect("\(reply.outcome)" == "\(Outcome.failed(expected))")
        a.transport.forward([request(2)], to: b.address, sink: sink)
        try await sink.replies.wait(count: 2)
        try await b.stop()
    }
}
