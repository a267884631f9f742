import Chance
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service
import Time
import Wire

/// The database's thread: carries out what `ApplyKeeper` decides, each piece of work in its time.
extension SimulatedNode {
    func begin(_ work: DatabaseWork) {
        applyKeeper.post(work)
        guard databaseWait != nil, databaseStep == nil else { return }
        databaseWait = nil
        output.append(.after(0, .databaseWakes))
    }

    /// Something was posted.
    func databaseWakes(at now: Int) {
        applyKeeper.woke(at: clock(now))
        advanceDatabase()
    }

    /// The time of a sleep is over, if it was not disturbed.
    func databaseSlept(_ wait: Int, at now: Int) {
        guard databaseWait == wait else { return }
        databaseWakes(at: now)
    }

    /// Whatever waited for the database's disk is done only now, and so is the end of a hold.
    func endDatabaseHang(at now: Int) {
        guard isDatabaseHung else { return }
        isDatabaseHung = false
        for place in holds.indices { holds[place].since = now }
    }

    func databaseDone(at now: Int) {
        guard let step = databaseStep else { return }
        guard !isDatabaseHung else { return output.append(.after(Self.hangStep, .databaseDone)) }
        databaseStep = nil
        perform(step, at: now)
        advanceDatabase()
    }

    private func advanceDatabase() {
        databaseWait = nil
        while true {
            let step = applyKeeper.next()
            switch step {
            case .wait(let limit):
                lastDatabaseWait += 1
                databaseWait = lastDatabaseWait
                guard let limit else { return }
                return output.append(
                    .after(Self.milliseconds(limit), .databaseSlept(lastDatabaseWait)))
            case .report(let reports): for report in reports { post(.database(report)) }
            case .answer(let answers):
                for answer in answers { self.answer(answer.key, answer.outcome) }
            case .removeReplaced(let generation): remove(generation)
            case .fail(let cause): return post(.fault(cause))
            case .end: return
            default:
                databaseStep = step
                return output.append(.after(random.within(databaseDelay), .databaseDone))
            }
        }
    }

    /// Bytes of SQLite's log, as the keeper counts them.
    private var walBytes: Int64 { Int64(database.sinceCheckpoint.count) * 100 }

    private func perform(_ step: ApplyStep, at now: Int) {
        guard !meetsBadPage else { return applyKeeper.failed(.failed("disk I/O error (ioError)")) }
        switch step {
        case .apply(let entries, let answers): apply(entries, answers, at: now)
        case .establish(let cluster, let membership):
            databases[current].establish(cluster, membership)
            applyKeeper.established()
        case .checkpoint: checkpoint()
        // No simulated entry ends the process.
        case .decide, .tryAgain: break
        case .openSnapshot(let id): openSnapshot(id, at: now)
        case .closeSnapshot(let id, _):
            holds.removeAll { $0.id == id }
            applyKeeper.closed(id)
        case .prepare(let id, let mark, let generation): prepare(id, mark, as: generation)
        case .switchTo(let generation, let mark):
            live = generation
            isLiveRemoved = false
            trace = nil
            covered = .zero
            holds = []
            counts.snapshotsInstalled += 1
            applyKeeper.switched(to: generation, mark)
        case .discard(let id):
            counts.snapshotsDiscarded += 1
            receipts.removeAll { $0.id == id }
        case .wait, .removeReplaced, .answer, .report, .fail, .end: break
        }
    }

    private var meetsBadPage: Bool {
        switch databaseFault {
        case .none: return false
        case .once: databaseFault = .none
        case .latent: guard random.chance(1, of: 8) else { return false }
        }
        counts.databaseReadErrors += 1
        return true
    }

    /// Nothing can be written at all, or the batch is larger than what is left.
    private var isOutOfRoom: Bool {
        guard let capacity = disk.capacity else { return false }
        return disk.usedBytes >= capacity && random.chance(1, of: 2)
    }

