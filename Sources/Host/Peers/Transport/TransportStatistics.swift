package import PeerProtocol
package import NIOCore
package import Raft

/// Counters and states of a transport at one moment, for `/status` and metrics.
package struct TransportStatistics: Equatable, Sendable {
    /// Of the outgoing connections for messages to one peer.
    package enum ConnectionState: String, Sendable {
        /// Nothing was to be sent yet, or since it broke.
        case idle
        case dialing
        case connected
        /// Waits before it dials again.
        case waiting
        /// Another node was found at its address; no other is known.
        case lost
    }

    /// The two outgoing connections for messages to one peer, together.
    package struct Peer: Equatable, Sendable {
        /// The peer's node ID.
        package var id: NodeID
        /// Where it is dialled.
        package var address: PeerAddress
        /// Of the two connections, the one that is further.
        package var state: ConnectionState
        /// Encoded messages that wait to be written.
        package var queuedBytes: Int = 0
        /// Messages that wait to be written.
        package var queuedMessages: Int = 0
        /// Since the start of the process, as are all counters here.
        package var sentMessages: UInt64 = 0
        /// Of frames, as they were written.
        package var sentBytes: UInt64 = 0
        /// Given up because the queue was full or the connection broke; consensus sends again.
        package var droppedMessages: UInt64 = 0
        /// How often a connection was made.
        package var connections: UInt64 = 0
        /// Why the last dial failed or the last connection broke; nil before the first error.
        package var lastError: TransportError?

        package init(id: NodeID, address: PeerAddress, state: ConnectionState) {
            self.id = id
            self.address = address
            self.state = state
        }
    }

    /// What came in, over all connections.
    package struct Inbound: Equatable, Sendable {
        /// Connections of other nodes that are open now.
        package var peers: Int = 0
        /// Connections that have not shown yet what they are.
        package var unidentified: Int = 0
        /// Announced by frames above `TransportLimits.ambientBytes` that have not arrived whole.
        package var arrivingBytes: Int = 0
        /// Of messages that the node has not taken.
        package var untakenBytes: Int = 0
        /// Of consensus; since the start of the process, as are all counters here.
        package var receivedMessages: UInt64 = 0
        /// Of frames, as they were read.
        package var receivedBytes: UInt64 = 0
        /// Connections that turned out to be clients'.
        package var httpConnections: UInt64 = 0
        /// Connections that turned out to be other nodes'.
        package var nodeConnections: UInt64 = 0
        /// Of clients' connections, those that began with TLS, and were answered by it.
        package var httpHandshakes: UInt64 = 0
        /// The same of nodes'.
        package var nodeHandshakes: UInt64 = 0
        /// Connections refused because they began with TLS.
        package var refusedTLS: UInt64 = 0
        /// Connections refused because the certificate is another node's.
        package var refusedIdentity: UInt64 = 0
        /// Spoke in the clear where this node wants encryption.
        package var refusedPlain: UInt64 = 0
        /// Connections refused because they spoke neither HTTP nor the nodes' protocol, or another
        /// version of it.
        package var refusedUnknown: UInt64 = 0
        /// Connections refused because there were too many.
        package var refusedOverLimit: UInt64 = 0
        /// Connections ended because a frame was damaged or too large.
        package var corrupted: UInt64 = 0
        /// Connections and messages that were for another node or another cluster.
        package var misdirected: UInt64 = 0
        /// Pauses of listeners because descriptors or memory had run out.
        package var acceptFailures: UInt64 = 0

        package init() {}
    }

    /// Content of snapshots and of what is loaded, over all connections in one direction; since the start
    /// of the process.
    package struct Shipped: Equatable, Sendable {
        /// Of chunks as they go over the wire: packed, where they are, and without what frames add.
        package var wireBytes: UInt64 = 0
        /// Of the same, as the files have them.
        package var fileBytes: UInt64 = 0

        package init() {}
    }

    /// Sorted by ID.
    package var peers: [Peer]
    /// What came in.
    package var inbound: Inbound
    /// Files that went out, and that came in.
    package var sentFiles = Shipped()
    package var receivedFiles = Shipped()
    /// Messages to nodes whose address is not known, or at whose address another node was.
    package var unroutableMessages: UInt64

    package init(peers: [Peer] = [], inbound: Inbound = Inbound(), unroutableMessages: UInt64 = 0) {
        self.peers = peers
        self.inbound = inbound
        self.unroutableMessages = unroutableMessages
    }
}

/// A name whose lookup is under way.
package struct PendingResolution: Equatable, Sendable, CustomStringConvertible {
    /// As it stands in the address.
    package var name: String
    /// Since the lookup began.
    package var elapsed: TimeAmount

    package init(name: String, elapsed: TimeAmount) {
        self.name = name
        self.elapsed = elapsed
    }

    package var description: String {
        "waiting for DNS: \(name), \(elapsed.nanoseconds / 1_000_000_000) s"
    }
}
