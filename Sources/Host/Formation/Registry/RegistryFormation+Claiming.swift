import Cluster
import Raft

/// What a look leads to: joining, claiming, taking over, starting, or waiting.
extension RegistryFormation {
    mutating func decide() {
        guard let view else { return }
        let before = target
        switch view.leader {
        case .absent: decideWithoutEntry(view)
        case .present(.entry(let entry), let revision):
            switch entry.state {
            case .forming where isOwn(entry): completeClaim(entry, at: revision, view)
            case .forming: decideOnClaim(of: entry, at: revision, view)
            case .formed: follow(entry, at: revision, view)
            }
        case .present(.foreign, _):
            guard dropClaim() else { return }
            target = .anything
        case .present(.unreadable, _):
            // It tells nothing, not even that the claim is lost.
            target = state.claim == nil ? .anything : .nothing
        }
        renewCandidates()
        if target != before, case .cluster = target { joining.askAgain() }
    }

    private func isOwn(_ entry: LeaderEntry) -> Bool {
        state.claim.map { $0.value.cluster == entry.cluster && $0.nonce == entry.nonce } ?? false
    }

    // MARK: No entry

    private mutating func decideWithoutEntry(_ view: RegistryView) {
        if showsCluster(view) {
            guard dropClaim() else { return }
            target = .anything
            return
        }
        target = state.claim == nil ? .anything : .nothing
        guard let absentSince, view.startedAt >= absentSince + settings.absence else { return }
        claim(on: .absent, view)
    }

    /// Somebody is in a cluster: it is joined, whatever the entry says.
    private func showsCluster(_ view: RegistryView) -> Bool {
        !view.members(besides: identity.id).isEmpty || hellos.contains { $0.facts.cluster != nil }
    }

    // MARK: Another's claim

    private mutating func decideOnClaim(
        of entry: LeaderEntry, at revision: Revision, _ view: RegistryView
    ) {
        if state.claim != nil, basis != .revision(revision) {
            guard dropClaim() else { return }
        }
        target = state.claim == nil ? .anything : .nothing
        guard !showsCluster(view) else { return }
        guard let watched, watched.revision == revision,
            view.startedAt >= watched.since + settings.takeover
        else { return }
        claim(on: .revision(revision), view)
    }

    // MARK: The own claim

    /// (a) and (b): the claim, durably, and then the entry *forming*.
    private mutating func claim(on basis: Basis, _ view: RegistryView) {
        guard settings.introduction.suffrage == .voter, !joining.isJoining,
            !isContradicted, let founders = founders(view)
        else { return }
        guard view.endedAt + settings.freshness >= now else { return lookSoon() }
        if let claim = state.claim {
            if self.basis == nil, case .absent = basis { self.basis = .absent }
            guard self.basis == basis, isAttended(claim.value) else {
                _ = dropClaim()
                return
            }
            writeForming(claim)
        } else {
            claimCount += 1
            let cluster = ClusterID(derivedID(2 * claimCount))
            let value = BootstrapValue(cluster: cluster, members: founders)
            self.basis = basis
            state.claim = RegistryState.Claim(nonce: derivedID(2 * claimCount + 1), value: value)
            target = .nothing
            persist(.claim)
        }
    }

    private func derivedID(_ number: UInt64) -> RandomID {
        RandomID(high: freshID.high, low: freshID.low &+ number)
    }

    private mutating func writeForming(_ claim: RegistryState.Claim) {
        let entry = entry(of: claim, .forming).encoded()
        guard entry.count <= RegistryLimits.value else {
            return finish(
                .fatal(
                    "the leader entry of \(claim.value.members.count) founders would have "
                        + "\(entry.count) bytes, the limit is \(RegistryLimits.value): use a smaller "
                        + "-bootstrap-expect, and let the others join"))
        }
        var expected: Revision?
        if case .revision(let revision) = basis { expected = revision }
        ask(.write(RecordName.leader, value: entry, expected: expected), .writeForming)
    }

    mutating func wroteForming(_ answer: RegistryAnswer) {
        guard case .written(let revision) = answer, let claim = state.claim, let view else {
            return uncertain(answer)
        }
        emit(.notice(claimNotice(claim, view)))
        basis = nil
        watched = (revision, now)
        self.view = RegistryView(
            leader: .present(.entry(entry(of: claim, .forming)), revision), records: view.records,
            startedAt: now, endedAt: now)
        absentSince = nil
        isDecisionDue = true
        lookSoon(probation)
    }

    private func claimNotice(_ claim: RegistryState.Claim, _ view: RegistryView) -> String {
        let names = claim.value.members.map(\.id.rawValue).joined(separator: ", ")
        let text = "claimed to found cluster \(claim.value.cluster) with the voters \(names)"
        guard case .present(.entry(let entry), _) = view.leader else { return text }
        guard entry.state == .forming else {
            return text + ", in the place of cluster \(entry.cluster), of which all nodes that the "
                + "registry names answer without data (-bootstrap-anew)"
        }
        return text + ", in the place of cluster \(entry.cluster), which node \(entry.id) at "
            + "\(entry.address) has left half-done"
    }

