import NIOCore
import NIOPosix
import Raft
import Transport
import Wire

/// A bare TCP connection that says exactly what a test wants.
final class RawConnection: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    enum Event: Sendable, Equatable {
        case bytes([UInt8])
        case closed
    }

    let events = Mailbox<Event>()

    /// - Parameter staysOpen: when the other end has said its last.
    static func open(
        to port: Int, staysOpen: Bool = false
    ) async throws -> (RawConnection, any Channel) {
        let connection = RawConnection()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: staysOpen)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(connection)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return (connection, channel)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        events.put(.bytes(Array(unwrapInboundIn(data).readableBytesView)))
    }

    func channelInactive(context: ChannelHandlerContext) { events.put(.closed) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    /// Everything received until the other end closed.
    func bytesUntilClosed() async throws -> [UInt8] {
        try await events.wait { $0.last == .closed }.flatMap { event -> [UInt8] in
            if case .bytes(let bytes) = event { return bytes }
            return []
        }
    }
}

extension [UInt8] {
    /// Without the frames by which the receiver of a snapshot shows that it is still at work: a
    /// starved machine has time to send some.
    var withoutSignsOfWork: [UInt8] {
        let sign = WireBytes.frame(12, [])
        var rest: [UInt8] = []
        var place = 0
        while place < count {
            if self[place...].starts(with: sign) {
                place += sign.count
            } else {
                rest.append(self[place])
                place += 1
            }
        }
        return rest
    }
}

/// A server that says the same to everyone and does not listen.
struct RawServer {
    private final class Greeter: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let greeting: [UInt8]
        let heard: Mailbox<[UInt8]>
        init(_ greeting: [UInt8], _ heard: Mailbox<[UInt8]>) {
            self.greeting = greeting
            self.heard = heard
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            heard.put(Array(unwrapInboundIn(data).readableBytesView))
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: greeting)), promise: nil)
        }
    }

    let channel: any Channel
    let address: PeerAddress
    /// What all who came have said.
    let heard: Mailbox<[UInt8]>

    /// - Parameter reads: false: it takes no byte from the kernel.
    static func start(saying greeting: [UInt8], reads: Bool = true) async throws -> RawServer {
        let heard = Mailbox<[UInt8]>()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: reads)
            .childChannelOption(.socketOption(.so_rcvbuf), value: 64 << 10)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Greeter(greeting, heard))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        return RawServer(
            channel: channel, address: PeerAddress("127.0.0.1:\(port)"), heard: heard)
    }
}

/// What goes over the wire, written by hand from the byte tables so that the tests notice when the
/// format changes.
enum WireBytes {
    static func preamble(major: UInt8 = 1, purpose: UInt8) -> [UInt8] {
        [0xF5] + Array("RQLNOD".utf8) + [1, major, 0, purpose, 0]
    }

    static func frame(_ kind: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt32(payload.count))
        writer.write(kind)
        var checksum = CRC32C(writer.bytes)
        checksum.update(payload)
        writer.write(checksum.value)
        writer.writeRaw(payload)
        return writer.bytes
    }

    /// Of who says it by hand.
    static let identity = NodeIdentity(
        id: NodeID("raw"), incarnation: Incarnation(RandomID(high: 3, low: 4)))

    static func introduction(_ id: NodeID = WireBytes.identity.id) -> [UInt8] {
        var writer = ByteWriter()
        let identity = NodeIdentity(id: id, incarnation: Self.identity.incarnation)
        identity.encode(into: &writer)
        return frame(1, writer.bytes)
    }
}

extension Channel {
    func say(_ bytes: [UInt8]) async throws {
        try await writeAndFlush(ByteBuffer(bytes: bytes)).get()
    }
}
