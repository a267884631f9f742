import Cluster
import PeerProtocol
import Raft
import Registry
import Replication
import Service
import Telemetry
import Transport
import WriteAheadLog

/// How a node uses a registry: to come to its cluster, and then to be found in it. The decisions
/// are the two machines'; this is their shell.
extension Core {
    func beginRegistry(_ state: RegistryState) {
        guard links.registry != nil else { return }
        let keeper = RegistryKeeper(
            nodeRecord, nonce: .random(), seed: UInt64.random(in: .min ... .max))
        registry = RegistryDriver(keeper, state: state, now: now)
    }

    func beginRegistryFormation(limit: Duration?) {
        guard let state = registry?.state else {
            preconditionFailure("a plan for a registry, but no access to one")
        }
        links.logger.announce("no preexisting nodes, registering with discovery service")
        let introduction = Introduction(
            identity: options.identity, address: options.address,
            suffrage: options.plan.suffrage, expect: options.plan.expect ?? 0)
        registry?.formation = RegistryFormation(
            RegistryFormationSettings(introduction, apiURL: options.apiURL, limit: limit),
            state: state, freshID: .random(), seed: UInt64.random(in: .min ... .max))
    }

    /// As it shall stand in the registry.
    private var nodeRecord: NodeRecord {
        NodeRecord(
            identity: options.identity, cluster: cluster, address: options.address,
            apiURL: options.apiURL, suffrage: options.plan.suffrage,
            expect: options.plan.expect ?? 0)
    }

    /// What this node is, as far as the registry's leader entry is concerned.
    private var standing: RegistryKeeper.Standing {
        guard let raft = replicated?.raft, let cluster else { return .fresh }
        if raft.role == .leader { return .leader(raft.term) }
        if let founding = registry?.state.founding, founding.cluster == cluster,
            raft.leader == nil, raft.lastPosition.index == .zero
        {
            return .founder(founding)
        }
        return .member(isLost: isLost)
    }

    // MARK: Inputs

    func tickRegistry() {
        guard registry != nil else { return }
        let (record, standing) = (nodeRecord, standing)
        stepRegistry { $0.keeper.update(record, standing) }
        watchRegistry(standing)
    }

    func registryAnswered(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ reply: RegistryReply
    ) {
        stepRegistry { $0.answered(request, id, reply) }
    }

    func registryWatched(_ outcome: RegistryWatchOutcome) {
        let now = now
        stepRegistry { driver in
            driver.watch.ended(outcome, now: now)
            if case .changed = outcome { driver.changed() }
        }
    }

    func registryRecorded(_ id: RecordID) {
        guard let ticket = registry?.writes.removeValue(forKey: id) else { return }
        stepRegistry { $0.formation?.persisted(ticket) }
    }

    /// What another node answered while this one has no cluster.
    func registryFormationAnswered(
        _ address: PeerAddress, _ call: PeerCall, _ result: PeerResult
    ) {
        switch result {
        case .success(.hello(let hello)):
            stepRegistry { $0.formation?.helloAnswered(CandidateFacts(hello), from: address) }
        case .success(.joined(let acceptance)):
            noteJoining(acceptance, via: address)
            stepRegistry { $0.formation?.joined(acceptance.cluster) }
        case .success(.joinRefused(let refusal)):
            noteFailedJoin(via: address, refusal.text)
            stepRegistry {
                $0.formation?.joinRefused(
                    via: address, reason: refusal.text, leader: refusal.leader?.address)
            }
        case .success(.unsupported(let kind)):
            registryUnreachable(address, call, "does not know request \(kind)")
        case .success(.failed(let text)): registryUnreachable(address, call, text)
        case .success(.formation):
            registryUnreachable(address, call, "answered what nobody asked")
        case .failure(let error): registryUnreachable(address, call, error.cause)
        }
    }

    private func registryUnreachable(_ address: PeerAddress, _ call: PeerCall, _ reason: String) {
        if case .join = call { noteFailedJoin(via: address, reason) }
        stepRegistry { $0.formation?.unreachable(address, reason: reason) }
    }

    private func noteFailedJoin(via address: PeerAddress, _ reason: String) {
        links.logger.announce("failed to join cluster at \(address): \(reason)")
    }

    // MARK: Effects

