import Glibc
package import NIOCore
import NIOPosix
import PeerProtocol
import PeerProtocol
package import Raft

/// A bound TCP port that tells by a connection's first byte who speaks. The HTTP port and the Raft
/// port of a node are two of the same.
package struct Listener: Sendable {
    /// Installs the handlers of an HTTP connection; bytes already read are replayed to them.
    package typealias HTTPInstaller = @Sendable (any Channel) -> EventLoopFuture<Void>

    /// As bound, with the real port.
    package let address: PeerAddress
    package let port: Int
    private let channel: any Channel

    /// - Parameter address: `host:port`, IPv6 in brackets; no host means all interfaces, port 0
    ///   one that is free. A name is resolved on the calling thread. Fails with `TransportError`.
    package static func bind(
        _ address: PeerAddress, transport: Transport, http: @escaping HTTPInstaller
    ) -> EventLoopFuture<Listener> {
        do throws(TransportError) {
            return serve(try ReservedPort(address), transport: transport, http: http)
        } catch {
            return transport.group.next().makeFailedFuture(error)
        }
    }

    /// Serves what comes to a port that was taken before, and what has waited there.
    package static func serve(
        _ reserved: ReservedPort, transport: Transport, http: @escaping HTTPInstaller
    ) -> EventLoopFuture<Listener> {
        let descriptor: Int32
        let target: HostPort
        do throws(TransportError) {
            target = try HostPort(reserved.address)
            guard let taken = reserved.take() else {
                throw .shutDown(reserved.address.rawValue)
            }
            descriptor = taken
        } catch {
            return transport.group.next().makeFailedFuture(error)
        }
        return bootstrap(transport, http).withBoundSocket(descriptor).map { channel in
            // NIO asks for fewer.
            _ = listen(descriptor, ReservedPort.backlog)
            let port = channel.localAddress?.port ?? target.port
            let host = target.host.isEmpty ? "0.0.0.0" : target.host
            return Listener(
                address: PeerAddress(HostPort.text(host: host, port: port)), port: port,
                channel: channel)
        }.flatMapErrorThrowing {
            let error = TransportError($0, address: reserved.address.rawValue)
            throw TransportError(
                error.reason, address: error.address, cause: "can't listen: \(error.cause)")
        }
    }

    private static func bootstrap(
        _ transport: Transport, _ http: @escaping HTTPInstaller
    ) -> ServerBootstrap {
        ServerBootstrap(group: transport.group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                guard transport.inbound.accepted(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        SniffHandler(transport: transport, http: http))
                }
            }
    }

    /// Stops accepting; accepted connections go on.
    package func close() -> EventLoopFuture<Void> { channel.close() }
}
