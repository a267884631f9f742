/// Membership changes, one server at a time (thesis chapter 4 and its published correction): a
/// change needs an entry of the leader's own term committed and the previous change committed, and
/// holds from the moment it stands in the log.
extension RaftMachine {
    /// - Returns: the position of the entry that makes the change. A change that holds already
    ///   needs none: then a committed position is returned.
    ///
    /// A voter is added as a learner and promoted once it is caught up. Adding a member again, same
    /// incarnation and same aim, changes its address at most; another incarnation or another aim
    /// is refused as `alreadyMember`: that is a removal and an addition.
    package mutating func propose(_ change: MembershipChange) throws(Refusal) -> LogPosition {
        guard case .leader(let leader) = roleState else { throw .notLeader(leader: self.leader) }
        guard leader.transfer == nil else { throw .transferInProgress }
        guard mayChangeMembership else { throw .changeInProgress }
        let changed = try membership(after: change)
        guard changed != membership else {
            return LogPosition(
                index: commitIndex, term: log.term(at: commitIndex) ?? log.base.term)
        }
        return adopt(changed)
    }

    private var mayChangeMembership: Bool {
        (isReadyLeader || breaks(.changesMembershipEarly)) && membershipIndex <= commitIndex
    }

    private func membership(after change: MembershipChange) throws(Refusal) -> Membership {
        switch change {
        case .add(let member):
            return try membership(adding: member)
        case .promote(let id):
            guard var member = membership[id] else { throw .unknownMember }
            guard member.suffrage != .nonvoter else { throw .notPromotable }
            guard member.suffrage == .voter || isCaughtUp(id) else { throw .notCaughtUp }
            member.suffrage = .voter
            return membership.setting(member)
        case .remove(let id):
            guard membership.contains(id) else { throw .unknownMember }
            let rest = membership.removing(id)
            guard !rest.voters.isEmpty else { throw .lastVoter }
            return rest
        case .move(let id, let address):
            guard var member = membership[id] else { throw .unknownMember }
            member.address = address
            return membership.setting(member)
        }
    }

    private func membership(adding member: Member) throws(Refusal) -> Membership {
        var added = member
        if let known = membership[member.id] {
            let hasSameAim = (known.suffrage == .nonvoter) == (member.suffrage == .nonvoter)
            guard known.incarnation == member.incarnation && hasSameAim else {
                throw .alreadyMember
            }
            added.suffrage = known.suffrage
        } else if member.suffrage == .voter {
            added.suffrage = .learner
        }
        let grown = membership.setting(added)
        guard grown.members.count <= Reach.members,
            Payload.membership(grown).size <= settings.maxEntryBytes
        else { throw .entryTooLarge(limit: settings.maxEntryBytes) }
        return grown
    }

    private mutating func adopt(_ membership: Membership) -> LogPosition {
        let entry = Entry(
            index: log.lastIndex.next, term: term, payload: .membership(membership))
        append([entry])
        // Without a member that is removed, a quorum may hold more already.
        commitByCounting()
        if breaks(.actsOnRemovalsEarly) { stepDownIfRemoved() }
        return entry.position
    }

    /// What follows from another membership in force, wherever it came from.
    mutating func membershipChanged() {
        let latest = memberships.latest
        pending.observations.append(
            .membershipChanged(latest.membership, index: latest.index))
        lead { [identity] leader in
            // A new member is asked at once where to begin, by the entry that names it.
            leader.progress = latest.membership.members.filter { $0.id != identity.id }.map {
                leader[$0.id] ?? Progress(id: $0.id, nextIndex: latest.index)
            }
        }
    }

    // MARK: Promotion

    mutating func promoteCaughtUpLearner() {
        guard case .leader(let leader) = roleState, leader.transfer == nil, mayChangeMembership,
            var learner = membership.members.first(where: {
                $0.suffrage == .learner && isCaughtUp($0.id)
            })
        else { return }
        learner.suffrage = .voter
        _ = adopt(membership.setting(learner))
    }

    /// It holds the entry that named it, nearly all others, and answered of late: as a voter it
    /// will not hold up commits. Nearly all is all but a few, or all that is older than half an election timeout:
    /// under load a few are what is appended in a round trip (thesis §4.2.1).
    private func isCaughtUp(_ id: NodeID) -> Bool {
        guard case .leader(let leader) = roleState, let peer = leader[id] else { return false }
        if breaks(.promotesEarly) { return peer.ticksSinceAnswer < settings.electionTicks }
        return peer.matchIndex >= membershipIndex
            && peer.ticksSinceAnswer < settings.electionTicks
            && (log.lastIndex.distance(from: peer.matchIndex) <= settings.caughtUpEntries
                || (leader.recentEnds.old > .zero && peer.matchIndex >= leader.recentEnds.old))
    }
}
