import Foundation
import NIOPosix
import NodeLogic
import Raft
import Scratch
import Service
import StateMachine
import Telemetry
import Testing
import Threads
import Time
import Wire

@testable import Replica

/// What becomes of a node any of whose files is spoilt while it is down.
@Suite struct DamagedFileTests {
    private static let lanes = 4
    private static let places = 1000

    /// Rows that a node wrote and acknowledged before it was killed, some of them compacted out of
    /// its log, some not yet in its database file.
    private static let rows = 60
    private static let query = "SELECT count(*), sum(a), group_concat(b) FROM t"

    /// Bits flipped in SQLite's pages are found by comparing with other nodes (decision 81): of the
    /// database it is asked that the node neither ends nor hangs.
    @Test(arguments: 0..<lanes)
    func `A node whose files are spoilt finds what it acknowledged or says what is wrong`(
        lane: Int
    ) async throws {
        let directory = try TemporaryDirectory("damage")
        let (path, kept) = (directory.path, directory.path + "/kept")
        let answer = try Self.makeDirectory(path + "/live", copiedTo: kept)
        try #require(!answer.isEmpty)
        // A trap would end the process; the file says at what.
        await #expect(processExitsWith: .success) {
            [path = path as String, lane = lane as Int, answer = answer as String] in
            let outcomes = try DamagedFileTests.play(path, lane: lane, answer: answer)
            try Data(outcomes.joined(separator: "\n").utf8).write(
                to: URL(filePath: "\(path)/outcomes"))
        }
        guard let text = FileManager.default.contents(atPath: "\(path)/outcomes") else {
            let now = try String(contentsOfFile: "\(path)/now", encoding: .utf8)
            Issue.record("the process ended at: \(now)")
            return
        }
        let outcomes = String(decoding: text, as: UTF8.self).split(separator: "\n")
        #expect(outcomes.count > Self.places / Self.lanes)
        for outcome in outcomes where outcome.hasPrefix("failed") { Issue.record("\(outcome)") }
        // All that the log holds was durable; of each other kind of file something does no harm.
        for file in ["log/log-", "db-1.sqlite:"] {
            #expect(outcomes.contains { $0.hasPrefix("refused") && $0.contains(file) }, "\(file)")
        }
        for file in ["db-1.sqlite:", "db-1.sqlite-wal", "applying"] {
            #expect(outcomes.contains { $0.hasPrefix("served") && $0.contains(file) }, "\(file)")
        }
        withExtendedLifetime(directory) {}
    }

    /// What snapshots, loads and recoveries leave behind where they are cut off, or keep as a record.
    private static let leftovers = [
        "incoming-transfer-1.sqlite", "incoming-transfer-1.sqlite-wal", "incoming-2.sqlite",
        "incoming-2.sqlite-journal", "db-2.sqlite", "db-2.sqlite-wal", "db-2.sqlite-shm",
        "tmp/etilqs_load", "tmp/etilqs_load-journal", "tmp/etilqs_upload_Ab12Cd",
    ]
    /// Folders of databases in which loads were tried, with what was in them.
    private static let folders = [
        "tmp/etilqs_loading_Ab12Cd_dump": ["db-1.sqlite", "db-1.sqlite-wal", "db-1.sqlite-shm"],
        "tmp/etilqs_loading_Ef34Gh_schema": ["incoming-1.sqlite", "incoming-1.sqlite-journal"],
        "tmp/etilqs_loading_Ij56Kl_schema": [],
    ]
    private static let records = [
        "raft/peers.info", "raft/skip.info", "damaged-1.sqlite", "damaged-1.sqlite-wal",
    ]

    @Test func `What was cut off on its way into the directory harms no start, whatever is in it`()
        throws
    {
        let directory = try TemporaryDirectory("leftovers")
        let (path, kept) = (directory.path, directory.path + "/kept")
        let answer = try Self.makeDirectory(path + "/live", copiedTo: kept)
        let files = try Self.files(in: kept)
        let database = try #require(files.first { $0.name == "db-1.sqlite" }).used
        var spoilt = database
        for place in stride(from: 0, to: spoilt.count, by: 97) { spoilt[place] ^= 0x55 }
        let contents = [Data(), Data(repeating: 0xFF, count: 5000), database, spoilt]
        let place = path + "/spoilt"
        for content in contents {
            try Self.put(files, into: place)
            for name in Self.leftovers + Self.records {
                let url = URL(filePath: place + "/" + name)
                try FileManager.default.createDirectory(
                    at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
                try content.write(to: url)
            }
            for (folder, names) in Self.folders {
                let url = URL(filePath: place + "/" + folder)
                try FileManager.default.createDirectory(
                    at: url, withIntermediateDirectories: true)
                for name in names { try content.write(to: url.appending(path: name)) }
            }
            let node = try Self.start(place)
            #expect(Self.awaitReady(node))
            let found = ReplyBox().ask(node, .query, Self.query)
            #expect(found == answer)
            node.stop()
            for name in Self.leftovers + Self.folders.keys {
                #expect(!FileManager.default.fileExists(atPath: place + "/" + name), "\(name)")
            }
            for name in Self.records {
                #expect(FileManager.default.contents(atPath: place + "/" + name) == content)
            }
            try FileManager.default.removeItem(atPath: place)
        }
        // What can't be deleted is named.
        for name in ["incoming-transfer-1.sqlite", "db-2.sqlite", "tmp/etilqs_load"] {
            try Self.put(files, into: place)
            try FileManager.default.createDirectory(
                atPath: place + "/" + name + "/x", withIntermediateDirectories: true)
            do {
                try Self.start(place).stop()
                Issue.record("\(name) is a directory, and the node has started")
            } catch {
                #expect("\(error)".contains(name), "\(error)")
            }
            try FileManager.default.removeItem(atPath: place)
        }
        withExtendedLifetime(directory) {}
    }

    /// - Parameter kept: gets the files as a killed process leaves them.
    /// - Returns: what the query says.
    private static func makeDirectory(_ path: String, copiedTo kept: String) throws -> String {
        let node = try start(path)
        defer { node.stop() }
        awaitReady(node)
        let client = ReplyBox()
        _ = client.ask(node, .execute, "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT)")
        for row in 0..<rows {
            _ = client.ask(node, .execute, "INSERT INTO t(b) VALUES('row \(row)')")
            guard row == rows / 2 else { continue }
            _ = client.ask(node, .checkpoint(keeping: 10))
        }
        let answer = client.ask(node, .query, query)
        try FileManager.default.copyItem(atPath: path, toPath: kept)
        return answer
    }

    /// - Returns: what became of the node, a line for each damage.
    private static func play(_ path: String, lane: Int, answer: String) throws -> [String] {
        var outcomes: [String] = []
        let files = try files(in: path + "/kept")
        let damages = FileDamage.all(in: files.filter { !$0.used.isEmpty }, places: places)
        for (number, damage) in damages.enumerated() where number % lanes == lane {
            try Data("\(damage)".utf8).write(to: URL(filePath: "\(path)/now"))
            let place = "\(path)/spoilt"
            try put(files, into: place)
            try damage.carryOut(in: place)
            outcomes.append(
                judge(damage, in: place, answer).replacingOccurrences(of: "\n", with: " "))
            try FileManager.default.removeItem(atPath: place)
        }
        return outcomes
    }

    private static func files(in directory: String) throws -> [KeptFile] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: directory).sorted()
        return names.compactMap { name in
            FileManager.default.contents(atPath: directory + "/" + name).map {
                KeptFile(name: name, content: $0)
            }
        }
    }

    private static func put(_ files: [KeptFile], into directory: String) throws {
        for file in files {
            let url = URL(filePath: directory + "/" + file.name)
            try FileManager.default.createDirectory(
                at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try file.used.write(to: url)
            let handle = try FileHandle(forUpdating: url)
            try handle.truncate(atOffset: UInt64(file.size))
            try handle.close()
        }
    }

    /// - Returns: what became of the node: `served`, `refused` or `failed`, the damage, and why.
    private static func judge(_ damage: FileDamage, in path: String, _ answer: String) -> String {
        let node: Node
        do { node = try start(path) } catch {
            let isNamed = names(of: damage.file).contains { "\(error)".contains($0) }
            return "\(isNamed ? "refused" : "failed") \(damage): \(error)"
        }
        defer { node.stop() }
        guard awaitReady(node) else {
            let status = node.status
            let says =
                status.quarantine != nil || status.halt != nil || status.fault != nil
                || !status.troubles.isEmpty || !node.troubles.isEmpty
            return "\(says ? "refused" : "failed") \(damage): it waits for \(status.waitingFor)"
        }
        let found = ReplyBox().ask(node, .query, query)
        // What SQLite's own pages hold nobody but other nodes can judge.
        let isRight = found == answer || (damage.file.hasSuffix(".sqlite") && found != "nothing")
        return "\(isRight ? "served" : "failed") \(damage): \(found)"
    }

    /// By what a refusal may name the file: SQLite's files belong together, and so do those of the log
    /// once its torn end has been cut.
    private static func names(of file: String) -> [String] {
        if file.hasPrefix("db-") { return ["db-1.sqlite", "the database"] }
        let name = URL(filePath: file).lastPathComponent
        return file.hasPrefix("log/") ? [name, "/log is damaged", "the log ends at"] : [name]
    }

    private struct Silence: LogSink {
        func write(_ bytes: [UInt8]) {}
    }

    private static func start(_ path: String) throws -> Node {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("localhost:1"),
            apiURL: "http://localhost:2", dataDirectory: path, version: "test")
        settings.tick = .milliseconds(1)
        return try Node.start(
            settings, group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(module: "test", threshold: nil, sink: Silence()))
    }

    /// - Returns: false if it says that it will not be.
    @discardableResult private static func awaitReady(_ node: Node) -> Bool {
        let deadline = MonotonicTime.now + .seconds(60)
        while MonotonicTime.now < deadline {
            let status = node.status
            if status.isReady { return true }
            if status.quarantine != nil || status.halt != nil || status.fault != nil {
                return false
            }
            _ = Mailbox<Bool>().take(until: .now + .milliseconds(1))
        }
        return false
    }
}

/// A client that waits for each answer.
private final class ReplyBox: ReplySink {
    private let replies = Mailbox<Reply>()

    func deliver(_ batch: [Reply]) { replies.post(batch) }

    func ask(_ node: Node, _ kind: CommandKind, _ sql: String) -> String {
        let command = Command(kind: kind, statements: [Statement(sql)])
        return ask(node, .command(command, ReadOptions(level: .strong)))
    }

    /// - Returns: what was answered; of rows the cells.
    func ask(_ node: Node, _ operation: ClientRequest.Operation) -> String {
        node.submit([ClientRequest(id: RequestID(1), operation: operation)], replyTo: self)
        guard let reply = replies.take(until: .now + .seconds(60)).first else { return "nothing" }
        guard case .results(let result) = reply.outcome,
            case .rows(let rows)? = result.statements.first?.outcome
        else { return "\(reply.outcome)" }
        return String(decoding: rows.cells, as: UTF8.self)
    }
}