    /// (d): the entry *formed*, unless it has changed since.
    ///
    /// Not at once: between two looks that showed no entry a cluster may have been founded and its
    /// entry lost. Its leader, which looks four times a second, finds this entry and replaces it.
    private mutating func completeClaim(
        _ entry: LeaderEntry, at revision: Revision, _ view: RegistryView
    ) {
        guard let claim = state.claim else { return }
        target = .nothing
        basis = nil
        guard !showsCluster(besides: claim.value.cluster, view) else {
            // An own write of before may still be on its way: it must not bring a claim to its end that is dropped.
            return ask(.erase(RecordName.leader, expected: revision), .eraseForming)
        }
        guard let watched, view.startedAt >= watched.since + probation else {
            return lookSoon(max(.zero, (watched?.since ?? now) + probation - now))
        }
        guard view.endedAt + settings.freshness >= now else { return lookSoon() }
        guard isAttended(claim.value) else {
            return replaceUnattended(claim, at: revision, view)
        }
        ask(
            .write(
                RecordName.leader, value: self.entry(of: claim, .formed).encoded(),
                expected: revision), .writeFormed)
    }

    /// Somebody is in another cluster than the claimed one. With `-bootstrap-anew` records of others may have been there
    /// when this node claimed.
    private func showsCluster(besides claimed: ClusterID, _ view: RegistryView) -> Bool {
        guard !settings.foundsAnew else { return false }
        return view.members(besides: identity.id).contains { $0.cluster != claimed }
            || hellos.contains { $0.facts.cluster.map { $0 != claimed } ?? false }
    }

    /// The claim is dropped as if a look had shown no entry.
    mutating func erasedForming(_ answer: RegistryAnswer) {
        guard case .erased = answer, let view else { return uncertain(answer) }
        watched = nil
        shown = nil
        absentSince = now
        self.view = RegistryView(
            leader: .absent, records: view.records, isCut: view.isCut, startedAt: now, endedAt: now)
        isDecisionDue = true
        lookSoon()
    }

    /// Most of those that the claim names are gone since: after the time that others would have to
    /// wait, those that are there found another cluster in its place.
    private mutating func replaceUnattended(
        _ claim: RegistryState.Claim, at revision: Revision, _ view: RegistryView
    ) {
        guard let watched, view.startedAt >= watched.since + settings.takeover,
            founders(view) != nil
        else { return }
        state.claim = nil
        self.claim(on: .revision(revision), view)
        if state.claim == nil { state.claim = claim }
    }

    mutating func wroteFormed(_ answer: RegistryAnswer) {
        guard case .written = answer, let claim = state.claim else { return uncertain(answer) }
        emit(.notice("founded cluster \(claim.value.cluster)"))
        found(claim.value, campaign: true)
    }

    /// Only a look tells what the registry holds now. One that shows what writes say does not stand there
    /// will show it for a while: its reads come from elsewhere, or are cut by rights.
    private mutating func uncertain(_ answer: RegistryAnswer) {
        view = nil
        if case .failed(let failure) = answer {
            lookFailure = failure.description
            // What is forbidden stays so until somebody permits it, as with looks.
            let isForbidden = failure.kind == .forbidden
            nextLook = now + (isForbidden ? jitter.pause(1_000, 3_000) : jitter.pause(50, 250))
        } else {
            conflicts += 1
            nextLook = now + (conflicts == 1 ? .zero : .milliseconds(100))
        }
    }

    private func entry(
        of claim: RegistryState.Claim, _ state: LeaderEntry.State
    ) -> LeaderEntry {
        LeaderEntry(
            id: identity.id, apiURL: settings.apiURL, address: settings.introduction.address,
            cluster: claim.value.cluster, state: state, nonce: claim.nonce, term: .zero,
            founders: claim.value.members)
    }

    /// Drops a claim of which a look has shown that it came to nothing. False while that is on its
    /// way to the disk: nothing may follow before it is there.
    private mutating func dropClaim() -> Bool {
        guard let claim = state.claim else { return true }
        emit(.notice("dropped the claim to found cluster \(claim.value.cluster)"))
        state.claim = nil
        basis = nil
        target = .nothing
        persist(.dropClaim)
        return false
    }

    // MARK: A cluster that is formed

    private mutating func follow(
        _ entry: LeaderEntry, at revision: Revision, _ view: RegistryView
    ) {
        if let claim = state.claim, claim.value.cluster == entry.cluster {
            return found(claim.value, campaign: true)
        }
        let isNamed = entry.founders.contains {
            $0.id == identity.id && $0.incarnation == identity.incarnation
        }
        if isNamed {
            return found(
                BootstrapValue(cluster: entry.cluster, members: entry.founders), campaign: false)
        }
        if settings.foundsAnew, isAbandoned(entry, view) {
            target = .nothing
            return claim(on: .revision(revision), view)
        }
        guard dropClaim() else { return }
        target = .cluster(entry.cluster)
    }

    /// All that the registry tells of the cluster's members has been asked, and answers without data:
    /// its leader, its founders, and whoever has a record of it. One that is silent may have them.
    private func isAbandoned(_ entry: LeaderEntry, _ view: RegistryView) -> Bool {
        let members = view.records.filter { $0.cluster == entry.cluster }.map(\.identity.id)
        let named = [entry.id] + entry.founders.map(\.id) + members
        // Also under this node's own ID another may live where the leader is said to be.
        let place = entry.address
        let isAsked =
            place == settings.introduction.address || hellos.contains { $0.address == place }
            || failures.contains { $0.address == place }
        return isAsked && hellos.allSatisfy { $0.facts.cluster == nil }
            && named.allSatisfy { id in
                id == identity.id
                    || hellos.contains { $0.facts.introduction.identity.id == id }
            }
    }

    private mutating func found(_ value: BootstrapValue, campaign: Bool) {
        target = .nothing
        state.claim = nil
        state.founding = value
        persist(.found(value, campaign: campaign))
    }
}
