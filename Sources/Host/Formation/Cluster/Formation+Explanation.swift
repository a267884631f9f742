import Raft

/// What the formation waits for, in words an operator can act on.
extension Formation {
    static var noCandidate: String { "no candidate address yet" }

    mutating func explain() {
        guard !roster.candidates.isEmpty else {
            if isListKnown { say(Self.noCandidate) }
            return
        }
        guard isSurveyOver, isExplanationDue || roster.candidates.contains(where: isAging) else {
            return
        }
        isExplanationDue = false
        say(currentExplanation())
    }

    private mutating func say(_ text: String) {
        guard text != explanation else { return }
        explanation = text
        emit(.waiting(text))
    }

    private func currentExplanation() -> String {
        if let chosen = state.chosen {
            return parts(
                "cluster \(chosen.cluster) was agreed on by \(chosen.memberNames); joining it",
                missing(besides: chosen.cluster) + wayOut(of: chosen))
        }
        if let left = leftBehind, survey.clusters.allSatisfy({ $0 == left }) {
            return parts(
                "this node left cluster \(left), which never had a leader, for one that worked, and meets "
                    + "nobody of that one, but others that hold to cluster \(left)",
                missing(besides: left) + [
                    "list a node of a cluster that works, or, if nothing was ever written, stop all "
                        + "nodes, remove their data directories and start them again"
                ])
        }
        if let cluster = survey.clusters.first {
            if let other = survey.clusters.first(where: { $0 != cluster }) {
                return "candidates are in two clusters, \(cluster) and \(other): "
                    + "list the nodes of one only"
            }
            return parts("joining cluster \(cluster)", missing(besides: cluster))
        }
        if expect == 0 || introduction.suffrage != .voter {
            return parts(
                "no candidate is in a cluster yet",
                missing(besides: nil) + ["start a cluster there, or join one that exists"])
        }
        let other = missedList.flatMap { $0.hasSameAddresses(as: survey.list) ? nil : $0 }
        return parts(explainCount(), other.map { [difference(from: $0)] + dropAdvice } ?? [])
    }

    private func explainCount() -> String {
        let list = survey.list
        if list.entries.count < expect {
            return parts(
                "needs \(expect) addresses, \(list.entries.count) listed",
                missing(besides: nil) + [
                    "add the others to the list, or to what DNS or discovery tells"
                ])
        }
        let voters = survey.voters
        let tally = self.tally
        if tally.isQuorum, roster.isOpen {
            return parts(
                "names of the list lead to several nodes each, so all must be known before anything "
                    + "is founded", missing(besides: nil))
        }
        if voters.count >= expect || tally.present >= expect, !tally.isQuorum {
            return parts(
                "needs \(tally.needed) of the \(list.entries.count) listed, \(tally.present) seen: "
                    + names(survey.acceptors),
                missing(besides: nil) + copies + unawareNodes + [wayOut(of: tally)])
        }
        if voters.count < expect {
            let more = expect - voters.count
            let copies = copies
            return parts(
                "\(voters.count) of \(expect) nodes seen: " + names(voters),
                missing(besides: nil) + copies
                    + (survey.refusals.isEmpty && copies.isEmpty
                        ? ["start \(more) more, or see why no more are reached"] : []))
        }
        if !survey.attendance.contains(identity.incarnation) {
            return parts(
                "none of the listed addresses leads to this node, \(identity.id) at "
                    + "\(introduction.address)",
                missing(besides: nil) + ["list an address at which it answers"])
        }
        if let blocked = state.lists.first(where: { !isMet($0) }) {
            return parts(difference(from: blocked), unawareNodes + dropAdvice)
        }
        return parts("agreeing on the first members among " + names(voters), unawareNodes)
    }

    /// Nodes that say to be at several places, with one data directory: they count as one.
    private var copies: [String] {
        let known = roster.candidates.compactMap { $0.facts?.introduction }
        return known.indices.compactMap { place in
            let copy = known[place]
            let original = known[..<place].first {
                $0.identity.incarnation == copy.identity.incarnation && $0.address != copy.address
            }
            return original.map {
                "node \($0.identity.id) at \($0.address) and node \(copy.identity.id) at \(copy.address) have "
                    + "copies of one data directory and count as one: start one of them with an empty one"
            }
        }
    }

