import Foundation
import NIOCore
import NIOPosix
import NodeLogic
import Raft
import Scratch
import StateMachine
import Telemetry
import Testing

@testable import Replica
import Threads
import Time
import Wire
@testable import WriteAheadLog

/// Starts of a node on real files that were lost, moved or never complete.
@Suite(.serialized) struct NodeStartTests {
    private static let group = MultiThreadedEventLoopGroup.singleton

    private struct Silence: LogSink {
        func write(_ bytes: [UInt8]) {}
    }

    private func inDirectory(_ body: (String) throws -> Void) throws {
        let directory = try TemporaryDirectory("start")
        try withExtendedLifetime(directory) { try body(directory.path + "/data") }
    }

    private func start(
        _ path: String, _ change: (inout MachineSettings) -> Void = { _ in },
        prepare: () throws -> Void = {}
    ) throws -> Node {
        var settings = MachineSettings(
            explicitID: nil, fallbackID: NodeID("1"), address: PeerAddress("localhost:1"),
            apiURL: "http://localhost:2", dataDirectory: path, version: "test")
        change(&settings)
        return try Node.start(
            settings, group: Self.group,
            logger: Logger(module: "test", threshold: nil, sink: Silence()), prepare: prepare)
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

    private func names(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted()
    }

    private func refusal(
        _ path: String, _ change: (inout MachineSettings) -> Void = { _ in }
    ) -> StartError? {
        #expect(throws: StartError.self) { try start(path, change) }
    }

    @Test func `What is prepared before the start finds the temporary files' place, and it empty`()
        throws
    {
        try inDirectory { path in
            // Of an earlier start that was killed while it looked at a download.
            let folder = path + "/tmp/etilqs_loading_abc_dump"
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            for file in [folder + "/db-1.sqlite", path + "/tmp/etilqs_loading_abc"] {
                try Data("x".utf8).write(to: URL(fileURLWithPath: file))
            }
            var found: [String]?
            let node = try start(path, prepare: { found = try names(path + "/tmp") })
            node.stop()
            #expect(found == [])
        }
    }

    @Test func `A start whose log is gone refuses, changes nothing and makes no log`() throws {
        try inDirectory { path in
            try makeNode(path)
            let before = try Data(contentsOf: URL(fileURLWithPath: path + "/db-1.sqlite"))
            try FileManager.default.removeItem(atPath: path + "/log")
            for isMountPoint in [false, true] {
                if isMountPoint {
                    try FileManager.default.createDirectory(
                        atPath: path + "/log", withIntermediateDirectories: true)
                }
                let listed = try names(path)
                let refusal = refusal(path)
                #expect(
                    refusal == .databaseWithoutLog(directory: path, files: ["db-1.sqlite"]))
                #expect(try names(path) == listed)
                #expect(throws: StartError.self) {
                    try ClusterRecovery.force(in: path, survivors: [])
                }
                #expect(try names(path) == listed)
            }
            #expect(
                try Data(contentsOf: URL(fileURLWithPath: path + "/db-1.sqlite")) == before)
        }
    }

    @Test func `A start whose database is gone refuses and makes none`() throws {
        try inDirectory { path in
            try makeNode(path)
            let (file, kept) = (path + "/db-1.sqlite", path + "/kept")
            try FileManager.default.moveItem(atPath: file, toPath: kept)
            let refusal = refusal(path)
            guard case .databaseMissing(Generation(1), path, _)? = refusal else {
                Issue.record("not refused for the missing database: \(String(describing: refusal))")
                return
            }
            #expect(!FileManager.default.fileExists(atPath: file))
            // Put back, as the text says, it starts.
            try FileManager.default.moveItem(atPath: kept, toPath: file)
            try makeNode(path)
        }
    }

    /// One of three members, stopped: three entries are committed, and a removal may come to nothing.
    private func makeMember(
        _ path: String, _ members: Membership, each payload: Payload = .noop
    ) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true)
        let (directory, cluster) = (
            DatabaseDirectory(path: path), ClusterID(RandomID(high: 5, low: 5))
        )
        try directory.create(.first)
        var entries = (1...3 as ClosedRange<UInt64>).map {
            Entry(index: LogIndex($0), term: Term(3), payload: payload)
        }
        let database = try Applier(path: directory.file(of: .first))
        try database.establish(cluster: cluster, membership: members)
        var results: [AppliedEntry] = []
        try database.apply(entries, reporting: { _ in false }, into: &results)
        entries.append(
            Entry(
                index: LogIndex(4), term: Term(3),
                payload: .membership(members.removing(NodeID("3")))))
        let identity = NodeIdentity(id: NodeID("1"), incarnation: Samples.incarnation(1))
        var log = try SegmentedLog<PosixDisk>.open(
            on: PosixDisk(), directory: path + "/log", bootID: Node.bootID())
        try log.append(
            LogBatch(records: [
                .identity(identity), .cluster(cluster), .generation(1),
                .bootstrapMembership(members),
            ]))
        try log.append(
            LogBatch(
                hardState: HardState(term: Term(3)), entries: entries, commitIndex: LogIndex(3)))
        try log.markClean()
    }

    @Test(arguments: [false, true])
    func `What takes a damaged database's place knows what is committed, also after a recovery`(
        isRecovered: Bool
    ) throws {
        try inDirectory { path in
            var members = Samples.voters("1", "2", "3")
            try makeMember(path, members)
            var latest = members.removing(NodeID("3"))
            if isRecovered {
                members = Samples.voters("1", "2")
                latest = members
                _ = try ClusterRecovery.run(in: path, bootID: Node.bootID()) { (_, _) in
                    Samples.voters("1", "2")
                }
            }
            let file = DatabaseDirectory(path: path).file(of: .first)
            for suffix in ["-wal", "-shm"] {
                try? FileManager.default.removeItem(atPath: file + suffix)
            }
            try Data(repeating: 0x55, count: 8192).write(to: URL(fileURLWithPath: file))
            let node = try start(path)
            let deadline = MonotonicTime.now + .seconds(60)
            while node.status.membership.members.isEmpty, MonotonicTime.now < deadline {
                _ = Mailbox<Bool>().take(until: .now + .milliseconds(5))
            }
            #expect(node.status.quarantine != nil)
            #expect(node.status.membership == latest)
            node.stop()
            // It goes on from the log's beginning by what is committed, to which the removal doesn't belong.
            let found = try Applier(path: file).applied
            #expect(found.position.index <= LogIndex(3))
            #expect(found.membership == members)
        }
    }

    @Test func `A node whose log's clock was ahead once says so from its start on`() throws {
        try inDirectory { path in
            let command = Command(
                kind: .execute, statements: [Statement("CREATE TABLE IF NOT EXISTS t(a)")],
                stamp: Stamp(milliseconds: 7_258_118_400_000, seed: 1))
            try makeMember(
                path, Samples.voters("1", "2", "3"),
                each: .command(LogCommand.command(command).encoded()))
            let node = try start(path)
            let what = "the clock of the log is ahead of this node's"
            let deadline = MonotonicTime.now + .seconds(60)
            while !node.troubles.contains(where: { $0.what == what }),
                MonotonicTime.now < deadline
            {
                _ = Mailbox<Bool>().take(until: .now + .milliseconds(5))
            }
            let reason = node.troubles.first { $0.what == what }?.reason
            #expect(reason?.hasPrefix("by more than a year") == true)
            node.stop()
        }
    }

    @Test func `A database from the log's future is kept, and keeps the node from starting`() throws
    {
        try inDirectory { path in
            try makeNode(path)
            try FileManager.default.copyItem(
                atPath: path + "/db-1.sqlite", toPath: path + "/db-3.sqlite")
            #expect(
                refusal(path)
                    == .generationUnknown(Generation(3), named: Generation(1), directory: path))
            #expect(try names(path).contains("db-3.sqlite"))
            // What an interrupted change leaves goes.
            try FileManager.default.moveItem(
                atPath: path + "/db-3.sqlite", toPath: path + "/db-2.sqlite")
            try makeNode(path)
            #expect(try !names(path).contains("db-2.sqlite"))
        }
    }

    @Test func `An empty database never takes the place of one that is there`() throws {
        try inDirectory { path in
            try makeNode(path)
            let directory = DatabaseDirectory(path: path)
            #expect(throws: DirectoryError.occupied(path: path + "/db-1.sqlite")) {
                try directory.create(.first)
            }
            #expect(throws: DirectoryError.missing(path: path + "/db-7.sqlite")) {
                try directory.removeAll(except: Generation(7))
            }
            try makeNode(path)
        }
    }

    /// The rows that can be saved are in the first.
    @Test func `What was set aside stays when the file in its place is set aside in turn`() throws {
        try inDirectory { path in
            let files = FileManager.default
            try files.createDirectory(atPath: path, withIntermediateDirectories: true)
            let directory = DatabaseDirectory(path: path)
            let file = directory.file(of: .first)
            func put(_ text: String, _ name: String) throws {
                try Data(text.utf8).write(to: URL(fileURLWithPath: name))
            }
            func text(_ name: String) -> String? {
                files.contents(atPath: name).map { String(decoding: $0, as: UTF8.self) }
            }
            try put("rows", file)
            try put("log", file + "-wal")
            let first = try directory.setAside(.first, for: AppliedState())
            try put("none", file)
            let second = try directory.setAside(.first, for: AppliedState())
            #expect(text(first) == "rows" && text(first + "-wal") == "log")
            #expect(text(second) == "none" && text(second + "-wal") == nil)
            // Cut off when the log was taken away from beside the damaged file.
            try put("more", file)
            let third = path + "/damaged-1-3.sqlite"
            try files.linkItem(atPath: file, toPath: third)
            try put("its log", third + "-wal")
            #expect(try directory.setAside(.first, for: AppliedState()) == third)
            #expect(text(third) == "more" && text(third + "-wal") == "its log")
        }
    }

    @Test func `A name that no generation would be given is none`() throws {
        try inDirectory { path in
            try makeNode(path)
            for name in ["db-01.sqlite", "db-+2.sqlite", "db-.sqlite", "db-4.sqlite-wal"] {
                try Data().write(to: URL(fileURLWithPath: path + "/" + name))
            }
            let directory = DatabaseDirectory(path: path)
            #expect(try directory.generations() == [.first])
            #expect(try directory.incomingFiles().count == 4)
        }
    }

    @Test func `The boot ID is read from whatever the file holds, or refused`() throws {
        try inDirectory { path in
            func put(_ bytes: [UInt8]) throws {
                try Data(bytes).write(to: URL(fileURLWithPath: path))
            }
            try put(Array("00000000-0000-0001-0000-000000000002\n".utf8))
            #expect(try Node.bootID(in: path) == RandomID(high: 1, low: 2))
            try put([0xFF, 0xC3, 0x80, 0x0A])
            #expect(throws: StartError.self) { try Node.bootID(in: path) }
            try put([])
            #expect(throws: StartError.self) { try Node.bootID(in: path) }
        }
    }

    @Test func `A read replica with nobody to follow does not even make its directory`() throws {
        try inDirectory { path in
            #expect(refusal(path) { $0.isVoter = false } == .nothingToFollow)
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test func `A first start on a full disk says so, and goes on where there is room`() throws {
        guard geteuid() == 0 else { return }
        try inDirectory { path in
            let disk = (path as NSString).deletingLastPathComponent
            try FileManager.default.createDirectory(
                atPath: disk, withIntermediateDirectories: true)
            // Too small for a segment of the log.
            try #require(mount("tmpfs", disk, "tmpfs", 0, "size=1m") == 0)
            defer { umount2(disk, Int32(MNT_DETACH)) }
            guard case .noRoom(let directory, _)? = refusal(path) else {
                Issue.record("not refused for the lack of room")
                return
            }
            #expect(directory == path)
            #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT), "size=64m") == 0)
            try makeNode(path)
        }
    }
}
