import Chance
import Cluster
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service
import Time
import WriteAheadLog

/// The machine's thread: takes events in batches and carries out what the machine decides.
extension SimulatedNode {
    func post(_ event: NodeEvent) {
        inbox.append(event)
        guard !isTurnScheduled else { return }
        isTurnScheduled = true
        output.append(.after(random.within(0...1), .turn))
    }

    func handle(_ step: NodeStep, at now: Int) {
        switch step {
        case .turn:
            isTurnScheduled = false
            turn(at: now)
        case .tick:
            tickScheduledAt = -1
            guard let next = machine?.nextTick, next > clock(now) else { return turn(at: now) }
            scheduleTick(at: now)
        case .logWakes: logWakes()
        case .logSlept(let wait): logSlept(wait)
        case .logSynced: logSynced()
        case .databaseWakes: databaseWakes(at: now)
        case .databaseSlept(let wait): databaseSlept(wait, at: now)
        case .databaseDone: databaseDone(at: now)
        case .read(let requests): serve(requests)
        }
    }

    private func turn(at now: Int) {
        guard machine?.isOver == false else { return }
        var events = spareInbox
        spareInbox = []
        swap(&events, &inbox)
        machine?.turn(events, at: clock(now), wallMilliseconds: wall(now))
        events.removeAll(keepingCapacity: true)
        spareInbox = events
        carryOut(at: now)
    }

    func carryOut(at now: Int) {
        guard let effects = machine?.takeEffects() else { return }
        for effect in effects { perform(effect, at: now) }
        renewGate()
        scheduleTick(at: now)
    }

    private func scheduleTick(at now: Int) {
        guard let next = machine?.nextTick else { return }
        let moment = max(now, moment(next))
        guard tickScheduledAt != moment else { return }
        tickScheduledAt = moment
        output.append(.after(moment - now, .tick))
    }

    private func renewGate() {
        guard let sighting else { return }
        localReadsUntil = sighting.localReadsUntil
        leaderReadsUntil = sighting.leaderReadsUntil
    }

    // MARK: Effects

    private func perform(_ effect: NodeEffect, at now: Int) {
        switch effect {
        case .answer(let answers): for answer in answers { self.answer(answer.key, answer.outcome) }
        case .read(let requests):
            noteConfirmed(requests)
            read(requests)
        case .probeDatabase(let key, let synced):
            answer(key, .readiness(.ready(synced: synced)))
        case .forward(let requests, let address):
            for request in requests { sentOn.insert(request.key) }
            output.append(.forward(requests, to: address))
        // Simulated nodes answer whole, so there is nothing that hearing of it could end.
        case .recall: break
        case .send(let messages): for message in messages { send(message) }
        case .setAddress(let address, let id): book[id] = address
        case .call(let id, let request, let address, let node, let timeout):
            output.append(
                .call(id, request, at: address, of: node, timeout: Self.milliseconds(timeout)))
        case .removeAddress(let id): book[id] = nil
        case .acceptPeer(let identity, let place):
            refused.removeAll { $0.identity == identity && $0.address == place }
        case .refusePeer(let identity, let place?, _):
            refused.append((identity, place, now + Self.unwantedTime))
        case .refusePeer(let identity, nil, let cause): output.append(.refused(identity, cause))
        case .answerPeer(let id, let answer): output.append(.answerPeer(id, answer))
        case .lookUp(let host): output.append(.lookUp(host))
        case .askRegistry(let request, let id, let timeout):
            output.append(.askRegistry(request, id, timeout: Self.milliseconds(timeout)))
        case .watchRegistry(let token, let timeout):
            output.append(.watchRegistry(token: token, timeout: Self.milliseconds(timeout)))
        case .log(let work): begin(work)
        case .database(let work): begin(work)
        case .growReaders, .evictOldestRead: break
        case .sendSnapshot(let id, let offer, let peer): sendSnapshot(id, offer, peer)
        case .cancelSnapshot(let id): output.append(.cancelSnapshot(id))
        case .answerOffer(let id, let refusal):
            output.append(.answerOffer(id, refusal: refusal))
        case .stopReceiving(let id, _): output.append(.stopReceiving(id))
        case .snapshotDone(let id, let problem):
            output.append(.snapshotDone(id, problem: problem))
        case .say(let note): output.append(.said(note))
        case .stateChanged(let change): output.append(.stateChanged(change))
        case .failed(let text): output.append(.died(text))
        case .left: output.append(.left)
        case .stopped: output.append(.stopped)
        }
    }

    /// As the transport has it.
    private static var unwantedTime: Int { 10_000 }

    static func milliseconds(_ duration: Duration) -> Int {
        Int(duration.millisecondsClamped)
    }

    private func sendSnapshot(_ id: SnapshotSendID, _ offer: SnapshotOffer, _ peer: NodeID) {
        guard let hold = holds.first(where: { $0.id == id }) else {
            let failure = PeerFailure(cause: "the database is not held any more")
            return post(.snapshot(.sent(id, .failure(failure))))
        }
        output.append(.sendSnapshot(id, offer, hold.state, to: book[peer], peer))
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
                message.term == sighting?.term
            {
                output.append(.broke("\(id) acknowledges \(index), durable \(syncedIndex)"))
            }
        }
        guard let address = book[message.to] else { return }
        output.append(.send(message, to: address))
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
