import Raft

/// Completes a list that has fewer addresses than voters are expected by what it had a moment ago: some
/// name servers tell a few of many addresses, others each time. With so few nothing can be founded, so
/// it takes nothing from anybody; and a list that is long enough stands as it is.
package struct RecentCandidates: Sendable {
    /// For so long an address may be left out.
    private static var memory: Duration { .seconds(10) }

    private var seen: [(candidate: CandidateAddress, at: Duration)] = []
    private var last: [CandidateAddress] = []

    package init() {}

    /// - Parameters:
    ///   - list: as it is now, names looked up.
    ///   - expect: `-bootstrap-expect`.
    ///   - now: on any clock, always the same.
    package mutating func complete(
        _ list: [CandidateAddress], expect: Int, now: Duration
    ) -> [CandidateAddress] {
        // Until now it had these.
        note(last, now)
        note(list, now)
        last = list
        seen.removeAll { $0.at + Self.memory < now }
        seen = Array(seen.suffix(FormationLimits.addresses))
        var listed: [PeerAddress] = []
        for candidate in list where !listed.contains(candidate.address) {
            listed.append(candidate.address)
        }
        guard listed.count < expect else { return list }
        return list + seen.map(\.candidate).filter { !listed.contains($0.address) }
    }

    private mutating func note(_ list: [CandidateAddress], _ now: Duration) {
        for candidate in list where candidate.gap == nil {
            seen.removeAll { $0.candidate.address == candidate.address }
            seen.append((candidate, now))
        }
    }
}
