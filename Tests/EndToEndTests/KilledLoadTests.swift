import Foundation
import Testing

/// Loads in a cluster of three of which nodes are killed at each step, one after the other and all at once: on
/// every node there is the old database or the new one, whole, and on all the same.
@Suite(.serialized) struct KilledLoadTests {
    /// Who is killed.
    enum Victim: String, CaseIterable, Sendable {
        /// Took the file, and leads the load; a follower.
        case asked
        case leader
        case third
        case all
    }

    /// When, as it is seen from outside.
    enum Step: String, Sendable {
        /// Half of the file has come.
        case body
        /// It is checked, and is being packed.
        case packing
        /// The first parts are kept.
        case parts
        /// More than half of them are.
        case lateParts
        /// The new database is being put in the place of the old one.
        case applying
    }

    struct Moment: Sendable, CustomTestStringConvertible {
        var victim: Victim
        var step: Step

        var testDescription: String { "\(victim) while \(step)" }
    }

    /// What is loaded.
    private struct Size {
        var rows: Int
        var rowBytes: Int

        /// What the question of `check` is answered behind the load.
        var summary: String { "\(rows)/\(rows * rowBytes)/1" }
    }

    private static let environment = ProcessInfo.processInfo.environment
    /// `LOAD_MEGABYTES` says how many; fewer would go in one entry.
    private static let inParts = Size(
        rows: max(70, environment["LOAD_MEGABYTES"].flatMap { Int($0) } ?? 70), rowBytes: 1 << 20)
    private static let inOneEntry = Size(rows: 70, rowBytes: 200 << 10)
    /// How many times longer everything may take than with the usual size.
    private static let slowness = max(1, inParts.rows / 70)

    private static func patience(_ seconds: Int) -> Duration { .seconds(seconds * slowness) }

    private let directory: TestDirectory
    private let cluster: TestCluster

    init() throws {
        directory = try TestDirectory()
        cluster = try TestCluster.joined(3)
    }

