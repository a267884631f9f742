import Chance
import Cluster
import PeerProtocol
import Raft
import Registry
import Time
import WriteAheadLog

/// How a node uses a registry: to come to its cluster, and then to be found in it.
extension Rendezvous {
    /// The node has access to a registry.
    mutating func beginRegistry(_ state: RegistryState) {
        let keeper = RegistryKeeper(nodeRecord, nonce: chance.nextID(), seed: chance.next())
        registry = RegistryDriver(keeper, state: state, now: now)
    }

    mutating func beginRegistryFormation(limit: Duration?) {
        guard let state = registry?.state else {
            preconditionFailure("a plan for a registry, but no access to one")
        }
        say(.announcement, "no preexisting nodes, registering with discovery service")
        let introduction = FormationIntroduction(
            identity: options.identity, address: options.address,
            suffrage: options.plan.suffrage, expect: options.plan.expect ?? 0)
        var settings = RegistryFormationSettings(
            introduction, apiURL: options.apiURL, limit: limit)
        settings.clearCommand = clearCommand
        settings.foundsAnew = options.foundsAnew
        let formation = RegistryFormation(
            settings, state: state, freshID: chance.nextID(), seed: chance.next())
        registry?.begin(formation, now: now)
    }

    /// What an operator types to repair the registry by hand, but for the last flag.
    var clearCommand: String {
        let flags = options.discoveryFlags
        return "rqlited disco clear" + (flags.isEmpty ? "" : " " + flags)
    }

    /// As it shall stand in the registry.
    private var nodeRecord: NodeRecord {
        NodeRecord(
            identity: options.identity, cluster: situation.cluster, address: options.address,
            apiURL: options.apiURL, suffrage: options.plan.suffrage,
            expect: options.plan.expect ?? 0)
    }

    /// What this node is, as far as the registry's leader entry is concerned.
    private var standing: RegistryKeeper.Standing {
        guard let cluster = situation.cluster else { return .fresh }
        if situation.exclusion != .none { return .excluded }
        if situation.role == .leader { return .leader(situation.term) }
        if let founding = registry?.state.founding, founding.cluster == cluster,
            situation.leader == nil, situation.isLogEmpty
        {
            return .founder(founding)
        }
        return .member(isLost: isLost)
    }

    // MARK: Inputs

    mutating func tickRegistry() {
        guard registry != nil else { return }
        let (record, standing) = (nodeRecord, standing)
        var members: [NodeID] = []
        if case .leader = standing { members = situation.membership.members.map(\.id) }
        stepRegistry { $0.keeper.update(record, standing, members: members) }
        watchRegistry(standing)
    }

    mutating func registryAnswered(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ reply: RegistryReply
    ) {
        stepRegistry { $0.answered(request, id, reply) }
    }

    mutating func registryWatched(_ outcome: RegistryWatchOutcome) {
        let now = now
        stepRegistry { driver in
            driver.watch.ended(outcome, now: now)
            if case .changed = outcome { driver.changed() }
        }
    }

    /// What another node answered while this one has no cluster.
    mutating func registryFormationAnswered(
        _ purpose: Purpose, _ address: PeerAddress, _ result: PeerResult
    ) {
        switch result {
        case .success(.hello(let hello)):
            noteWork(of: hello)
            if let reason = unfitness(ofFounder: hello) {
                return registryUnreachable(address, purpose, reason)
            }
            stepRegistry { $0.formation?.helloAnswered(CandidateFacts(hello), from: address) }
        case .success(.joined(let acceptance)):
            noteJoining(acceptance, via: address)
            stepRegistry { $0.formation?.joined(acceptance.cluster) }
        // Another process lives with this identity: only one of the two may act as the member.
        case .success(.joinRefused(let refusal)) where refusal.code == .identityInUse:
            decisions.append(.fail(refusal.text))
        case .success(.joinRefused(let refusal)):
            noteFailedJoin(via: address, refusal.text)
            stepRegistry {
                $0.formation?.joinRefused(
                    via: address, reason: refusal.text, leader: refusal.leader?.address)
            }
        case .success(.unsupported(let kind)):
            registryUnreachable(address, purpose, "does not know request \(kind)")
        case .success(.failed(let text)): registryUnreachable(address, purpose, text)
        case .success(.formation), .success(.checksums), .success(.seeding):
            registryUnreachable(address, purpose, "answered what nobody asked")
        case .failure(let error): registryUnreachable(address, purpose, error.cause)
        }
    }

