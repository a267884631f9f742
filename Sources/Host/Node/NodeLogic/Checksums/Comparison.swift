import PeerProtocol
import Raft
import Time
import Wire

/// The readings of several nodes at one marker.
struct Comparison {
    let own: ChecksumReading
    let begun: MonotonicTime
    var others: [NodeID: ChecksumReading] = [:]
    var asked: [NodeID: MonotonicTime] = [:]
    /// Nobody is asked any more.
    var isOver = false

    init(own: ChecksumReading, begun: MonotonicTime) {
        self.own = own
        self.begun = begun
    }

    func reading(of id: NodeID, own ownID: NodeID) -> ChecksumReading? {
        id == ownID ? own : others[id]
    }

    func isComplete(_ voters: [NodeID], own ownID: NodeID) -> Bool {
        voters.allSatisfy { reading(of: $0, own: ownID) != nil }
    }

    /// A value that a majority of the voters has is right. Whoever has another is the odd one out;
    /// where no majority can come about, nobody knows who is right.
    func verdict(
        _ voters: [NodeID], own ownID: NodeID, tracesAlike: (NodeID) -> Bool
    ) -> ChecksumVerdict {
        var traces: [(id: NodeID, digest: Digest)] = []
        var pieces: [(id: NodeID, digest: Digest)] = []
        for id in voters {
            guard let reading = reading(of: id, own: ownID) else { continue }
            if let trace = reading.trace, tracesAlike(id) { traces.append((id, trace)) }
            if case .read(let digest) = reading.piece { pieces.append((id, digest)) }
        }
        let isFinal = isOver || isComplete(voters, own: ownID)
        var verdict = ChecksumVerdict(index: own.index)
        let quorum = voters.count / 2 + 1
        var ownPiece: Digest?
        if case .read(let digest) = own.piece { ownPiece = digest }
        verdict.judge(
            .writes, traces, own: own.trace, besides: ownID, quorum: quorum, isFinal: isFinal)
        verdict.judge(
            .content, pieces, own: ownPiece, besides: ownID, quorum: quorum, isFinal: isFinal)
        // SQLite's own word needs no majority, but somebody whose database is whole.
        if own.piece == .damaged, Set(pieces.map(\.digest)).count == 1 {
            verdict.ownDeviation = verdict.ownDeviation ?? .damage
        }
        verdict.isDamaged = own.piece == .damaged
        return verdict
    }
}

/// What the readings at a marker say.
struct ChecksumVerdict: Equatable {
    /// In what nodes differ.
    enum Matter: String, Equatable {
        case writes = "the rows that were written"
        case content = "the content of the database"
        case damage = "the database file: SQLite finds it damaged"
    }

    /// The marker.
    var index = LogIndex.zero
    /// A majority of the voters agrees, and this node differs from it.
    var ownDeviation: Matter?
    /// Others that differ from a majority of the voters.
    var deviants: [NodeID] = []
    /// Nodes differ and no majority can say who is right; who has which value, in words.
    var undecided: String?
    /// This node's SQLite says that its database is damaged.
    var isDamaged = false

    init(index: LogIndex = .zero) { self.index = index }

    fileprivate mutating func judge(
        _ matter: Matter, _ values: [(id: NodeID, digest: Digest)], own: Digest?,
        besides ownID: NodeID, quorum: Int, isFinal: Bool
    ) {
        let right = values.first { value in
            values.count { $0.digest == value.digest } >= quorum
        }?.digest
        if let right {
            if let own, own != right { ownDeviation = ownDeviation ?? matter }
            for value in values where value.digest != right && value.id != ownID {
                if !deviants.contains(value.id) { deviants.append(value.id) }
            }
            return
        }
        guard isFinal, Set(values.map(\.digest)).count > 1, undecided == nil else { return }
        let list = values.map { "node \($0.id) has \($0.digest)" }.joined(separator: ", ")
        undecided = "\(matter.rawValue): \(list)"
    }
}
