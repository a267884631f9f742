import Chance
import NodeLogic
import Raft
import WriteAheadLog

/// Parts of a node's data get lost, are put back from another age, or can't be read; and what the
/// operator does about a node that refuses to start.
extension Simulation {
    /// What was done to the data of a node, beside `lostSlot`.
    enum Damage {
        /// Everything is gone, or may be: only another incarnation may come back.
        case lost
        /// What is missing can be put back as it was.
        case away(DirectoryCopy)
        /// The database is older than it was; the log may make up for that.
        case aged
        /// All of it is older: the node has forgotten what it promised, up to this entry.
        case old(LogIndex)
    }

    /// A backup of the nodes' directories, as they stand in this moment.
    func keepCopies() {
        for node in nodes where node.isUp && random.chance(2, of: 3) {
            faults.copiesKept += 1
            node.copy = node.copyFiles()
        }
    }

    /// A node comes back without its log, or its database, or with one of another age than the rest.
    func loseParts(_ slot: Int) {
        let node = nodes[slot]
        let kind = random.below(node.copy?.identity == node.identity ? 6 : 2)
        lose(slot)
        stop(slot, losingPower: random.chance(1, of: 3))
        var kept = DirectoryCopy(identity: node.identity)
        switch kind {
        case 0:
            // A database that knows of no cluster yet can't tell that a log is missing: that is a
            // new disk.
            guard node.databases.contains(where: { $0.live.cluster != nil }) else {
                return replace(slot)
            }
            faults.logsMissing += 1
            kept.disk = node.disk
            damage = .away(kept)
            node.removeLog()
        case 1:
            faults.databasesMissing += 1
            kept.databases = node.databases
            kept.incoming = node.incoming
            damage = .away(kept)
            node.removeDatabases()
        case 2, 3: ageDatabase(node)
        default: ageLog(node)
        }
    }

    private func ageDatabase(_ node: SimulatedNode) {
        faults.databasesAged += 1
        damage = .aged
        var copy = node.copy
        copy?.disk = nil
        if let copy { node.restore(copy) }
    }

    /// Only where the database tells that the log is too old. Where it can't, the node has forgotten
    /// what it promised, and nothing on its own disk says so.
    private func ageLog(_ node: SimulatedNode) {
        damage = .lost
        guard let copy = node.copy, let disk = copy.disk,
            let old = Self.inspect(disk), let now = Self.inspect(node.disk),
            let database = node.databases.first(where: {
                $0.generation.rawValue == now.generation
            }), old.lastIndex < database.live.position.index
        else { return node.removeLog() }
        faults.logsAged += 1
        var part = copy
        part.databases = nil
        node.restore(part)
    }

    /// What a log says, without a change to it.
    static func inspect(_ disk: SimulatedDisk) -> LogState? {
        do throws(LogError) {
            let log = try SegmentedLog.open(
                on: disk.copy(seed: 1), directory: SimulatedNode.directory,
                limits: LogLimits(segmentBytes: 8192), bootID: RandomID(high: 0, low: 0))
            return log.state
        } catch {
            return nil
        }
    }

    // MARK: Reads that fail

    /// A read fails once; or a sector of the log, or a page of the database, can't be read any more
    /// on a node that runs.
    func failReads(_ slot: Int) {
        let node = nodes[slot]
        guard node.isUp else { return }
        switch random.below(4) {
        case 0: node.disk.failNextRead()
        case 1: if case .none = node.databaseFault { node.databaseFault = .once }
        default: attempt(.sector, slot)
        }
    }

    func loseSector(_ slot: Int) {
        let node = nodes[slot]
        lose(slot)
        faults.latentErrors += 1
        if random.chance(1, of: 2) {
            node.databaseFault = .latent
        } else {
            spoil(node)
        }
    }

    private func spoil(_ node: SimulatedNode) {
        let files = node.disk.files(in: SimulatedNode.directory)
        guard let file = random.pick(files), let bytes = node.disk.bytes(of: file) else { return }
        // Not behind the data: nobody reads there.
        let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        node.disk.spoilSector(of: file, at: random.below(end))
        node.syncedHardState = nil
    }

    // MARK: Starts that are refused

    /// The node says why it does not start. That is right if something was done to its data, and it
    /// must say what to do.
    func refuse(_ slot: Int, _ reason: String) {
        tell("\(nodes[slot].id) does not start: \(reason)")
        guard lostSlot == slot else {
            return invariants.broke("\(nodes[slot].id) refuses undamaged data: \(reason)")
        }
        faults.startsRefused += 1
        if !["Put ", "Restore ", "To rejoin", "check the disk"].contains(where: reason.contains) {
            invariants.broke("\(nodes[slot].id) does not say what to do: \(reason)")
        }
        schedule(.mend(slot: slot), in: random.within(50...2000))
    }

    /// The operator reads why, and puts back what is missing, or starts the node anew.
    func mend(_ slot: Int) {
        guard lostSlot == slot, !nodes[slot].isUp, quorumLoss == nil else { return }
        guard case .away(let parts) = damage, random.chance(2, of: 3) else { return replace(slot) }
        faults.partsPutBack += 1
        nodes[slot].restore(parts)
        findAgain()
        schedule(.restart(slot: slot), in: 0)
    }

    /// A node whose data were damaged started all the same.
    func startedDamaged(_ slot: Int) {
        guard lostSlot == slot, nodes[slot].identity.incarnation == lostIncarnation else { return }
        switch damage {
        case .lost, .old: break
        case .aged: findAgain()
        case .away:
            invariants.broke("\(nodes[slot].id) starts though a part of its data is missing")
        }
    }

    /// Nothing is lost after all.
    func findAgain() {
        lostSlot = nil
        lostIncarnation = nil
        damage = .lost
    }
}
