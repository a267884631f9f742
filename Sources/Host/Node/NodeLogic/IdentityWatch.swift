import PeerProtocol
import Raft
import Time

/// Sees to it that no two processes act under one identity: a data directory that was copied, or
/// restored beside its original, has the very incarnation of a member.
///
/// - *At start* a member asks, before it votes, acknowledges or serves, where its cluster knows it:
///   its own address, for another process may have the same, behind a name or a relay; its former
///   one, if that was another; and the other members. If a process with its identity and another
///   run answers at any of these places, this one ends. Who can't be asked delays the start by
///   `patience` at most: the others may all be gone, or all have moved. A member's word on where
///   this identity is leads to one more place, once for each member.
/// - *When it comes to its cluster* a node asks where that knows it, if elsewhere: a data directory that was
///   copied before it had a cluster is named by the founding of its original (decision 201). Where others have
///   worked there already, the founding may be an old one: then it asks as at a start (decision 260).
/// - *Later* a member that hears an identity speak from another place than before asks who is at the
///   former place. If the identity is alive there, the newcomer is refused and the operator told.
struct IdentityWatch {
    /// What an answer means for this node.
    enum Verdict: Equatable {
        /// More answers are waited for.
        case open
        /// Nobody else bears this identity, as far as anybody says.
        case alone
        /// Another process does.
        case doubled(at: PeerAddress)
    }

    /// Where another node was heard to be.
    struct Place: Equatable, Sendable {
        var incarnation: Incarnation
        var address: PeerAddress
    }

    /// How long the start waits for those who don't answer.
    static var patience: Duration { .seconds(1) }

    private let identity: NodeIdentity
    private let address: PeerAddress
    /// Of this process.
    let run: RandomID
    private var asked: [PeerCallID: PeerAddress] = [:]
    /// Places that were asked already.
    private var known: Set<PeerAddress> = []
    /// Members that may yet say where they know this identity: what others say, or the same one
    /// again, would let anybody at a member's address hold up the start for ever.
    private var witnesses: Set<NodeIdentity> = []
    /// Where others were heard to be, by what they said of themselves.
    private(set) var places: [NodeID: Place] = [:]
    /// Newcomers under a known identity, until its former place has answered.
    private var suspects: [PeerCallID: (identity: NodeIdentity, at: PeerAddress)] = [:]

    init(_ options: NodeOptions, run: RandomID) {
        identity = options.identity
        address = options.address
        self.run = run
    }

    /// What members said at the start of the time before it.
    private(set) var testimonies: [(witness: NodeIdentity, testimony: RaftMachine.Testimony)] = []
    /// No leader has said yet what it saw of this node.
    private(set) var awaitsLeader = false
    /// Which leader was asked for that last, where and when.
    private var lastAsked: (leader: NodeID, places: [PeerAddress], at: MonotonicTime)?

    // MARK: Witnesses

    mutating func note(_ hello: Hello) {
        testimonies.removeAll { $0.witness == hello.identity }
        testimonies.append((hello.identity, RaftMachine.Testimony(hello)))
    }

    /// Whether the leader must be asked now at these places: again and again until one has answered. A
    /// question may get lost, or lead to where the leader was once, and without an answer nothing binds
    /// this node.
    mutating func mustAsk(
        _ leader: NodeID, at places: [PeerAddress], now: MonotonicTime
    ) -> Bool {
        guard awaitsLeader, !places.isEmpty else { return false }
        if testimonies.contains(where: { $0.witness.id == leader }) {
            awaitsLeader = false
            return false
        }
        if let lastAsked, lastAsked.leader == leader, lastAsked.places == places,
            now - lastAsked.at < Self.patience
        {
            return false
        }
        lastAsked = (leader, places, now)
        return true
    }

    /// A leader has said what it saw of this node.
    mutating func leaderTestified() { awaitsLeader = false }

    /// Where the member spoke from last, whether or not its former place has answered; nil if it never
    /// spoke.
    func place(of member: NodeIdentity) -> PeerAddress? {
        let newcomer = suspects.filter { $0.value.identity == member }
            .max { $0.key.rawValue < $1.key.rawValue }
        if let newcomer { return newcomer.value.at }
        return places[member.id].flatMap {
            $0.incarnation == member.incarnation ? $0.address : nil
        }
    }

    // MARK: At start

