import Raft

/// One ballot as its proposer sees it: from the durable counter to the acceptances of a quorum.
struct Proposal: Sendable {
    enum Phase: Equatable, Sendable {
        /// The ballot's counter is on its way to the disk.
        case persisting(PersistTicket)
        case preparing
        case accepting(BootstrapValue)
    }

    let ballot: Ballot
    let list: CandidateList
    let startedAt: Duration
    var resendAt: Duration
    var phase: Phase
    private(set) var attendance = Attendance()
    private(set) var promises: [FormationMessage.Promise] = []
    private(set) var acceptances: [Incarnation] = []

    init(ballot: Ballot, list: CandidateList, now: Duration, ticket: PersistTicket) {
        self.ballot = ballot
        self.list = list
        startedAt = now
        resendAt = now
        phase = .persisting(ticket)
    }

    /// A promise counts only from the incarnation that was known at the address when the ballot
    /// began, and only until a value is proposed.
    mutating func receive(_ promise: FormationMessage.Promise, at address: PeerAddress) {
        let incarnation = promise.acceptor.identity.incarnation
        guard phase == .preparing, promise.ballot == ballot,
            list.entries.contains(where: {
                $0.address == address && $0.incarnation == incarnation
            })
        else { return }
        attendance.seat(incarnation, at: address)
        if !promises.contains(where: { $0.acceptor.identity.incarnation == incarnation }) {
            promises.append(promise)
        }
    }

    mutating func receiveAcceptance(by incarnation: Incarnation) {
        guard case .accepting = phase, attendance.contains(incarnation),
            !acceptances.contains(incarnation)
        else { return }
        acceptances.append(incarnation)
    }

    /// The addresses that have not answered what the present phase asks.
    var unanswered: [PeerAddress] {
        list.entries.filter { entry in
            guard let incarnation = entry.incarnation else { return false }
            switch phase {
            case .persisting: return false
            case .preparing: return attendance.incarnation(at: entry.address) == nil
            case .accepting:
                return attendance.incarnation(at: entry.address) == incarnation
                    && !acceptances.contains(incarnation)
            }
        }.map(\.address)
    }

    /// Every list that a quorum of this ballot must be a quorum of.
    private var lists: [CandidateList] {
        var lists = [list]
        for promise in promises {
            let known = promise.lists + (promise.accepted.map { [$0.list] } ?? [])
            for recorded in known where !lists.contains(recorded) { lists.append(recorded) }
        }
        return lists
    }

    /// A list, other than the proposer's, of which those who promised are no quorum although they
    /// are one of the proposer's.
    var missedList: CandidateList? {
        guard list.tally(attendance, dropping: list.dropped).isQuorum else { return nil }
        return lists.first { !$0.tally(attendance, dropping: list.dropped).isQuorum }
    }

    private func isQuorum(_ acceptors: [Incarnation]? = nil) -> Bool {
        lists.allSatisfy {
            $0.tally(attendance, counting: acceptors, dropping: list.dropped).isQuorum
        }
    }

    /// The value that may be proposed now (phase 2a): of all accepted values that a quorum reports
    /// the one of the highest ballot, and only if there is none a fresh one of N voters that
    /// promised in this ballot.
    func value(fresh cluster: ClusterID) -> BootstrapValue? {
        guard phase == .preparing, isQuorum() else { return nil }
        let accepted = promises.compactMap(\.accepted)
        if let highest = accepted.max(by: { $0.ballot < $1.ballot }) { return highest.value }
        let voters = promises.map(\.acceptor).filter {
            $0.suffrage == .voter && $0.expect == list.expect
        }
        let eligible = voters.filter { voter in
            voters.allSatisfy {
                $0.identity.id != voter.identity.id || $0.identity == voter.identity
            }
        }.sorted { a, b in
            let first = a.identity.incarnation == ballot.proposer
            let second = b.identity.incarnation == ballot.proposer
            return first != second ? first : a.identity.id < b.identity.id
        }
        guard eligible.count >= list.expect else { return nil }
        return BootstrapValue(
            cluster: cluster, members: eligible.prefix(list.expect).map(\.member))
    }

    mutating func propose(_ value: BootstrapValue, now: Duration) {
        phase = .accepting(value)
        resendAt = now
    }

    /// The value, once a quorum has accepted it. That quorum too is one of every list: a later
    /// ballot may know any of them only.
    var chosen: BootstrapValue? {
        guard case .accepting(let value) = phase,
            isQuorum(acceptances)
        else { return nil }
        return value
    }
}
