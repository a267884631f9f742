package import Raft
package import Wire

/// The answer to a `PeerRequest`.
///
///     u8 kind | content; content may be followed by fields of a later minor version
///     kind 1  hello         as `Hello` lists
///     kind 2  joined        cluster | membership | optional leader
///     kind 3  join refused  u8 code | text | optional leader
///     kind 4  formation     bytes
///     kind 5  unsupported   u8 kind of the request
///     kind 6  failed        text
///     kind 7  checksums     list of readings, see ChecksumReading.swift
///     kind 8  seeding       –
package enum PeerAnswer: Equatable, Sendable {
    case hello(Hello)
    case joined(JoinAcceptance)
    case joinRefused(JoinRefusal)
    case formation([UInt8])
    /// The node does not know requests of this kind.
    case unsupported(kind: UInt8)
    /// The node can't answer now, and says why.
    case failed(String)
    /// What the node found at the last markers, oldest first; at most `ChecksumReading.kept`.
    case checksums([ChecksumReading])
    /// A snapshot will be offered.
    case seeding
}

/// Where the leader is, as far as the answering node knows.
package struct LeaderHint: Equatable, Sendable {
    /// The leader.
    package var id: NodeID
    /// Its advertised Raft address.
    package var address: PeerAddress
    /// Full URL of its HTTP API; nil if it is not known.
    package var apiURL: String?

    package init(id: NodeID, address: PeerAddress, apiURL: String?) {
        self.id = id
        self.address = address
        self.apiURL = apiURL
    }
}

/// The node is a member, or will be when the change is committed.
package struct JoinAcceptance: Equatable, Sendable {
    /// Which it joins.
    package var cluster: ClusterID
    /// As the leader has it with the new member.
    package var membership: Membership
    /// Who leads there.
    package var leader: LeaderHint?

    package init(cluster: ClusterID, membership: Membership, leader: LeaderHint?) {
        self.cluster = cluster
        self.membership = membership
        self.leader = leader
    }
}

/// Why the node does not become a member now.
package struct JoinRefusal: Error, Equatable, Sendable {
    /// What the joiner has to do about it.
    package enum Code: UInt8, Sendable {
        /// Ask the leader, if the hint names one; otherwise again later.
        case notLeader = 1
        /// The node is in no cluster itself.
        case notFormed = 2
        case otherCluster = 3
        /// A live node with this ID and another incarnation is at another address.
        case idInUse = 4
        /// The joiner can't be reached at the address it advertises.
        case unreachable = 5
        /// Versions or settings don't go together.
        case incompatible = 6
        /// Another change is under way, or no quorum: again later.
        case busy = 7
        /// The node asked whether it is still a member: it is not.
        case removed = 8
        /// Another process with the asker's very identity is alive, at the address where the cluster
        /// knows it: one of the two data directories is a copy, and the asker must not take part.
        case identityInUse = 9
        /// The credential that came with the question, or that none came, gives no right to join.
        case unauthorized = 10
        /// A code of a later version.
        case other = 255
    }

    /// The kind of refusal.
    package var code: Code
    /// For the operator: what is wrong and what to do.
    package var text: String
    /// Whom to ask instead.
    package var leader: LeaderHint?

    package init(code: Code, text: String, leader: LeaderHint? = nil) {
        self.code = code
        self.text = text
        self.leader = leader
    }
}

extension PeerAnswer {
    private enum Kind: UInt8 {
        case hello = 1
        case joined = 2
        case joinRefused = 3
        case formation = 4
        case unsupported = 5
        case failed = 6
        case checksums = 7
        case seeding = 8
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .hello(let hello):
            writer.write(Kind.hello.rawValue)
            hello.encode(into: &writer)
        case .joined(let acceptance):
            writer.write(Kind.joined.rawValue)
            acceptance.cluster.encode(into: &writer)
            acceptance.membership.encode(into: &writer)
            writer.write(acceptance.leader) { $1.encode(into: &$0) }
        case .joinRefused(let refusal):
            writer.write(Kind.joinRefused.rawValue)
            writer.write(refusal.code.rawValue)
            writer.write(refusal.text)
            writer.write(refusal.leader) { $1.encode(into: &$0) }
        case .formation(let bytes):
            writer.write(Kind.formation.rawValue)
            writer.write(bytes)
        case .unsupported(let kind):
            writer.write(Kind.unsupported.rawValue)
            writer.write(kind)
        case .failed(let text):
            writer.write(Kind.failed.rawValue)
            writer.write(text)
        case .checksums(let readings):
            writer.write(Kind.checksums.rawValue)
            writer.write(readings) { $1.encode(into: &$0) }
        case .seeding: writer.write(Kind.seeding.rawValue)
        }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        switch Kind(rawValue: raw) {
        case .hello: self = .hello(try Hello(from: &reader))
        case .joined:
            self = .joined(
                JoinAcceptance(
                    cluster: try ClusterID(from: &reader),
                    membership: try Membership(from: &reader),
                    leader: try LeaderHint.readOptional(from: &reader)))
        case .joinRefused:
            let code = JoinRefusal.Code(rawValue: try reader.readByte()) ?? .other
            self = .joinRefused(
                JoinRefusal(
                    code: code, text: try reader.readText(),
                    leader: try LeaderHint.readOptional(from: &reader)))
        case .formation: self = .formation(try reader.readBytes())
        case .unsupported: self = .unsupported(kind: try reader.readByte())
        case .failed: self = .failed(try reader.readText())
        case .checksums:
            let readings = try reader.readList(elementSize: 10) { (r) throws(WireError) in
                try ChecksumReading(from: &r)
            }
            self = .checksums(Array(readings.suffix(ChecksumReading.kept)))
        case .seeding: self = .seeding
        case nil: throw .invalid(field: "answer kind", value: UInt64(raw))
        }
    }
}

extension LeaderHint {
    package func encode(into writer: inout ByteWriter) {
        id.encode(into: &writer)
        address.encode(into: &writer)
        writer.write(apiURL) { $0.write($1) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        id = try NodeID(from: &reader)
        address = try PeerAddress(from: &reader)
        apiURL = try reader.readOptional { (r) throws(WireError) in try r.readText() }
    }

    static func readOptional(from reader: inout ByteReader) throws(WireError) -> LeaderHint? {
        try reader.readOptional { (r) throws(WireError) in try LeaderHint(from: &r) }
    }
}
