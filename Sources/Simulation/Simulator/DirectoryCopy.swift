import Chance
import Raft

/// The files of a node as they were once: a backup, or a volume that was away.
struct DirectoryCopy {
    var identity: NodeIdentity
    /// The log; nil: it is not part of the copy.
    var disk: SimulatedDisk?
    /// The database files; nil: they are no part of the copy.
    var databases: [ModelDatabase]?
    var incoming: [String] = []
}

extension SimulatedNode {
    /// All files as a program reads them now; the copy is durable.
    func copyFiles() -> DirectoryCopy {
        var databases = databases
        for place in databases.indices { databases[place].finishCheckpoint() }
        return DirectoryCopy(
            identity: identity, disk: disk.copy(seed: random.next()), databases: databases,
            incoming: incoming)
    }

    /// Puts the parts of a copy in the place of what is there, while the node is down.
    func restore(_ copy: DirectoryCopy) {
        if let disk = copy.disk { replaceLog(by: disk.copy(seed: random.next())) }
        if let databases = copy.databases {
            self.databases = databases
            incoming = copy.incoming
            lastShown = .zero
        }
    }

    /// The log's volume is not there any more: nothing is.
    func removeLog() { replaceLog(by: SimulatedDisk(seed: random.next())) }

    private func replaceLog(by disk: SimulatedDisk) {
        collectDiskFaults()
        self.disk = disk
        syncedHardState = nil
    }

    func removeDatabases() {
        databases = []
        incoming = []
    }
}
