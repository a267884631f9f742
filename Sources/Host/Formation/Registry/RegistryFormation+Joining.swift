package import Cluster
package import Raft

/// The other nodes: who answers, who may found with this one, and whom to join through.
extension RegistryFormation {
    // MARK: Inputs

    /// What a node said that was asked who it is.
    package mutating func helloAnswered(_ facts: CandidateFacts, from address: PeerAddress) {
        guard !isFinished else { return }
        isExplanationDue = true
        if let stranger = misnomer(facts, at: address) {
            hellos.removeAll { $0.address == address }
            isDecisionDue = true
            fail(address, stranger)
            joining.unreachable(address, reason: stranger)
            return drive()
        }
        let since = acquaint(facts, at: address)
        if isEmptyMember(facts, at: address) {
            fail(address, "node \(facts.introduction.identity.id) answers, and has no data")
            joining.helloAnswered(facts, from: address)
        } else if let cluster = facts.cluster, !target.admits(cluster) {
            let reason = "a node of cluster \(cluster)"
            if case .cluster = target { fail(address, reason) }
            joining.unreachable(address, reason: reason)
        } else if let cluster = facts.cluster, !hasLooked(for: cluster, since: since) {
            joining.unreachable(address, reason: "to be looked up in the registry")
            lookSoon()
        } else {
            if facts.cluster == nil || !refusers.contains(address) {
                failures.removeAll { $0.address == address }
            }
            joining.helloAnswered(facts, from: address)
        }
        drive()
    }

    /// Why the node that answers is not the one that the registry names at the address: that one has
    /// gone, and another machine, or another cluster's node, has its address.
    private func misnomer(_ facts: CandidateFacts, at address: PeerAddress) -> String? {
        guard let view else { return nil }
        let found = facts.introduction.identity
        var named: [String] = []
        switch view.leader {
        case .present(.entry(let entry), _) where entry.address == address:
            if entry.id == found.id { return nil }
            named.append(entry.id.rawValue)
        case .present(.foreign(let id, _, let place), _) where PeerAddress(place) == address:
            if id == found.id.rawValue { return nil }
            named.append(id)
        default: break
        }
        for record in view.records where record.address == address {
            if record.identity == found { return nil }
            named.append(record.identity.id.rawValue)
        }
        guard let first = named.first else { return nil }
        let other = found.id.rawValue == first ? "another data directory of node" : "node"
        return "\(other) \(found.id) answers, not node \(first) that the registry names there"
    }

    /// The registry knows it as a member, and it has no cluster: its data are gone. One that is named
    /// as a founder is only about to start.
    private func isEmptyMember(_ facts: CandidateFacts, at address: PeerAddress) -> Bool {
        guard facts.cluster == nil, let view else { return false }
        let found = facts.introduction.identity
        guard case .present(.entry(let entry), _) = view.leader, entry.state == .formed else {
            return view.records.contains { $0.address == address && $0.cluster != nil }
        }
        return entry.address == address
            && !entry.founders.contains { $0.incarnation == found.incarnation }
    }

    /// Since when the node is known to be in its cluster.
    private mutating func acquaint(_ facts: CandidateFacts, at address: PeerAddress) -> Duration {
        guard candidates.contains(address) else { return now }
        var news = Acquaintance(
            address: address, facts: facts, heardAt: now,
            inClusterSince: facts.cluster.map { _ in now })
        if let index = hellos.firstIndex(where: { $0.address == address }) {
            let old = hellos[index]
            if old.facts.cluster == facts.cluster { news.inClusterSince = old.inClusterSince }
            if old.facts != facts { isDecisionDue = true }
            hellos[index] = news
        } else {
            hellos.append(news)
            isDecisionDue = true
        }
        return news.inClusterSince ?? now
    }

    /// A cluster that a hello tells of is joined only after a look that is younger: its entry may
    /// name this node as one of its founders, who don't join but start. A registry that can't be
    /// used is not waited for.
    private func hasLooked(for cluster: ClusterID, since: Duration) -> Bool {
        if lookFailure != nil { return true }
        guard let view else { return false }
        return view.startedAt >= since || view.shows(formed: cluster)
    }

