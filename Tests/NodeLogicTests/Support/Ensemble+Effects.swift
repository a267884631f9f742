import Cluster
import PeerProtocol
import Raft
import Replication
import Service
import Time
import Wire
import WriteAheadLog

@testable import NodeLogic

/// What the machines want done, done at once.
extension Ensemble {
    mutating func perform(_ effect: NodeEffect, of number: Int) {
        switch effect {
        case .answer(let answers):
            for answer in answers { give(answer.outcome, to: answer.key) }
        case .read(let requests): for pending in requests { read(pending, at: number) }
        case .probeDatabase(let key, let synced): give(.readiness(.ready(synced: synced)), to: key)
        case .forward(let requests, let address): forward(requests, to: address, from: number)
        case .recall(let keys, let address): recall(keys, at: address, from: number)
        case .send(let messages): for message in messages { send(message, from: number) }
        case .setAddress(let address, let id): nodes[number]?.book[id] = address
        case .call(let id, let request, let address, let node, let timeout):
            call(id, request, at: address, of: node, timeout, from: number)
        case .answerPeer(let id, let answer):
            guard let waiting = questions.removeValue(forKey: id) else { return }
            post(.answered(waiting.call, .success(answer)), to: waiting.node)
        case .removeAddress(let id): nodes[number]?.book[id] = nil
        case .refusePeer(let identity, let address, let cause):
            let place = address.map { " at \($0)" } ?? ""
            let line = "\(number): refuses node \(identity.id)\(place): \(cause)"
            if refusals.insert(line).inserted { output.append(line) }
        case .lookUp(let host):
            post(.nameLookedUp(host, .addresses([host])), to: number)
        case .askRegistry, .watchRegistry, .growReaders, .evictOldestRead, .acceptPeer: break
        case .log(let work): log(work, effect, of: number)
        case .database(let work): database(work, effect, of: number)
        case .sendSnapshot(let id, let offer, let peer): offerSnapshot(id, offer, peer, number)
        case .cancelSnapshot(let id): output.append("\(number): cancels snapshot \(id.rawValue)")
        case .answerOffer(let id, let refusal): answerOffer(id, refusal)
        case .stopReceiving(let id, let cause):
            output.append("\(number): stops receiving: \(cause)")
            transfers[id] = nil
        case .snapshotDone(let id, let problem): snapshotDone(id, problem)
        case .say(let note): say(note, number)
        case .stateChanged(let change): tell(change, number)
        case .failed(let text):
            output.append("\(number): ends: \(text)")
            kill(number)
        case .left: output.append("\(number): has left")
        case .stopped:
            output.append("\(number): has stopped")
            kill(number)
        }
    }

    private mutating func say(_ note: NodeNote, _ number: Int) {
        guard shows.contains(note.level) else { return }
        let details = note.details.map { " \($0.name)=\($0.value)" }.joined()
        output.append("\(number): \(note.text)\(details)")
    }

    private mutating func tell(_ change: NodeStateChange, _ number: Int) {
        let about = change.subject.isEmpty ? "" : " about \(change.subject)"
        switch change.change {
        case .troubled(let reason):
            output.append("\(number): [ \(change.kind.text)\(about): \(reason)")
        case .over: output.append("\(number): ] \(change.kind.text)\(about)")
        case .forgotten: break
        }
    }

    // MARK: Clients

    mutating func give(_ outcome: Outcome, to key: RequestKey) {
        guard abandoned.remove(key) == nil else { return }
        if let forward = forwards.removeValue(forKey: key) {
            if case .failed(.notLeader) = outcome {
                return post(.forwardRefused([forward.key]), to: forward.node)
            }
            post(.forwardEnded([forward.key]), to: forward.node)
            return give(outcome, to: forward.key)
        }
        guard let name = requests.removeValue(forKey: key) else {
            output.append("request \(key.rawValue) is answered twice")
            return
        }
        output.append("\(name) -> \(Self.describe(outcome))")
    }

    /// The other node hears that nobody waits any more; its answers find nobody.
    private mutating func recall(_ keys: [RequestKey], at address: PeerAddress, from number: Int) {
        output.append("\(number): recalls \(keys.count) at \(address)")
        guard let target = listener(at: address, from: number) else { return }
        let gone = forwards.filter { $0.value.node == number && keys.contains($0.value.key) }
            .keys.sorted()
        abandon(gone)
        post(.cancelled(gone), to: target)
    }

    private mutating func abandon(_ keys: [RequestKey]) {
        for key in keys { forwards[key] = nil }
        abandoned.formUnion(keys)
    }

