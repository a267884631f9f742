import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// What connections may make the server hold beside bodies and large answers.
@Suite struct ConnectionBoundsTests {
    @Test func `A connection too many is told so once, and gets to read it`() throws {
        var limits = HTTPLimits()
        limits.connections = 0
        limits.observerConnections = 0
        let client = try Client(FakeNode { _ in nil }, limits: limits)
        let socket = HalfClosingSocket()
        try client.channel.pipeline.syncOperations.addHandler(socket, position: .first)
        try client.send("POST /db/execute HTTP/1.1\r\nHost: a\r\n")
        // While it goes on sending.
        try client.send("Content-Length: 5\r\n\r\n12345")
        #expect(Client.answers(in: try client.output()).map(\.status) == [503])
        #expect(socket.outputEnds == 1)
        #expect(client.channel.isActive)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
    }
}

/// Ends what goes out alone where that is asked, as a socket does.
private final class HalfClosingSocket: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer

    private(set) var outputEnds = 0

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode == .output else { return context.close(mode: mode, promise: promise) }
        outputEnds += 1
        promise?.succeed()
    }
}
