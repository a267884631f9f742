package import Raft
package import Wire

/// How a node describes itself to any other that asks.
///
///     identity | optional cluster | address | optional API URL | u8 protocol major, u8 minor
///     | u8 data version | text program version | text engine | u8 suffrage
///     | optional u32 bootstrap-expect | optional leader | u64 term | u64 commit index | bool ready
///     | optional run | optional address of the caller             (since minor version 1)
///     | optional last position that the caller acknowledged       (since minor version 1)
///     | optional last position that is known to be committed      (since minor version 4)
package struct Hello: Equatable, Sendable {
    /// What a node was built as, for others to compare and for people.
    package struct Versions: Equatable, Sendable {
        /// Of the protocol between nodes.
        package var protocolVersion: ProtocolVersion
        /// The newest data format that the node reads and writes.
        package var data: UInt8
        /// The program's, for people.
        package var program: String
        /// Source identity and options of its SQLite: a difference may show in floats and plans.
        package var engine: String

        package init(
            protocolVersion: ProtocolVersion = .current, data: UInt8, program: String,
            engine: String
        ) {
            self.protocolVersion = protocolVersion
            self.data = data
            self.program = program
            self.engine = engine
        }
    }

    /// Who answers.
    package var identity: NodeIdentity
    /// Nil while the node is in no cluster.
    package var cluster: ClusterID?
    /// The advertised Raft address.
    package var address: PeerAddress
    /// Full URL of the advertised HTTP API; nil if it is not known.
    package var apiURL: String?
    /// What it was built as.
    package var versions: Versions
    /// What the node is, or wants to be.
    package var suffrage: Suffrage
    /// What `-bootstrap-expect` says; nil without it.
    package var bootstrapExpect: Int?
    /// Who leads, as far as it knows.
    package var leader: LeaderHint?
    /// Its present term.
    package var term: Term
    /// As far as it knows; only what was written lazily after a start.
    package var commitIndex: LogIndex
    /// It may serve what its role allows.
    package var isReady: Bool
    /// 128 bits at random, new with each start of the process: two processes with one identity
    /// differ in it. Nil from a node that does not say.
    package var run: RandomID?
    /// Where the node knows the identity that asks, if it is a member or has introduced itself.
    package var callerAddress: PeerAddress?
    /// The last entry that the member which asks acknowledged to this node, which leads or led before in its
    /// run, so that it learns, should it have started on an older state of its disk, what it promised.
    package var callerAcknowledged: LogPosition?
    /// The last entry that it knows to be committed: what `commitIndex` lacks to be compared with another log. Nil
    /// where there is none, and from a node that does not say.
    package var committed: LogPosition?

    package init(
        identity: NodeIdentity, cluster: ClusterID?, address: PeerAddress, apiURL: String?,
        versions: Versions, suffrage: Suffrage, bootstrapExpect: Int?, leader: LeaderHint?,
        term: Term, commitIndex: LogIndex, isReady: Bool, run: RandomID? = nil,
        callerAddress: PeerAddress? = nil
    ) {
        self.identity = identity
        self.cluster = cluster
        self.address = address
        self.apiURL = apiURL
        self.versions = versions
        self.suffrage = suffrage
        self.bootstrapExpect = bootstrapExpect
        self.leader = leader
        self.term = term
        self.commitIndex = commitIndex
        self.isReady = isReady
        self.run = run
        self.callerAddress = callerAddress
    }
}

extension Hello {
    package func encode(into writer: inout ByteWriter) {
        identity.encode(into: &writer)
        writer.write(cluster) { $1.encode(into: &$0) }
        address.encode(into: &writer)
        writer.write(apiURL) { $0.write($1) }
        writer.write(versions.protocolVersion.major)
        writer.write(versions.protocolVersion.minor)
        writer.write(versions.data)
        writer.write(versions.program)
        writer.write(versions.engine)
        writer.write(suffrage.rawValue)
        writer.write(bootstrapExpect) { $0.write(UInt32(clamping: $1)) }
        writer.write(leader) { $1.encode(into: &$0) }
        term.encode(into: &writer)
        commitIndex.encode(into: &writer)
        writer.write(isReady)
        writer.write(run) { $1.encode(into: &$0) }
        writer.write(callerAddress) { $1.encode(into: &$0) }
        writer.write(callerAcknowledged) { $1.encode(into: &$0) }
        writer.write(committed) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        identity = try NodeIdentity(from: &reader)
        cluster = try reader.readOptional { (r) throws(WireError) in try ClusterID(from: &r) }
        address = try PeerAddress(from: &reader)
        apiURL = try reader.readOptional { (r) throws(WireError) in try r.readText() }
        versions = Versions(
            protocolVersion: ProtocolVersion(
                major: try reader.readByte(), minor: try reader.readByte()),
            data: try reader.readByte(), program: try reader.readText(),
            engine: try reader.readText())
        let raw = try reader.readByte()
        guard let suffrage = Suffrage(rawValue: raw) else {
            throw .invalid(field: "suffrage", value: UInt64(raw))
        }
        self.suffrage = suffrage
        bootstrapExpect = try reader.readOptional { (r) throws(WireError) in
            Int(try r.read(UInt32.self))
        }
        leader = try LeaderHint.readOptional(from: &reader)
        term = try Term(from: &reader)
        commitIndex = try LogIndex(from: &reader)
        isReady = try reader.readBool()
        guard !reader.isAtEnd else { return }
        run = try reader.readOptional { (r) throws(WireError) in try RandomID(from: &r) }
        callerAddress = try reader.readOptional { (r) throws(WireError) in
            try PeerAddress(from: &r)
        }
        guard !reader.isAtEnd else { return }
        callerAcknowledged = try reader.readOptional { (r) throws(WireError) in
            try LogPosition(from: &r)
        }
        guard !reader.isAtEnd else { return }
        committed = try reader.readOptional { (r) throws(WireError) in
            try LogPosition(from: &r)
        }
    }
}