    /// What node `number` sent on and has no whole answer to.
    private func sentOn(by number: Int) -> [RequestKey] {
        forwards.filter { $0.value.node == number }.keys.sorted()
    }

    /// The first part of each answer that the node waits for has come, and was passed on.
    mutating func beginParts(of number: Int) {
        post(.forwardBegan(sentOn(by: number).compactMap { forwards[$0]?.key }), to: number)
    }

    /// All that the node sent on comes back as if it had never left.
    mutating func refuseForwards(of number: Int) {
        let keys = sentOn(by: number)
        post(.forwardRefused(keys.compactMap { forwards[$0]?.key }), to: number)
        abandon(keys)
    }

    mutating func releaseReads() {
        let held = heldReads
        holdsReads = false
        heldReads = []
        for (pending, number) in held { read(pending, at: number) }
    }

    static func describe(_ outcome: Outcome) -> String {
        switch outcome {
        case .part(let part): return part.isLast ? "last part" : "part"
        case .results(let result):
            let values = result.statements.map { statement in
                if case .failed(let text) = statement.outcome { return text }
                return "ok"
            }
            return values.joined(separator: ",")
        case .repeated: return "repeated"
        case .doneBefore(let index): return "done at \(index)"
        case .done: return "done"
        case .unchanged: return "unchanged"
        case .nodes(let nodes):
            return nodes.map { "\($0.id)\($0.isReachable ? "" : "?")\($0.isLeader ? "*" : "")" }
                .joined(separator: " ")
        case .limits(let limits): return "steps=\(limits.steps)"
        case .leader(let node): return "leader \(node.id)"
        case .readiness(let readiness): return "\(readiness)"
        case .failed(let error): return "\(error)"
        }
    }

    private mutating func read(_ pending: PendingRequest, at number: Int) {
        guard !holdsReads else { return heldReads.append((pending, number)) }
        if case .backup = pending.content.request.operation {
            let part = ResultPart([.contentBegins(logIndex: 1), .end(error: nil, logIndex: 1)])
            return give(.part(part), to: pending.key)
        }
        guard case .command(let command, _) = pending.content.request.operation else { return }
        let key = command.statements.first?.sql ?? ""
        let value = nodes[number]?.disk.rows[key] ?? "nothing"
        let result = CommandResult([
            StatementResult(.failed("\(key)=\(value) at \(number)"), isRead: true)
        ])
        give(.results(result), to: pending.key)
    }

    private mutating func forward(
        _ requests: [ForwardedRequest], to address: PeerAddress, from number: Int
    ) {
        guard let target = listener(at: address, from: number) else {
            return post(.forwardRefused(requests.map(\.key)), to: number)
        }
        var pending: [PendingRequest] = []
        for forwarded in requests {
            let key = RequestKey(newID())
            forwards[key] = (number, forwarded.key)
            var request = PendingRequest(forwarded.request, key: key, now: now)
            request.encode()
            pending.append(request)
        }
        post(.requests(pending), to: target)
    }

    // MARK: Other nodes

    private mutating func send(_ message: Message, from number: Int) {
        guard let address = nodes[number]?.book[message.to] else { return }
        guard let target = listener(at: address, from: number) else {
            return post(.unreachable(message.to), to: number)
        }
        // The transport refuses what is meant for another node than the one that is there.
        guard let receiver = nodes[target]?.options.identity.id, receiver == message.to else {
            return post(.unreachable(message.to), to: number)
        }
        if let sender = nodes[number]?.options {
            post(.spoke(sender.identity, at: sender.address), to: target)
        }
        post(.messages([message]), to: target)
    }

    private mutating func call(
        _ id: PeerCallID, _ request: PeerRequest, at address: PeerAddress,
        of wanted: NodeIdentity?, _ timeout: Duration, from number: Int
    ) {
        guard let target = listener(at: address, from: number) else {
            let isBlackHole = nodes.values.contains { $0.options.address == address }
            if isBlackHole, nodes.values.contains(where: { $0.machine != nil }) {
                timeouts.append((now + timeout, number, id))
            } else {
                let failure = PeerFailure(cause: "connection refused")
                post(.answered(id, .failure(failure)), to: number)
            }
            return
        }
        if let wanted, wanted != nodes[target]?.options.identity {
            let failure = PeerFailure(cause: "another node is here")
            return post(.answered(id, .failure(failure)), to: number)
        }
        guard let caller = nodes[number]?.options.identity else { return }
        let question = PeerQuestionID(newID())
        questions[question] = Waiting(node: number, call: id)
        timeouts.append((now + timeout, number, id))
        post(
            .peerAsked(question, request, PeerCaller(identity: caller, remoteAddress: "test")),
            to: target)
        if case .hello = request, nodes[target]?.disk.cluster == nil {
            post(.helloHeard(caller), to: target)
        }
    }

