import Raft
import Replication

/// The core's thread: takes events in batches and carries out what the replicated log decides.
extension SimulatedNode {
    func post(_ event: CoreEvent) {
        inbox.append(event)
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        output.append(.after(random.within(0...1), .turn))
    }

    func handle(_ event: NodeEvent, at now: Int) {
        switch event {
        case .turn:
            isTurnScheduled = false
            turn()
        case .tick:
            turn()
            tick(at: now)
        case .logWakes: logWakes()
        case .logSynced: logSynced()
        case .applyDone: applyDone()
        }
    }

    /// What the network and the disk say comes before what clients ask.
    private func turn() {
        let events = inbox
        inbox = []
        var messages: [Message] = []
        var requests: [ClientRequest] = []
        for event in events {
            switch event {
            case .message(let message): messages.append(message)
            case .request(let request): requests.append(request)
            default:
                receive(&messages)
                take(event)
            }
        }
        receive(&messages)
        performEffects()
        dispatch(requests)
        performEffects()
    }

    private func receive(_ messages: inout [Message]) {
        guard !messages.isEmpty else { return }
        replicated?.receive(messages)
        messages = []
    }

    /// After a stall the core catches up with its clock.
    private func tick(at now: Int) {
        var due = 0
        while nextTick <= now, due <= 10 {
            nextTick += tickInterval
            due += 1
            replicated?.tick()
        }
        if nextTick <= now { nextTick = now + tickInterval }
        performEffects()
        output.append(.after(nextTick - now, .tick))
    }

    private func take(_ event: CoreEvent) {
        switch event {
        case .message, .request: break
        case .unreachable(let peer): replicated?.peerUnreachable(peer)
        case .written(let ticket):
            if mutation != .answersBeforeSync { replicated?.persisted(ticket) }
        case .fetched(let fetch, let entries): replicated?.fetched(entries, for: fetch)
        case .compacted(let base): replicated?.compacted(through: base)
        case .logReset(let mark, let generation): post(.switchTo(mark, generation: generation))
        case .logFull(let isFull):
            isLogFull = isFull
            if mutation != .leadsWithoutDisk { replicated?.storageFull(isFull) }
        case .applied(let index): replicated?.applied(through: index)
        case .checkpointed(let index): replicated?.checkpointed(through: index)
        case .snapshotOpened(let peer, let state): snapshotOpened(to: peer, state)
        case .databasePrepared(let mark, let generation):
            post(.reset(mark, generation: generation))
        case .databaseSwitched(let mark): databaseSwitched(mark)
        case .snapshotSent(let transfer, let index): snapshotSent(transfer, through: index)
        case .snapshotReceived(let state, let transfer): snapshotReceived(state, transfer)
        }
    }

    // MARK: Requests

    private func dispatch(_ requests: [ClientRequest]) {
        var commands: [(id: ProposalID, bytes: [UInt8])] = []
        for request in requests {
            switch request.wish {
            case .command(let command, let padding):
                guard !isLogFull else {
                    output.append(.answer(request.id, .refused))
                    continue
                }
                commands.append((ProposalID(request.id), command.encoded(padding: padding)))
            case .read(let key): read(key: key, request.id)
            case .change(let change): replicated?.propose(change, id: ProposalID(request.id))
            case .transfer(let target):
                do throws(Refusal) {
                    try replicated?.transferLeadership(to: target)
                    counts.transfers += 1
                } catch {
                    output.append(.answer(request.id, .refused))
                }
            }
        }
        guard !commands.isEmpty else { return }
        let first = replicated?.raft.lastPosition.index
        replicated?.propose(commands)
        if mutation == .acknowledgesAtAppend, let first, let last = replicated?.raft.lastPosition,
            last.index == first.advanced(by: commands.count)
        {
            for (offset, command) in commands.enumerated() {
                early.insert(command.id.rawValue)
                output.append(
                    .answer(command.id.rawValue, .done(first.advanced(by: offset + 1))))
            }
        }
    }

    private func read(key: Int, _ id: UInt64) {
        // The key stands in the identifier, so that nothing must be kept for it.
        let read = ReadID(id << 8 | UInt64(key))
        if mutation == .readsUnconfirmed {
            guard replicated?.raft.role == .leader else {
                return output.append(.answer(id, .refused))
            }
            serve([read])
        } else {
            replicated?.requestRead(read)
        }
    }

    private func serve(_ reads: [ReadID]) {
        for read in reads {
            let value = database.live.registers[Int(read.rawValue & 0xFF)]
            output.append(.answer(read.rawValue >> 8, .value(value)))
        }
    }

    // MARK: Effects

    func performEffects() {
        while let effects = replicated?.takeEffects(), !effects.isEmpty {
            for effect in effects { perform(effect) }
        }
    }

    private func perform(_ effect: ReplicationEffect) {
        switch effect {
        case .send(let messages):
            for message in messages { send(message) }
        case .persist(let write): persist(write)
        case .apply(let batch): post(.apply(batch))
        case .refused(let id, _): output.append(.answer(id.rawValue, .refused))
        case .discarded(let ids):
            for id in ids where !early.contains(id.rawValue) {
                output.append(.answer(id.rawValue, .unknown))
            }
        case .readable(let reads): serve(reads)
        case .readsFailed(let reads):
            for read in reads { output.append(.answer(read.rawValue >> 8, .refused)) }
        case .fetchLog(let fetch):
            counts.logFetches += 1
            post(.fetch(fetch))
        case .compactLog(let index): post(.compact(through: index))
        case .sendSnapshot(let peer): snapshotWanted(by: peer)
        case .installSnapshot(let mark, let token): installSnapshot(mark, token)
        case .discardSnapshot(let token): discardSnapshot(token)
        case .observe(let observation): output.append(.saw(observation))
        }
    }

    /// Checks that what the message promises is on the disk (thesis §3.8). An acknowledgement of an
    /// earlier term was true when its write became durable; a later leader may have replaced the
    /// entries since, as if the message had been long on its way.
    private func send(_ message: Message) {
        if mutation != .answersBeforeSync {
            if !message.isPreVote, message.term > syncedTerm {
                output.append(.broke("\(id) speaks in term \(message.term), durable \(syncedTerm)"))
            }
            if case .appendAnswer(let answer) = message.body,
                case .matched(let index) = answer.result, index > syncedIndex,
                message.term == replicated?.raft.term
            {
                output.append(.broke("\(id) acknowledges \(index), durable \(syncedIndex)"))
            }
        }
        output.append(.send(message))
    }

    private func persist(_ write: LogWrite) {
        if let first = write.entries.first {
            let previous = first.index.previous
            shadowTerms.removeLast(
                max(0, shadowTerms.count - previous.distance(from: shadowBase.index)))
            let term =
                previous == shadowBase.index
                ? shadowBase.term : shadowTerms[previous.distance(from: shadowBase.index) - 1]
            shadowTerms += write.entries.map(\.term)
            output.append(.wrote(write.entries, previousTerm: term))
        }
        post(.write(write))
        if mutation == .answersBeforeSync { replicated?.persisted(write.ticket) }
    }
}

extension Message {
    /// A pre-vote and its answer bind nobody; the answer may name a term that nobody has.
    var isPreVote: Bool {
        switch body {
        case .voteRequest(let request): request.isPreVote
        case .voteAnswer(let answer): answer.isPreVote
        default: false
        }
    }
}
