import Cluster
import PeerProtocol
import Raft
import Registry
import Replication
import Service
import Telemetry
import Time
import Transport
import WriteAheadLog

/// How a node without a cluster comes to one, and how a member finds the others again after all
/// have moved. The decisions are the formation machine's; this is its shell.
extension Core {
    static var helloTime: Duration { .seconds(2) }
    private static var joinPatience: Duration { .seconds(15) }
    /// A member without a leader for so long looks for the others at the candidates' addresses.
    private static var rejoinAfter: Duration { .seconds(1) }

    /// Goes on where the disk says the node was, or forms a cluster by the operator's plan.
    func begin(
        _ restored: RestoredState, cluster: ClusterID?, isEstablished: Bool,
        formation state: StoredFormation
    ) {
        acceptorState = state.acceptor
        beginRegistry(state.registry)
        guard let cluster else { return beginFormation() }
        if registry != nil {
            links.logger.announce(
                "preexisting node configuration detected, not registering with discovery service")
        }
        if isEstablished {
            startReplication(restored, in: cluster)
        } else {
            // Stopped between the two records of a new membership: the log holds no entry yet.
            pendingMembership = PendingMembership(
                record: RecordID(0), cluster: cluster, membership: restored.membership,
                campaign: false)
            links.apply.post(.establish(cluster, restored.membership))
        }
    }

    private func beginFormation() {
        switch options.plan {
        case .alone:
            links.logger.info("bootstrapping single new node")
            let own = Member(
                id: options.identity.id, incarnation: options.identity.incarnation,
                address: options.address, suffrage: .voter)
            become(member: Membership([own]), of: ClusterID(.random()), campaign: true)
        case .join(let attempts, let interval, _):
            startFormation(.form, limit: .attempts(attempts, interval: interval))
        case .bootstrap(_, let timeout, _):
            startFormation(.form, limit: .time(timeout))
        case .registry(_, let timeout, _): beginRegistryFormation(limit: timeout)
        }
    }

    private func startFormation(_ purpose: FormationDriver.Purpose, limit: FormationSettings.Limit)
    {
        let expect = purpose == .form ? options.plan.expect ?? 0 : 0
        let introduction = Introduction(
            identity: options.identity, address: options.address,
            suffrage: options.plan.suffrage, expect: expect)
        var settings = FormationSettings(introduction, limit: limit)
        settings.answerPatience = Self.helloTime + .seconds(1)
        let machine = Formation(
            settings, state: purpose == .form ? acceptorState : AcceptorState(),
            freshClusterID: .random(), seed: UInt64.random(in: .min ... .max))
        formation = FormationDriver(machine, purpose: purpose, now: now)
        step { $0.machine.candidatesChanged(addressesToAsk) }
    }

    /// A member that lost the others looks for them where they were, too: not all have moved.
    private var addressesToAsk: [PeerAddress] {
        var addresses = candidates?.addresses ?? []
        guard formation?.purpose == .rejoin, let membership = replicated?.raft.membership else {
            return addresses
        }
        for member in membership.members where member.id != options.identity.id {
            let place = address(of: member.id) ?? member.address
            if !addresses.contains(place) { addresses.append(place) }
        }
        return addresses
    }

    // MARK: Inputs

    func candidatesChanged(_ list: Candidates) {
        candidates = list
        if let problem = list.problem {
            links.logger.warning("candidates are incomplete", ["cause": problem])
        }
        step { $0.machine.candidatesChanged(addressesToAsk) }
    }

    func helloHeard(_ identity: NodeIdentity) {
        step { $0.machine.heard(from: identity) }
    }

    func tickFormation() {
        if replicated != nil { reviewContact() }
        guard formation != nil else { return }
        step { _ in }
    }

    /// A member that lost its leader, or moved, introduces itself to the candidates until the
    /// cluster knows it again.
    private func reviewContact() {
        guard let raft = replicated?.raft, stopping == nil, exclusion == .none,
            options.plan != .alone || raft.membership.members.count > 1
        else { return }
        reviewRecognition()
        // A leader that can't be answered is as good as none.
        let hasLost = raft.leader.map { address(of: $0) == nil } ?? true
        if hasLost { lostSince = lostSince ?? now } else { lostSince = nil }
        if isLost, formation == nil, raft.role != .leader || hasMoved {
            startFormation(.rejoin, limit: .none)
        } else if !isLost, formation?.purpose == .rejoin {
            formation = nil
        }
    }