    /// The node at the address can't be reached, or did not answer in time. `reason` is for people:
    /// `connection refused`.
    package mutating func unreachable(_ address: PeerAddress, reason: String) {
        guard !isFinished else { return }
        hellos.removeAll { $0.address == address }
        fail(address, reason)
        joining.unreachable(address, reason: reason)
        drive()
    }

    /// The cluster took this node in.
    package mutating func joined(_ cluster: ClusterID) {
        guard !isFinished else { return }
        joining.joined(cluster)
        drive()
    }

    /// The node asked did not take this one in; it may know who will.
    package mutating func joinRefused(
        via address: PeerAddress, reason: String, leader: PeerAddress?
    ) {
        guard !isFinished else { return }
        if leader == nil || leader == address { fail(address, reason) }
        // It is asked again soon, and will say the same: the waiting line is not to change each time.
        if leader == address { refusers.insert(address) }
        joining.joinRefused(via: address, reason: reason, leader: leader)
        drive()
    }

    private mutating func fail(_ address: PeerAddress, _ reason: String) {
        guard candidates.contains(address) else { return }
        refusers.remove(address)
        failures.removeAll { $0.address == address }
        failures.append((address, reason))
        failures.sort { $0.address < $1.address }
        isExplanationDue = true
    }

    // MARK: Whom to ask

    /// Those who may know a cluster, and those that may found one with this node.
    mutating func renewCandidates() {
        guard let view else { return }
        var addresses: [PeerAddress] = []
        switch view.leader {
        case .present(.entry(let entry), _) where entry.address.isWellFormed:
            addresses.append(entry.address)
            // Where records can't be read, or too many are there, members are known by the entry.
            if recordsRefused != nil || view.isCut || settings.foundsAnew {
                addresses += entry.founders.map(\.address)
            }
        case .present(.foreign(_, _, let address), _) where PeerAddress(address).isWellFormed:
            addresses.append(PeerAddress(address))
        default: break
        }
        // The leader first and then members: however many records there are, none of those is cut.
        let others = view.records.filter { $0.identity.id != identity.id }
        addresses += others.filter { $0.cluster.map { target.admits($0) } ?? false }.map(\.address)
        if !isDecided(view) || settings.foundsAnew {
            let taken = Set(addresses).count
            addresses += turns.due(
                among: others.filter { $0.cluster == nil },
                answering: Set(hellos.map(\.address)),
                room: max(0, FormationLimits.addresses - taken), now)
        }
        var seen: Set<PeerAddress> = [settings.introduction.address]
        let sorted = addresses.filter { seen.insert($0).inserted }
            .prefix(FormationLimits.addresses).sorted()
        guard sorted != candidates else { return }
        candidates = sorted
        hellos.removeAll { !sorted.contains($0.address) }
        failures.removeAll { !sorted.contains($0.address) }
        refusers.formIntersection(sorted)
        joining.candidatesChanged(sorted)
    }

    /// There is a cluster: nodes without one no longer matter.
    func isDecided(_ view: RegistryView) -> Bool {
        if case .present(.entry(let entry), _) = view.leader { return entry.state == .formed }
        return false
    }

    mutating func relayJoining() {
        for effect in joining.takeEffects() {
            switch effect {
            case .sendHello(let address): emit(.sendHello(address))
            case .attemptJoin(let address): emit(.attemptJoin(via: address))
            case .joined(let cluster): finish(.joined(cluster))
            case .refused(let refusal): emit(.refused(refusal))
            case .fatal(let refusal): finish(.fatal("\(refusal)"))
            case .messageRefused: break  // It takes part in no ballot, and nothing is asked of it.
            case .gaveUp(let text): finish(.gaveUp(text))
            case .waiting: break
            case .send, .answer, .persist, .start:
                preconditionFailure("a formation that only joins asked for \(effect)")
            }
        }
    }

    mutating func forgetSilent() {
        let limit = now - settings.silenceLimit
        guard hellos.contains(where: { $0.heardAt < limit }) else { return }
        hellos.removeAll { $0.heardAt < limit }
        isDecisionDue = true
        isExplanationDue = true
    }

    // MARK: Founders

