import Raft

/// What is known of the candidates: who answered at which address, who did not and why, and when
/// each is asked again.
struct Roster: Sendable {
    struct Candidate: Sendable {
        let address: PeerAddress
        let listedAt: Duration
        var facts: CandidateFacts?
        var heardAt: Duration = .zero
        var failure: String?
        /// It holds an accepted value that is not known to be chosen.
        var holdsAcceptance = false
        var nextHello: Duration
        /// Set while an answer is awaited.
        var helloSentAt: Duration?
        var lastHelloAt: Duration
        /// Hellos and joins that led to nothing.
        var tries = 0
        /// A join or an inquiry under way.
        var contactedAt: Duration?

        var identity: NodeIdentity? { facts?.introduction.identity }
    }

    private(set) var candidates: [Candidate] = []

    subscript(address: PeerAddress) -> Candidate? {
        candidates.first { $0.address == address }
    }

    /// Takes over what is known of addresses that stay.
    mutating func replace(by addresses: [PeerAddress], now: Duration) {
        var sorted: [PeerAddress] = []
        for address in addresses.sorted() where address != sorted.last { sorted.append(address) }
        candidates = sorted.prefix(FormationLimits.addresses).map { address in
            self[address]
                ?? Candidate(
                    address: address, listedAt: now, nextHello: now,
                    lastHelloAt: now - .seconds(1))
        }
    }

    mutating func update(_ address: PeerAddress, _ change: (inout Candidate) -> Void) {
        guard let index = candidates.firstIndex(where: { $0.address == address }) else { return }
        change(&candidates[index])
    }

    mutating func updateAll(_ change: (inout Candidate) -> Void) {
        for index in candidates.indices { change(&candidates[index]) }
    }

    /// Forgets candidates that went silent.
    mutating func forget(silentSince limit: Duration) {
        for index in candidates.indices
        where candidates[index].facts != nil && candidates[index].heardAt < limit {
            candidates[index].facts = nil
            candidates[index].holdsAcceptance = false
            candidates[index].failure = "no answer any more"
        }
    }

    /// The newest facts of each incarnation: a node under several addresses counts once.
    var nodes: [CandidateFacts] {
        var newest: [Candidate] = []
        for candidate in candidates where candidate.facts != nil {
            let same = newest.firstIndex {
                $0.identity?.incarnation == candidate.identity?.incarnation
            }
            if let same {
                if newest[same].heardAt < candidate.heardAt { newest[same] = candidate }
            } else {
                newest.append(candidate)
            }
        }
        return newest.compactMap(\.facts)
    }

    /// Nodes without a cluster that would take part in a ballot for `expect`.
    func acceptors(expect: Int) -> [Introduction] {
        nodes.filter { $0.cluster == nil }.map(\.introduction).filter {
            $0.expect == 0 || $0.expect == expect
        }
    }

    /// Those that may become members, by ID. IDs that two nodes claim don't count.
    func voters(expect: Int) -> [Introduction] {
        let voters = nodes.filter { $0.cluster == nil }.map(\.introduction).filter {
            $0.suffrage == .voter && $0.expect == expect
        }
        return voters.filter { voter in
            voters.allSatisfy {
                $0.identity.id != voter.identity.id || $0.identity == voter.identity
            }
        }.sorted { $0.identity.id < $1.identity.id }
    }

    /// The list for a ballot now, and who is expected to answer in it.
    func list(expect: Int) -> (CandidateList, Attendance) {
        var attendance = Attendance()
        let entries = candidates.map { candidate -> CandidateList.Entry in
            var incarnation: Incarnation?
            if let facts = candidate.facts, facts.cluster == nil,
                facts.introduction.expect == 0 || facts.introduction.expect == expect
            {
                incarnation = facts.introduction.identity.incarnation
                attendance.seat(facts.introduction.identity.incarnation, at: candidate.address)
            }
            return CandidateList.Entry(address: candidate.address, incarnation: incarnation)
        }
        return (CandidateList(expect: expect, entries: entries), attendance)
    }

    /// Every candidate has answered or failed at least once.
    var isSurveyed: Bool { candidates.allSatisfy { $0.facts != nil || $0.failure != nil } }

    /// What contradicts this node or another candidate.
    func refusals(for own: Introduction) -> [FormationRefusal] {
        var refusals: [FormationRefusal] = []
        let others = nodes.map(\.introduction)
        for other in nodes where other.cluster == nil {
            let there = other.introduction
            if there.expect != 0, own.expect != 0, there.expect != own.expect {
                refusals.append(
                    .expectDiffers(
                        there: there.expect, here: own.expect, id: there.identity.id,
                        address: there.address))
            }
        }
        var known = [own]
        for other in others {
            let rival = known.first {
                $0.identity.id == other.identity.id && $0.identity != other.identity
            }
            if let rival {
                refusals.append(.nodeIDTaken(rival.identity.id, rival.address, other.address))
            }
            known.append(other)
        }
        return refusals
    }
}
