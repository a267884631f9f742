import Chance
import Foundation
import Testing

/// What a loss of power leaves at any moment of a recorded run is started: each start must find what was
/// acknowledged by then. `CRASH_POINTS` says how many moments are tried of each node, `all` tries all.
@Suite(.serialized, .enabled(if: geteuid() == 0 && PoisonShim.hindrance == nil))
struct CrashPointTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let seed = environment["CRASH_SEED"].flatMap { UInt64($0) } ?? 1

    /// Of the run: the second node is about to start; it is a voter, and everything acknowledged from
    /// then on is on both.
    private enum Milestone: Int {
        case joining = 1
        case voting = 2
    }

    /// Two nodes that were recorded: one that founded a cluster, wrote, compacted its log and sent a
    /// snapshot; and one that joined and installed it.
    private struct Run {
        var directory: TestDirectory
        var nodes: [Daemon]

        func recording(_ node: Int) -> String { "\(directory.path)/recording-\(node)" }
    }

    private func recordRun() async throws -> Run {
        let directory = try TestDirectory()
        let shim = try RecordingShim()
        let ports = try freePorts(4)
        let often = ["-raft-snap", "32", "-raft-snap-int", "10ms", "-raft-snap-wal-size", "65536"]
        var run = Run(directory: directory, nodes: [])
        run.nodes = (0..<2).map { node in
            Daemon(
                id: "\(node + 1)", httpPort: ports[2 * node], raftPort: ports[2 * node + 1],
                directory: directory.path,
                arguments: often + (node == 0 ? [] : ["-join", "127.0.0.1:\(ports[1])"]),
                prefix: shim.prefix(
                    root: "\(directory.path)/node-\(node + 1)", recording: run.recording(node)))
        }
        let (first, second) = (run.nodes[0], run.nodes[1])
        try first.start()
        try await first.waitUntilReady(within: .seconds(60))
        _ = try await first.client.execute(["CREATE TABLE t(v, pad)"])
        try await write(0..<350, to: [first], run, recorders: [0, 1])
        try DiskRecord.note(.milestone, Milestone.joining.rawValue, 0, in: run.recording(0))
        try second.start()
        try await second.waitUntilReady(within: .seconds(60))
        try await eventually("node 2 is a voter", within: .seconds(60)) {
            let nodes = try await first.client.get("/nodes").json()
            return nodes["2"]["voter"].bool == true ? true : nil
        }
        for node in 0..<2 {
            try DiskRecord.note(.milestone, Milestone.voting.rawValue, 0, in: run.recording(node))
        }
        try await write(350..<500, to: run.nodes, run, recorders: [0, 1])
        #expect(second.log.contains("snapshot installed"), "\(second.log.suffix(2_000))")
        for node in run.nodes { node.kill() }
        return run
    }

    private func write(
        _ values: Range<Int>, to nodes: [Daemon], _ run: Run, recorders: [Int]
    ) async throws {
        let pad = String(repeating: "x", count: 1_500)
        for value in values {
            let result = try await nodes[value % nodes.count].client.execute(
                [["INSERT INTO t VALUES(?,?)", value, pad]], parameters: "?raft_index")
            let index = try #require(result["raft_index"].int, "\(result)")
            for recorder in recorders {
                try DiskRecord.note(.acknowledged, value, index, in: run.recording(recorder))
            }
        }
    }

    @Test(.timeLimit(.minutes(240)))
    func `Whatever a loss of power leaves of a run, the next start finds what was acknowledged`()
        async throws
    {
        let run = try await recordRun()
        for (position, node) in run.nodes.enumerated() {
            let records = try DiskRecord.read(run.recording(position))
            #expect(records.count { $0.kind == .syncEnded } > 100)
            try compareWithDisk(records, node)
            let start = ContinuousClock.now
            let tried = try tryPoints(records, node, isFirst: position == 0)
            let time = ContinuousClock.now - start
            print(
                "crash points of node \(node.id): \(records.count) records, \(tried.states) states "
                    + "started, \(tried.refusals.count) refused, \(tried.problems.count) wrong, "
                    + "\(time)")
            #expect(tried.problems.isEmpty, "\(tried.problems.prefix(5))")
            #expect(tried.refusals.isEmpty, "\(tried.refusals.prefix(5))")
            #expect(try judgeWithoutSyncs(records, node, isFirst: position == 0) == false)
        }
    }

    /// The judge is judged: had the last syncs of the run done nothing, it must be noticed.
    /// - Returns: whether all was found that was acknowledged.
    private func judgeWithoutSyncs(
        _ records: [DiskRecord], _ node: Daemon, isFirst: Bool
    ) throws -> Bool {
        var disk = RecordedDisk(root: node.dataDirectory)
        for (number, record) in records.enumerated() {
            if record.kind == .syncEnded, number > records.count - 200 { continue }
            disk.take(record)
        }
        var random = SplitMix64(seed: Self.seed)
        let last = records.filter { $0.kind == .acknowledged }.map { Int($0.number) }.max() ?? 0
        let directory = try TestDirectory()
        try RecordedDisk.lay(disk.crash(.lost, from: &random), into: directory.path)
        // A node without others holds no more later than what its start finds, which it tells at once: what is
        // not there is waited for in vain.
        let verdict = CrashStart(
            id: node.id, raftPort: node.raftPort, mayFound: isFirst, patience: .seconds(5)
        ).judge(directory.path, .init(index: last, values: [], isAlone: false))
        if case .kept = verdict { return true }
        return false
    }

    /// What was recorded is what is there: nothing that the node does to its disk escapes the shim, but
    /// memory that is mapped.
    private func compareWithDisk(_ records: [DiskRecord], _ node: Daemon) throws {
        var disk = RecordedDisk(root: node.dataDirectory)
        for record in records { disk.take(record) }
        var random = SplitMix64(seed: 1)
        let state = disk.crash(.kept, from: &random)
        var seen: Set<String> = []
        for path in FileManager.default.subpaths(atPath: node.dataDirectory) ?? [] {
            seen.insert(path)
            guard let known = state[path] else {
                Issue.record("\(path) was not recorded")
                continue
            }
            guard let known, path != "applying", !path.hasSuffix("-shm") else { continue }
            let file = URL(fileURLWithPath: "\(node.dataDirectory)/\(path)")
            #expect(try Data(contentsOf: file) == Data(known), "\(path)")
        }
        #expect(Set(state.keys).subtracting(seen).isEmpty)
    }

    private func tryPoints(
        _ records: [DiskRecord], _ node: Daemon, isFirst: Bool
    ) throws -> (states: Int, refusals: [String], problems: [String]) {
        var random = SplitMix64(seed: Self.seed)
        let asked = Self.environment["CRASH_POINTS"] ?? "12"
        let share = asked == "all" ? records.count : Int(asked) ?? 12
        var disk = RecordedDisk(root: node.dataDirectory)
        var promise = CrashStart.Promise(index: 0, values: [], isAlone: false)
        var isVoting = isFirst
        let start = CrashStart(id: node.id, raftPort: node.raftPort, mayFound: isFirst)
        var (states, refusals, problems) = (0, [String](), [String]())
        for (number, record) in records.enumerated() {
            disk.take(record)
            if record.kind == .acknowledged {
                promise.values.append((Int(record.inode), Int(record.number)))
                if isVoting { promise.index = max(promise.index, Int(record.number)) }
                // From the first answer on, until the second node may be a member.
                if isFirst, promise.values.count == 1 { promise.isAlone = true }
            } else if record.kind == .milestone {
                promise.isAlone = false
                isVoting = true
            }
            guard random.below(records.count) < share else { continue }
            for fate in RecordedDisk.Fate.allCases {
                let directory = try TestDirectory()
                let data = "\(directory.path)/node"
                try FileManager.default.createDirectory(
                    atPath: data, withIntermediateDirectories: true)
                try RecordedDisk.lay(disk.crash(fate, from: &random), into: data)
                states += 1
                switch start.judge(data, promise) {
                case .kept: break
                case .refused(let why): refusals.append("record \(number), \(fate): \(why)")
                case .broken(let what): problems.append("record \(number), \(fate): \(what)")
                }
            }
        }
        return (states, refusals, problems)
    }
}