    /// Of bytes that can't be packed.
    private func file(_ size: Size) throws -> Data {
        let path = directory.path + "/file"
        try run(
            "sqlite3", path,
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b); "
                + "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT \(size.rows)) "
                + "INSERT INTO t SELECT i, randomblob(\(size.rowBytes)) FROM n")
        return try Data(contentsOf: URL(filePath: path), options: .mappedIfSafe)
    }

    private func hasReached(_ step: Step, _ asked: Daemon, _ victims: [Daemon]) async -> Bool {
        func names(_ node: Daemon) -> [String] {
            (try? FileManager.default.contentsOfDirectory(atPath: node.dataDirectory + "/tmp"))
                ?? []
        }
        func kept() async -> (Int, of: Int) {
            let load = try? await asked.client.get("/status").json()["http"]["load"]
            return (load?["parts_kept"].int ?? 0, load?["parts"].int ?? 0)
        }
        switch step {
        case .body: return names(asked).contains { $0.hasPrefix("etilqs_loading") }
        case .packing: return names(asked).contains { $0.hasPrefix("etilqs_loading_packed") }
        case .parts: return await kept().0 > 2
        case .lateParts:
            let (kept, all) = await kept()
            return kept > 2 && kept > all / 2
        case .applying: return victims.contains { names($0).contains("etilqs_load") }
        }
    }

    /// - Returns: the answer; nil: it was lost, or the file had come by half only.
    private func load(
        _ file: Data, _ size: Size, _ moment: Moment, _ asked: Daemon, _ victims: [Daemon]
    ) async throws -> HTTPAnswer? {
        if moment.step == .body {
            let wire = try HTTPWire(host: asked.host, port: asked.httpPort, timeout: 120)
            try wire.sendRaw(
                "POST /db/load HTTP/1.1\r\nHost: x\r\nContent-Length: \(file.count)\r\n\r\n")
            try wire.sendRaw(file.prefix(file.count / 2))
            try await eventually("its bytes come", within: Self.patience(60)) {
                await hasReached(.body, asked, victims) ? true : nil
            }
            for victim in victims { victim.kill() }
            return nil
        }
        return try await withThrowingTaskGroup(of: HTTPAnswer?.self) { group in
            group.addTask {
                try? await asked.client.send(
                    "POST", "/db/load?timeout=60s", body: file, timeout: Self.patience(300))
            }
            group.addTask {
                let deadline = ContinuousClock.now + Self.patience(120)
                // Without a pause: some steps are short.
                while await !hasReached(moment.step, asked, victims),
                    ContinuousClock.now < deadline
                {
                    let applied = try? await asked.client.rows(
                        "SELECT count(*) FROM t", level: "none")
                    if applied?.first?[0].int == size.rows { break }
                }
                for victim in victims { victim.kill() }
                for victim in victims { try victim.start() }
                return nil
            }
            var answer: HTTPAnswer?
            while let next = try await group.next() { answer = next ?? answer }
            return answer
        }
    }

    private func check(_ moment: Moment, _ size: Size) async throws {
        let file = try file(size)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        _ = try await leader.client.execute([
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES(0, 'old')",
        ])
        let asked = try #require(cluster.nodes.first { $0 !== leader })
        let third = try #require(cluster.nodes.first { $0 !== leader && $0 !== asked })
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the old row", within: .seconds(60)) {
                try await node.client.rows("SELECT 1 FROM t", level: "none").count == 1 ? true : nil
            }
        }
        let victims =
            switch moment.victim {
            case .asked: [asked]
            case .leader: [leader]
            case .third: [third]
            case .all: cluster.nodes
            }
        let answer = try await load(file, size, moment, asked, victims)
        if moment.step == .body { for victim in victims { try victim.start() } }
        _ = try await cluster.waitForAgreement(within: Self.patience(60))
        let question = "SELECT count(*) || '/' || sum(length(b)) || '/' || min(a) FROM t"
        // Whoever leads by now: an answer that all will have.
        let found = try await eventually("reads are served", within: Self.patience(120)) {
            let rows = try? await third.client.rows(question, level: "linearizable")
            return rows?.first?[0].string
        }
        let isNew = found == size.summary
        #expect(isNew || found == "1/3/0", "\(found)")
        if let answer, answer.status == 200, try answer.json()["error"].string == nil {
            #expect(isNew, "\(answer.text.prefix(300))")
        }
        // Nobody but who was asked is missed, unless a leader takes its word about the end with it.
        if moment.victim == .third || (moment.victim == .leader && moment.step != .applying) {
            #expect(answer?.status == 200 && isNew, "\(answer?.text.prefix(300) ?? "no answer")")
        }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the same", within: Self.patience(120)) {
                let rows = try? await node.client.rows(question, level: "none")
                return rows?.first?[0].string == found ? true : nil
            }
        }
        _ = try await eventually("writes are taken", within: Self.patience(60)) {
            let result = try await third.client.execute(["INSERT INTO t VALUES(1000000, 'after')"])
            return result["results"][0]["rows_affected"].int
        }
        for node in cluster.nodes {
            try await eventually("node \(node.id) has the write", within: Self.patience(60)) {
                let rows = try? await node.client.rows(
                    "SELECT b FROM t WHERE a = 1000000", level: "none")
                return rows?.first?[0].string == "after" ? true : nil
            }
        }
        try await expectSound()
    }

    /// Stops the nodes, and looks at their files.
    private func expectSound() async throws {
        for node in cluster.nodes {
            try await node.terminate()
            let names = try FileManager.default.contentsOfDirectory(atPath: node.dataDirectory)
            let databases = names.filter { $0.hasPrefix("db-") && $0.hasSuffix(".sqlite") }
            #expect(databases.count == 1, "\(names)")
            let path = "\(node.dataDirectory)/\(databases.first ?? "")"
            let said = try run("sqlite3", path, "PRAGMA integrity_check")
            // Pages of the daemon's own tables, with parts of a load that nobody ended, are in no schema.
            let faults = said.split(separator: "\n").filter {
                $0 != "ok" && !$0.hasPrefix("***") && !$0.hasSuffix(" never used")
            }
            #expect(faults == [], "node \(node.id)")
        }
    }

    /// The first of each list; with `LOAD_KILLS` in the environment those of the step that it names, or
    /// `all` of them.
    private static func tried(_ moments: [Moment], _ count: Int) -> [Moment] {
        switch environment["LOAD_KILLS"] {
        case nil: Array(moments.prefix(count))
        case "all"?: moments
        case let name?: moments.filter { $0.step.rawValue == name }
        }
    }

    @Test(
        .timeLimit(.minutes(15 * slowness)),
        arguments: tried(
            [
                Moment(victim: .asked, step: .parts), Moment(victim: .leader, step: .applying),
                Moment(victim: .all, step: .lateParts), Moment(victim: .asked, step: .body),
                Moment(victim: .asked, step: .packing), Moment(victim: .asked, step: .applying),
                Moment(victim: .leader, step: .parts), Moment(victim: .leader, step: .lateParts),
                Moment(victim: .third, step: .parts), Moment(victim: .third, step: .applying),
                Moment(victim: .all, step: .parts), Moment(victim: .all, step: .applying),
                Moment(victim: .asked, step: .lateParts), Moment(victim: .third, step: .lateParts),
            ], 3))
    func `A load in parts is there whole or not at all, whoever is killed at any step`(
        moment: Moment
    ) async throws {
        try await check(moment, Self.inParts)
    }

    @Test(
        .timeLimit(.minutes(15)),
        arguments: tried(
            [Moment(victim: .all, step: .body)]
                + Victim.allCases.reversed().map { Moment(victim: $0, step: .applying) }
                + [Moment(victim: .asked, step: .body)], 2))
    func `A load in one entry is there whole or not at all, whoever is killed at any step`(
        moment: Moment
    ) async throws {
        try await check(moment, Self.inOneEntry)
    }

    @Test(.timeLimit(.minutes(5)), arguments: [SIGKILL, SIGTERM])
    func `A node that ends while it makes a database of a dump starts again`(signal: Int32)
        async throws
    {
        let ports = try freePorts(2)
        let node = Daemon(
            id: "alone", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
        try node.start()
        try await node.waitUntilReady()
        let folder = node.dataDirectory + "/tmp"
        func folders() -> [String] {
            ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
                $0.hasSuffix("_dump")
            }
        }
        let client = node.client
        async let answer = try? client.send(
            "POST", "/db/load", body: .slowDump(pauses: 1), timeout: .seconds(120))
        try await eventually("a database is made of the dump", within: .seconds(60)) {
            folders().isEmpty ? nil : true
        }
        node.signal(signal)
        _ = try await node.waitForExit(within: .seconds(30))
        _ = await answer
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        #expect(folders() == [])
        _ = try await node.client.execute(["CREATE TABLE t(a)"])
        try await node.terminate()
    }
}
