import NIOCore
package import Raft
import Synchronization
import Wire

/// Nodes from which this one takes nothing more.
extension PeerTransport {
    /// Ends what a node with this identity opened, after telling it why.
    /// - Parameters:
    ///   - place: only who says that it is reached there is meant, for another bears the identity
    ///     rightly. It is refused for `unwantedTime` too, but for questions; then it is heard anew,
    ///     and the delegate is told again that it spoke. Nil: whoever bears the identity, which may
    ///     dial again at once.
    ///   - cause: for the other node's operator.
    package func refuse(_ identity: NodeIdentity, at place: PeerAddress? = nil, cause: String) {
        if let place {
            inbound.refuse(identity, at: place, cause: cause)
            state.withLock { state in
                let spoken = state.whereabouts.spoken[identity.id]
                if spoken?.address == place { state.whereabouts.spoken[identity.id] = nil }
                if state.whereabouts.heardOf[identity.id] == place {
                    state.whereabouts.heardOf[identity.id] = nil
                }
            }
        }
        var writer = ByteWriter(reserving: 256)
        writer.writeRefusal(.unwanted, cause, by: self)
        let refusal = ByteBuffer(bytes: writer.bytes)
        for channel in inbound.connections(of: identity, at: place) {
            channel.writeAndFlush(refusal).whenComplete { _ in channel.close(promise: nil) }
        }
    }

    /// Ends a refusal with this place before its time: the membership names it there now.
    package func accept(_ identity: NodeIdentity, at place: PeerAddress) {
        inbound.accept(identity, at: place)
    }
}