    /// This member has another address than its cluster knows.
    private var hasMoved: Bool {
        guard let known = replicated?.raft.membership[options.identity.id] else { return false }
        return known.address != options.address
    }

    /// This member must be found again, or find the others.
    var isLost: Bool { hasMoved || lostSince.map { now - $0 > Self.rejoinAfter } ?? false }

    /// The bootstrap of this very cluster: a recovered one is no longer the one that was agreed on.
    private var foundingValue: BootstrapValue? {
        acceptorState.chosen.flatMap { $0.cluster == cluster ? $0 : nil }
    }

    func formationAsked(
        _ bytes: [UInt8], from caller: PeerCaller,
        _ reply: @escaping @Sendable (PeerAnswer) -> Void
    ) {
        let message: FormationMessage
        do {
            message = try FormationMessage(decoding: bytes)
        } catch {
            return reply(.failed("formation message not understood: \(error)"))
        }
        if let cluster {
            let answer = FormationMessage.answer(
                to: message, fromMemberOf: cluster, value: foundingValue)
            return reply(answer.map { .formation($0.encoded()) } ?? .failed("not a question"))
        }
        guard let id = formation?.newRequest(reply) else {
            return reply(.failed("this node forms no cluster with others"))
        }
        step { $0.machine.requested(message, by: id) }
    }

    func formationAnswered(_ address: PeerAddress, _ call: PeerCall, _ result: PeerResult) {
        if registry?.formation != nil {
            return registryFormationAnswered(address, call, result)
        }
        switch result {
        case .failure(let error):
            step { $0.machine.unreachable(address, reason: error.cause) }
        case .success(.hello(let hello)):
            meet(hello)
            step { $0.machine.helloAnswered(CandidateFacts(hello), from: address) }
        case .success(.formation(let bytes)):
            do {
                let message = try FormationMessage(decoding: bytes)
                step { $0.machine.answered(message, from: address) }
            } catch {
                step { $0.machine.unreachable(address, reason: "\(error)") }
            }
        case .success(.joined(let acceptance)):
            noteJoining(acceptance, via: address)
            step { $0.machine.joined(acceptance.cluster) }
        case .success(.joinRefused(let refusal)):
            if refusal.code == .removed { return wasRemoved(refusal.text) }
            step {
                $0.machine.joinRefused(
                    via: address, reason: refusal.text, leader: refusal.leader?.address)
            }
        case .success(.unsupported(let kind)):
            step { $0.machine.unreachable(address, reason: "does not know request \(kind)") }
        case .success(.failed(let text)):
            step { $0.machine.unreachable(address, reason: text) }
        }
    }

    /// A candidate that is a known member may have moved: reach it where it answers.
    private func meet(_ hello: Hello) {
        guard let member = replicated?.raft.membership[hello.identity.id],
            member.incarnation == hello.identity.incarnation, hello.identity != options.identity
        else { return }
        acquaintances[member.id] = hello
        links.transport.setAddress(hello.address, for: member.id)
    }

    /// A joiner's own log does not name anybody yet, but it must answer the leader.
    func noteJoining(_ acceptance: JoinAcceptance, via address: PeerAddress) {
        links.logger.announce("successfully joined cluster at \(address)")
        let own = acceptance.membership[options.identity.id]
        let isFounder =
            own?.incarnation == options.identity.incarnation && own?.suffrage == .voter
        admission = isFounder ? acceptance.membership : Membership()
        isRecognized = true
        membershipChanged(acceptance.membership)
        if let leader = acceptance.leader {
            addressHints[leader.id] = leader.address
            links.transport.setAddress(leader.address, for: leader.id)
        }
    }

    func recorded(_ id: RecordID) {
        if let pending = pendingMembership, pending.record == id {
            links.apply.post(.establish(pending.cluster, pending.membership))
        } else if let ticket = formation?.writes.removeValue(forKey: id) {
            step { $0.machine.persisted(ticket) }
        } else {
            registryRecorded(id)
        }
    }

    // MARK: Effects

