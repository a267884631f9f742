import Chance
package import PeerProtocol
package import Raft
import Replication
import Service
import Time
package import Wire
import WriteAheadLog

/// What other nodes ask and answer, and how the machines that deal with them are tied together.
extension NodeMachine {
    // MARK: Beginning

    /// What the disk says of a node that starts.
    package struct Beginning: Sendable {
        /// What the log holds, and through where the database has applied it.
        package var restored: RestoredState
        /// As the log has it.
        package var cluster: ClusterID?
        /// The database knows the cluster, too.
        package var isEstablished: Bool
        /// How far attempts to come to a cluster had come.
        package var formation: StoredFormation
        /// The node has access to a registry.
        package var hasRegistry: Bool
        /// Entries ahead that the operator's recovery leaves out.
        package var skips: [EntrySkip]
        /// Whether the database is to be trusted, by an earlier run.
        package var quarantine: Quarantine
        /// The database keeps a trace for checksums.
        package var isTraced = false

        package init(
            restored: RestoredState, cluster: ClusterID?, isEstablished: Bool,
            formation: StoredFormation, hasRegistry: Bool, skips: [EntrySkip] = [],
            quarantine: Quarantine = Quarantine()
        ) {
            self.skips = skips
            self.restored = restored
            self.cluster = cluster
            self.isEstablished = isEstablished
            self.formation = formation
            self.hasRegistry = hasRegistry
            self.quarantine = quarantine
        }
    }

    /// Goes on where the disk says the node was, or forms a cluster by the operator's plan.
    package mutating func begin(_ beginning: Beginning) {
        rendezvous.acceptor = beginning.formation.acceptor
        unrecordedSkips = beginning.skips
        quarantine = beginning.quarantine
        checksums.begin(isTraced: beginning.isTraced)
        if beginning.hasRegistry { rendezvous.beginRegistry(beginning.formation.registry) }
        if let cluster = beginning.cluster {
            if beginning.hasRegistry {
                say(
                    .announcement,
                    "preexisting node configuration detected, not registering with discovery service"
                )
            }
            if beginning.isEstablished {
                askForOwnIdentity(beginning.restored, in: cluster)
            } else {
                unestablished = beginning.restored
                rendezvous.resume(cluster, beginning.restored.membership)
            }
        } else {
            rendezvous.beginForming()
        }
        settle()
        updateLeadership()
    }

    // MARK: One process for each identity

    /// A member asks whether another process bears its identity before it takes part.
    private mutating func askForOwnIdentity(_ restored: RestoredState, in cluster: ClusterID) {
        self.cluster = cluster
        beginning = (restored, cluster, false)
        for place in identityWatch.questions(restored.membership) { askOwnIdentity(at: place) }
        if !identityWatch.isAsking { takePart() }
    }

    /// The node has just come to its cluster. Named by ID and incarnation is a copy of its data directory, too, from
    /// before that had a cluster: where the cluster knows it elsewhere, that place is asked first. And a founding may
    /// be an old one, and this the disk of a founder from before it: then all are asked, as at a start.
    private mutating func arrive(
        in cluster: ClusterID, with restored: RestoredState, campaigns: Bool
    ) {
        self.cluster = cluster
        beginning = (restored, cluster, campaigns)
        let isLate =
            rendezvous.hasWorked(cluster) && restored.membership.contains(options.identity.id)
        let places =
            isLate
            ? identityWatch.questions(restored.membership)
            : [identityWatch.formerPlace(in: restored.membership)].compactMap(\.self)
        for place in places { askOwnIdentity(at: place) }
        if !identityWatch.isAsking { takePart() }
    }

    private mutating func askOwnIdentity(at place: PeerAddress) {
        let id = PeerCallID(newID())
        identityWatch.asking(id, at: place)
        call(.ownIdentity, .hello, at: place, timeout: IdentityWatch.patience, id: id)
    }

