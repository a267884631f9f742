/// Clients that write, append and read, one operation at a time each, and what they saw.
struct Clients {
    enum State: Equatable {
        case open
        case done
        case refused
        case unknown
    }

    struct Operation {
        enum Action: Equatable {
            case write(key: Int, value: UInt64)
            case append(UInt64)
            case read(key: Int)
        }

        var client: Int
        var slot: Int
        var action: Action
        var invoked: Int
        var returned: Int?
        var state = State.open
        var value: UInt64 = 0
    }

    /// By identifier.
    var operations: [Operation] = []
    /// Whom each believes to lead.
    var hints: [Int]
    var isStopped = false
    let count: Int

    init(count: Int) {
        self.count = count
        hints = Array(repeating: 0, count: count)
    }

    var hasOpen: Bool { operations.suffix(count * 2).contains { $0.state == .open } }

    /// What the clients of one register saw.
    func history(of key: Int) -> [RegisterOperation] {
        operations.compactMap { operation in
            let action: RegisterOperation.Action
            switch operation.action {
            case .write(key, let value): action = .write(value)
            case .read(key): action = .read(operation.value)
            default: return nil
            }
            switch operation.state {
            case .done:
                return RegisterOperation(
                    action, invoked: operation.invoked, returned: operation.returned)
            case .open, .unknown:
                if case .read = action { return nil }
                return RegisterOperation(action, invoked: operation.invoked, returned: nil)
            case .refused: return nil
            }
        }
    }
}

extension Simulation {
    func act(_ client: Int) {
        guard !clients.isStopped else { return }
        let slot = clients.hints[client]
        guard nodes[slot].isUp, !absent.contains(slot) else {
            clients.hints[client] = random.below(nodes.count)
            return schedule(.clientActs(client), in: random.within(5...100))
        }
        let id = clients.operations.count
        let value = UInt64(id + 1)
        let key = random.below(ModelState.keyCount)
        let action: Clients.Operation.Action
        let wish: ClientRequest.Wish
        let padding = random.chance(1, of: 20) ? random.below(3000) : random.below(60)
        switch random.below(10) {
        case 0...3:
            action = .read(key: key)
            wish = .read(key: key)
        case 4...7:
            action = .write(key: key, value: value)
            wish = .command(.write(key: key, value: value), padding: padding)
        default:
            action = .append(value)
            wish = .command(.append(value), padding: padding)
        }
        clients.operations.append(
            Clients.Operation(client: client, slot: slot, action: action, invoked: now))
        schedule(
            .deliver(slot: slot, .request(ClientRequest(id: UInt64(id), wish: wish))),
            in: random.within(1...10))
        schedule(.clientWearies(UInt64(id)), in: 2000)
    }

    /// Requests of the operator are not answered: it looks for itself.
    func answer(_ id: UInt64, _ outcome: Outcome) {
        guard id < UInt64(clients.operations.count) else { return }
        schedule(.clientHears(id, outcome), in: random.within(1...10))
    }

    func hear(_ id: UInt64, _ outcome: Outcome) {
        let id = Int(id)
        guard clients.operations[id].state == .open else { return }
        let client = clients.operations[id].client
        clients.operations[id].returned = now
        switch outcome {
        case .done:
            faults.writesAcknowledged += 1
            clients.operations[id].state = .done
        case .value(let value):
            faults.readsServed += 1
            clients.operations[id].value = value
            clients.operations[id].state = .done
        case .refused: clients.operations[id].state = .refused
        case .unknown:
            faults.unknownOutcomes += 1
            clients.operations[id].state = .unknown
        }
        let isGood = clients.operations[id].state == .done
        if !isGood { clients.hints[client] = random.below(nodes.count) }
        schedule(.clientActs(client), in: isGood ? random.within(5...80) : random.within(10...60))
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
        for key in 0..<ModelState.keyCount
        where !LinearizabilityChecker.accepts(clients.history(of: key)) {
            invariants.broke("register \(key) is not linearizable")
        }
    }
}
