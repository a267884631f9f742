package import Raft

/// An operator's word that some addresses are gone for good.
///
/// Time alone shortens no list for which a promise may have been given. A drop shortens none either:
/// it lowers how many of the list must take part, to a number of which any two groups still meet
/// (`CandidateList.tally`). So it makes no second cluster, be what was dropped alive, be it dropped
/// there what is alive here. It counts on each node that was told of it, and no other promises
/// anything to a ballot that counts on it.
extension Formation {
    /// Why an address can't be dropped here. The text says what to do.
    package enum DropRefusal: Error, Equatable, Sendable, CustomStringConvertible {
        /// This node agrees on no bootstrap.
        case nothingToAgreeOn
        /// The bootstrap was agreed on.
        case isAgreed(ClusterID)
        /// A node answers there.
        case answers(PeerAddress, NodeID)
        /// No list that matters to this node has it.
        case unlisted(PeerAddress)
        case tooMany

        package var description: String {
            switch self {
            case .nothingToAgreeOn:
                "this node founds no cluster by a list of addresses now: there is nothing to drop"
            case .isAgreed(let cluster):
                "cluster \(cluster) was agreed on: nothing can be dropped any more"
            case .answers(let address, let id):
                "node \(id) answers at \(address): stop it first, or leave it in"
            case .unlisted(let address):
                "\(address) is in no list of this node: give addresses as the waiting line has them"
            case .tooMany:
                "more than \(FormationLimits.addresses) addresses: drop only those that are listed"
            }
        }
    }

    /// The operator says that nobody will ever answer at these addresses, as the list has them. Added
    /// to what was dropped before, and kept through restarts until the cluster is agreed on. Nothing
    /// is dropped if one of them can't be.
    package mutating func drop(_ addresses: [PeerAddress]) throws(DropRefusal) {
        if let chosen = state.chosen { throw .isAgreed(chosen.cluster) }
        guard expect > 0, !isFinished else { throw .nothingToAgreeOn }
        var dropped = state.dropped
        for address in addresses where !dropped.contains(address) {
            if let facts = roster[address]?.facts {
                throw .answers(address, facts.introduction.identity.id)
            }
            guard listsThatCount.contains(where: { $0.addresses.contains(address) }) else {
                throw .unlisted(address)
            }
            dropped.append(address)
        }
        guard dropped.count <= FormationLimits.addresses else { throw .tooMany }
        guard dropped.count > state.dropped.count else { return }
        acceptor.state.dropped = dropped.sorted()
        persist()
        // What is under way was begun without it.
        if proposal != nil { endProposal(pause: .zero) }
        failures = 0
        missedList = nil
        isExplanationDue = true
        tick(now)
    }

    /// What an operator may drop so that those who are here can form a cluster: all at which nobody
    /// is seen. Empty if that doesn't help.
    package var droppable: [PeerAddress] {
        guard introduction.suffrage == .voter, expect > 0, survey.voters.count >= expect else {
            return []
        }
        var silent: [PeerAddress] = []
        for list in listsThatCount {
            for entry in list.entries where !silent.contains(entry.address) {
                let isHere =
                    survey.attendance.incarnation(at: entry.address) != nil
                    || entry.incarnation.map(survey.attendance.contains) ?? false
                    || roster[entry.address]?.facts != nil
                if !isHere { silent.append(entry.address) }
            }
        }
        let isEnough = listsThatCount.allSatisfy {
            $0.tally(survey.attendance, dropping: silent).isQuorum
        }
        return isEnough ? silent.sorted() : []
    }

    /// What a ballot now must count without: nothing if it needs no drop, for there may be nodes that
    /// were not told; and who answers after all counts as ever.
    var drops: [PeerAddress] {
        guard !state.dropped.isEmpty,
            !listsThatCount.allSatisfy({ $0.tally(survey.attendance).isQuorum })
        else { return [] }
        return state.dropped.filter { survey.attendance.incarnation(at: $0) == nil }
    }

    /// Of the present list.
    var tally: CandidateList.Tally {
        state.dropped.isEmpty
            ? survey.tally : survey.list.tally(survey.attendance, dropping: drops)
    }

    /// A ballot with those who are here would be a quorum of the list.
    func isMet(_ list: CandidateList) -> Bool {
        list.tally(survey.attendance, dropping: drops).isQuorum
    }

    /// All of which a ballot must have a quorum, as far as this node knows.
    private var listsThatCount: [CandidateList] {
        [survey.list] + state.lists + (missedList.map { [$0] } ?? [])
    }

    // MARK: Words

    /// What an operator can type on this node, where that helps.
    var dropAdvice: [String] {
        let silent = droppable.filter { !state.dropped.contains($0) }
        guard !silent.isEmpty else { return [] }
        let list = silent.map { "\"\($0)\"" }.joined(separator: ",")
        return [
            "or, if \(silent.count == 1 ? "the silent one is" : "all silent ones are") gone for good "
                + "and every node was given the same list, drop \(silent.count == 1 ? "it" : "them"), "
                + "on each node that waits, with the command it says: "
                + "\(settings.dropCommand)'[\(list)]'"
        ]
    }

    /// Those that refuse ballots for what they were not told.
    var unawareNodes: [String] {
        unaware.map { FormationRefusal.notDropped(at: $0.id, $0.address).description }
    }

    mutating func noteUnaware(_ id: NodeID, at address: PeerAddress) {
        guard !unaware.contains(where: { $0.id == id }),
            unaware.count < FormationLimits.addresses
        else { return }
        unaware.append((id, address))
        isExplanationDue = true
    }

    mutating func noteAware(_ id: NodeID) {
        guard unaware.contains(where: { $0.id == id }) else { return }
        unaware.removeAll { $0.id == id }
        isExplanationDue = true
    }
}