    private func apply(_ entries: [Entry], _ answers: [AppliedAnswer], at now: Int) {
        guard !isOutOfRoom else {
            counts.fullDatabases += 1
            return applyKeeper.stopped(
                .noRoom, after: database.live.position.index, answers)
        }
        var waiting = answers[...]
        let place = current
        for entry in entries {
            let position = databases[place].live.position
            if entry.index != position.index.next {
                output.append(.broke("\(id) applies \(entry.position) at \(position)"))
            }
            if meetsMarkers { follow(entry) }
            let result = databases[place].apply(entry)
            output.append(
                .applied(
                    entry, digest: databases[place].live.digest,
                    registers: databases[place].live.registers))
            guard let answer = waiting.first, answer.index == entry.index else { continue }
            waiting.removeFirst()
            if let result { self.answer(answer.key, .results(result)) }
        }
        applyKeeper.applied(
            through: database.live.position.index, walBytes: walBytes, at: clock(now))
        if walBytes > 6000, !holds.isEmpty { counts.holdsOutgrown += 1 }
    }

    /// The live file is gone for the next start only; who has it open goes on with it.
    private func remove(_ generation: Generation) {
        if generation == live {
            isLiveRemoved = true
        } else {
            databases.removeAll { $0.generation == generation }
        }
    }

    private func checkpoint() {
        guard holds.isEmpty else {
            return applyKeeper.checkpointed(through: covered, isHeldBack: false)
        }
        guard !isMishapPossible || !random.chance(1, of: 30) else {
            counts.checkpointsHeldBack += 1
            return applyKeeper.checkpointed(
                through: covered, isHeldBack: random.chance(1, of: 2))
        }
        if mutation != .compactsBeforeCheckpoint { databases[current].finishCheckpoint() }
        covered = database.live.position.index
        applyKeeper.checkpointed(through: covered, isHeldBack: false)
    }

    // MARK: Snapshots

    private func openSnapshot(_ id: SnapshotSendID, at now: Int) {
        guard !isMishapPossible || !random.chance(1, of: 20) else {
            return applyKeeper.opened(
                id, random.chance(1, of: 2) ? .success(nil) : .failure(.noRoom))
        }
        if holds.isEmpty {
            databases[current].finishCheckpoint()
            covered = database.live.position.index
        }
        let state = database.checkpoint
        holds.append((id, state, now))
        counts.snapshotsSent += 1
        applyKeeper.opened(
            id, .success((mark: state.mark, byteCount: UInt64(state.byteCount))))
    }

    private func prepare(
        _ id: SnapshotReceiptID, _ mark: SnapshotMark, as generation: Generation
    ) {
        let receipt = receipts.first { $0.id == id }
        receipts.removeAll { $0.id == id }
        guard var state = receipt?.state else {
            output.append(.broke("\(self.id) installs a snapshot whose file is not complete"))
            return
        }
        if receipt?.isFalse == true, mutation != .installsUnverified {
            counts.falseSnapshots += 1
            return applyKeeper.prepared(mark, .failure(.init("file is not a database")))
        }
        guard state.mark == mark || mutation == .installsUnverified else {
            output.append(.broke("\(self.id) installs \(state.mark.position) for \(mark.position)"))
            return
        }
        let name = "incoming-\(generation).sqlite"
        if !incoming.contains(name) { incoming.append(name) }
        if isOutOfRoom || isMishapPossible && random.chance(1, of: 8) {
            counts.installationsFailed += 1
            // What was gathered stays there, and is no generation.
            return applyKeeper.prepared(mark, .failure(.init("input/output error")))
        }
        incoming.removeAll { $0 == name }
        state.cluster = database.live.cluster
        // A file of this name may stand there from an attempt before.
        databases.removeAll { $0.generation == generation }
        databases.append(ModelDatabase(generation: generation, state: state))
        databases.sort { $0.generation < $1.generation }
        applyKeeper.prepared(mark, .success(generation))
        output.append(.preparedSnapshot)
    }
}