    /// Whom to ask before this node takes part, at a start or as a founder that comes late; nobody, if it is its
    /// cluster alone and where it was.
    mutating func questions(_ membership: Membership) -> [PeerAddress] {
        awaitsLeader = true
        let former = membership[identity.id].map { [$0.address] } ?? []
        let others = membership.members.filter { $0.id != identity.id }
        witnesses = Set(others.map(NodeIdentity.init(member:)))
        let elsewhere = (former + others.map(\.address)).filter { $0 != address }
        guard !elsewhere.isEmpty else { return [] }
        return ([address] + elsewhere).filter { known.insert($0).inserted }
    }

    /// Where a cluster to which this node has just come knows it, if elsewhere than it is.
    func formerPlace(in membership: Membership) -> PeerAddress? {
        membership[identity.id].flatMap { $0.address == address ? nil : $0.address }
    }

    mutating func asking(_ id: PeerCallID, at place: PeerAddress) { asked[id] = place }

    var isAsking: Bool { !asked.isEmpty }

    /// - Returns: what is known now, and where else to ask.
    mutating func answered(
        _ id: PeerCallID, _ result: PeerResult
    ) -> (verdict: Verdict, next: [PeerAddress]) {
        guard let place = asked.removeValue(forKey: id) else { return (.open, []) }
        var next: [PeerAddress] = []
        if case .success(.hello(let hello)) = result {
            if hello.identity == identity, isOther(hello) {
                asked = [:]
                return (.doubled(at: place), [])
            }
            if let elsewhere = hello.callerAddress, witnesses.remove(hello.identity) != nil,
                known.insert(elsewhere).inserted
            {
                next.append(elsewhere)
            }
        }
        return (asked.isEmpty && next.isEmpty ? .alone : .open, next)
    }

    /// Another process than this one. One that does not name its run is told by its address: two
    /// can't listen at one.
    private func isOther(_ hello: Hello) -> Bool {
        hello.run.map { $0 != run } ?? (hello.address != address)
    }

    // MARK: Later

    /// A node spoke and said where it is.
    /// - Parameter member: what the membership says of its ID.
    /// - Returns: the place at which the identity was known before, and must be asked for.
    mutating func heard(
        _ speaker: NodeIdentity, at place: PeerAddress, member: Member?, call: PeerCallID
    ) -> PeerAddress? {
        guard speaker != identity else { return nil }
        let former =
            places[speaker.id].flatMap {
                $0.incarnation == speaker.incarnation ? $0.address : nil
            }
            ?? member.flatMap { $0.incarnation == speaker.incarnation ? $0.address : nil }
        let isMember = member?.incarnation == speaker.incarnation
        guard let former, former != place, isMember || suspects.count < Self.mostStrangers else {
            places[speaker.id] = Place(incarnation: speaker.incarnation, address: place)
            return nil
        }
        // Who names ever new places has no more questions asked about it: each takes a connection.
        let open = suspects.filter { $0.value.identity == speaker }.keys
        if open.count >= Self.mostOfOne, let last = open.max(by: { $0.rawValue < $1.rawValue }) {
            suspects[last]?.at = place
            return nil
        }
        suspects[call] = (speaker, place)
        return former
    }

    /// Others than members whose places are remembered.
    static var mostPlaces: Int { 1024 }

    /// Where more others than members were heard than are remembered, all of them make room: who speaks now is of
    /// more use than who spoke once.
    mutating func forgetStrangers(besides membership: Membership?) {
        guard places.count > Self.mostPlaces + (membership?.members.count ?? 0) else { return }
        places = places.filter { membership?.contains($0.key) ?? false }
    }

    /// Questions about one identity that are open at a time.
    private static var mostOfOne: Int { 4 }
    /// Those who are no members are asked about only while so few are open.
    private static var mostStrangers: Int { 64 }

    /// The former place of a newcomer answered, or did not.
    /// - Returns: the newcomer, if its identity is alive elsewhere; then it must be refused.
    mutating func reviewed(
        _ id: PeerCallID, _ result: PeerResult
    ) -> (identity: NodeIdentity, at: PeerAddress, alive: PeerAddress)? {
        guard let suspect = suspects.removeValue(forKey: id) else { return nil }
        if case .success(.hello(let hello)) = result, hello.identity == suspect.identity,
            hello.address != suspect.at
        {
            return (suspect.identity, suspect.at, hello.address)
        }
        places[suspect.identity.id] = Place(
            incarnation: suspect.identity.incarnation, address: suspect.at)
        return nil
    }
}