    private func stepRegistry(_ input: (inout RegistryDriver) -> Void) {
        // A node on its way out asks for nothing more.
        guard leaving == nil, stopping == nil, var driver = registry else { return }
        registry = nil
        driver.tick(now)
        input(&driver)
        registry = driver
        var isDone = false
        while !isDone {
            let forming = registry?.formation?.takeEffects() ?? []
            for effect in forming { perform(effect) }
            let keeping = registry?.keeper.takeEffects() ?? []
            for effect in keeping { perform(effect) }
            isDone = forming.isEmpty && keeping.isEmpty
        }
    }

    private func perform(_ effect: RegistryFormationEffect) {
        switch effect {
        case .ask(let request, let id, let timeout): ask(request, id, timeout)
        case .sendHello(let address):
            call(.hello, at: address, as: .formationHello, timeout: Self.helloTime)
        case .attemptJoin(let address):
            links.logger.announce("discovery service returned \(address) as join address")
            attemptJoin(via: address)
        case .persist(let bytes, let ticket): persistRegistry(bytes, ticket)
        case .start(let value, let campaign):
            if campaign {
                links.logger.announce("node registered as leader using discovery service")
            }
            links.logger.info(
                "cluster bootstrap agreed",
                ["cluster.id": "\(value.cluster)", "members": value.membership.summary])
            endRegistryFormation()
            become(member: value.membership, of: value.cluster, campaign: campaign)
        case .joined(let cluster):
            endRegistryFormation()
            become(member: admission, of: cluster, campaign: false)
        case .waiting(let text):
            links.logger.info("waiting for a cluster", ["waiting.for": text])
        case .notice(let text): links.logger.announce(text)
        case .refused(let refusal):
            links.logger.warning("another node does not fit", ["cause": "\(refusal)"])
        case .fatal(let text), .gaveUp(let text): failed("clustering failure: \(text)")
        }
    }

    private func perform(_ effect: RegistryKeeperEffect) {
        let log = links.logger
        switch effect {
        case .ask(let request, let id, let timeout): ask(request, id, timeout)
        case .candidates(let addresses): candidatesChanged(Candidates(addresses))
        case .published(let entry):
            log.announce(
                "updated Leader API address to \(entry.apiURL ?? "none") due to leadership change")
        case .restored:
            log.warning("the leader's entry in the discovery service was lost or changed: restored")
        case .raised(let alarm):
            log.warning("discovery service needs attention", ["cause": "\(alarm)"])
        case .resolved(let alarm):
            log.info("discovery service needs no more attention", ["cause": "\(alarm)"])
        case .nodeRecordsOff(let text):
            log.warning("discovery service permits no records of nodes", ["cause": text])
            registry?.nodeRecordsOff = text
            registry?.formation?.nodeRecordsOff(text)
        case .failing(let text): noteFailure(text)
        case .working: log.info("discovery service works again")
        }
    }

    /// In the words that rqlite's users know.
    private func noteFailure(_ cause: String) {
        let log = links.logger
        if case .leader = standing {
            log.warning(
                "failed to update discovery service with Leader details", ["cause": cause])
        } else if replicated == nil {
            log.warning("failed to get leader", ["cause": cause])
        } else {
            log.warning("discovery service fails", ["cause": cause])
        }
    }

    private func ask(_ request: RegistryRequest, _ id: RegistryRequestID, _ timeout: Duration) {
        let mailbox = links.mailbox
        links.registry?.perform(request, timeout: timeout) { reply in
            mailbox.post(.registryAnswered(request, id, reply))
        }
    }

    private func persistRegistry(_ bytes: [UInt8], _ ticket: PersistTicket) {
        let id = RecordID(newID())
        registry?.writes[id] = ticket
        links.log.post(.record([.registry(bytes)], id))
    }

    /// What it founded is needed until the cluster has had a leader.
    private func endRegistryFormation() {
        guard let state = registry?.formation?.state else { return }
        registry?.state = state
        registry?.formation = nil
    }

    /// A leader watches its entry, and a node without a cluster the one it waits for.
    private func watchRegistry(_ standing: RegistryKeeper.Standing) {
        let isLeader = if case .leader = standing { true } else { false }
        guard leaving == nil, stopping == nil, isLeader || registry?.formation != nil,
            let token = registry?.watch.begin(now: now)
        else { return }
        let mailbox = links.mailbox
        links.registry?.watch(token: token, timeout: RegistryWatch.timeout) { outcome in
            mailbox.post(.registryWatched(outcome))
        }
    }
}
