package import NIOCore
package import Raft

/// A bound TCP port that tells by a connection's first byte who speaks.
package struct Listener: Sendable {
    /// Installs the handlers of an HTTP connection; bytes already read are replayed to them.
    package typealias HTTPInstaller = @Sendable (any Channel) -> EventLoopFuture<Void>

    /// As bound, with the real port.
    package let address: PeerAddress
    package let port: Int
    private let channel: any Channel

    /// - Parameter address: `host:port`, IPv6 in brackets; no host means all interfaces, port 0
    ///   one that is free. Fails with `TransportError`.
    package static func bind(
        _ address: PeerAddress, transport: Transport, http: @escaping HTTPInstaller
    ) -> EventLoopFuture<Listener> {
        transport.group.next().makeFailedFuture(
            TransportError(.other, address: address.rawValue, cause: ""))
    }

    /// Stops accepting; accepted connections go on.
    package func close() -> EventLoopFuture<Void> { channel.close() }
}
