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

        /// Beyond its times.
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
    mutating func replace(by addresses: [PeerAddress], now: Duration) {
        var sorted: [PeerAddress] = []
        for address in addresses.sorted() where address != sorted.last { sorted.append(address) }
        isChanged = true
        candidates = sorted.prefix(FormationLimits.addresses).map { address in
            self[address]
                ?? Candidate(
                    address: address, listedAt: now, nextHello: now,
                    lastHelloAt: now - .seconds(1))
        }
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
        for index in candidates.indices where candidates[index].tries < limit {
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

    mutating func surveyed() { isChanged = false }
}
