import Chance
import NodeLogic
import Registry

/// The registry as the nodes reach it: late, now and then not at all, and sometimes without its
/// answer, though what was asked for happened.
extension Simulation {
    func askRegistry(
        _ request: RegistryRequest, _ id: RegistryRequestID, _ timeout: Int,
        from node: SimulatedNode
    ) {
        let (slot, run) = (node.slot, node.run)
        guard !registry.isDown, !random.chance(registry.failureRate, of: 1000) else {
            faults.registryFailures += 1
            let isLate = random.chance(1, of: 2)
            let failure = RegistryFailure(isLate ? .timeout : .unavailable, "simulated")
            if !registry.isDown, random.chance(1, of: 2) {
                // It happens all the same.
                _ = registry.perform(request)
            }
            let reply = RegistryReply(.failed(failure))
            return schedule(
                .registry(slot: slot, run: run, .answers(request, id, reply)),
                in: isLate ? timeout : random.within(1...100))
        }
        schedule(
            .registry(slot: slot, run: run, .serves(request, id)), in: random.within(1...100))
    }

    func step(registry step: RegistryStep, _ slot: Int, _ run: Int) {
        switch step {
        case .serves(let request, let id):
            faults.registryRequests += 1
            let reply = spoilt(registry.perform(request))
            schedule(
                .registry(slot: slot, run: run, .answers(request, id, reply)),
                in: random.within(1...100))
        case .answers(let request, let id, let reply):
            nodes[slot].post(.registryAnswered(request, id, reply))
            settle(slot)
        case .watched(let outcome):
            nodes[slot].post(.registryWatched(outcome))
            settle(slot)
        }
    }

    /// What a registry that fails gives back now and then: bytes that are no record.
    private func spoilt(_ reply: RegistryReply) -> RegistryReply {
        guard registry.failureRate > 0, random.chance(1, of: 40),
            case .record(let record?) = reply.answer
        else { return reply }
        faults.recordsSpoilt += 1
        let value: [UInt8] =
            switch random.below(4) {
            case 0: []
            case 1: Array(record.value.prefix(random.below(max(1, record.value.count))))
            case 2: (0..<random.below(200)).map { _ in UInt8(random.below(256)) }
            default: Array("{\"version\":18446744073709551616}".utf8)
            }
        var spoilt = reply
        spoilt.answer = .record(
            StoredRecord(name: record.name, value: value, revision: record.revision))
        return spoilt
    }

    /// A watch that tells too early, too late or never is as good as one that tells in time: the
    /// machines look by themselves.
    func watchRegistry(_ token: [UInt8], _ timeout: Int, from node: SimulatedNode) {
        let outcome: RegistryWatchOutcome =
            switch random.below(4) {
            case 0: .failed
            case 1: .changed(token: registry.token)
            default: .unchanged
            }
        let delay = outcome == .unchanged ? timeout : random.within(100...3000)
        schedule(.registry(slot: node.slot, run: node.run, .watched(outcome)), in: delay)
    }
}