    private mutating func ownIdentityAnswered(_ id: PeerCallID, _ result: PeerResult) {
        if case .success(.hello(let hello)) = result { note(hello) }
        let (verdict, next) = identityWatch.answered(id, result)
        for place in next { askOwnIdentity(at: place) }
        switch verdict {
        case .open: break
        case .alone: takePart()
        case .doubled(let place):
            failed(
                "another process with the identity of node \(options.identity.id) is alive at "
                    + "\(place), and this one would be at \(options.address): the data directory is "
                    + "a copy of the other's, or the other's of it. Stop one of them; give a second "
                    + "node another -node-id and an empty data directory")
        }
    }

    private mutating func takePart() {
        guard let (restored, cluster, campaigns) = beginning else { return }
        beginning = nil
        startReplication(restored, in: cluster)
        if quarantine.cause != nil { replicated?.distrustDatabase() }
        let testimonies = identityWatch.testimonies
        for (witness, testimony) in testimonies { heard(testimony, of: witness) }
        if campaigns {
            replicated?.campaign()
            firstCampaign.begin(now)
        }
    }

    /// A node that dialed this one said where it is.
    mutating func spoke(_ speaker: NodeIdentity, at place: PeerAddress) {
        let id = PeerCallID(newID())
        identityWatch.forgetStrangers(besides: replicated?.raft.membership)
        guard
            let former = identityWatch.heard(
                speaker, at: place, member: replicated?.raft.membership[speaker.id], call: id)
        else { return }
        call(
            .otherIdentity, .hello, at: former, timeout: MembershipDesk.dialBackTime, id: id)
    }

    private mutating func otherIdentityAnswered(_ id: PeerCallID, _ result: PeerResult) {
        guard let (speaker, place, alive) = identityWatch.reviewed(id, result) else { return }
        troubles.note(
            .directoryInUseTwice, about: speaker.id.rawValue,
            "the member is at \(alive), the copy at \(place)", now: now)
        let cause = """
            node \(speaker.id) is alive at \(alive), and another process with its identity at \
            \(place): one data directory is a copy of the other. Stop this one, and start it with \
            another -node-id and an empty data directory
            """
        emit(.refusePeer(speaker, at: place, cause: cause))
    }

    /// Starts the consensus core over what the disk holds.
    private mutating func startReplication(_ restored: RestoredState, in cluster: ClusterID) {
        precondition(replicated == nil, "replication begins once in a run")
        self.cluster = cluster
        servableFrom = restored.commitIndex
        leaderlessSince = now
        let raft = RaftMachine(
            identity: options.identity, cluster: cluster, settings: options.raft,
            restored: restored, seed: chance.next())
        replicated = ReplicatedLog(raft: raft, restored: restored, settings: options.replication)
        learn(restored.membership)
    }

    // MARK: Questions of other nodes

    mutating func peerAsked(
        _ id: PeerQuestionID, _ request: PeerRequest, _ caller: PeerCaller
    ) {
        switch request {
        case .hello: emit(.answerPeer(id, .hello(hello(for: caller.identity))))
        case .checksums: checksumsAsked(id, caller)
        case .seed: seedAsked(id, caller)
        case .disowned(let theirs):
            emit(.answerPeer(id, .hello(hello(for: caller.identity))))
            disowned(by: caller.identity, of: theirs)
        case .join(let request):
            // Members that moved find places of their own: by strangers they would be kept out.
            let places = isMember(caller) ? Self.mostDialBacks * 2 : Self.mostDialBacks
            guard openDialBacks < places, membership.pendingChanges < Self.mostChanges else {
                let refusal = JoinRefusal(code: .busy, text: "too many nodes ask to join at once")
                return emit(.answerPeer(id, .joinRefused(refusal)))
            }
            membership.joinAsked(
                request, id, call: PeerCallID(newID()), replicated?.raft, leader: leaderHint)
        case .formation(let bytes):
            rendezvous.situation = situation
            if askers.count >= Self.mostAskers { askers.removeFirst() }
            askers.append((id, caller.identity))
            rendezvous.formationAsked(bytes, id)
        }
    }

