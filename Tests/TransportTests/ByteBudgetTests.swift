import NIOCore
import PeerProtocol
import Raft
import Service
import Synchronization
import Testing
import Wire

@testable import Transport

/// The memory that requests of many connections take in turn, and the line before it.
@Suite(.timeLimit(.minutes(15))) struct ByteBudgetTests {
    /// How many wait is the peers' choice.
    @Test func `Two hundred thousand that wait are let in once each, in their order, and soon`() {
        let budget = ByteBudget(limit: 1)
        let count = 200_000
        let granted = Mutex<[Int]>([])
        #expect(budget.take(1) {})
        for number in 0..<count {
            let isTaken = budget.take(1) { granted.withLock { $0.append(number) } }
            #expect(!isTaken)
        }
        #expect(budget.waiting == count)
        // Each that is let in makes room for the next.
        for _ in 0..<count { budget.release(1) }
        #expect(granted.withLock { $0 } == Array(0..<count))
        #expect(budget.waiting == 0 && budget.taken == 1)
        budget.release(1)
        #expect(budget.taken == 0 && budget.take(1) {})
    }

    @Test func `Many that fit together are let in at once, and who is next waits for room`() {
        let budget = ByteBudget(limit: 10)
        let granted = Mutex<[Int]>([])
        #expect(budget.take(10) {})
        for count in [3, 4, 9, 1] {
            let isTaken = budget.take(count) { granted.withLock { $0.append(count) } }
            #expect(!isTaken)
        }
        budget.release(8)
        #expect(granted.withLock { $0 } == [3, 4] && budget.waiting == 2)
        // Nobody overtakes.
        #expect(!budget.take(1) {})
        budget.release(2)
        #expect(budget.waiting == 3 && budget.taken == 7)
        budget.release(7)
        #expect(granted.withLock { $0 } == [3, 4, 9, 1] && budget.waiting == 1)
    }

    // MARK: Over a connection

    private func frame(_ kind: UInt8, _ id: UInt64, _ rest: [UInt8] = []) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(id)
        writer.writeRaw(rest)
        return WireBytes.frame(kind, writer.bytes)
    }

    private func announcement(_ id: UInt64, _ bytes: Int) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(bytes))
        return frame(19, id, writer.bytes)
    }

    private func request(_ id: UInt64) -> [UInt8] {
        let request = ClientRequest(
            id: RequestID(id),
            operation: .command(
                Command(kind: .execute, statements: [Statement("SELECT 1")]), ReadOptions()),
            timeout: .seconds(120))
        var writer = ByteWriter()
        request.encode(into: &writer, id: request.id)
        return writer.bytes
    }

    /// A node whose memory for strangers is a MiB, and one of them.
    private func stranger() async throws -> (TestNode, RawConnection, any Channel) {
        var limits = TransportLimits.quick
        limits.maxUntrustedBytes = 1 << 20
        limits.maxUntrustedFrameBytes = 1 << 20
        limits.maxOpenForwards = 4
        // What was announced is given up in its time, which many turns of a busy machine may take.
        limits.frameGrace = .hours(1)
        let node = try await TestNode.start("b", limits: limits)
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(WireBytes.preamble(purpose: 3) + WireBytes.introduction())
        return (node, raw, channel)
    }

    /// Frames of one read are not taken in their order; what is said behind this comes with a later one.
    private func say(
        _ bytes: [UInt8], before id: UInt64, _ node: TestNode, _ channel: any Channel
    ) async throws {
        try await channel.say(bytes)
        try await channel.say(WireBytes.frame(6, request(id)))
        let forwarded = try await node.delegate.forwards.wait {
            $0.last?.requests.last?.id == RequestID(id)
        }
        for forwarded in forwarded.suffix(1) {
            forwarded.sink.deliver(forwarded.requests.map { Reply(id: $0.id, outcome: .done) })
        }
    }

    @Test func `Who announces and recalls without an end gets a line with an end`() async throws {
        let (node, _, channel) = try await stranger()
        let budget = node.transport.inbound.untrusted
        try await say(announcement(1, 1 << 20), before: 1001, node, channel)
        try await until { budget.taken == 1 << 20 }
        for id in 10..<30 as Range<UInt64> {
            try await say(announcement(id, 1), before: 1000 + 2 * id, node, channel)
            try await say(frame(17, id), before: 1001 + 2 * id, node, channel)
        }
        try await until { budget.waiting == 4 }
        channel.close(promise: nil)
        try await until { budget.taken == 0 && budget.waiting == 0 }
        try await node.stop()
    }

    @Test func `An ID that is announced again after its recall takes the memory of its own size`()
        async throws
    {
        let (node, raw, channel) = try await stranger()
        let budget = node.transport.inbound.untrusted
        let content = request(5)
        try await say(announcement(1, 1 << 20), before: 101, node, channel)
        try await say(announcement(5, 900_000), before: 102, node, channel)
        try await say(frame(17, 5), before: 103, node, channel)
        try await say(announcement(5, content.count), before: 104, node, channel)
        try await until { budget.waiting == 2 }
        try await say(frame(17, 1), before: 105, node, channel)
        try await until { budget.waiting == 0 && budget.taken == content.count }
        try await channel.say(frame(21, 5, content))
        try await node.delegate.forwards.wait { $0.last?.requests.last?.id == RequestID(5) }
        try await until { budget.taken == 0 }
        channel.close(promise: nil)
        _ = try await raw.bytesUntilClosed()
        try await node.stop()
    }

    @Test(arguments: [[99], [1]] as [[UInt8]])
    func `Who asks thousands of questions at a time is cut off`(question: [UInt8]) async throws {
        let node = try await TestNode.start("b")
        let asked = Mailbox<Void>()
        node.delegate.answering.withLock {
            $0 = { _, _, reply in
                asked.put(())
                reply(.failed("no"))
            }
        }
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        let frames = [[UInt8]](repeating: WireBytes.frame(4, question), count: 20_000)
        // The other end may be gone before all is said.
        try? await channel.say(
            WireBytes.preamble(purpose: 2) + WireBytes.introduction() + frames.joined())
        try await raw.events.wait { $0.last == .closed }
        try await until { node.transport.statistics.inbound.corrupted == 1 }
        #expect(asked.items.count < 20_000)
        try await node.stop()
    }
}
