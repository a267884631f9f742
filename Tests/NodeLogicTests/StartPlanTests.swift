import Raft
import ScenarioTesting
import Testing

@testable import NodeLogic

/// What a start does with whatever it finds: every combination of log, identity, generation,
/// database files and clusters, and every place where it can be cut off.
@Suite struct StartPlanTests {
    private static let folder = ScenarioFolder()

    /// All disks that the parts below can be put together to: 2,268.
    private static var everyDisk: [StartDisk] {
        let cluster = ClusterID(RandomID(high: 0, low: 1))
        let other = ClusterID(RandomID(high: 0, low: 2))
        var logs: [StartInventory.Log?] = [nil]
        for hasIdentity in [false, true] {
            for generation in [nil, 1, 3] as [UInt64?] {
                for cluster in [nil, cluster] {
                    for (base, last) in [(0, 0), (0, 9), (5, 9)] as [(UInt64, UInt64)] {
                        logs.append(
                            StartInventory.Log(
                                hasIdentity: hasIdentity,
                                generation: generation.map { Generation($0) }, cluster: cluster,
                                base: LogIndex(base), last: LogIndex(last)))
                    }
                }
            }
        }
        var disks: [StartDisk] = []
        for log in logs {
            for files in [[], [1], [3], [1, 3], [3, 4], [2, 3, 4], [5]] as [[UInt64]] {
                for content in [
                    StartInventory.Database(),
                    StartInventory.Database(cluster: cluster, applied: LogIndex(7)),
                    StartInventory.Database(cluster: other, applied: LogIndex(7)),
                    StartInventory.Database(cluster: cluster, applied: LogIndex(20)),
                ] {
                    for incoming in [[], ["incoming-4.sqlite"]] {
                        var disk = StartDisk()
                        disk.log = log
                        for file in files { disk.databases[file] = content }
                        disk.incoming = incoming
                        disks.append(disk)
                    }
                }
            }
        }
        return disks
    }

    @Test func `A start ends: it runs or it refuses`() {
        #expect(Self.everyDisk.count > 2000)
        for disk in Self.everyDisk {
            var copy = disk
            let (steps, refusal) = copy.start()
            #expect((steps.last == .run) == (refusal == nil), "\(disk)")
        }
    }

    @Test func `A database without its log keeps every start from changing anything`() {
        for disk in Self.everyDisk
        where disk.log?.hasIdentity != true && !disk.names().databaseFiles.isEmpty {
            var copy = disk
            let (steps, refusal) = copy.start()
            #expect(refusal?.description.contains("but not its log") == true, "\(disk)")
            #expect(steps.allSatisfy { $0 == .openLog })
            #expect(copy == disk)
        }
    }

    @Test func `A database is deleted only beside one that the log names and that fits it`() {
        for disk in Self.everyDisk {
            var copy = disk
            let (_, refusal) = copy.start()
            guard !copy.deleted.isEmpty else { continue }
            #expect(refusal == nil)
            guard let log = disk.log, let kept = log.generation,
                let database = disk.databases[kept.rawValue]
            else {
                Issue.record("deleted without a database to keep: \(disk)")
                continue
            }
            #expect(log.base <= database.applied && database.applied <= log.last)
            #expect(database.cluster == nil || database.cluster == log.cluster)
            #expect(copy.deleted.allSatisfy { $0 <= kept.rawValue + 1 })
        }
    }

    @Test func `A log whose database is gone is never given an empty one`() {
        for disk in Self.everyDisk where disk.log?.hasIdentity == true {
            guard let log = disk.log, log.generation != nil || log.last > .zero else { continue }
            var copy = disk
            let (steps, _) = copy.start()
            #expect(!steps.contains(.createDatabase(.first)), "\(disk)")
        }
    }

    @Test func `Cut off anywhere and started again, a start comes to the same end`() {
        for disk in Self.everyDisk {
            var straight = disk
            let expected = straight.start()
            for cut in 0..<max(1, expected.steps.count) {
                var interrupted = disk
                _ = interrupted.start(steps: cut)
                let second = interrupted.start()
                #expect(second.refusal == expected.refusal, "\(disk) cut after \(cut)")
                #expect(interrupted == straight, "\(disk) cut after \(cut)")
            }
        }
    }