    /// N voters, this one among them, whose records a hello has confirmed; nil while there are too
    /// few.
    func founders(_ view: RegistryView) -> [Member]? {
        let own = settings.introduction
        let member = Member(
            id: own.identity.id, incarnation: own.identity.incarnation, address: own.address,
            suffrage: .voter)
        guard quota > 1 else { return [member] }
        guard view.records.contains(where: { $0.identity == identity && $0.cluster == nil }) else {
            return nil
        }
        let others = confirmed(view)
        guard others.count >= quota - 1 else { return nil }
        return [member]
            + others.prefix(quota - 1).map {
                Member(
                    id: $0.identity.id, incarnation: $0.identity.incarnation,
                    address: $0.address, suffrage: .voter)
            }
    }

    /// The other voters without a cluster that are as their records say, by ID.
    func confirmed(_ view: RegistryView) -> [NodeRecord] {
        view.records.filter { record in
            record.identity.id != identity.id && record.cluster == nil
                && record.suffrage == .voter && max(1, record.expect) == quota
                && hellos.contains { isFresh($0.facts, record.identity, at: $0.address, record) }
        }
    }

    private func isFresh(
        _ facts: CandidateFacts, _ identity: NodeIdentity, at address: PeerAddress,
        _ record: NodeRecord
    ) -> Bool {
        address == record.address && facts.introduction.identity == identity
            && facts.cluster == nil && facts.introduction.suffrage == .voter
            && max(1, facts.introduction.expect) == quota
    }

    /// Most of those that a claim names, this node among them, are there as it names them.
    func isAttended(_ value: BootstrapValue) -> Bool {
        let present = value.members.filter { member in
            member.incarnation == identity.incarnation
                || hellos.contains {
                    $0.facts.introduction.identity.incarnation == member.incarnation
                        && $0.facts.cluster == nil
                }
        }
        return present.count >= value.membership.quorum
    }

    // MARK: Contradictions

    /// Says what is new, forgets what is over, and ends what can't get better: another voter
    /// without a cluster that expects another number of founders, while there are not enough
    /// without it.
    mutating func reviewContradictions() {
        let present = refusals()
        guard !present.isEmpty || !contradictions.isEmpty else { return }
        contradictions.removeAll { !present.contains($0.refusal) }
        for refusal in present where !contradictions.contains(where: { $0.refusal == refusal }) {
            contradictions.append((refusal, now))
            isExplanationDue = true
            emit(.refused(refusal))
        }
        guard state.claim == nil, !joining.isJoining, differsFromMost else { return }
        if let lasting = contradictions.first(where: { $0.since + settings.refusalPatience <= now })
        {
            finish(.fatal("\(lasting.refusal)"))
        }
    }

    /// Voters without a cluster that answer, by the number of founders that they expect; this one
    /// among them.
    private var opinions: [(quota: Int, count: Int)] {
        var opinions = [(quota: quota, count: 1)]
        var counted = [identity.incarnation]
        for hello in hellos {
            let other = hello.facts.introduction
            guard hello.facts.cluster == nil, other.suffrage == .voter,
                !counted.contains(other.identity.incarnation)
            else { continue }
            counted.append(other.identity.incarnation)
            let wanted = max(1, other.expect)
            if let place = opinions.firstIndex(where: { $0.quota == wanted }) {
                opinions[place].count += 1
            } else {
                opinions.append((wanted, 1))
            }
        }
        return opinions
    }

    /// Who is to end, where nodes expect different numbers: whoever differs from a claim that stands,
    /// and before there is one the fewer. The others go on without them.
    private var differsFromMost: Bool {
        if case .present(.entry(let entry), _) = view?.leader, entry.state == .forming {
            return entry.founders.count != quota
        }
        let opinions = opinions
        return opinions.dropFirst().contains { $0.count > opinions[0].count }
    }

    /// Nobody may found a cluster here: as many or more others expect another number.
    var isContradicted: Bool {
        let opinions = opinions
        return opinions.dropFirst().contains { $0.count >= opinions[0].count }
    }

    private func refusals() -> [FormationRefusal] {
        let own = settings.introduction
        guard own.suffrage == .voter, let view, !isDecided(view) else { return [] }
        return hellos.compactMap { hello in
            let other = hello.facts.introduction
            guard hello.facts.cluster == nil, other.suffrage == .voter,
                other.identity != identity, max(1, other.expect) != quota
            else { return nil }
            return .expectDiffers(
                there: other.expect, here: own.expect, id: other.identity.id,
                address: other.address)
        }
    }
}
