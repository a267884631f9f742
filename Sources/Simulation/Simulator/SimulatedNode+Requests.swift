import Chance
import NodeLogic
import Raft
import Replication
import Service
import Time
import Wire

/// Requests from clients and from other nodes, and the readers.
extension SimulatedNode {
    /// As `Node.submit`: reads that need nothing of the machine go to the readers at once.
    func submit(_ request: ClientRequest, from origin: RequestOrigin, at now: Int) {
        var request = request
        if mutation == .readsUnconfirmed,
            case .command(let command, var options) = request.operation,
            options.level == .linearizable
        {
            options.level = .weak
            request.operation = .command(command, options)
        }
        lastKey += 1
        let key = RequestKey(lastKey)
        open[key] = origin
        var pending = PendingRequest(request, key: key, now: clock(now))
        if mutation == .readsUnconfirmed,
            case .command(let command, let options) = request.operation,
            command.kind == .query, options.level == .weak,
            machine?.replicated?.raft.role == .leader
        {
            return read([pending])
        }
        if mayReadAtOnce(request, clock(now)) { return read([pending]) }
        pending.encode()
        if mutation == .acknowledgesAtAppend, case .command(let command, _) = request.operation {
            earlyKeys.append((key, command.statements))
        }
        post(.requests([pending]))
    }

    private func mayReadAtOnce(_ request: ClientRequest, _ now: MonotonicTime) -> Bool {
        guard case .command(let command, let options) = request.operation,
            command.kind != .execute
        else { return false }
        switch options.level {
        case .none: return options.freshness.limit == nil && localReadsUntil > now
        case .weak: return leaderReadsUntil > now
        default: return false
        }
    }

    /// Who waits has gone; what comes of it is told to nobody.
    func hangUp(_ key: RequestKey) {
        open[key] = nil
        sentOn.insert(key)
        post(.cancelled([key]))
    }

    func read(_ requests: [PendingRequest]) {
        output.append(.after(random.within(databaseDelay), .read(requests)))
    }

    /// For the invariants: by the machine's word a quorum confirmed the leadership for these.
    func noteConfirmed(_ requests: [PendingRequest]) {
        for pending in requests {
            guard case .command(_, let options) = pending.content.request.operation,
                options.level == .linearizable
            else { continue }
            output.append(.confirmed(asked: moment(pending.arrival)))
        }
    }

    func serve(_ requests: [PendingRequest]) {
        for var pending in requests {
            guard case .command(let command, let options) = pending.content.request.operation else {
                continue
            }
            let isWrite = command.statements.contains { ModelStatement($0)?.isWrite ?? false }
            guard isWrite else {
                if options.level == .none { review(database.live.position.index) }
                answer(pending.key, .results(database.live.query(command)))
                continue
            }
            pending.isWrite = true
            pending.encode()
            post(.requests([pending]))
        }
    }

    /// What this node showed of itself it does not take back, but by losing power: what is committed
    /// is written along without a sync of its own.
    private func review(_ index: LogIndex) {
        if index < lastShown { output.append(.broke("\(id) shows \(index) after \(lastShown)")) }
        lastShown = max(lastShown, index)
    }

    /// Whoever waits is told, once. What was sent on may be given up before its answer comes.
    func answer(_ key: RequestKey, _ outcome: Outcome) {
        guard let origin = open.removeValue(forKey: key) else {
            if !sentOn.contains(key), mutation != .acknowledgesAtAppend {
                output.append(.broke("\(id) answers request \(key.rawValue) twice: \(outcome)"))
            }
            return
        }
        output.append(.answer(origin, outcome))
    }

    /// Answers what is merely written, as no node may.
    func answerEarly(_ entries: [Entry]) {
        guard machine?.replicated?.raft.role == .leader else { return }
        for entry in entries {
            guard case .command(let bytes) = entry.payload,
                case .command(let command)? = try? LogCommand(decoding: bytes),
                command.statements.allSatisfy({ ModelStatement($0)?.isWrite ?? false }),
                let key = earlyKeys.first(where: { $0.statements == command.statements })?.key
            else { continue }
            var state = database.live
            let result = state.apply(entry)
            if let result { answer(key, .results(result)) }
        }
    }
}