    /// Who asks to join is asked in turn where it says that it is, whether it still waits or not.
    private var openDialBacks: Int {
        calls.values.count { if case .membership = $0 { true } else { false } }
    }

    /// Each takes a connection, and a place that is none may keep it for as long as a dial takes.
    private static var mostDialBacks: Int { 64 }

    /// Changes of the membership that wait for their turn: all are looked at with each tick.
    static var mostChanges: Int { 1024 }

    /// Questions of the agreement whose askers are remembered, should one prove false.
    private static var mostAskers: Int { 64 }

    /// How this node introduces itself.
    package var hello: Hello { hello(for: nil) }

    /// - Parameter caller: who asks; the answer says where this node knows it.
    package func hello(for caller: NodeIdentity?) -> Hello {
        let raft = replicated?.raft
        var hello = Hello(
            identity: options.identity, cluster: cluster, address: options.address,
            apiURL: options.apiURL,
            versions: Hello.Versions(
                data: options.dataVersion, program: options.version, engine: options.engine),
            suffrage: raft?.membership[options.identity.id]?.suffrage ?? options.plan.suffrage,
            bootstrapExpect: options.plan.expect, leader: leaderHint, term: raft?.term ?? .zero,
            commitIndex: raft?.commitIndex ?? .zero, isReady: isReady, run: identityWatch.run)
        if let raft, raft.commitIndex > .zero, isHeard { hello.committed = raft.committedPosition }
        if let restored = beginning?.restored { tell(of: restored, in: &hello) }
        if let caller { hello.address(caller, by: callerPlaces) }
        return hello
    }

    /// Who was removed, or became a read replica, can't lead with what it holds: where voters were restored from
    /// copies of before, its word on what is committed, and on what they acknowledged to it, would keep them from
    /// going on. After a restart its own log alone says so.
    private var isHeard: Bool {
        exclusion == .none && replicated?.raft.isElectable ?? false
    }

    /// Where this node knows others to be.
    package var callerPlaces: CallerPlaces {
        CallerPlaces(
            progress: replicated?.raft.progress ?? [],
            acknowledgedBefore: isHeard ? replicated?.raft.acknowledgedBefore ?? [:] : [:],
            heard: identityWatch.places, membership: replicated?.raft.membership)
    }

    // MARK: Answers of other nodes

    mutating func answered(_ id: PeerCallID, _ result: PeerResult) {
        guard let purpose = calls.removeValue(forKey: id) else { return }
        switch purpose {
        case .acquaintance(let member):
            // The member may have moved since it was asked, and another have come where it was.
            guard case .success(.hello(let hello)) = result, hello.identity.id == member,
                hello.address == replicated?.raft.membership[member]?.address
            else { return }
            acquaintances.met(hello)
        case .rendezvous(let purpose, let address):
            rendezvous.situation = situation
            rendezvous.answered(purpose, at: address, result)
        case .membership:
            if case .success(.hello(let hello)) = result,
                replicated?.raft.membership[hello.identity.id] == nil
            {
                acquaintances.metJoiner(hello)
            }
            membership.answered(
                id, result, next: PeerCallID(newID()), replicated?.raft,
                known: MembershipDesk.Places(
                    met: acquaintances, heard: identityWatch.places),
                leader: leaderHint, now: now)
            advanceMembership()
        case .survey:
            if let answer = enquiries.surveyed(id, result, now: now) {
                router.answer(answer.key, answer.outcome)
            }
        case .readiness: readinessAnswered(id, result)
        case .successor(let member): successorAnswered(member, result)
        case .ownIdentity: ownIdentityAnswered(id, result)
        case .testimony: testified(result)
        case .otherIdentity: otherIdentityAnswered(id, result)
        case .checksums(let member): checksumsAnswered(member, result)
        case .seed: seedAnswered(result)
        case .reseed(let pending): reseedAnswered(pending, result)
        // What came of it shows in what the other says as a member, or no more.
        case .disowned: break
        }
    }

    // MARK: Decisions of the machines

