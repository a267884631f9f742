import NIOCore
import NIOEmbedded
import PeerProtocol
import Raft
import Testing

@testable import Transport

/// Which connection of nodes goes for a member's, where there are too many in members' names.
@Suite struct MemberPlacesTests {
    private let member = Samples.identity
    private let inbound: InboundConnections

    init() {
        var limits = TransportLimits.quick
        limits.maxInboundPeers = 20
        inbound = InboundConnections(limits: limits)
    }

    /// Opens connections in the member's name.
    /// - Returns: those that were let in.
    private func open(
        _ count: Int, _ purpose: ConnectionPurpose, from host: String
    ) throws -> [EmbeddedChannel] {
        var opened: [EmbeddedChannel] = []
        for _ in 0..<count {
            let channel = EmbeddedChannel()
            try channel.connect(to: SocketAddress(ipAddress: host, port: 1)).wait()
            let introduction = Introduction(identity: member)
            if inbound.introduced(channel, introduction, purpose, members: [member]) {
                opened.append(channel)
            } else {
                try end([channel])
            }
        }
        return opened
    }

    private func end(_ channels: [EmbeddedChannel]) throws {
        for channel in channels { _ = try channel.finish(acceptAlreadyClosed: true) }
    }

    @Test(arguments: [false, true])
    func `Who speaks in a member's name from another host ends his own connections`(
        byQuestions: Bool
    ) throws {
        let purpose = byQuestions ? ConnectionPurpose.calls : .messages
        let own = try open(3, .messages, from: "10.0.0.1")
        let others = try open(17, purpose, from: "10.0.0.9")
        #expect(others.count == 17)
        // Neither by one more nor by what the member opens, be it a question.
        let later =
            try open(1, purpose, from: "10.0.0.9") + open(1, .calls, from: "10.0.0.1")
            + open(1, .messages, from: "10.0.0.1")
        #expect(later.count == 3)
        #expect(
            others.map(\.isActive) == [false, false, false] + Array(repeating: true, count: 14))
        #expect(own.map(\.isActive) == [true, true, true])
        try end(own + others + later)
    }

    @Test func `Where no name has too many a question makes room for all but another question`()
        throws
    {
        let questions = try open(6, .calls, from: "10.0.0.1")
        let others = try open(7, .messages, from: "10.0.0.1")
        let more = try open(7, .forwarding, from: "10.0.0.2")
        #expect(more.count == 7)
        #expect(try open(1, .calls, from: "10.0.0.1").isEmpty)
        let last = try open(1, .messages, from: "10.0.0.1")
        #expect(last.count == 1)
        #expect(questions.map(\.isActive) == [false] + Array(repeating: true, count: 5))
        #expect((others + more).map(\.isActive) == Array(repeating: true, count: 14))
        try end(questions + others + more + last)
    }
}
