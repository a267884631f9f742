import Cluster
import Raft
import Registry
import ScenarioTesting

/// What the machines ask for, done at once.
extension RegistryScenario {
    mutating func perform(_ effect: RegistryFormationEffect) {
        switch effect {
        case .ask(let request, let id, let timeout): ask(request, id, timeout)
        case .sendHello(let address): arrivals.append((now, .hello(address)))
        case .attemptJoin(let address):
            print(effect.summary)
            arrivals.append((now, .join(address)))
        case .persist(let bytes, let ticket):
            print(effect.summary)
            unwritten.append((ticket, bytes))
            if !isDiskSlow { arrivals.append((now, .writesDone)) }
        default: print(effect.summary)
        }
    }

    mutating func perform(_ effect: RegistryKeeperEffect) {
        if case .ask(let request, let id, let timeout) = effect {
            ask(request, id, timeout)
        } else {
            print(effect.summary)
        }
    }

    mutating func finishWrites() {
        let writes = unwritten
        unwritten = []
        for write in writes {
            stored = write.bytes
            step(formation: { $0.persisted(write.ticket) })
        }
    }

    // MARK: The registry

    private mutating func ask(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ timeout: Duration
    ) {
        var answer: RegistryAnswer?
        switch mode {
        case .up: answer = answerUp(request)
        case .forbidsNodes:
            let isForbidden = !request.isAboutLeader
            answer =
                isForbidden
                ? .failed(RegistryFailure(.forbidden, "ACL denies nodes/")) : answerUp(request)
        case .listsNothing:
            var isList = false
            if case .list = request { isList = true }
            answer =
                isList
                ? .failed(RegistryFailure(.unavailable, "over 1024 records")) : answerUp(request)
        case .down: answer = .failed(RegistryFailure(.unavailable, "connection refused"))
        case .nonsense: answer = .failed(RegistryFailure(.unavailable, "HTML, not JSON"))
        case .forbidden: answer = .failed(RegistryFailure(.forbidden, "token unknown"))
        case .silent: answer = nil
        }
        var isRead = true
        if case .write = request { isRead = false }
        if case .erase = request { isRead = false }
        if !isRead {
            print("\(request.summary) → \(answer.map(\.summary) ?? "no answer")")
        }
        let timed = RegistryAnswer.failed(RegistryFailure(.timeout, "no answer in \(timeout)"))
        let pause =
            Int(timeout.components.seconds) * 1_000
            + Int(timeout.components.attoseconds / 1_000_000_000_000_000)
        arrivals.append((answer == nil ? now + pause : now, .answer(answer ?? timed, id)))
    }

    private mutating func answerUp(_ request: RegistryRequest) -> RegistryAnswer? {
        guard case .write = request else { return registry.perform(request) }
        if let rival, request.isAboutLeader {
            self.rival = nil
            store(rival)
        }
        defer { fate = .usual }
        switch fate {
        case .lost: return nil
        case .usual: return registry.perform(request)
        case .unanswered:
            _ = registry.perform(request)
            return nil
        case .doubled:
            _ = registry.perform(request)
            return registry.perform(request)
        }
    }

    // MARK: Other nodes

    private func state(at address: PeerAddress) -> PeerState {
        peers.first { $0.address == address }?.state ?? .silent("no route to host")
    }

    mutating func answerHello(at address: PeerAddress) {
        switch state(at: address) {
        case .silent(let reason):
            step(formation: { $0.unreachable(address, reason: reason) })
        case .known(let facts, _):
            step(formation: { $0.helloAnswered(facts, from: address) })
        }
    }

    mutating func answerJoin(at address: PeerAddress) {
        guard case .known(let facts, let takesNodes) = state(at: address),
            let cluster = facts.cluster
        else { return step(formation: { $0.unreachable(address, reason: "no route to host") }) }
        if takesNodes {
            step(formation: { $0.joined(cluster) })
        } else {
            let leader = facts.leader == address ? nil : facts.leader
            step(
                formation: {
                    $0.joinRefused(via: address, reason: "no leader", leader: leader)
                })
        }
    }
}

extension RegistryRequest {
    var isAboutLeader: Bool {
        switch self {
        case .read(let name), .write(let name, _, _): name == RecordName.leader
        case .list, .erase: false
        }
    }
}
