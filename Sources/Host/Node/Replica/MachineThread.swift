import Cluster
import Glibc
import NIOCore
import NodeLogic
import PeerProtocol
import Raft
import Registry
import Replication
import Service
import StateMachine
import Synchronization
import Telemetry
import Threads
import Time
import Transport

/// The one thread that owns a node's machine. It takes what arrived, lets the machine decide, and
/// carries out what follows in batches: to the log's thread, the database's thread, the readers, the
/// network and the clients' event loops. It never blocks on any of them.
///
/// Not `Sendable`: it is made on its thread and stays there.
final class MachineThread {
    private var machine: NodeMachine
    private let links: Links
    private var isOver = false
    /// When a portrait was made last, and what it showed.
    private var published: (at: MonotonicTime, outline: NodeOutline)?

    /// The threads and services that the machine's effects go to.
    struct Links: Sendable {
        var mailbox: Mailbox<NodeEvent>
        var log: LogThread
        var apply: ApplyThread
        var readers: ReaderPool
        var transport: PeerTransport
        var forwarder: Forwarder
        var registry: (any RegistryAccess)?
        var access: NodeAccess
        var open: OpenRequests
        var questions: Questions
        var snapshots: SnapshotFiles
        var credits = MessageCredits()
        var ends: NodeEnds
        var gate: ReadGate
        var board: StatusBoard
        var timings: NodeTimings
        /// What lasts.
        var states: StateLog
        /// What other threads have to say that may repeat.
        var repeats: RepeatLog
        var logger: Logger

        func stopReceiving(_ id: IncomingSnapshotID, _ cause: String) {
            transport.stopReceiving(id, reason: cause)
        }
    }

    private var notes: NoteLog
    private let probe: DatabaseProbe
    private var commits = CommitWatch()
    /// Who led at the last turn.
    private var leader: NodeID?
    /// For how long the machine was, as far as the node was told.
    private var suspended: Duration

    init(_ machine: NodeMachine, links: Links) {
        self.machine = machine
        self.links = links
        // One look may be held up.
        suspended = max(MonotonicTime.suspended, MonotonicTime.suspended)
        notes = NoteLog(links.logger, now: .now)
        probe = DatabaseProbe { [readers = links.readers] jobs in readers.post(jobs) }
    }

    // MARK: The loop

    func run(_ beginning: NodeMachine.Beginning) {
        machine.begin(beginning)
        carryOut()
        while !isOver {
            let events = links.mailbox.take(
                until: machine.nextTick, patiently: !machine.awaitsDatabase())
            let credits = links.credits.take()
            reviewSleep()
            machine.turn(events, at: .now, wallMilliseconds: WallTime.now().milliseconds)
            for credit in credits { credit.giveBack() }
            carryOut()
        }
    }

    /// Shorter than that nothing sleeps.
    private func reviewSleep() {
        let time = MonotonicTime.suspended
        guard time - suspended > .seconds(1) else { return }
        machine.slept(time - suspended)
        suspended = time
    }

    private func carryOut() {
        let effects = machine.takeEffects()
        let turn = machine.lastTurn()
        // Who is answered below, and then looks at the node, sees no earlier state.
        links.gate.renew(turn)
        links.board.stands(at: turn.positions)
        if published?.outline != turn.outline || effects.contains(where: \.isSaid) {
            publish(turn, atOnce: true)
        }
        for effect in effects { perform(effect) }
        let timings = links.timings
        commits.committed(through: turn.positions.commitIndex, at: turn.at) {
            timings.commit.record($0)
        }
        if turn.outline.leader != leader {
            leader = turn.outline.leader
            if leader != nil { timings.leaderChanges.add() }
        }
        if notes.flush(at: turn.at) {
            links.states.flush()
            links.repeats.flush()
        }
        publish(turn)
    }