    // MARK: The log

    private mutating func log(_ work: LogWork, _ effect: NodeEffect, of number: Int) {
        if nodes[number]?.isHung == true {
            nodes[number]?.held.append(effect)
            return
        }
        switch work {
        case .write(let write):
            if let hardState = write.hardState { nodes[number]?.disk.hardState = hardState }
            nodes[number]?.disk.write(write.entries)
            post(.log(.written(write.ticket)), to: number)
        case .record(let records, let id):
            for record in records { nodes[number]?.disk.record(record) }
            post(.log(.recorded(id)), to: number)
        case .fetch(let fetch):
            let entries = nodes[number]?.disk.entries.filter { $0.index >= fetch.from } ?? []
            post(.log(.fetched(fetch, Array(entries.prefix(64)))), to: number)
        case .compact(let index):
            guard let base = nodes[number]?.disk.compact(through: index) else { return }
            post(.log(.compacted(base)), to: number)
        case .reset(let mark, let generation):
            nodes[number]?.disk.entries = []
            nodes[number]?.disk.base = mark.position
            post(.log(.reset(mark, generation)), to: number)
        }
    }

    // MARK: The database

    private mutating func database(
        _ work: DatabaseWork, _ effect: NodeEffect, of number: Int
    ) {
        if nodes[number]?.isHung == true || nodes[number]?.isDatabaseHung == true {
            nodes[number]?.held.append(effect)
            return
        }
        if waitsForRoom(work, effect, at: number) { return }
        switch work {
        case .apply(let entries, let answers): apply(entries, answers, at: number)
        // Nothing waits for room.
        case .giveUpBatch: break
        case .decide(let skips): nodes[number]?.disk.decisions += skips
        case .tryAgain: nodes[number]?.disk.poison = nil
        case .establish(_, let membership):
            nodes[number]?.disk.isEstablished = true
            nodes[number]?.disk.appliedMembership = membership
            post(.database(.established), to: number)
        case .openSnapshot(let id): openSnapshot(id, at: number)
        case .closeSnapshot(let id): nodes[number]?.snapshots[id] = nil
        case .prepare(_, let mark):
            post(.database(.prepared(mark, .success(Generation(2)))), to: number)
        case .switchTo(let generation, let mark): switchTo(generation, mark, at: number)
        case .discard(let id): nodes[number]?.received[id] = nil
        case .checkpoint:
            let index = nodes[number]?.disk.applied.index
            post(.database(.checkpointEnded(through: index)), to: number)
        }
    }

    /// Without room for a batch, what follows waits behind it.
    private mutating func waitsForRoom(
        _ work: DatabaseWork, _ effect: NodeEffect, at number: Int
    ) -> Bool {
        guard let waiting = nodes[number]?.waitingForRoom else { return false }
        if waiting.isEmpty {
            guard case .apply = work else { return false }
            post(.database(.full(true)), to: number)
        }
        if case .giveUpBatch = work {
            giveUpBatch(waiting, at: number)
        } else {
            nodes[number]?.waitingForRoom?.append(effect)
        }
        return true
    }

    /// Who waited for it hears nothing here.
    private mutating func giveUpBatch(_ waiting: [NodeEffect], at number: Int) {
        nodes[number]?.waitingForRoom = []
        let applied = nodes[number]?.disk.applied.index ?? .zero
        post(.database(.full(false)), to: number)
        post(.database(.gaveUp(after: applied)), to: number)
        for effect in waiting.dropFirst() { perform(effect, of: number) }
    }

    /// There is room: what waited for it is done.
    mutating func makeRoom(at number: Int) {
        guard let waiting = nodes[number]?.waitingForRoom else { return }
        nodes[number]?.waitingForRoom = nil
        if !waiting.isEmpty { post(.database(.full(false)), to: number) }
        for effect in waiting { perform(effect, of: number) }
    }

    private mutating func apply(_ entries: [Entry], _ answers: [AppliedAnswer], at number: Int) {
        var waiting = answers[...]
        if let first = entries.first, nodes[number]?.disk.isCorrupt ?? false {
            return post(
                .database(.damaged("malformed disk image", after: first.index.previous)), to: number
            )
        }
        for entry in entries {
            if let halt = nodes[number]?.disk.halt(at: entry) {
                return post(.database(.halted(halt, after: entry.index.previous)), to: number)
            }
            nodes[number]?.disk.applied = entry.position
            switch entry.payload {
            case .membership(let membership):
                nodes[number]?.disk.appliedMembership = membership
                nodes[number]?.disk.appliedMembershipIndex = entry.index
            case .command(let bytes):
                if nodes[number]?.disk.leavesOut(entry) != true {
                    run(bytes, at: number, entry.index)
                }
            case .noop: break
            }
            if let answer = waiting.first, answer.index == entry.index {
                waiting.removeFirst()
                give(
                    .results(CommandResult([StatementResult(.empty)])), to: answer.key)
            }
        }
        if let last = entries.last {
            post(.database(.applied(through: last.index)), to: number)
            post(.database(.checkpointed(through: last.index)), to: number)
        }
    }

