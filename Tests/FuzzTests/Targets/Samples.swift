import Cluster
import PeerProtocol
import Raft
import Service
import Wire

/// Values for seeds.
enum Samples {
    static let cluster = ClusterID(RandomID(high: 0xC1, low: 0xC2))
    static let identity = identity(1)
    static let membership = Membership([member(1), member(2), member(3, .nonvoter)])
    static let leader = LeaderHint(
        id: NodeID("2"), address: address(2), apiURL: "http://10.0.0.2:4001")
    static let introduction = Introduction(
        identity: identity, cluster: cluster, address: address(1),
        wanted: .init(id: NodeID("2"), incarnation: incarnation(2)))

    static let entries = [
        Entry(index: LogIndex(1), term: Term(1), payload: .noop),
        Entry(index: LogIndex(2), term: Term(1), payload: .command(command)),
        Entry(index: LogIndex(3), term: Term(2), payload: .membership(membership)),
    ]

    static let statements = [
        Statement(
            "INSERT INTO t VALUES(?, ?, ?, ?)",
            positional: [.null, .integer(-1), .real(0.5), .blob([0, 255])]),
        Statement("SELECT :a", named: [.init(name: "a", value: .text("é"))]),
    ]
    static let command = LogCommand.command(
        Command(
            kind: .request, statements: statements, transaction: true,
            stamp: Stamp(milliseconds: 1_700_000_000_000, seed: 7))
    ).encoded()

    static let options = ReadOptions(
        level: .linearizable, freshness: Freshness(limit: .milliseconds(1500), strict: true),
        linearizableTimeout: .seconds(3), databaseTimeout: .seconds(1))

    static let offer = SnapshotOffer(
        cluster: cluster,
        id: SnapshotID(sender: NodeID("1"), generation: 3, index: LogIndex(17)),
        mark: SnapshotMark(
            position: LogPosition(index: LogIndex(17), term: Term(2)), membership: membership,
            membershipIndex: LogIndex(1)),
        byteCount: 8, term: Term(2))

    static let bootstrap = BootstrapValue(
        cluster: cluster,
        members: [1, 2, 3].map { member($0) })

    static let mark = CommitMark(cluster: cluster, epoch: 1, index: LogIndex(9))
    static let keyed = Command(
        kind: .execute, statements: statements, qualifyColumns: true,
        key: RepeatKey(name: Digest(low: 1, high: 2), content: Digest(low: 3, high: .max)))
    static let loadPart = LoadPart(
        id: LoadID(high: 5, low: .max), number: 1, byteCount: 1 << 40, bytes: [1, 2, 3],
        stamp: Stamp(milliseconds: 1_700_000_000_000, seed: 7))
    static let loadEnd = LoadEnd(
        id: LoadID(high: 5, low: .max), action: .replace, onlyEmpty: true, parts: 2,
        byteCount: 1 << 40)

    /// For an empty database alone.
    static var restored: DatabaseImage {
        var image = DatabaseImage(byteCount: 4096, packed: [1, 2, 3])
        image.needsEmpty = true
        return image
    }

    /// Of a read that must have seen something, and has seen something.
    static var demanding: ReadOptions {
        var options = Samples.options
        options.demand = .mark(mark)
        options.unless = mark
        return options
    }

    static func incarnation(_ number: UInt64) -> Incarnation {
        Incarnation(RandomID(high: 9, low: number))
    }

    static func address(_ number: UInt64) -> PeerAddress { PeerAddress("10.0.0.\(number):4002") }

    static func identity(_ number: UInt64) -> NodeIdentity {
        NodeIdentity(id: NodeID("\(number)"), incarnation: incarnation(number))
    }

    static func member(_ number: UInt64, _ suffrage: Suffrage = .voter) -> Member {
        Member(
            id: NodeID("\(number)"), incarnation: incarnation(number), address: address(number),
            suffrage: suffrage)
    }

    /// What `body` writes.
    static func bytes(_ body: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        body(&writer)
        return writer.bytes
    }
}
