/// The version of the protocol between nodes. Minor versions only add: what a node does not know
/// it ignores or answers as unsupported. A newer major version is refused, naming both.
package struct ProtocolVersion: Equatable, Sendable, CustomStringConvertible {
    /// Nodes of different ones refuse each other.
    package var major: UInt8
    /// Nodes of different ones work together.
    package var minor: UInt8

    package init(major: UInt8, minor: UInt8) {
        self.major = major
        self.minor = minor
    }

    /// What this program speaks.
    package static let current = ProtocolVersion(major: 1, minor: 4)

    /// Since when nodes can read markers for checksums, in the log and about it.
    package static let checksums = ProtocolVersion(major: 1, minor: 2)

    /// Since when nodes can read entries that load a database, and be asked for a copy of theirs.
    package static let loads = ProtocolVersion(major: 1, minor: 3)

    /// Since when nodes can read entries that bring a database in parts, or for an empty one alone.
    package static let loadParts = ProtocolVersion(major: 1, minor: 4)

    /// Since when nodes can read entries of writes that may be repeated.
    package static let repeats = ProtocolVersion(major: 1, minor: 4)

    /// It has all that the other one has.
    package func includes(_ other: ProtocolVersion) -> Bool {
        (major, minor) >= (other.major, other.minor)
    }

    package var description: String { "\(major).\(minor)" }
}
