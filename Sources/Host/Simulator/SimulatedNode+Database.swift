import Raft
import Replication

/// Work for the state machine's thread, done in the order in which it was posted.
enum ApplyJob {
    case apply(ApplyBatch)
    case openSnapshot(NodeID)
    case prepare(ModelState)
    case switchTo(SnapshotMark, generation: UInt64)
}

/// Snapshots under way in either direction.
struct SnapshotTraffic {
    var sendingTo: NodeID?
    var transfer: SnapshotTransfer?
    var waiting: [NodeID] = []
    var arrivals: [(token: SnapshotToken, state: ModelState, transfer: SnapshotTransfer)] = []
    var lastNumber: UInt64 = 0
}

/// The state machine's thread, and the snapshots that come from it and go to it.
extension SimulatedNode {
    func post(_ job: ApplyJob) {
        applyJobs.append(job)
        beginApply()
    }

    private func beginApply() {
        guard !isApplyBusy, !applyJobs.isEmpty else { return }
        isApplyBusy = true
        output.append(.after(random.within(applyDelay), .applyDone))
    }

    func applyDone() {
        isApplyBusy = false
        let current = databases.count - 1
        switch applyJobs.removeFirst() {
        case .apply(let batch): apply(batch)
        case .openSnapshot(let peer):
            databases[current].finishCheckpoint()
            post(.snapshotOpened(to: peer, databases[current].live))
        case .prepare(let state):
            let generation = database.generation + 1
            databases.insert(ModelDatabase(generation: generation, state: state), at: current)
            post(.databasePrepared(state.mark, generation: generation))
        case .switchTo(let mark, let generation):
            databases.removeAll { $0.generation != generation }
            post(.databaseSwitched(mark))
        }
        beginApply()
    }

    private func apply(_ batch: ApplyBatch) {
        let current = databases.count - 1
        for entry in batch.entries {
            if entry.index != databases[current].live.position.index.next {
                output.append(
                    .broke("\(id) applies \(entry.position) at \(database.live.position)"))
            }
            databases[current].apply(entry)
            output.append(.applied(entry, digest: database.live.digest))
        }
        for completion in batch.completions where !early.contains(completion.id.rawValue) {
            output.append(.answer(completion.id.rawValue, .done(completion.index)))
        }
        post(.applied(database.live.position.index))
        if database.sinceCheckpoint.count > 15 + random.below(20) {
            if mutation != .compactsBeforeCheckpoint { databases[current].finishCheckpoint() }
            post(.checkpointed(database.live.position.index))
        }
    }

    // MARK: Snapshots out

    func snapshotWanted(by peer: NodeID) {
        guard snapshots.sendingTo == nil else {
            if !snapshots.waiting.contains(peer) { snapshots.waiting.append(peer) }
            return
        }
        snapshots.sendingTo = peer
        post(.openSnapshot(peer))
    }

    func snapshotOpened(to peer: NodeID, _ state: ModelState) {
        snapshots.lastNumber += 1
        let transfer = SnapshotTransfer(sender: slot, run: run, number: snapshots.lastNumber)
        snapshots.transfer = transfer
        counts.snapshotsSent += 1
        output.append(.snapshot(to: peer, state, transfer))
    }

    func snapshotSent(_ transfer: SnapshotTransfer, through index: LogIndex?) {
        guard let peer = snapshots.sendingTo, snapshots.transfer == transfer else { return }
        if index == nil { counts.snapshotsFailed += 1 }
        snapshots.sendingTo = nil
        snapshots.transfer = nil
        replicated?.snapshotSent(to: peer, through: index)
        if !snapshots.waiting.isEmpty { snapshotWanted(by: snapshots.waiting.removeFirst()) }
    }

    // MARK: Snapshots in

    func snapshotReceived(_ state: ModelState, _ transfer: SnapshotTransfer) {
        snapshots.lastNumber += 1
        let token = SnapshotToken(snapshots.lastNumber)
        snapshots.arrivals.append((token, state, transfer))
        replicated?.snapshotReceived(state.mark, token: token)
    }

    func discardSnapshot(_ token: SnapshotToken) {
        counts.snapshotsDiscarded += 1
        finish(token)
    }

    func installSnapshot(_ mark: SnapshotMark, _ token: SnapshotToken) {
        guard let arrival = snapshots.arrivals.first(where: { $0.token == token }) else { return }
        post(.prepare(arrival.state))
    }

    func databaseSwitched(_ mark: SnapshotMark) {
        counts.snapshotsInstalled += 1
        replicated?.snapshotInstalled(mark)
        for arrival in snapshots.arrivals where arrival.state.mark == mark { finish(arrival.token) }
    }

    private func finish(_ token: SnapshotToken) {
        guard let place = snapshots.arrivals.firstIndex(where: { $0.token == token }) else {
            return
        }
        let arrival = snapshots.arrivals.remove(at: place)
        output.append(
            .snapshotDone(arrival.transfer, through: arrival.state.position.index))
    }
}
