import PeerProtocol
import Raft
import Time

/// What a node knows of the others: how they introduced themselves, and where they are to be
/// reached.
struct Acquaintances {
    /// What other members said of themselves.
    private(set) var hellos: [NodeID: Hello] = [:]
    /// Where members are, by the membership or, for a joiner, by what the leader said.
    private var hints: [NodeID: PeerAddress] = [:]
    private var asked: [NodeID: MonotonicTime] = [:]
    /// Members that were not reached since they introduced themselves: they may come back as another version.
    private var lost: Set<NodeID> = []
    /// Those of `hellos` that were no members when they were met, the oldest first.
    private var joiners: [NodeID] = []
    /// Nobody of these members is due through this time, unless more is learnt of one.
    private var rest: (through: MonotonicTime, of: Membership)?

    /// Joiners that are remembered: whoever asks to join says who it is, as often as it likes.
    static let mostJoiners = 64
    /// How often a member that has not introduced itself is asked to.
    private static var pause: Duration { .seconds(1) }
    /// How often one that has is asked again, though it was never lost.
    private static var refreshPause: Duration { .seconds(60) }

    subscript(id: NodeID) -> Hello? { hellos[id] }

    mutating func met(_ hello: Hello) {
        hellos[hello.identity.id] = hello
        lost.remove(hello.identity.id)
        rest = nil
    }

    /// A message did not get through.
    mutating func unreachable(_ id: NodeID) {
        guard hints[id] != nil else { return }
        lost.insert(id)
        rest = nil
    }

    /// Who is no member asks to join, and was found where it says.
    mutating func metJoiner(_ hello: Hello) {
        let id = hello.identity.id
        rest = nil
        if hellos.updateValue(hello, forKey: id) == nil { joiners.append(id) }
        guard joiners.count > Self.mostJoiners else { return }
        let oldest = joiners.removeFirst()
        // Of who has become a member the membership says where it is.
        if hints[oldest] == nil { forget(oldest) }
    }

    /// A member that moved was perhaps met at its new address already: only what the membership
    /// newly says replaces that.
    /// - Returns: whether the address is news.
    mutating func hinted(_ address: PeerAddress, for id: NodeID) -> Bool {
        guard hints[id] != address else { return false }
        hints[id] = address
        return true
    }

    func hint(for id: NodeID) -> PeerAddress? { hints[id] }

    /// All of whom an address was said, by their IDs.
    var hinted: [NodeID] { hints.keys.sorted() }

    /// It is nobody's member any more.
    mutating func forget(_ id: NodeID) {
        rest = nil
        hints[id] = nil
        hellos[id] = nil
        asked[id] = nil
        lost.remove(id)
    }

    /// Where this very member was met; nil if it was not.
    func address(of member: Member) -> PeerAddress? {
        hellos[member.id].flatMap {
            $0.identity.incarnation == member.incarnation ? $0.address : nil
        }
    }

    /// Members that are to be asked now who they are: those that did not introduce themselves at their
    /// address yet, and once in a while the others.
    mutating func due(
        _ membership: Membership, except own: NodeID, now: MonotonicTime
    ) -> [Member] {
        if let rest, now <= rest.through, membership == rest.of { return [] }
        var through = MonotonicTime(nanoseconds: .max)
        let due = membership.members.filter { member in
            guard member.id != own else { return false }
            let isKnown =
                hellos[member.id]?.address == member.address && !lost.contains(member.id)
            let pause = isKnown ? Self.refreshPause : Self.pause
            if let last = asked[member.id], now - last <= pause {
                through = min(through, last + pause)
                return false
            }
            asked[member.id] = now
            through = min(through, now + pause)
            return true
        }
        rest = (through, membership)
        return due
    }

    /// A new leader asks all again at once.
    mutating func askAgain() {
        asked = [:]
        rest = nil
    }
}