    /// - Returns: whether there was something to do.
    mutating func performRendezvous() -> Bool {
        let decisions = rendezvous.takeDecisions()
        for decision in decisions { perform(decision) }
        return !decisions.isEmpty
    }

    private mutating func perform(_ decision: Rendezvous.Decision) {
        switch decision {
        case .call(let purpose, let request, let address, let timeout):
            call(.rendezvous(purpose, address), request, at: address, timeout: timeout)
        case .answer(let id, let answer): emit(.answerPeer(id, answer))
        case .askRegistry(let request, let id, let timeout):
            emit(.askRegistry(request, id, timeout: timeout))
        case .lookUp(let host): emit(.lookUp(host))
        case .watchRegistry(let token, let timeout):
            emit(.watchRegistry(token: token, timeout: timeout))
        case .record(let metadata, let purpose):
            let id = RecordID(newID())
            records[id] = purpose
            emit(.log(.record(metadata, id)))
        case .establish(let cluster, let membership):
            emit(.database(.establish(cluster, membership)))
        case .begin(let cluster, let membership, let campaign):
            // The log may hold more than the first membership, beside a database from before it:
            // what the node voted and acknowledged binds it.
            var restored = unestablished ?? RestoredState(membership: membership)
            unestablished = nil
            restored.appliedMembership = membership
            arrive(in: cluster, with: restored, campaigns: campaign)
        case .leaveBootstrap:
            replicated = nil
            cluster = nil
            // Nobody is a member any more with whom it founded. Who is one of the next cluster is learnt of anew.
            for id in acquaintances.hinted { forget(id) }
            unnamed = []
        case .introduced(let acceptance): introduced(acceptance)
        case .met(let hello): meet(hello)
        case .wasRemoved(let cause): wasRemoved(cause)
        case .brokeProtocol(let question, let cause):
            if let asker = askers.first(where: { $0.question == question }) {
                brokeProtocol(asker.identity, cause)
            }
        case .answeredFalsely(let place, let cause): answeredFalsely(place, cause)
        case .say(let note): emit(.say(note))
        case .fail(let text): failed(text)
        }
    }

    /// A joiner's own log does not name anybody yet, but it must answer the leader.
    private mutating func introduced(_ acceptance: JoinAcceptance) {
        learn(acceptance.membership)
        takenInAgain(acceptance.membership)
        if let leader = acceptance.leader {
            _ = acquaintances.hinted(leader.address, for: leader.id)
            emit(.setAddress(leader.address, for: leader.id))
        }
    }

    /// A candidate that is a known member may have moved: reach it where it answers.
    private mutating func meet(_ hello: Hello) {
        if let theirs = hello.cluster, let cluster, theirs != cluster {
            metOtherCluster(hello.identity.id.rawValue, theirs)
        }
        guard let member = replicated?.raft.membership[hello.identity.id],
            member.incarnation == hello.identity.incarnation, hello.identity != options.identity
        else { return }
        acquaintances.met(hello)
        emit(.setAddress(hello.address, for: member.id))
    }

    mutating func advanceMembership() {
        membership.advance(
            replicated?.raft, leader: leaderHint, busy: snapshots.receiver, now: now)
    }

    /// - Returns: whether there was something to do.
    mutating func performMembership() -> Bool {
        let decisions = membership.takeDecisions()
        for decision in decisions { perform(decision) }
        // A change that ended makes room for the next.
        if !decisions.isEmpty { advanceMembership() }
        return !decisions.isEmpty
    }