    private mutating func registryUnreachable(
        _ address: PeerAddress, _ purpose: Purpose, _ reason: String
    ) {
        if purpose == .join { noteFailedJoin(via: address, reason) }
        stepRegistry { $0.formation?.unreachable(address, reason: reason) }
    }

    private mutating func noteFailedJoin(via address: PeerAddress, _ reason: String) {
        say(.announcement, "failed to join cluster at \(address): \(reason)")
    }

    // MARK: Effects

    mutating func stepRegistry(_ input: (inout RegistryDriver) -> Void) {
        // A node on its way out asks for nothing more.
        guard !situation.isStopping, registry != nil else { return }
        registry?.step(now, input)
        var isDone = false
        while !isDone {
            let forming = registry?.formation?.takeEffects() ?? []
            for effect in forming { perform(effect) }
            let keeping = registry?.keeper.takeEffects() ?? []
            for effect in keeping { perform(effect) }
            isDone = forming.isEmpty && keeping.isEmpty
        }
    }

    private mutating func perform(_ effect: RegistryFormationEffect) {
        switch effect {
        case .ask(let request, let id, let timeout):
            decisions.append(.askRegistry(request, id, timeout: timeout))
        case .sendHello(let address): call(.hello, .hello, at: address, Self.helloTime)
        case .attemptJoin(let address):
            say(.announcement, "discovery service returned \(address) as join address")
            attemptJoin(via: address)
        case .persist(let bytes, let ticket):
            decisions.append(.record([.registry(bytes)], .registry(ticket)))
        case .start(let value, let campaign):
            if campaign {
                say(.announcement, "node registered as leader using discovery service")
            }
            say(
                .info, "cluster bootstrap agreed",
                ["cluster.id": "\(value.cluster)", "members": value.membership.summary])
            endRegistryFormation()
            become(member: value.membership, of: value.cluster, campaign: campaign)
        case .joined(let cluster):
            endRegistryFormation()
            become(member: admission, of: cluster, campaign: false)
        case .waiting(let text):
            say(.info, "waiting for a cluster", ["waiting.for": text])
        case .notice(let text): say(.announcement, text)
        case .refused(let refusal):
            say(.warning, "another node does not fit", ["cause": "\(refusal)"])
        case .fatal(let text), .gaveUp(let text):
            decisions.append(.fail("clustering failure: \(text)"))
        }
    }

    private mutating func perform(_ effect: RegistryKeeperEffect) {
        switch effect {
        case .ask(let request, let id, let timeout):
            decisions.append(.askRegistry(request, id, timeout: timeout))
        case .candidates(let addresses): candidatesChanged(Candidates(addresses))
        case .published(let entry):
            say(
                .announcement,
                "updated Leader API address to \(entry.apiURL ?? "none") due to leadership change")
        case .restored:
            say(
                .warning,
                "the leader's entry in the discovery service was lost or changed: restored")
        case .erased(let name):
            say(
                .info, "erased the record of a node that is no member from the discovery service",
                ["record": name])
        case .raised(let alarm):
            say(
                .warning, "discovery service needs attention",
                ["cause": alarm.text(clearCommand: clearCommand)])
        case .resolved(let alarm):
            say(.info, "discovery service needs no more attention", ["cause": "\(alarm)"])
        case .nodeRecordsOff(let text):
            say(.warning, "discovery service permits no records of nodes", ["cause": text])
            registry?.nodeRecordsOff = text
            registry?.formation?.nodeRecordsOff(text)
        case .failing(let text): noteFailure(text)
        case .working: say(.info, "discovery service works again")
        }
    }

    /// In the words that rqlite's users know.
    private mutating func noteFailure(_ cause: String) {
        if case .leader = standing {
            say(
                .warning, "failed to update discovery service with Leader details",
                ["cause": cause])
        } else if situation.cluster == nil {
            say(.warning, "failed to get leader", ["cause": cause])
        } else {
            say(.warning, "discovery service fails", ["cause": cause])
        }
    }

    /// What it founded is needed until the cluster has had a leader.
    private mutating func endRegistryFormation() {
        guard let state = registry?.formation?.state else { return }
        registry?.state = state
        registry?.formation = nil
    }

    /// A leader watches its entry, and a node without a cluster the one it waits for.
    private mutating func watchRegistry(_ standing: RegistryKeeper.Standing) {
        let isLeader = if case .leader = standing { true } else { false }
        guard !situation.isStopping, isLeader || registry?.formation != nil,
            let token = registry?.watch.begin(now: now)
        else { return }
        decisions.append(.watchRegistry(token: token, timeout: RegistryWatch.timeout))
    }
}
