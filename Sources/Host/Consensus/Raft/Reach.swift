/// How far one message of a peer may move a number of this node. A peer may be broken or hostile,
/// and a number that is used up ends a node for good, so these bounds stand in one place: what lies
/// beyond is refused before anything of it is kept. `docs/decisions/0020` has the reasons.
///
/// Numbers that only this node moves (tickets, rounds, its own campaigns) need no bound: 2^64 steps
/// are out of reach, and so are 2^32 elections in one epoch.
package enum Reach {
    /// Terms that peers may move this node ahead at once, within its epoch. The allowance comes
    /// back by one a tick (`TermAllowance`): faster than members that keep to the protocol hold
    /// elections, and too slow to use up an epoch in a year. A member may be away for 16 million
    /// elections, which is half a year of one each second.
    package static let terms: UInt64 = 1 << 24

    /// The first term a node without any entry takes from its leader lies below, in epoch and in
    /// number: nobody holds so many recoveries or elections.
    package static let firstTerm: UInt32 = 1 << 31

    /// No index of a peer lies beyond. A million entries each second reach it in 146,000 years.
    package static let lastIndex = LogIndex(1 << 62)

    /// Entries that one snapshot may move this node's log ahead. Appended entries move it by no
    /// more than are sent.
    package static let indexes = 1 << 48

    /// Bytes of one entry, with room for leaders whose limit (`RaftSettings.maxEntryBytes`) is
    /// higher than this node's.
    package static let entryBytes = 256 << 20

    /// Bytes of a node's ID or address: what a peer makes this node keep is bounded with them.
    package static let nameBytes = 4096

    /// Members that a membership may have, this node's own changes of it included.
    package static let members = 16_384
}

/// What is left of the terms that peers may move this node ahead.
struct TermAllowance: Sendable {
    private(set) var left = Reach.terms

    mutating func tick() {
        if left < Reach.terms { left += 1 }
    }

    mutating func spend(_ count: UInt64) { left -= min(left, count) }
}

extension Membership {
    /// Some member votes, each ID stands once, and they are no more than there may be.
    var isSound: Bool {
        members.count <= Reach.members && !voters.isEmpty
            && zip(members, members.dropFirst()).allSatisfy { $0.id < $1.id }
    }
}

extension Message {
    /// Whether its fields fit each other and lie within what there can be, whatever the state of
    /// the node that receives it.
    var isWellFormed: Bool {
        switch body {
        case .voteRequest(let request):
            request.lastLog.index <= Reach.lastIndex && request.lastLog.term <= term
        case .appendEntries(let append):
            append.isWellFormed(in: term)
        case .appendAnswer(let answer):
            switch answer.result {
            case .matched(let through):
                through <= Reach.lastIndex
            case .mismatched(let previous, let hint):
                previous <= Reach.lastIndex && hint.index <= previous && hint.term <= term
            }
        case .voteAnswer, .timeoutNow, .termIsBehind:
            true
        }
    }
}

extension Message.AppendEntries {
    /// Each entry follows the one before it, and terms don't go back.
    fileprivate func isWellFormed(in term: Term) -> Bool {
        guard previous.index <= Reach.lastIndex, commitIndex <= Reach.lastIndex,
            previous.term <= term
        else { return false }
        var last = previous
        return entries.allSatisfy { entry in
            defer { last = entry.position }
            return entry.index == last.index.next && entry.index <= Reach.lastIndex
                && entry.term >= last.term && entry.term <= term && entry.isWellFormed
        }
    }
}

extension Entry {
    fileprivate var isWellFormed: Bool {
        switch payload {
        case .noop: true
        case .command(let bytes): bytes.count <= Reach.entryBytes
        case .membership(let membership):
            membership.isSound && payload.size <= Reach.entryBytes
        }
    }
}

extension SnapshotMark {
    /// Its fields fit each other and lie within what there can be.
    var isWellFormed: Bool {
        position.index > .zero && position.index <= Reach.lastIndex
            && membershipIndex <= position.index && membership.isSound
    }
}
