import Foundation
import NIOPosix
import NodeLogic
import Raft
import SQLite
import Scratch
import Telemetry
import Testing
import Threads
import Time
import Wire

@testable import Replica
@testable import StateMachine

/// A data directory that a later version wrote, under a node that was rolled back.
@Suite struct LaterVersionStartTests {
    private struct Silence: LogSink {
        func write(_ bytes: [UInt8]) {}
    }

    private func start(_ path: String) throws -> Node {
        let settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("localhost:1"),
            apiURL: "http://localhost:2", dataDirectory: path, version: "test")
        return try Node.start(
            settings, group: MultiThreadedEventLoopGroup.singleton,
            logger: Logger(module: "test", threshold: nil, sink: Silence()))
    }

    /// A node that formed a cluster of its own and was stopped.
    private func makeNode(_ path: String) throws {
        let node = try start(path)
        let deadline = MonotonicTime.now + .seconds(60)
        while !node.status.isReady, MonotonicTime.now < deadline {
            _ = Mailbox<Bool>().take(until: .now + .milliseconds(5))
        }
        #expect(node.status.isReady)
        node.stop()
    }

    /// Replaces what the database says of its membership, and of what the log decided behind that.
    /// - Returns: what it said.
    private func exchange(_ bytes: [UInt8], in file: String) throws -> [UInt8] {
        let connection = try Connection(path: file, access: .readWrite)
        return try Self.exchange(bytes, on: connection)
    }

    private static func exchange(
        _ bytes: [UInt8], on connection: borrowing Connection
    ) throws(SQLiteError) -> [UInt8] {
        var found: [UInt8] = []
        do {
            let row = try MetadataTable.prepare(
                "SELECT membership FROM main.@ WHERE id = 1", on: connection)
            if try row.step() { found = row.blob(at: 0) }
        }
        let update = try MetadataTable.prepare(
            "UPDATE main.@ SET membership = ? WHERE id = 1", on: connection)
        try update.bind(bytes, at: 1)
        try update.run()
        return found
    }

    @Test
    func `A node whose database is a later version's refuses to start, and sets nothing aside`()
        throws
    {
        let directory = try TemporaryDirectory("later")
        let path = directory.path + "/data"
        try makeNode(path)
        var later = ByteWriter()
        Membership().encode(into: &later)
        later.write(UInt8(2))
        let present = try exchange(later.bytes, in: path + "/db-1.sqlite")
        let fault = #expect(throws: ApplyFault.self) { try start(path) }
        #expect(
            fault
                == .unsupportedDatabase(path + "/db-1.sqlite", found: 2, supported: 1))
        let names = try FileManager.default.contentsOfDirectory(atPath: path)
        #expect(names.filter { $0.hasSuffix(".sqlite") } == ["db-1.sqlite"])
        // The log says nothing of a database that is not to be trusted.
        #expect(try exchange(present, in: path + "/db-1.sqlite") == later.bytes)
        let node = try start(path)
        #expect(node.status.quarantine == nil)
        node.stop()
        withExtendedLifetime(directory) {}
    }
}
