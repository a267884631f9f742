import Raft
import Service
import Time

/// What clients saw, against what each level promises.
extension Simulation {
    /// How long a leader may believe to lead that does not any more: until it has heard no quorum for
    /// `quorumTicks`, and readers for as long again after its last turn, by the slowest clock, with
    /// messages that were long on their way.
    private var leaseMilliseconds: Int {
        2 * 500 * 100 / 93 + 100 + 2 * network.delay.upperBound + network.longDelay.upperBound
            + (network.bandwidth == nil ? 0 : 1000)
    }

    /// Each read finds what a state held that was there, and no older one than its level promises.
    func reviewAnswer(_ operation: Clients.Operation) {
        guard case .read(let key, let options) = operation.action else {
            faults.writesAcknowledged += 1
            return clients.learn(operation.index, at: now)
        }
        faults.readsServed += 1
        if invariants.value(of: key, at: operation.index) != operation.value {
            invariants.broke(
                "a read at level \(options.level) found \(operation.value) in register \(key) at "
                    + "\(operation.index), which never was there")
        }
        let oldest: LogIndex
        switch options.level {
        case .linearizable, .strong:
            faults.strongReads += 1
            oldest = clients.known(at: operation.invoked)
        case .weak:
            faults.weakReads += 1
            oldest = clients.known(at: operation.invoked - leaseMilliseconds)
        case .none where options.freshness.strict, .auto where options.freshness.strict:
            faults.localReads += 1
            let limit = Int((options.freshness.limit ?? .zero).millisecondsClamped)
            oldest = clients.known(at: operation.invoked - leaseMilliseconds - 500 - limit)
        case .none, .auto:
            faults.localReads += 1
            oldest = .zero
        }
        if operation.index < oldest {
            invariants.broke(
                "a read at level \(options.level), asked of \(nodes[operation.slot].id) at "
                    + "\(operation.invoked) with \(options.freshness), saw the state after "
                    + "\(operation.index), but \(oldest) was acknowledged before")
        }
        if options.level.isLinearizable { clients.learn(operation.index, at: now) }
    }

    /// What the clients saw against what the nodes hold at the end.
    func judge() {
        guard let leader = presentLeader else {
            return invariants.broke("nobody leads at the end")
        }
        var found = Array(repeating: 0, count: clients.operations.count + 1)
        for value in leader.database.live.list { found[Int(value)] += 1 }
        for (id, operation) in clients.operations.enumerated() {
            guard case .append(let value) = operation.action else { continue }
            let count = found[Int(value)]
            if count > 1 { invariants.broke("append \(id) was applied \(count) times") }
            if count == 0, operation.state == .done {
                invariants.broke("append \(id) was acknowledged and is lost")
            }
            if count > 0, operation.state == .refused {
                invariants.broke("append \(id) was refused and applied")
            }
        }
        for key in 0..<ModelState.keyCount {
            var history = clients.history(of: key)
            // Nobody may have read what was acknowledged last. Rules that are broken on purpose are noticed by what
            // clients saw.
            if settings.mutation == nil {
                let last = UInt64(leader.database.live.registers[key])
                history.append(
                    RegisterOperation(.read(last), invoked: now + 1, returned: now + 2))
            }
            guard !LinearizabilityChecker.accepts(history) else { continue }
            invariants.broke("register \(key) is not linearizable")
        }
    }
}
