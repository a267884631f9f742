import Chance
import Foundation
import JSON
import Testing

/// `rqlited restore` that is ended on its way, by signals and by `kill -9`, at each of its steps and at random
/// moments: the file is there whole or not at all, and the next restore needs nobody's help.
@Suite(.serialized) struct InterruptedRestoreTests {
    private static let question = "SELECT count(*) || '/' || coalesce(sum(length(a)), 0) FROM t"
    private static let seed =
        ProcessInfo.processInfo.environment["RESTORE_SEED"].flatMap { UInt64($0) } ?? 1
    private static let rounds =
        ProcessInfo.processInfo.environment["RESTORE_KILLS"].flatMap { Int($0) } ?? 12

    private let directory: TestDirectory
    private var source: String { "file://\(directory.path)/copies/db" }
    private var folder: String { "\(directory.path)/restored" }
    private var target: String { "\(folder)/db" }

    init() throws {
        directory = try TestDirectory()
        try FileManager.default.createDirectory(
            atPath: directory.path + "/restored", withIntermediateDirectories: true)
    }

    /// An archive of a base and some dozen pieces.
    /// - Returns: what its newest rows are known by.
    private func archive() async throws -> String {
        let sub = [
            JSONValue.Member("dir", .string("\(directory.path)/copies")), .init("name", "db"),
        ]
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of(
                "file", sub, [.init("interval", "1h"), .init("log_interval", "50ms")]))
        let ports = try freePorts(2)
        let node = Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
            arguments: ["-auto-backup", backup])
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady()
        _ = try await node.client.execute(["CREATE TABLE t(a)"])
        func isArchived(_ count: Int) async throws {
            try await eventually("\(count) pieces are there", within: .seconds(60)) {
                let names = try FileManager.default.subpathsOfDirectory(
                    atPath: "\(directory.path)/copies/db.archive")
                return names.filter { $0.split(separator: "/").count == 3 }.count > count
                    ? true : nil
            }
        }
        try await isArchived(0)
        for number in 0..<24 {
            _ = try await node.client.execute([
                "INSERT INTO t SELECT randomblob(1000) FROM "
                    + "(WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 400) SELECT i FROM n)"
            ])
            if number % 2 == 0 { try await isArchived(number / 2) }
        }
        let seen = try await node.client.rows(Self.question, level: "linearizable")
        let index = try await node.client.get("/status?key=store").json()["db_applied_index"].int
        try await eventually("the archive is whole", within: .seconds(60)) {
            let status = try await node.client.get("/status?key=archive").json()
            return status["last_index"].int ?? 0 >= index ?? .max ? true : nil
        }
        return try #require(seen.first?[0].string)
    }

    private var words: [String] {
        ["\(Daemon.binaries)/rqlited", "restore", "--from", source, "--to", target]
    }

    /// Below the directory that is worked in.
    private func scratch() -> [String] {
        let all = (try? FileManager.default.subpathsOfDirectory(atPath: folder)) ?? []
        return all.filter { $0.hasPrefix(".rqlited-restore-") }
    }

    private func hasReached(_ step: String) -> Bool {
        step == "target"
            ? FileManager.default.fileExists(atPath: target)
            : scratch().contains { $0.split(separator: "/").dropFirst().joined().hasPrefix(step) }
    }

    /// What is there under the name is the database.
    private func expectWholeOrNothing(_ seen: String, _ when: String) throws {
        guard FileManager.default.fileExists(atPath: target) else { return }
        let found = try run("sqlite3", target, "PRAGMA integrity_check; \(Self.question)")
        #expect(found == "ok\n\(seen)\n", "\(when)")
    }

    /// The restore behind one that was ended.
    private func expectNext(_ seen: String, _ when: String) throws {
        if FileManager.default.fileExists(atPath: target) {
            let output = "\(directory.path)/said"
            let child = try ChildProcess(words, output: output)
            #expect(child.waitForEnd() == 1)
            let said = try String(contentsOfFile: output, encoding: .utf8)
            #expect(said.contains("is there already") && said.contains("take it away"), "\(said)")
            try FileManager.default.removeItem(atPath: output)
        } else {
            try run(words)
        }
        try expectWholeOrNothing(seen, when)
        #expect(FileManager.default.fileExists(atPath: target), "\(when)")
        #expect(scratch().isEmpty, "\(when): \(scratch())")
        try FileManager.default.removeItem(atPath: target)
    }

    private static let steps = ["", "incoming", "piece-0", "piece-5", "db-", "restored", "target"]

    @Test(.timeLimit(.minutes(15)))
    func `A restore that is killed at any step is made good by the next one`() async throws {
        let seen = try await archive()
        for step in Self.steps {
            let child = try ChildProcess(words)
            while child.isRunning, !hasReached(step) {}
            child.kill()
            child.waitForEnd()
            try expectWholeOrNothing(seen, "killed at \(step)")
            try expectNext(seen, "killed at \(step)")
        }
        let clock = ContinuousClock()
        let whole = try clock.measure { try run(words) }
        try FileManager.default.removeItem(atPath: target)
        var generator = SplitMix64(seed: Self.seed)
        for round in 0..<Self.rounds {
            let moment = whole * Int(generator.next() % 1000) / 1000
            let when = "seed \(Self.seed), round \(round): killed after \(moment)"
            let child = try ChildProcess(words)
            let due = clock.now + moment
            try await eventually("the time has come", within: .seconds(60)) {
                clock.now >= due ? true : nil
            }
            child.kill()
            child.waitForEnd()
            try expectWholeOrNothing(seen, when)
            if generator.next() % 2 == 0 { continue }
            try expectNext(seen, when)
        }
    }

    @Test(.timeLimit(.minutes(15)), arguments: [SIGINT, SIGTERM, SIGHUP])
    func `A restore that is interrupted leaves nothing, or the whole file`(signal: Int32)
        async throws
    {
        let seen = try await archive()
        for step in Self.steps {
            let child = try ChildProcess(words)
            while child.isRunning, !hasReached(step) {}
            child.kill(signal)
            let status = child.waitForEnd()
            let isThere = FileManager.default.fileExists(atPath: target)
            // At the first step the program may not have come to look at signals yet.
            #expect(status == (isThere ? 0 : 128 + signal), "at \(step): \(status)")
            #expect(scratch().isEmpty, "at \(step): \(scratch())")
            try expectWholeOrNothing(seen, "interrupted at \(step)")
            if isThere { try FileManager.default.removeItem(atPath: target) }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A restore at work is left alone by another one, and a link leads out of nothing`()
        async throws
    {
        let seen = try await archive()
        let first = try ChildProcess(words)
        while first.isRunning, !hasReached("piece-0") {}
        first.kill(SIGSTOP)
        // What somebody else put there under such a name.
        let outside = "\(directory.path)/outside"
        try FileManager.default.createDirectory(
            atPath: outside, withIntermediateDirectories: true)
        try Data("x".utf8).write(to: URL(filePath: outside + "/kept"))
        let trap = "\(folder)/.rqlited-restore-trap"
        try FileManager.default.createDirectory(atPath: trap, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: trap + "/tmp", withDestinationPath: outside)
        try FileManager.default.createSymbolicLink(
            atPath: folder + "/.rqlited-restore-link", withDestinationPath: outside)
        try run(words.dropLast() + ["\(folder)/other"])
        #expect(FileManager.default.fileExists(atPath: outside + "/kept"))
        #expect(!FileManager.default.fileExists(atPath: trap))
        first.kill(SIGCONT)
        #expect(first.waitForEnd() == 0)
        try expectWholeOrNothing(seen, "with another one beside it")
        #expect(FileManager.default.fileExists(atPath: target))
    }
}
