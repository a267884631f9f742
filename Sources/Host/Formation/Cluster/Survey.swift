import Raft

/// What the roster amounts to at one moment. It is made anew when what is known of a candidate
/// changes, not with every message.
struct Survey: Sendable {
    /// The newest facts of each incarnation: a node under several addresses counts once.
    let nodes: [CandidateFacts]
    /// Nodes without a cluster that would take part in a ballot.
    let acceptors: [FormationIntroduction]
    /// Those that may become members, by ID. IDs that two nodes claim don't count.
    let voters: [FormationIntroduction]
    /// The list for a ballot now, who is expected to answer in it, and whether that is a quorum.
    let list: CandidateList
    let attendance: Attendance
    let tally: CandidateList.Tally
    /// The clusters that candidates are in, and those of them that a leader is known of.
    let clusters: [ClusterID]
    let ledClusters: [ClusterID]
    /// Every candidate has answered or failed at least once.
    let isComplete: Bool
    /// Some acceptor holds a value that is not known to be chosen.
    let showsAcceptance: Bool
    /// What contradicts this node, or two others each other.
    let refusals: [FormationRefusal]

    init(of roster: Roster, for own: FormationIntroduction) {
        let expect = own.expect
        nodes = Self.newestFacts(in: roster)
        clusters = nodes.compactMap(\.cluster)
        ledClusters = nodes.filter { $0.leader != nil }.compactMap(\.cluster)
        acceptors = nodes.filter { Self.takesPart($0, expect: expect) }.map(\.introduction)
        let voters = acceptors.filter { $0.suffrage == .voter && $0.expect == expect }
        self.voters = voters.filter { voter in
            voters.allSatisfy {
                $0.identity.id != voter.identity.id || $0.identity == voter.identity
            }
        }.sorted { $0.identity.id < $1.identity.id }
        let attendance = Self.attendance(in: roster, expect: expect)
        self.attendance = attendance
        list = CandidateList(
            expect: expect,
            entries: roster.candidates.map {
                .init(
                    address: $0.address, incarnation: attendance.incarnation(at: $0.address),
                    name: $0.gap == nil ? $0.name : nil)
            })
        tally = list.tally(attendance)
        isComplete =
            !roster.candidates.isEmpty
            && roster.candidates.allSatisfy(\.isSurveyed)
        showsAcceptance = roster.candidates.contains(where: \.holdsAcceptance)
        refusals = Self.refusals(among: nodes, for: own)
    }

    /// Who stands for which address. Copies of one data directory, which say that they are at different places, are
    /// several nodes with disks of their own: the one that was heard last stands for its address, and the others' count
    /// as silent.
    private static func attendance(in roster: Roster, expect: Int) -> Attendance {
        let present = roster.candidates.filter { candidate in
            candidate.facts.map { takesPart($0, expect: expect) } ?? false
        }
        var places: [Incarnation: (place: PeerAddress, heardAt: Duration)] = [:]
        for candidate in present {
            guard let node = candidate.facts?.introduction else { continue }
            let known = places[node.identity.incarnation]
            guard known.map({ $0.heardAt < candidate.heardAt }) ?? true else { continue }
            places[node.identity.incarnation] = (node.address, candidate.heardAt)
        }
        var attendance = Attendance()
        for candidate in present {
            guard let node = candidate.facts?.introduction,
                places[node.identity.incarnation]?.place == node.address
            else { continue }
            attendance.seat(node.identity.incarnation, at: candidate.address)
        }
        return attendance
    }

    private static func newestFacts(in roster: Roster) -> [CandidateFacts] {
        var newest: [Roster.Candidate] = []
        for candidate in roster.candidates where candidate.facts != nil {
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

    private static func takesPart(_ facts: CandidateFacts, expect: Int) -> Bool {
        facts.cluster == nil
            && (facts.introduction.expect == 0 || facts.introduction.expect == expect)
    }

    private static func refusals(
        among nodes: [CandidateFacts], for own: FormationIntroduction
    ) -> [FormationRefusal] {
        var refusals: [FormationRefusal] = []
        var known = [own]
        for facts in nodes {
            let other = facts.introduction
            if facts.cluster == nil, other.expect != 0, own.expect != 0,
                other.expect != own.expect
            {
                refusals.append(
                    .expectDiffers(
                        there: other.expect, here: own.expect, id: other.identity.id,
                        address: other.address))
            }
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
