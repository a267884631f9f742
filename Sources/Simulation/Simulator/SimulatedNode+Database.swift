import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service
import Wire

/// The database's thread, and the files of snapshots that come from it and go to it.
extension SimulatedNode {
    func begin(_ work: DatabaseWork) {
        databaseJobs.append(work)
        beginDatabase()
    }

    private func beginDatabase() {
        guard !isDatabaseBusy, !databaseJobs.isEmpty else { return }
        isDatabaseBusy = true
        output.append(.after(random.within(databaseDelay), .databaseDone))
    }

    private var current: Int { databases.count - 1 }

    /// How many entries may wait for a checkpoint for the sake of a snapshot that is being sent.
    private static var holdEntries: Int { 60 }

    func databaseDone(at now: Int) {
        isDatabaseBusy = false
        switch databaseJobs.removeFirst() {
        case .apply(let entries, let answers): apply(entries, answers)
        case .establish(let cluster, let membership):
            databases[current].establish(cluster, membership)
            post(.database(.established))
        case .openSnapshot(let id): openSnapshot(id, at: now)
        case .closeSnapshot(let id): holds.removeAll { $0.id == id }
        case .prepare(let id, let mark): prepare(id, mark)
        case .switchTo(let generation, let mark):
            databases.removeAll { $0.generation != generation }
            holds = []
            counts.snapshotsInstalled += 1
            post(.database(.switched(mark, generation)))
        case .discard(let id):
            counts.snapshotsDiscarded += 1
            receipts.removeAll { $0.id == id }
        }
        beginDatabase()
    }

    private func apply(_ entries: [Entry], _ answers: [AppliedAnswer]) {
        var waiting = answers[...]
        for entry in entries {
            if entry.index != database.live.position.index.next {
                output.append(
                    .broke("\(id) applies \(entry.position) at \(database.live.position)"))
            }
            let result = databases[current].apply(entry)
            output.append(
                .applied(
                    entry, digest: database.live.digest, registers: database.live.registers))
            guard let answer = waiting.first, answer.index == entry.index else { continue }
            waiting.removeFirst()
            if let result { self.answer(answer.key, .results(result)) }
        }
        post(.database(.applied(through: database.live.position.index)))
        if database.sinceCheckpoint.count > 15 + random.below(20) { checkpoint() }
    }

    /// What was written while a snapshot is sent can't be checkpointed.
    private func checkpoint() {
        guard holds.isEmpty else {
            guard database.sinceCheckpoint.count > Self.holdEntries else { return }
            counts.holdsOutgrown += 1
            for hold in holds { post(.database(.holdOutgrown(hold.id))) }
            return
        }
        if mutation != .compactsBeforeCheckpoint { databases[current].finishCheckpoint() }
        post(.database(.checkpointed(through: database.live.position.index)))
    }

    // MARK: Snapshots

    private func openSnapshot(_ id: SnapshotSendID, at now: Int) {
        guard !isMishapPossible || !random.chance(1, of: 20) else {
            let failure = DatabaseReport.Failure("long-running reads hold back the checkpoint")
            return post(.database(.snapshotOpened(id, .failure(failure))))
        }
        if holds.isEmpty { databases[current].finishCheckpoint() }
        let state = database.checkpoint
        holds.append((id, state, now))
        counts.snapshotsSent += 1
        let opened = OpenedSnapshot(
            mark: state.mark, generation: database.generation,
            byteCount: UInt64(state.byteCount))
        post(.database(.snapshotOpened(id, .success(opened))))
    }

    private func prepare(_ id: SnapshotReceiptID, _ mark: SnapshotMark) {
        let receipt = receipts.first { $0.id == id }
        receipts.removeAll { $0.id == id }
        guard var state = receipt?.state else {
            output.append(.broke("\(self.id) installs a snapshot whose file is not complete"))
            return
        }
        guard state.mark == mark else {
            output.append(.broke("\(self.id) installs \(state.mark.position) for \(mark.position)"))
            return
        }
        guard !isMishapPossible || !random.chance(1, of: 20) else {
            counts.installationsFailed += 1
            let failure = DatabaseReport.Failure("input/output error")
            return post(.database(.prepared(mark, .failure(failure))))
        }
        let generation = database.generation.next
        state.cluster = database.live.cluster
        // A file of this name may stand there from an attempt before.
        databases.removeAll { $0.generation == generation }
        databases.insert(ModelDatabase(generation: generation, state: state), at: current)
        post(.database(.prepared(mark, .success(generation))))
    }
}
