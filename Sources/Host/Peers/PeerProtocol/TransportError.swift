/// Why something could not be exchanged with another node.
package struct TransportError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What kind of failure it is, for those who act on it.
    package enum Reason: Equatable, Sendable {
        /// The address is not of the form `host:port`.
        case invalidAddress
        /// The name does not resolve.
        case noSuchHost
        case connectionRefused
        /// The network or the host can't be reached.
        case unreachable
        case timedOut
        /// The other end closed or reset the connection, or went silent.
        case connectionLost
        /// What is listening there does not speak the node protocol.
        case notANode
        /// The nodes speak different major versions of the protocol.
        case versionMismatch
        /// Bytes that break the protocol, or whose checksum is wrong.
        case corrupted
        case tooLarge
        /// Another node answers there than the one that was wanted.
        case otherNode(Introduction)
        /// The other node refused, and said why.
        case refused
        /// The snapshot's source or file failed.
        case storage
        case cancelled
        /// This node is stopping.
        case shutDown
        case other
    }

    /// What kind of failure it is.
    package var reason: Reason
    /// Of the other node, as it was given or as the connection has it.
    package var address: String
    /// In words, without the address.
    package var cause: String

    package init(_ reason: Reason, address: String, cause: String) {
        self.reason = reason
        self.address = address
        self.cause = cause
    }

    package var description: String { "\(address): \(cause)" }
}