    private mutating func run(_ bytes: [UInt8], at number: Int, _ index: LogIndex) {
        guard let content = try? LogCommand(decoding: bytes) else { return }
        if case .limits(let change) = content {
            let limits = (nodes[number]?.disk.limits ?? .initial).applying(change)
            nodes[number]?.disk.limits = limits
            post(.database(.limits(limits)), to: number)
        }
        if case .checksum(let marker) = content, let disk = nodes[number]?.disk {
            let piece = marker.piece.map { _ in ChecksumReading.Piece.read(disk.content) }
            let reading = ChecksumReading(index: index, trace: disk.trace, piece: piece ?? .none)
            return post(.database(.checksum(TakenChecksum(reading, marker))), to: number)
        }
        guard case .command(let command) = content else { return }
        for statement in command.statements { nodes[number]?.disk.note(statement.sql) }
        for statement in command.statements {
            let parts = statement.sql.split(separator: "=").map(String.init)
            if parts.count == 2 { nodes[number]?.disk.rows[parts[0]] = parts[1] }
        }
    }

    private mutating func switchTo(
        _ generation: Generation, _ mark: SnapshotMark, at number: Int
    ) {
        guard let (id, state) = nodes[number]?.received.first else { return }
        nodes[number]?.received[id] = nil
        nodes[number]?.disk.rows = state.rows
        nodes[number]?.disk.trace = state.trace
        nodes[number]?.disk.skips = state.skips
        nodes[number]?.disk.isCorrupt = false
        nodes[number]?.disk.applied = mark.position
        nodes[number]?.disk.appliedMembership = mark.membership
        nodes[number]?.disk.appliedMembershipIndex = mark.membershipIndex
        post(.database(.switched(mark, generation)), to: number)
    }

    // MARK: Snapshots

    private mutating func openSnapshot(_ id: SnapshotSendID, at number: Int) {
        guard let disk = nodes[number]?.disk else { return }
        nodes[number]?.snapshots[id] = disk
        let mark = SnapshotMark(
            position: disk.applied, membership: disk.appliedMembership,
            membershipIndex: disk.appliedMembershipIndex)
        let opened = OpenedSnapshot(mark: mark, generation: .first, byteCount: 4096)
        post(.database(.snapshotOpened(id, .success(opened))), to: number)
    }

    private mutating func offerSnapshot(
        _ id: SnapshotSendID, _ offer: SnapshotOffer, _ peer: NodeID, _ number: Int
    ) {
        guard let address = nodes[number]?.book[peer],
            let target = listener(at: address, from: number)
        else {
            let failure = PeerFailure(cause: "connection refused")
            return post(.snapshot(.sent(id, .failure(failure))), to: number)
        }
        let receipt = SnapshotReceiptID(newID())
        transfers[receipt] = (number, id, target)
        post(.snapshot(.offered(receipt, offer)), to: target)
    }

    private mutating func answerOffer(_ id: SnapshotReceiptID, _ refusal: String?) {
        guard let transfer = transfers[id] else { return }
        if let refusal {
            transfers[id] = nil
            let failure = PeerFailure(cause: refusal)
            return post(.snapshot(.sent(transfer.id, .failure(failure))), to: transfer.from)
        }
        guard !holdsSnapshots else {
            output.append("\(transfer.to): receives a snapshot of \(transfer.from)")
            return
        }
        deliver(id)
    }

    /// All of it has arrived.
    mutating func deliver(_ id: SnapshotReceiptID) {
        guard let transfer = transfers[id],
            let state = nodes[transfer.from]?.snapshots[transfer.id]
        else { return }
        nodes[transfer.to]?.received[id] = state
        post(.snapshot(.received(id)), to: transfer.to)
    }

    private mutating func snapshotDone(_ id: SnapshotReceiptID, _ problem: String?) {
        guard let transfer = transfers.removeValue(forKey: id) else { return }
        let result: Result<Void, PeerFailure> =
            problem.map { .failure(PeerFailure(cause: $0)) } ?? .success(())
        post(.snapshot(.sent(transfer.id, result)), to: transfer.from)
    }
}