    /// A portrait is made of all that the machine holds and costs more than a write. What it must
    /// show at once is told by the outline; else it may be as old as the pause and a tick. A wake-up
    /// of its own would cost each turn under load a timer.
    /// - Parameter atOnce: who reads a line of the log and then asks for the status sees what it is about.
    private func publish(_ turn: NodeTurn, atOnce: Bool = false) {
        if !isOver, !atOnce, let published, published.outline == turn.outline,
            turn.at < published.at + Self.publishingPause
        {
            return
        }
        links.board.publish(machine.portrait())
        published = (turn.at, turn.outline)
    }

    private static let publishingPause = Duration.milliseconds(5)

    private func perform(_ effect: NodeEffect) {
        switch effect {
        case .answer(let answers): answer(answers)
        case .read(let requests): read(requests)
        case .probeDatabase(let key, let synced): probeDatabase(key, synced)
        case .forward(let requests, let address):
            links.forwarder.forward(requests, to: address)
        case .recall(let keys, let address): links.forwarder.recall(keys, at: address)
        case .send(let messages): links.transport.send(messages)
        case .setAddress(let address, let id): links.transport.setAddress(address, for: id)
        case .call(let id, let request, let address, let node, let timeout):
            call(id, request, address, node, timeout)
        case .lookUp(let host): lookUp(host)
        case .answerPeer(let id, let answer): links.questions.answer(id, answer)
        case .removeAddress(let id): links.transport.removeAddress(of: id)
        case .acceptPeer(let identity, let place): links.transport.accept(identity, at: place)
        case .refusePeer(let identity, let place, let cause):
            links.transport.refuse(identity, at: place, cause: cause)
        case .askRegistry(let request, let id, let timeout): ask(request, id, timeout)
        case .watchRegistry(let token, let timeout): watch(token, timeout)
        case .log(let work): post(work)
        case .database(let work): links.apply.post(work)
        case .growReaders:
            links.readers.grow()
            probe.lookAgain(at: .now)
        case .evictOldestRead: links.readers.evictOldest()
        case .sendSnapshot(let id, let offer, let peer): sendSnapshot(id, offer, peer)
        case .cancelSnapshot(let id):
            if let peer = links.snapshots.receiver(of: id) {
                links.transport.cancelSnapshot(to: peer)
            }
        case .answerOffer(let id, let refusal):
            links.snapshots.decide(id, refusal: refusal, links.stopReceiving)
        case .stopReceiving(let id, let cause):
            links.snapshots.stop(id, cause, links.stopReceiving)
        case .snapshotDone(let id, let problem):
            links.snapshots.end(id, problem: problem, links.stopReceiving)
        case .say(let note): notes.write(note, at: .now)
        case .stateChanged(let change): links.states.take(change)
        case .failed(let text):
            isOver = true
            links.board.fail(text)
            links.ends.all()
        case .left: links.ends.left()
        case .stopped:
            isOver = true
            links.ends.all()
        }
    }

    private func post(_ work: LogWork) {
        switch work {
        case .write(let write):
            commits.handed(write.entries, at: machine.presentTurn)
            links.timings.entries.add(write.entries)
        case .reset: commits.forget()
        default: break
        }
        links.log.post(work)
    }

    // MARK: Clients

    private func answer(_ answers: [ClientAnswer]) {
        var batch = ReplyBatch()
        let targets = links.open.take(answers.map(\.key))
        for (answer, target) in zip(answers, targets) {
            if let target { batch.add(answer.outcome, to: target) }
        }
        batch.deliver()
    }

    private func read(_ requests: [PendingRequest]) {
        let targets = links.open.take(requests.map(\.key))
        var jobs: [ReadJob] = []
        jobs.reserveCapacity(requests.count)
        for (pending, target) in zip(requests, targets) {
            if let target { jobs.append(ReadJob(pending, target)) }
        }
        links.readers.post(jobs)
    }

    private func probeDatabase(_ key: RequestKey, _ synced: Bool) {
        guard let target = links.open.take(key) else { return }
        probe.check(target, synced: synced, now: .now)
    }

    // MARK: Other nodes and the registry

