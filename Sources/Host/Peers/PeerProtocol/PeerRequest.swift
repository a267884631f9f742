package import Raft
package import Rights
package import Wire

/// A question of one node to another outside the log's replication. Each is asked over a connection
/// of its own, of nodes that may not be members of anything yet.
///
///     u8 kind | content | since 1.3, only if there is one: credential, see Credential.swift;
///     content may be followed by fields of a later minor version
///     kind 1  hello      –
///     kind 2  join       identity | address | optional API URL | u8 suffrage | optional cluster
///                        | u8 intent | since 1.1: optional run
///     kind 3  formation  bytes
///     kind 4  checksums  –                                       (since minor version 2)
///     kind 5  seed       –                                       (since minor version 2)
///     kind 6  disowned   cluster                                 (since minor version 4)
package enum PeerRequest: Equatable, Sendable {
    /// Who are you?
    case hello
    case join(JoinRequest)
    /// A message of the agreement on one bootstrap, opaque here.
    case formation([UInt8])
    /// What did you find at the last markers for checksums?
    case checksums
    /// A member whose database is not to be trusted asks the leader for a snapshot.
    case seed
    /// The leader of the cluster got what the asked node says as a member, and doesn't count it: the
    /// member of its ID has another data directory. The asked node finds out what it is, by asking to
    /// join with the intent *resume*. Answered by a hello.
    case disowned(ClusterID)
}

/// A node asks to become a member.
package struct JoinRequest: Equatable, Sendable {
    /// Who wants to join.
    package var identity: NodeIdentity
    /// The advertised Raft address, at which the contacted node dials back.
    package var address: PeerAddress
    /// Full URL of its HTTP API.
    package var apiURL: String?
    /// `voter`, or `nonvoter` for a read replica.
    package var suffrage: Suffrage
    /// The cluster the node already belongs to.
    package var cluster: ClusterID?
    /// Why it asks.
    package var intent: Intent
    /// Of the process that asks, as in its hello; nil from one that does not say.
    package var run: RandomID?

    /// Why a node asks to join.
    package enum Intent: UInt8, Sendable {
        case join = 0
        /// The node thinks itself a member: it tells its address, and wants to hear if it was
        /// removed. It does not ask to be taken in again.
        case resume = 1
    }

    package init(
        identity: NodeIdentity, address: PeerAddress, apiURL: String?, suffrage: Suffrage,
        cluster: ClusterID?, intent: Intent = .join, run: RandomID? = nil
    ) {
        self.identity = identity
        self.address = address
        self.apiURL = apiURL
        self.suffrage = suffrage
        self.cluster = cluster
        self.intent = intent
        self.run = run
    }
}

/// Who asks: what the connection's introduction says, and where it comes from.
package struct PeerCaller: Equatable, Sendable {
    /// Who asks.
    package var identity: NodeIdentity
    /// The caller's end of the connection; its port means nothing.
    package var remoteAddress: String
    /// What came with the question; the machine never sees it.
    package var credential: Credential
    /// Waits for verdicts on what it may ask, until its connection is gone.
    package let asker: Asker

    package init(
        identity: NodeIdentity, remoteAddress: String, credential: Credential = .none
    ) {
        self.identity = identity
        self.remoteAddress = remoteAddress
        self.credential = credential
        asker = Asker(address: remoteAddress)
    }

    /// Who waits for verdicts is the same as the rest is.
    package static func == (a: PeerCaller, b: PeerCaller) -> Bool {
        a.identity == b.identity && a.remoteAddress == b.remoteAddress
            && a.credential == b.credential
    }
}

extension PeerRequest {
    /// What who asks must be granted, at a node that asks for credentials; nil: nothing. A node that
    /// is in the agreement on one bootstrap is about to be a voter.
    package var need: RightsNeed? {
        switch self {
        case .hello, .checksums, .seed, .disowned: nil
        case .join(let request):
            request.suffrage == .nonvoter
                ? RightsNeed(anyOf: [.joinReadOnly, .joinReadReplica]) : RightsNeed([.join])
        case .formation: RightsNeed([.join])
        }
    }

    private enum Kind: UInt8 {
        case hello = 1
        case join = 2
        case formation = 3
        case checksums = 4
        case seed = 5
        case disowned = 6
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .hello: writer.write(Kind.hello.rawValue)
        case .join(let request):
            writer.write(Kind.join.rawValue)
            request.encode(into: &writer)
        case .formation(let bytes):
            writer.write(Kind.formation.rawValue)
            writer.write(bytes)
        case .checksums: writer.write(Kind.checksums.rawValue)
        case .seed: writer.write(Kind.seed.rawValue)
        case .disowned(let cluster):
            writer.write(Kind.disowned.rawValue)
            cluster.encode(into: &writer)
        }
    }

    /// Nil when the kind is one this version does not know; its number is then the first byte.
    package init?(from reader: inout ByteReader) throws(WireError) {
        switch Kind(rawValue: try reader.readByte()) {
        case .hello: self = .hello
        case .join: self = .join(try JoinRequest(from: &reader))
        case .formation: self = .formation(try reader.readBytes())
        case .checksums: self = .checksums
        case .seed: self = .seed
        case .disowned: self = .disowned(try ClusterID(from: &reader))
        case nil: return nil
        }
    }
}

extension JoinRequest {
    package func encode(into writer: inout ByteWriter) {
        identity.encode(into: &writer)
        address.encode(into: &writer)
        writer.write(apiURL) { $0.write($1) }
        writer.write(suffrage.rawValue)
        writer.write(cluster) { $1.encode(into: &$0) }
        writer.write(intent.rawValue)
        writer.write(run) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        identity = try NodeIdentity(from: &reader)
        address = try PeerAddress(from: &reader)
        apiURL = try reader.readOptional { (r) throws(WireError) in try r.readText() }
        let raw = try reader.readByte()
        guard let suffrage = Suffrage(rawValue: raw) else {
            throw .invalid(field: "suffrage", value: UInt64(raw))
        }
        self.suffrage = suffrage
        cluster = try reader.readOptional { (r) throws(WireError) in try ClusterID(from: &r) }
        let rawIntent = try reader.readByte()
        guard let intent = Intent(rawValue: rawIntent) else {
            throw .invalid(field: "intent of a join", value: UInt64(rawIntent))
        }
        self.intent = intent
        run =
            reader.isAtEnd
            ? nil : try reader.readOptional { (r) throws(WireError) in try RandomID(from: &r) }
    }
}