    private mutating func perform(_ decision: MembershipDesk.Decision) {
        switch decision {
        case .answer(let id, let answer): emit(.answerPeer(id, answer))
        case .askHello(let id, let address):
            call(
                .membership, .hello, at: address, timeout: MembershipDesk.dialBackTime, id: id)
        case .propose(let change):
            let id = ProposalID(newID())
            router.proposed(id, .membership)
            replicated?.propose(change, id: id)
        case .removed(let key): router.answer(key, .done)
        case .removalRefused(let key, let refusal):
            router.answer(key, .failed(.membership(refusal)))
        case .removalLate(let key):
            router.answer(key, .failed(.timedOut(waitingFor: "the removal to be committed")))
        case .park(let pending): router.park(pending)
        case .reaped(let id, let wasVoting):
            reapings.succeeded += 1
            say(.announcement, "successfully reaped \(Self.kind(wasVoting)) node \(id)")
        case .reapingFailed(let id, let wasVoting, let cause):
            reapings.failed += 1
            say(.announcement, "failed to reap \(Self.kind(wasVoting)) node \(id): \(cause)")
        case .joined(let request, let suffrage): joined(request, suffrage)
        case .twoNodesWithOneID(let id, let member, let joiner):
            troubles.note(
                .namesake, about: id.rawValue,
                "the member is at \(member), another that asks to join at \(joiner)", now: now)
        }
    }

    private static func kind(_ wasVoting: Bool) -> String { wasVoting ? "voting" : "non-voting" }

    private mutating func joined(_ request: JoinRequest, _ suffrage: Suffrage) {
        if (suffrage == .nonvoter) != (request.suffrage == .nonvoter) {
            say(
                .warning,
                "node stays what it is: to change whether it votes, remove it and let it join",
                ["node.id": "\(request.identity.id)", "suffrage": "\(suffrage)"])
        }
        say(
            .info, "node joined",
            [
                "node.id": "\(request.identity.id)", "address": "\(request.address)",
                "suffrage": "\(suffrage)",
            ])
    }

    // MARK: Knowing the members

    mutating func learn(_ membership: Membership) {
        for member in membership.members where member.id != options.identity.id {
            guard acquaintances.hinted(member.address, for: member.id) else { continue }
            // A copy may have been refused there, and have taken the place of its original since.
            emit(.acceptPeer(NodeIdentity(member: member), at: member.address))
            emit(.setAddress(member.address, for: member.id))
        }
    }

    /// Whom neither the committed membership nor a later one names any more is nobody's peer; its
    /// connections end, the leader's when another leads. A node that was removed itself keeps what it
    /// knows: it may be taken in again.
    mutating func forgetFormer(_ committed: Membership) {
        guard let raft = replicated?.raft, raft.membership.contains(options.identity.id) else {
            return
        }
        let gone = acquaintances.hinted.filter { id in
            !committed.contains(id) && !raft.membership.contains(id)
        }
        for id in gone {
            if id == raft.leader { removedLeader = id } else { forget(id) }
        }
    }

    /// Another leads than the one that was answered until its own removal was committed.
    mutating func forgetRemovedLeader() {
        guard let id = removedLeader, let raft = replicated?.raft, let leader = raft.leader,
            leader != id, raft.membership.contains(leader)
        else { return }
        removedLeader = nil
        if !raft.membership.contains(id) { forget(id) }
    }

    mutating func forget(_ id: NodeID) {
        acquaintances.forget(id)
        spokeAt[id] = nil
        snapshots.forgotten(id, now: now)
        emit(.removeAddress(of: id))
    }

    func address(of id: NodeID) -> PeerAddress? {
        if id == options.identity.id { return options.address }
        return acquaintances[id]?.address ?? replicated?.raft.membership[id]?.address
            ?? acquaintances.hint(for: id)
    }

    var leaderHint: LeaderHint? {
        guard let leader = replicated?.raft.leader, let address = address(of: leader) else {
            return nil
        }
        let url = leader == options.identity.id ? options.apiURL : acquaintances[leader]?.apiURL
        return LeaderHint(id: leader, address: address, apiURL: url)
    }

    /// Asks members that did not introduce themselves yet for their API URL and versions.
    mutating func askAcquaintances() {
        guard let members = replicated?.raft.membership else { return }
        for member in acquaintances.due(members, except: options.identity.id, now: now) {
            call(
                .acquaintance(member.id), .hello, at: member.address, timeout: .seconds(2))
        }
    }
}
