import Addresses
import Glibc
package import NIOCore
import NIOPosix
import PeerProtocol
import PeerProtocol
package import Raft

/// A bound TCP port that tells by a connection's first byte who speaks. The HTTP port and the Raft
/// port of a node are two of the same; they differ in the event loops that connections get first.
/// One that turns out to be of the other kind is moved, so that nothing that a client sends runs on
/// the loops of the traffic between nodes.
package struct Listener: Sendable {
    /// Whom a port is for.
    package enum Side: Sendable {
        case nodes
        case clients
    }

    /// The loops of accepted connections, by who speaks on them.
    struct Loops: Sendable {
        var nodes: any EventLoopGroup
        var clients: any EventLoopGroup

        subscript(side: Side) -> any EventLoopGroup { side == .nodes ? nodes : clients }

        /// Where a connection must go that a port of one side took and that is of the other.
        func other(than side: Side, for actual: Side) -> (any EventLoop)? {
            guard side != actual, nodes !== clients else { return nil }
            return self[actual].next()
        }
    }

    /// Installs the handlers of an HTTP connection; bytes already read are replayed to them.
    package typealias HTTPInstaller = @Sendable (any Channel) -> EventLoopFuture<Void>

    /// As bound, with the real port.
    package let address: PeerAddress
    /// The one that was bound, also where any free one was asked for; 0 for a Unix socket.
    package let port: Int
    private let channel: any Channel
    /// Of a Unix socket.
    private let file: SocketFile?

    /// - Parameters:
    ///   - address: `host:port`, IPv6 in brackets; no host means all interfaces, port 0 one that is
    ///     free. A name is resolved on the calling thread. Fails with `TransportError`.
    ///   - side: whom the port is for.
    ///   - clients: the loops of HTTP connections; nil: those of the transport too.
    package static func bind(
        _ address: PeerAddress, transport: PeerTransport, side: Side = .nodes,
        clients: (any EventLoopGroup)? = nil, http: @escaping HTTPInstaller
    ) -> EventLoopFuture<Listener> {
        do throws(TransportError) {
            return serve(
                try ReservedPort(address), transport: transport, side: side, clients: clients,
                http: http)
        } catch {
            return transport.group.next().makeFailedFuture(
                TransportError(
                    error.reason, address: error.address, cause: "can't listen: \(error.cause)"))
        }
    }

    /// Serves what comes to a port that was taken before, and what has waited there. Parameters as
    /// those of `bind`.
    package static func serve(
        _ reserved: ReservedPort, transport: PeerTransport, side: Side = .nodes,
        clients: (any EventLoopGroup)? = nil, http: @escaping HTTPInstaller
    ) -> EventLoopFuture<Listener> {
        let loops = Loops(nodes: transport.group, clients: clients ?? transport.group)
        let descriptor: Int32
        let target: HostPort?
        do throws(TransportError) {
            target = reserved.file == nil ? try HostPort(reserved.address) : nil
            guard let taken = reserved.take() else {
                throw .shutDown(reserved.address.rawValue)
            }
            descriptor = taken
        } catch {
            return transport.group.next().makeFailedFuture(error)
        }
        return bootstrap(transport, side, loops, http).withBoundSocket(descriptor).map { channel in
            // NIO asks for fewer.
            _ = listen(descriptor, ReservedPort.backlog)
            guard let target else {
                return Listener(
                    address: reserved.address, port: 0, channel: channel, file: reserved.file)
            }
            let port = channel.localAddress?.port ?? Int(target.port)
            let host = target.host.isEmpty ? "0.0.0.0" : target.host
            return Listener(
                address: PeerAddress(
                    HostPort(host: host, port: UInt16(clamping: port)).description), port: port,
                channel: channel, file: nil)
        }.flatMapErrorThrowing {
            let error = TransportError($0, address: reserved.address.rawValue)
            throw TransportError(
                error.reason, address: error.address, cause: "can't listen: \(error.cause)")
        }
    }

    private static func bootstrap(
        _ transport: PeerTransport, _ side: Side, _ loops: Loops, _ http: @escaping HTTPInstaller
    ) -> ServerBootstrap {
        let pause = transport.limits.acceptPause
        return ServerBootstrap(group: loops[side])
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptGuard(pause: pause) { error in
                            transport.inbound.count { $0.acceptFailures += 1 }
                            transport.observe(.acceptFailed(error))
                        })
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                guard transport.inbound.accepted(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        SniffHandler(
                            transport: transport, takenBy: side, loops: loops, http: http))
                }
            }
    }

    /// Stops accepting; accepted connections go on.
    package func close() -> EventLoopFuture<Void> {
        channel.close().always { _ in file?.remove() }
    }
}