    private func call(
        _ id: PeerCallID, _ request: PeerRequest, _ address: PeerAddress, _ node: NodeIdentity?,
        _ timeout: Duration
    ) {
        let mailbox = links.mailbox
        links.transport.call(request, at: address, of: node, timeout: .init(timeout))
            .whenComplete { result in
                mailbox.post(.answered(id, result.mapError(PeerFailure.init(any:))))
            }
    }

    private func lookUp(_ host: String) {
        let mailbox = links.mailbox
        links.transport.lookUp(host) { result in
            let answer: CandidateNames.Answer =
                switch result {
                case .success(let addresses): .addresses(addresses)
                case .failure(let failure):
                    switch failure.kind {
                    case .unknown: .unknown
                    case .failed(let cause): .failed(cause)
                    case .waiting: .failed("no answer")
                    }
                }
            mailbox.post(.nameLookedUp(host, answer))
        }
    }

    private func ask(_ request: RegistryRequest, _ id: RegistryRequestID, _ timeout: Duration) {
        let mailbox = links.mailbox
        links.registry?.perform(request, timeout: timeout) { reply in
            mailbox.post(.registryAnswered(request, id, reply))
        }
    }

    private func watch(_ token: [UInt8], _ timeout: Duration) {
        let mailbox = links.mailbox
        links.registry?.watch(token: token, timeout: timeout) { outcome in
            mailbox.post(.registryWatched(outcome))
        }
    }

    // MARK: Snapshots

    private func sendSnapshot(_ id: SnapshotSendID, _ offer: SnapshotOffer, _ peer: NodeID) {
        let mailbox = links.mailbox
        guard let source = links.snapshots.source(of: id, for: peer) else {
            let failure = PeerFailure(cause: "the database is not held any more")
            return mailbox.post(.snapshot(.sent(id, .failure(failure))))
        }
        links.transport.sendSnapshot(offer, from: SnapshotStream(source), to: peer) { result in
            let outcome = result.mapError { PeerFailure(any: $0) }
            mailbox.post(.snapshot(.sent(id, outcome)))
        }
    }
}

/// Credits of messages that wait for the machine's thread.
final class MessageCredits: Sendable {
    private let held = Mutex<[MessageCredit]>([])

    func hold(_ credit: MessageCredit) { held.withLock { $0.append(credit) } }

    /// Those of all messages that were posted before, and perhaps of some that will be.
    func take() -> [MessageCredit] {
        held.withLock { held in
            defer { held = [] }
            return held
        }
    }
}

/// Called when a node has left, and when it has come to its end. Any thread may call; each waiter is
/// told once.
final class NodeEnds: Sendable {
    private let leavers = Mailbox<Bool>()
    private let stoppers = Mailbox<Bool>()

    func left() { leavers.post(true) }

    func all() {
        leavers.post(true)
        stoppers.post(true)
    }

    /// - Returns: whether it came to be in time.
    func awaitLeft(until deadline: MonotonicTime) -> Bool {
        !leavers.take(until: deadline).isEmpty
    }

    func awaitStopped(until deadline: MonotonicTime) -> Bool {
        !stoppers.take(until: deadline).isEmpty
    }
}

extension NodeEffect {
    /// A line that an operator sees without asking for more.
    fileprivate var isSaid: Bool {
        if case .say(let note) = self { note.level != .debug } else { false }
    }
}

extension PeerFailure {
    /// Futures carry any error; the transport's comes with its cause.
    init(any error: any Error) {
        guard let error = error as? TransportError else {
            self.init(cause: "\(error)")
            return
        }
        self.init(
            cause: error.cause, isTimeout: error.reason == .timedOut, description: "\(error)")
    }
}

extension Logger {
    /// A line of the node's machine.
    /// - Parameter repeats: how often it was left out before; 0 is not said.
    func write(_ note: NodeNote, repeats: Int = 0) {
        let level: LogLevel =
            switch note.level {
            case .debug: .debug
            case .info, .announcement: .info
            case .warning: .warning
            case .error: .error
            }
        var details = note.details.map { ($0.name, $0.value) }
        if repeats > 0 { details.append(("repeats", "\(repeats)")) }
        let isAlways = note.level == .announcement
        write(level, note.text, details, always: isAlways)
    }
}
