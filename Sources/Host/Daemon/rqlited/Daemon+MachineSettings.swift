import Addresses
import Glibc
import NodeLogic
import Raft
import Replica
import Replication
import Service
import Settings
import StateMachine

/// From what the operator said to what the modules below understand.
extension Daemon {
    /// Looks at the data directory, and that what is to be loaded is there.
    static func checkPaths(_ settings: NodeSettings) throws {
        try DataDirectoryAccess.check(settings.dataDirectory)
        for path in settings.database.extensionPaths where Glibc.access(path, F_OK) != 0 {
            throw StartFailure(description: "extension path does not exist: \(path)")
        }
    }

    /// - Parameter hasRegistry: the discovery mode is a registry.
    static func machineSettings(
        _ settings: NodeSettings, hasRegistry: Bool
    ) -> MachineSettings {
        let timing = settings.raft.timing
        let tick = min(.milliseconds(10), timing.heartbeatInterval / 2)
        var raft = RaftSettings()
        raft.electionTicks = max(2, ticks(timing.heartbeatTimeout, tick))
        raft.heartbeatTicks = max(1, ticks(timing.heartbeatInterval, tick))
        raft.campaignTicks = max(2, ticks(timing.electionTimeout, tick))
        raft.quorumTicks = max(raft.heartbeatTicks + 1, ticks(timing.leaderLease, tick))
        var replication = ReplicationSettings()
        replication.compactionThreshold = settings.checkpoint.entries
        replication.trailingEntries = settings.checkpoint.trailingEntries

        var machine = MachineSettings(
            explicitID: settings.identity.explicit.map { NodeID($0) },
            fallbackID: NodeID(settings.identity.fallback),
            address: PeerAddress(settings.raft.advertised.description),
            apiURL: settings.apiURL,
            dataDirectory: settings.dataDirectory, version: Build.version)
        machine.raft = raft
        machine.replication = replication
        machine.tick = tick
        machine.isVoter = settings.raft.isVoter
        machine.foreignKeys = settings.database.enforcesForeignKeys
        machine.extensionPaths = settings.database.extensionPaths
        // 0 leaves the number of entries as the only trigger.
        machine.checkpointBytes =
            settings.checkpoint.walBytes > 0 ? settings.checkpoint.walBytes : .max
        if settings.database.maxReadConnections > 0 {
            machine.maxReaders = settings.database.maxReadConnections
        }
        machine.connectTimeout = settings.raft.connectTimeout
        machine.applyTimeout = settings.raft.applyTimeout
        machine.packsSnapshots = settings.checkpoint.packsSnapshots
        machine.checkpointInterval = settings.checkpoint.interval
        machine.checksums.isOn = settings.checksums.isOn
        machine.checksums.interval = settings.checksums.interval
        machine.checksums.scrubInterval = settings.checksums.scrubInterval
        machine.checksums.seedsItself = settings.checksums.reseedsItself
        machine.stepDownOnShutdown = settings.raft.stepsDownOnShutdown
        machine.stopsWhenRemoved = settings.raft.stopsWhenRemoved
        machine.reapTimeouts = ReapTimeouts(
            voter: settings.raft.reapTimeout, nonvoter: settings.raft.reapReadOnlyTimeout)
        machine.discoveryFlags = settings.formation.discovery?.commandLine ?? ""
        if settings.access.file != nil { machine.clientFlags = "-u USER:PASSWORD " }
        machine.foundsAnew = settings.formation.foundsAnew
        machine.plan = hasRegistry ? registryPlan(settings) : plan(settings)
        return machine
    }

    private static func ticks(_ duration: Duration, _ tick: Duration) -> Int {
        Int(duration / tick)
    }

    /// Only those who say how many nodes they expect are in a hurry.
    private static func registryPlan(_ settings: NodeSettings) -> FormationPlan {
        let formation = settings.formation
        let expects = formation.bootstrapExpect > 0
        return .registry(
            expect: expects ? formation.bootstrapExpect : nil,
            timeout: expects ? formation.bootstrapExpectTimeout : nil,
            suffrage: settings.raft.isVoter ? .voter : .nonvoter)
    }

    private static func plan(_ settings: NodeSettings) -> FormationPlan {
        let formation = settings.formation
        let suffrage: Suffrage = settings.raft.isVoter ? .voter : .nonvoter
        if formation.bootstrapExpect > 0 {
            return .bootstrap(
                expect: formation.bootstrapExpect, timeout: formation.bootstrapExpectTimeout,
                suffrage: suffrage)
        }
        if !formation.join.isEmpty {
            return .join(
                attempts: formation.joinAttempts, interval: formation.joinInterval,
                suffrage: suffrage)
        }
        if formation.discovery != nil {
            // A read replica waits for the cluster that discovery will show.
            return .join(attempts: .max, interval: formation.joinInterval, suffrage: suffrage)
        }
        return .alone
    }
}
