import Chance
import Raft
import Service
import Wire

/// What a client is told.
enum HeardAnswer: Equatable {
    /// It took effect, or found a value, in the state after the index.
    case done(LogIndex, value: Int64)
    /// Without effect for certain.
    case refused
    /// It may have taken effect, or may yet.
    case unknown

    init(_ outcome: Outcome) {
        switch outcome {
        case .results(let result):
            guard case .changed(let value, _)? = result.statements.first?.outcome else {
                self = .refused
                return
            }
            self = .done(LogIndex(result.logIndex), value: value)
        case .failed(.leadershipLost), .failed(.timedOut), .failed(.forwardingFailed):
            self = .unknown
        default: self = .refused
        }
    }
}

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
            case write(key: Int, value: Int64)
            case append(Int64)
            case read(key: Int, ReadOptions)

            var isRead: Bool {
                if case .read = self { true } else { false }
            }
        }

        var client: Int
        var action: Action
        var invoked: Int
        var returned: Int?
        var state = State.open
        var value: Int64 = 0
        /// The state in which it took effect or looked.
        var index = LogIndex.zero
        /// It ends, one way or the other, when this node's process does.
        var slot: Int
        var run = 0
    }

    /// By identifier.
    var operations: [Operation] = []
    /// Whom each speaks to.
    var hints: [Int]
    /// The newest state of which somebody was told that it is there for good, by time.
    private(set) var known: [(time: Int, index: LogIndex)] = []
    var isStopped = false
    /// All write what is largest.
    var areHuge = false
    let count: Int

    init(count: Int) {
        self.count = count
        hints = Array(repeating: 0, count: count)
    }

    var hasOpen: Bool { operations.suffix(count * 2).contains { $0.state == .open } }

    mutating func learn(_ index: LogIndex, at time: Int) {
        if let last = known.last, last.index >= index { return }
        known.append((time, index))
    }

    /// When a quorum's disks were lost, and through which entry all was kept.
    private var losses: [(time: Int, kept: LogIndex)] = []

    /// Entries after the index are gone: whoever was told of one was told the truth then.
    /// - Returns: how many acknowledged writes that takes.
    mutating func forget(after index: LogIndex, at time: Int) -> Int {
        losses.append((time, index))
        known.removeAll { $0.index > index }
        var count = 0
        for id in operations.indices
        where operations[id].state == .done && operations[id].index > index {
            if operations[id].action.isRead {
                operations[id].state = .refused
            } else {
                count += 1
                operations[id].state = .unknown
                operations[id].returned = nil
            }
        }
        return count
    }

    /// The answer was on its way when what it tells of was lost.
    func isGone(_ index: LogIndex, _ operation: Operation) -> Bool {
        losses.contains { operation.invoked <= $0.time && index > $0.kept }
    }

    /// What was known then.
    func known(at time: Int) -> LogIndex {
        known.last { $0.time < time }?.index ?? .zero
    }

    /// What the clients of one register saw, as far as it must be linearizable.
    func history(of key: Int) -> [RegisterOperation] {
        operations.compactMap { operation in
            let action: RegisterOperation.Action
            switch operation.action {
            case .write(key, let value): action = .write(UInt64(value))
            case .read(key, let options) where options.level.isLinearizable:
                action = .read(UInt64(operation.value))
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

extension ConsistencyLevel {
    var isLinearizable: Bool { self == .linearizable || self == .strong }
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
        let action = chooseAction(Int64(id + 1))
        clients.operations.append(
            Clients.Operation(client: client, action: action, invoked: now, slot: slot))
        let timeout = clients.areHuge ? 20_000 : [1000, 2000, 4000][random.below(3)]
        var request = ClientRequest(id: RequestID(UInt64(id)), operation: operation(action))
        request.timeout = .milliseconds(timeout)
        // Some clients want to find the leader themselves.
        request.forward = !random.chance(1, of: 8)
        schedule(
            .submit(slot: slot, request, .client(id)), in: random.within(1...10))
        schedule(.clientHears(id, .unknown), in: timeout + 2500)
    }

    private func chooseAction(_ value: Int64) -> Clients.Operation.Action {
        let key = random.below(ModelState.keyCount)
        switch random.below(10) {
        case 0...4: return .read(key: key, chooseOptions())
        case 5...7: return .write(key: key, value: value)
        default: return .append(value)
        }
    }

    private func chooseOptions() -> ReadOptions {
        var options = ReadOptions()
        switch random.below(8) {
        case 0...2: options.level = .linearizable
        case 3: options.level = .strong
        case 4, 5: options.level = .weak
        case 6: options.level = .auto
        default:
            options.level = .none
            if random.chance(1, of: 2) {
                options.freshness.limit = .milliseconds(random.within(50...1000))
                options.freshness.strict = random.chance(1, of: 2)
            }
        }
        options.linearizableTimeout = .milliseconds(random.within(300...3000))
        return options
    }

    private func operation(_ action: Clients.Operation.Action) -> ClientRequest.Operation {
        let padding: Int
        if clients.areHuge || !isCalm && network.bandwidth != nil && random.chance(1, of: 100) {
            padding = random.within(15_000...40_000)
        } else {
            padding = random.chance(1, of: 20) ? random.below(6000) : random.below(60)
        }
        let kind: CommandKind
        let statement: ModelStatement
        var options = ReadOptions()
        switch action {
        case .read(let key, let wanted):
            (kind, statement, options) = (.query, .get(key: key), wanted)
        case .write(let key, let value):
            // A request that turns out to write.
            kind = random.chance(1, of: 4) ? .request : .execute
            statement = .put(key: key, value: value)
        case .append(let value): (kind, statement) = (.execute, .add(value))
        }
        return .command(
            Command(kind: kind, statements: [statement.statement(padding: padding)]), options)
    }

    func submit(_ request: ClientRequest, from origin: RequestOrigin, at slot: Int) {
        let node = nodes[slot]
        guard node.isUp else {
            if case .client(let id) = origin { hear(id, .refused) }
            return
        }
        guard !isPostponed(slot, .submit(slot: slot, request, origin)) else { return }
        if case .client(let id) = origin { clients.operations[id].run = node.run }
        node.submit(request, from: origin, at: now)
        if case .client(let id) = origin, !isCalm, random.chance(1, of: 60) {
            // Perhaps in the turn in which it comes.
            let wait = random.chance(1, of: 3) ? 0 : random.within(0...400)
            schedule(.hangUp(operation: id, slot: slot, run: node.run), in: wait)
        }
        settle(slot)
    }

    func hear(_ id: Int, _ verdict: HeardAnswer) {
        guard clients.operations[id].state == .open else { return }
        let client = clients.operations[id].client
        clients.operations[id].returned = now
        switch verdict {
        case .done(let index, _) where clients.isGone(index, clients.operations[id]):
            faults.unknownOutcomes += 1
            clients.operations[id].state = .unknown
        case .done(let index, let value):
            clients.operations[id].state = .done
            clients.operations[id].value = value
            clients.operations[id].index = index
            reviewAnswer(clients.operations[id])
        case .refused: clients.operations[id].state = .refused
        case .unknown:
            faults.unknownOutcomes += 1
            clients.operations[id].state = .unknown
        }
        let isGood = clients.operations[id].state == .done
        if !isGood || random.chance(1, of: 20) { clients.hints[client] = random.below(nodes.count) }
        schedule(.clientActs(client), in: isGood ? random.within(5...80) : random.within(10...60))
    }
}
