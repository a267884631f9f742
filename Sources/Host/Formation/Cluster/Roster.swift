import Raft

/// What is known of the candidates: who answered at which address, who did not and why, and when
/// each is asked again.
struct Roster: Sendable {
    struct Candidate: Sendable {
        let address: PeerAddress
        /// The listed name that leads here.
        var name: PeerAddress?
        /// Why a listed name leads nowhere: then nobody can be asked.
        var gap: CandidateAddress.Gap?
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

        /// Beyond its times.
        fileprivate var listing: CandidateAddress {
            gap.map { CandidateAddress(unresolved: address, $0) }
                ?? CandidateAddress(address, name: name)
        }

        /// Nothing more is to be expected of it for now.
        var isSurveyed: Bool {
            facts != nil || failure != nil || gap.map { !$0.isWaiting } ?? false
        }

        fileprivate func differs(from other: Candidate) -> Bool {
            holdsAcceptance != other.holdsAcceptance || failure != other.failure
                || facts != other.facts
        }
    }

    private(set) var candidates: [Candidate] = []
    /// What a survey shows has changed since the last one.
    private(set) var isChanged = true

    subscript(address: PeerAddress) -> Candidate? {
        candidates.first { $0.address == address }
    }

    /// Takes over what is known of addresses that stay.
    mutating func replace(by addresses: [CandidateAddress], now: Duration) {
        var sorted: [CandidateAddress] = []
        for item in addresses.sorted(by: { $0.address < $1.address })
        where item.address != sorted.last?.address { sorted.append(item) }
        isChanged = true
        candidates = sorted.prefix(FormationLimits.addresses).map { item in
            // A name that has an address now is somebody new, even if both are written alike.
            let known = self[item.address].flatMap {
                $0.gap != nil && item.gap == nil ? nil : $0
            }
            var candidate =
                known
                ?? Candidate(
                    address: item.address, listedAt: now, nextHello: now,
                    lastHelloAt: now - .seconds(1))
            candidate.name = item.name
            candidate.gap = item.gap
            if item.gap != nil {
                candidate.facts = nil
                candidate.failure = nil
            }
            return candidate
        }
    }

    /// More addresses, beside those that are listed.
    mutating func add(_ addresses: [PeerAddress], now: Duration) {
        replace(by: candidates.map(\.listing) + addresses.map { CandidateAddress($0) }, now: now)
    }

    /// Of a name nobody knows yet how many nodes it stands for, and names of this list do stand for
    /// several.
    var isOpen: Bool {
        candidates.contains { $0.gap?.isOpen ?? false } && hasNameOfSeveral
    }

    /// A name with two addresses of one family, for the two families of a name are the same nodes.
    private var hasNameOfSeveral: Bool {
        var seen: [(name: PeerAddress, isVersion6: Bool)] = []
        for candidate in candidates where candidate.gap == nil {
            guard let name = candidate.name else { continue }
            let isVersion6 = candidate.address.isVersion6
            if seen.contains(where: { $0.name == name && $0.isVersion6 == isVersion6 }) {
                return true
            }
            seen.append((name, isVersion6))
        }
        return false
    }

    mutating func update(_ address: PeerAddress, _ change: (inout Candidate) -> Void) {
        guard let index = candidates.firstIndex(where: { $0.address == address }) else { return }
        let before = candidates[index]
        change(&candidates[index])
        if !isChanged { isChanged = candidates[index].differs(from: before) }
    }

    /// For times only: what it changes is not surveyed.
    mutating func reschedule(_ change: (inout Candidate) -> Void) {
        for index in candidates.indices { change(&candidates[index]) }
    }

    /// Forgets candidates that went silent.
    mutating func forget(silentSince limit: Duration) {
        for index in candidates.indices
        where candidates[index].facts != nil && candidates[index].heardAt < limit {
            candidates[index].facts = nil
            candidates[index].holdsAcceptance = false
            candidates[index].failure = "no answer any more"
            isChanged = true
        }
    }

    /// The addresses to say hello to now: those whose time has come, and those that have not
    /// answered the last one for as long as `patience`.
    mutating func due(_ now: Duration, patience: Duration, tries limit: Int) -> [PeerAddress] {
        var due: [PeerAddress] = []
        for index in candidates.indices
        where candidates[index].tries < limit && candidates[index].gap == nil {
            if let sent = candidates[index].helloSentAt {
                guard sent + patience <= now else { continue }
                if candidates[index].facts == nil, candidates[index].failure == nil {
                    candidates[index].failure = "no answer"
                    isChanged = true
                }
            } else if candidates[index].nextHello > now {
                continue
            }
            candidates[index].helloSentAt = now
            candidates[index].lastHelloAt = now
            due.append(candidates[index].address)
        }
        return due
    }

    /// Names without addresses whose turn it would be: a try that led to nothing.
    func dueNames(_ now: Duration, tries limit: Int) -> [PeerAddress] {
        candidates.filter { $0.gap != nil && $0.tries < limit && $0.nextHello <= now }
            .map(\.address)
    }

    mutating func surveyed() { isChanged = false }
}
