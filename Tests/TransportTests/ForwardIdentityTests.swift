import NIOCore
import NIOTLS
import PeerProtocol
import Raft
import Service
import Testing
import Transport

/// Clients' requests go to the leader alone, where certificates say who is at the other end.
@Suite(.timeLimit(.minutes(15))) struct ForwardIdentityTests {
    /// Takes hands for shaken as soon as it is there, and encrypts nothing.
    private final class Handshake: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        func handlerAdded(context: ChannelHandlerContext) {
            // Once whoever waits for it stands behind it.
            context.eventLoop.assumeIsolated().execute {
                context.fireUserInboundEventTriggered(
                    TLSUserEvent.handshakeCompleted(negotiatedProtocol: nil))
            }
        }
    }

    /// Whoever is dialled shows the certificate of one node.
    private struct Showing: ConnectionSecurity {
        let node: NodeID

        func acceptingHandlers() throws -> [any ChannelHandler] { [] }
        func dialingHandlers(host: String) throws -> [any ChannelHandler] { [Handshake()] }
        func objection(to node: String, on channel: any Channel) -> String? {
            node == self.node.rawValue ? nil : "its certificate is for node \(self.node)"
        }
        func describe(_ error: any Error) -> (cause: String, isClosed: Bool, isStranger: Bool) {
            ("\(error)", false, false)
        }
    }

    private func request(_ id: UInt64) -> ClientRequest {
        ClientRequest(id: RequestID(id), operation: .leader, timeout: .seconds(30))
    }

    @Test
    func
        `Who shows another node's certificate at the leader's address gets no request, and all come back`()
        async throws
    {
        let b = try await TestNode.start("b")
        let a = try await TestNode.start(
            "a", security: TransportSecurity(nodes: Showing(node: b.id)))
        let sink = RecordingSink()
        let returned = Mailbox<([ClientRequest], TransportError)>()
        func forward(_ id: UInt64, to node: NodeID) {
            a.transport.forward([request(id)], to: b.address, of: node, sink: sink) {
                returned.put(($0, $1))
            }
        }
        forward(1, to: NodeID("c"))
        let (requests, error) = try await returned.first()
        #expect(requests.map(\.id) == [RequestID(1)])
        #expect(error.cause.contains("its certificate is for node b"))
        #expect(b.delegate.forwards.items.isEmpty)

        forward(2, to: b.id)
        let forwarded = try await b.delegate.forwards.first()
        forwarded.sink.deliver([Reply(id: forwarded.requests[0].id, outcome: .done)])
        #expect(try await sink.replies.first().id == RequestID(2))

        // Nor do they ride on the connection that is there for its owner.
        forward(3, to: NodeID("c"))
        let all = try await returned.wait(count: 2)
        #expect(all.last?.0.map(\.id) == [RequestID(3)])
        #expect(b.delegate.forwards.items.count == 1)
        #expect(sink.replies.items.count == 1)
        try await a.stop()
        try await b.stop()
    }
}
