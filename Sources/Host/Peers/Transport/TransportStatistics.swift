package import PeerProtocol
package import NIOCore
package import Raft

/// Counters and states of a transport at one moment, for `/status` and metrics.
package struct TransportStatistics: Equatable, Sendable {
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
        package var id: NodeID
        package var address: PeerAddress
        package var state: ConnectionState
        package var queuedBytes: Int = 0
        package var queuedMessages: Int = 0
        package var sentMessages: UInt64 = 0
        package var sentBytes: UInt64 = 0
        package var droppedMessages: UInt64 = 0
        package var connections: UInt64 = 0
        package var lastError: TransportError?

        package init(id: NodeID, address: PeerAddress, state: ConnectionState) {
            self.id = id
            self.address = address
            self.state = state
        }
    }

    /// What came in, over all connections.
    package struct Inbound: Equatable, Sendable {
        package var peers: Int = 0
        package var unidentified: Int = 0
        /// Announced by frames above `TransportLimits.ambientBytes` that have not arrived whole.
        package var arrivingBytes: Int = 0
        /// Of messages that the node has not taken.
        package var untakenBytes: Int = 0
        package var receivedMessages: UInt64 = 0
        package var receivedBytes: UInt64 = 0
        package var httpConnections: UInt64 = 0
        package var refusedTLS: UInt64 = 0
        package var refusedUnknown: UInt64 = 0
        package var refusedOverLimit: UInt64 = 0
        package var corrupted: UInt64 = 0
        /// Connections and messages that were for another node or another cluster.
        package var misdirected: UInt64 = 0
        /// Pauses of listeners because descriptors or memory had run out.
        package var acceptFailures: UInt64 = 0

        package init() {}
    }

    /// Sorted by ID.
    package var peers: [Peer]
    package var inbound: Inbound
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
    package var name: String
    package var elapsed: TimeAmount

    package init(name: String, elapsed: TimeAmount) {
        self.name = name
        self.elapsed = elapsed
    }

    package var description: String {
        "waiting for DNS: \(name), \(elapsed.nanoseconds / 1_000_000_000) s"
    }
}