    @Test func `A read replica with nobody to follow founds nothing, and makes nothing`() {
        var disk = StartDisk()
        let (steps, refusal) = disk.start(withoutVote: true)
        #expect(steps.isEmpty)
        #expect(refusal == .nothingToFollow)
        // One that has a cluster starts as ever.
        var member = StartDisk(
            ScenarioCommand("disk log identity gen=1 cluster=1 db=(1) dbcluster=1"))
        #expect(member.start(withoutVote: true).refusal == nil)
    }

    @Test func `What is refused says what was found and what to do`() {
        for disk in Self.everyDisk {
            var copy = disk
            guard let text = copy.start().refusal?.description else { continue }
            #expect(!text.contains("\n"))
            #expect(text.contains("with an empty"), "\(text)")
            #expect(["Put ", "Restore ", "To rejoin"].contains { text.contains($0) }, "\(text)")
        }
    }

    @Test(arguments: ["members=3", "members=2 base=4"])
    func `A damaged database is set aside where others can seed the node`(more: String) {
        let text =
            "disk log identity gen=2 cluster=1 last=9 db=(2) dbcluster=1 applied=7 broken=(2)"
        var disk = StartDisk(ScenarioCommand("\(text) \(more)"))
        let copy = disk
        let (steps, refusal) = disk.start()
        #expect(refusal == nil)
        #expect(
            steps == [
                .openLog, .openDatabase(Generation(2)), .setDatabaseAside(Generation(2)),
                .openDatabase(Generation(2)), .run,
            ])
        for cut in 0..<steps.count {
            var interrupted = copy
            _ = interrupted.start(steps: cut)
            #expect(interrupted.start().refusal == nil)
            #expect(interrupted == disk)
        }
    }

    @Test(arguments: ["cluster=1 members=1", "cluster=1", ""])
    func `A damaged database of a node alone is left as it is, and the start says what to do`(
        more: String
    ) {
        let disk = StartDisk(
            ScenarioCommand("disk log identity gen=1 last=9 db=(1) applied=7 broken=(1) \(more)"))
        var copy = disk
        let text = copy.start().refusal?.description ?? ""
        #expect(text.contains("db-1.sqlite is damaged"))
        #expect(text.contains("Restore a backup"))
        #expect(copy == disk)
    }

    @Test func `There are transcripts`() {
        #expect(Self.folder.names.filter { $0.hasPrefix("directory_") }.count >= 3)
    }

    @Test(arguments: StartPlanTests.folder.names.filter { $0.hasPrefix("directory_") })
    func `A transcript prints what is written`(name: String) throws {
        let differences = try Self.folder.play(name) { commands in
            commands.flatMap { Self.run(ScenarioCommand($0)) }
        }
        for difference in differences { Issue.record("\(difference)") }
    }

    /// `start …`: what is on the disk, as `StartDisk` reads it. `after=2`: the start is cut off
    /// after so many steps, and another one follows.
    private static func run(_ command: ScenarioCommand) -> [String] {
        var disk = StartDisk(command)
        let withoutVote = command.words.contains("nonvoter")
        var lines: [String] = []
        if let cut = command["after"].flatMap({ Int($0) }) {
            lines += disk.start(steps: cut, withoutVote: withoutVote).steps.map { "\($0)" }
            lines.append("cut off")
        }
        let (steps, refusal) = disk.start(withoutVote: withoutVote)
        lines += steps.map { "\($0)" }
        if let refusal { lines.append("refused: \(refusal)") }
        return lines
    }
}

extension StartStep: CustomStringConvertible {
    package var description: String {
        switch self {
        case .openLog: "open log"
        case .recordIdentity: "record identity"
        case .createDatabase(let generation): "create db-\(generation)"
        case .recordGeneration(let generation): "record generation \(generation)"
        case .openDatabase(let generation): "open db-\(generation)"
        case .setDatabaseAside(let generation): "set db-\(generation) aside"
        case .removeLeftovers(let generation): "remove all but db-\(generation)"
        case .run: "run"
        }
    }
}
