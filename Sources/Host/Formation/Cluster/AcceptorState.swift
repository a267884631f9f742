package import Raft
package import Wire

/// What a node has promised and accepted on the way to a bootstrap. It is durable before anything
/// that follows from it is said to another node, and it outlives the formation.
///
///     u8 version = 1, 2 if a list has names, 3 if something was dropped
///     | u64 counter | optional ballot promised | optional accepted
///     | u32 count, recorded lists | optional bootstrap value chosen | u32 count, abandoned clusters
///     | since 3: u32 count, dropped addresses | u32 CRC-32C of all before it
///     accepted       ballot | bootstrap value | list
///     recorded list  ballot | list
package struct AcceptorState: Equatable, Sendable {
    /// What this node accepted last, in the words of Paxos (Lamport, "Paxos Made Simple", 2001).
    package struct Accepted: Hashable, Sendable {
        /// The attempt in which it was accepted.
        package let ballot: Ballot
        /// What was agreed to, should a quorum have accepted the same.
        package let value: BootstrapValue
        /// The list for which the ballot was held.
        package let list: CandidateList

        package init(ballot: Ballot, value: BootstrapValue, list: CandidateList) {
            self.ballot = ballot
            self.value = value
            self.list = list
        }
    }

    struct RecordedList: Hashable, Sendable {
        let ballot: Ballot
        let list: CandidateList
    }

    /// The highest counter used by this node or seen in a ballot. It never goes back. A message
    /// moves it by `FormationLimits.ballotReach` at most.
    package internal(set) var counter: UInt64 = 0
    /// The highest ballot promised: older ones are refused. Nil before the first promise. Durable
    /// before the promise is sent.
    package internal(set) var promised: Ballot?
    /// Nil before the first acceptance. Durable before the acceptance is sent.
    package internal(set) var accepted: Accepted?
    /// The lists of the ballots promised since the last acceptance. A proposal that was accepted
    /// had a quorum of each list recorded before it, so these are forgotten with it.
    var recorded: [RecordedList] = []
    /// The agreed bootstrap, once this node knows it.
    package internal(set) var chosen: BootstrapValue?
    /// Bootstraps this node has dropped for good; it never starts one of them.
    package internal(set) var abandoned: [ClusterID] = []
    /// Addresses that an operator said to be gone for good, sorted; at most `FormationLimits.addresses`.
    /// Forgotten with the agreement's end. Durable before a ballot that counts without them.
    package internal(set) var dropped: [PeerAddress] = []

    package init() {}

    /// Others may found a cluster that counts on this node, by a bootstrap that it promised to a
    /// ballot for, accepted, or learnt of. It can bring that to its end, or join a cluster, but not
    /// found one by itself.
    package var isEngaged: Bool { promised != nil || accepted != nil || chosen != nil }

    /// Drops a leaderless bootstrap for good (`BootstrapDisposal`). Durable, together with
    /// `MetadataRecord.abandoned`, before this node joins another cluster.
    package mutating func abandon(_ cluster: ClusterID) {
        if !abandoned.contains(cluster) { abandoned.append(cluster) }
        if chosen?.cluster == cluster { chosen = nil }
    }

    /// All lists of which a quorum of a later ballot must be a quorum too.
    package var lists: [CandidateList] {
        (accepted.map { [$0.list] } ?? []) + recorded.map(\.list)
    }

    /// Whether a message may move this node's counter to that of the ballot.
    func isInReach(_ ballot: Ballot) -> Bool {
        ballot.counter <= counter || ballot.counter - counter <= FormationLimits.ballotReach
    }

    /// The counter of this node's next ballot; nil when all are used up.
    var nextCounter: UInt64? { counter < .max ? counter + 1 : nil }

    /// Whether a promise for `list` can be remembered.
    func canRecord(_ list: CandidateList) -> Bool {
        recorded.count < FormationLimits.recordedLists
            || recorded.contains { $0.list.hasSameAddresses(as: list) }
    }

    mutating func promise(_ ballot: Ballot, for list: CandidateList) {
        counter = max(counter, ballot.counter)
        guard promised != ballot else { return }
        promised = ballot
        var list = list
        if let index = recorded.firstIndex(where: { $0.list.hasSameAddresses(as: list) }) {
            list = list.completed(by: recorded.remove(at: index).list)
        }
        recorded.append(RecordedList(ballot: ballot, list: list))
    }

    /// `ballot` is the one promised last.
    mutating func accept(_ value: BootstrapValue, in ballot: Ballot, for list: CandidateList) {
        precondition(promised == ballot, "accepting \(ballot) after promising another")
        accepted = Accepted(ballot: ballot, value: value, list: list)
        recorded.removeAll { $0.ballot <= ballot }
    }
}

extension AcceptorState {
    /// The second tells the names of lists' addresses, too, the third what was dropped; written only
    /// where there are some.
    static let version: UInt8 = 3

    private var hasNames: Bool { lists.contains(where: \.hasNames) }

    /// The table at the head of this file, with the format's version first.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        let hasDrops = !dropped.isEmpty
        let hasNames = hasDrops || hasNames
        writer.write(hasDrops ? Self.version : hasNames ? 2 : 1)
        writer.write(counter)
        writer.write(promised) { $1.encode(into: &$0) }
        writer.write(accepted) { $1.encode(into: &$0, names: hasNames) }
        writer.write(recorded) { writer, record in
            record.ballot.encode(into: &writer)
            record.list.encode(into: &writer, names: hasNames)
        }
        writer.write(chosen) { $1.encode(into: &$0) }
        writer.write(abandoned) { $1.encode(into: &$0) }
        if hasDrops { writer.write(dropped) { $1.encode(into: &$0) } }
        writer.write(CRC32C(writer.bytes).value)
        return writer.bytes
    }

    /// Fails on other versions, on what is cut short, and on bytes left over.
    package init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = ByteReader(bytes)
        let version = try reader.readByte()
        guard (1...Self.version).contains(version) else {
            throw .unsupportedVersion(found: version, supported: Self.version)
        }
        let names = version >= 2
        counter = try reader.read()
        promised = try reader.readOptional { (r) throws(WireError) in try Ballot(from: &r) }
        accepted = try reader.readOptional { (r) throws(WireError) in
            try Accepted(from: &r, names: names)
        }
        recorded = try reader.readList(elementSize: 32) { (r) throws(WireError) in
            RecordedList(
                ballot: try Ballot(from: &r), list: try CandidateList(from: &r, names: names))
        }
        chosen = try reader.readOptional { (r) throws(WireError) in try BootstrapValue(from: &r) }
        abandoned = try reader.readList(elementSize: 16) { (r) throws(WireError) in
            try ClusterID(from: &r)
        }
        dropped = version >= 3 ? try CandidateList.readDropped(from: &reader) : []
        let checksum = CRC32C(bytes[..<reader.offset]).value
        let stored = try reader.read(UInt32.self)
        guard stored == checksum else {
            throw .invalid(field: "checksum of the formation state", value: UInt64(stored))
        }
        try reader.expectEnd()
    }
}

extension AcceptorState.Accepted {
    /// - Parameter names: of the list, see `CandidateList.encode`.
    package func encode(into writer: inout ByteWriter, names: Bool = false) {
        ballot.encode(into: &writer)
        value.encode(into: &writer)
        list.encode(into: &writer, names: names)
    }

    package init(from reader: inout ByteReader, names: Bool = false) throws(WireError) {
        self.init(
            ballot: try Ballot(from: &reader), value: try BootstrapValue(from: &reader),
            list: try CandidateList(from: &reader, names: names))
    }
}