    /// What an operator can do where the list is longer than the nodes that are there.
    private func wayOut(of tally: CandidateList.Tally) -> String {
        let more = tally.needed - tally.present
        let start = "start \(more) more of those listed"
        guard let advice = dropAdvice.first else {
            return
                "\(start): those who are here are no majority of the list, so the others could found a "
                + "cluster, too; if they are gone for good, stop all nodes, remove their data "
                + "directories, and start them with a list, or DNS records, without the others"
        }
        return "\(start), \(advice)"
    }

    private func names(_ nodes: [FormationIntroduction]) -> String {
        nodes.map(\.identity.id).sorted().map(\.rawValue).joined(separator: ", ")
    }

    private func parts(_ head: String, _ rest: [String]) -> String {
        ([head] + rest).joined(separator: "; ")
    }

    /// One clause per candidate that does not count; the first few, for a line has an end.
    private func missing(besides cluster: ClusterID?) -> [String] {
        let nameless = roster.candidates.compactMap { candidate in
            candidate.gap.map { explain($0, of: candidate.address) }
        }
        var silent = nameless + roster.candidates.compactMap(why)
        if silent.count > Self.shownCandidates + 1 {
            let rest = silent.count - Self.shownCandidates
            silent = silent.prefix(Self.shownCandidates) + ["and \(rest) more that don't answer"]
        }
        guard cluster == nil else { return silent }
        return silent + survey.refusals.map(\.description)
    }

    private static var shownCandidates: Int { 8 }

    /// Why nobody is seen at an address; nil if somebody is.
    private func why(_ candidate: Roster.Candidate) -> String? {
        guard candidate.gap == nil else { return nil }
        if drops.contains(candidate.address) { return "\(candidate.address): dropped" }
        if let failure = candidate.failure { return "\(place(of: candidate)): \(failure)" }
        return candidate.facts == nil ? "\(place(of: candidate)): no answer yet" : nil
    }

    /// With the name that led there.
    private func place(of candidate: Roster.Candidate) -> String {
        guard candidate.address != candidate.name, let name = candidate.name?.nameAndPort?.name
        else { return "\(candidate.address)" }
        return "\(candidate.address) (\(name))"
    }

    private func isAging(_ candidate: Roster.Candidate) -> Bool {
        candidate.gap?.isOpen ?? false
    }

    private func explain(_ gap: CandidateAddress.Gap, of name: PeerAddress) -> String {
        switch gap {
        case .waiting(let since): "waiting for DNS: \(name), \(age(since)) s"
        case .failed(let cause, let since):
            "waiting for DNS: \(name), \(age(since)) s: \(cause)"
        case .unknown: "\(name): DNS knows no such name, or no address of it"
        }
    }

    /// In seconds; it grows by doubling, so that a long wait is no long log.
    private func age(_ since: Duration) -> Int64 {
        let seconds = max(0, (now - since).components.seconds)
        return seconds < 1 ? 0 : 1 << (63 - Int64(seconds.leadingZeroBitCount))
    }

    /// A bootstrap that was agreed on is never superseded, for its members may hold writes: what an
    /// operator who knows better can do when a majority of them does not answer.
    private func wayOut(of chosen: BootstrapValue) -> [String] {
        let silent = chosen.members.filter { roster[$0.address]?.failure != nil }
        guard silent.count * 2 >= chosen.members.count else { return [] }
        return [
            "start the members it names, or, if a majority of them is lost for good and nothing was "
                + "ever written, stop all nodes, remove their data directories and start them again"
        ]
    }

    private func difference(from list: CandidateList) -> String {
        let own = roster.candidates.map(\.address)
        let theirs = list.addresses
        let onlyHere = own.filter { !theirs.contains($0) }.map(\.rawValue)
        let onlyThere = theirs.filter { !own.contains($0) }.map(\.rawValue)
        guard !(onlyHere.isEmpty && onlyThere.isEmpty) else {
            return "an earlier ballot was held with nodes that are not all here again: "
                + "needs \(list.tally(survey.attendance, dropping: drops).needed) of "
                + theirs.map(\.rawValue).joined(separator: ", ")
        }
        var clauses: [String] = []
        if !onlyHere.isEmpty {
            clauses.append("only here: " + onlyHere.joined(separator: ", "))
        }
        if !onlyThere.isEmpty {
            clauses.append("only there: " + onlyThere.joined(separator: ", "))
        }
        return "candidate lists differ (\(clauses.joined(separator: "; "))): "
            + "waiting until they agree"
    }
}