    private func step(_ input: (inout FormationDriver) -> Void) {
        guard var driver = formation else { return }
        formation = nil
        driver.tick(now)
        input(&driver)
        formation = driver
        while let effects = formation?.machine.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect) }
        }
    }

    private func perform(_ effect: FormationEffect) {
        switch effect {
        case .sendHello(let address):
            call(.hello, at: address, as: .formationHello, timeout: Self.helloTime)
        case .send(let message, let address):
            call(.formation(message.encoded()), at: address, as: .formation, timeout: .seconds(2))
        case .answer(let message, let id):
            formation?.answers.removeValue(forKey: id)?(.formation(message.encoded()))
        case .persist(let bytes, let ticket): persist(bytes, ticket)
        case .attemptJoin(let address): attemptJoin(via: address)
        case .start(let value, let campaign):
            links.logger.info(
                "cluster bootstrap agreed",
                ["cluster.id": "\(value.cluster)", "members": value.membership.summary])
            become(member: value.membership, of: value.cluster, campaign: campaign)
        case .joined(let cluster): finishJoining(cluster)
        case .waiting(let text):
            // A member looks for the others in the background; what it lacks is in `/status`.
            if formation?.purpose == .form {
                links.logger.info("waiting for a cluster", ["waiting.for": text])
            } else {
                links.logger.debug("looking for the other members", ["waiting.for": text])
            }
        case .refused(let refusal):
            links.logger.warning("another node does not fit", ["cause": "\(refusal)"])
        case .fatal(let refusal): failed("clustering failure: \(refusal)")
        case .gaveUp(let text): failed("clustering failure: \(text)")
        }
    }

    func attemptJoin(via address: PeerAddress) {
        let request = JoinRequest(
            identity: options.identity, address: options.address, apiURL: options.apiURL,
            suffrage: options.plan.suffrage, cluster: cluster, intent: joinIntent)
        call(.join(request), at: address, as: .join, timeout: Self.joinPatience)
    }

    /// A start with `-join` or a discovery mode asks for membership. Later in a run, and without
    /// these, a member only wants to find the others.
    private var joinIntent: JoinRequest.Intent {
        let isReturning = options.plan == .alone || isRecognized
        return formation?.purpose == .rejoin && isReturning ? .resume : .join
    }

    private func persist(_ bytes: [UInt8], _ ticket: PersistTicket) {
        if let state = formation?.machine.state { acceptorState = state }
        let id = RecordID(newID())
        formation?.writes[id] = ticket
        links.log.post(.record([.formation(bytes)], id))
    }

    private func finishJoining(_ cluster: ClusterID) {
        if formation?.purpose == .rejoin {
            formation = nil
            lostSince = nil
        } else {
            become(member: admission, of: cluster, campaign: false)
        }
    }

    // MARK: Becoming a member

    /// Writes cluster ID and membership durably, into the log and then into the database; Raft
    /// starts when that is done.
    func become(member membership: Membership, of cluster: ClusterID, campaign: Bool) {
        let id = RecordID(newID())
        pendingMembership = PendingMembership(
            record: id, cluster: cluster, membership: membership, campaign: campaign)
        var records: [MetadataRecord] = [.cluster(cluster)]
        if !membership.members.isEmpty { records.append(.bootstrapMembership(membership)) }
        links.log.post(.record(records, id))
    }

    /// Log and database know the cluster: the node begins to take part.
    func established() {
        guard let pending = pendingMembership else { return }
        pendingMembership = nil
        formation = nil
        isRecognized = true
        startReplication(RestoredState(membership: pending.membership), in: pending.cluster)
        if pending.campaign {
            replicated?.campaign()
            performEffects()
        }
    }

    /// Starts the consensus core over what the disk holds.
    func startReplication(_ restored: RestoredState, in cluster: ClusterID) {
        self.cluster = cluster
        servableFrom = restored.commitIndex
        let raft = Raft(
            identity: options.identity, cluster: cluster, settings: options.raft,
            restored: restored, seed: UInt64.random(in: .min ... .max))
        replicated = ReplicatedLog(raft: raft, restored: restored, settings: options.replication)
        membershipChanged(restored.membership)
        performEffects()
    }
}

/// What the disk says of attempts to come to a cluster.
struct StoredFormation: Equatable, Sendable {
    var acceptor = AcceptorState()
    var registry = RegistryState()
}

/// A cluster that this node is about to belong to, once its log says so.
struct PendingMembership {
    var record: RecordID
    var cluster: ClusterID
    var membership: Membership
    var campaign: Bool
}

extension RandomID {
    static func random() -> RandomID {
        RandomID(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }
}

extension CandidateFacts {
    init(_ hello: Hello) {
        self.init(
            introduction: Introduction(
                identity: hello.identity, address: hello.address, suffrage: hello.suffrage,
                expect: hello.bootstrapExpect ?? 0),
            cluster: hello.cluster, leader: hello.leader?.address)
    }
}
