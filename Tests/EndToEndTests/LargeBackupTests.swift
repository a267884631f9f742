import Foundation
import JSON
import ServerTesting
import Testing

/// Copies so large that they go into S3 in parts, and nodes that end while one goes.
@Suite(.serialized) struct LargeBackupTests {
    private static let mebibytes = 300

    @Test(.timeLimit(.minutes(15)))
    func
        `What a node that was killed, or stopped, had begun to upload is taken back by the next one`()
        async throws
    {
        let directory = try TestDirectory()
        let server = try StorageDouble(.s3)
        let place: [JSONValue.Member] = [
            .init("endpoint", .string(server.url)), .init("region", "us-east-1"),
            .init("access_key_id", server.announced["id"] ?? .null),
            .init("secret_access_key", server.announced["secret"] ?? .null),
            .init("force_path_style", true), .init("bucket", server.announced["bucket"] ?? .null),
            .init("path", "copy"),
        ]
        let backup = try directory.write(
            "backup.json",
            StorageConfiguration.of(
                "s3", place, [.init("interval", "300ms"), .init("no_compress", true)]))
        let ports = try freePorts(4)
        func member(_ arguments: [String]) -> Daemon {
            Daemon(
                id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path,
                arguments: arguments)
        }
        let first = member([])
        defer { first.kill() }
        try first.start()
        try await first.waitUntilReady()
        _ = try await first.client.execute(["CREATE TABLE t(a)"])
        for _ in 0..<(Self.mebibytes / 50) {
            _ = try await first.client.execute([
                "INSERT INTO t SELECT zeroblob(1 << 20) FROM "
                    + "(WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50) SELECT i FROM n)"
            ])
        }
        try await first.terminate()
        let node = member(["-auto-backup", backup])
        defer { node.kill() }
        let notes = "\(node.dataDirectory)/uploads"
        func noted() -> Int {
            (try? FileManager.default.contentsOfDirectory(atPath: notes))?.count ?? 0
        }
        func isSending(behind count: Int) async throws {
            try await eventually("its second part is on the way", within: .seconds(120)) {
                try server.requests("part") >= count + 2 ? true : nil
            }
        }

        try server.spoil("part", ["pass", "hold"])
        try node.start()
        try await isSending(behind: 0)
        node.kill()
        #expect(try server.unfinished() == ["copy"])
        #expect(noted() == 1)

        try server.spoil("part", ["pass", "hold"])
        let before = try server.requests("part")
        try node.start()
        try await isSending(behind: before)
        #expect(try server.unfinished() == ["copy"], "that of the killed node is gone")
        #expect(try server.requests("abort") == 1)
        try await node.terminate()
        #expect(try server.unfinished().isEmpty)
        #expect(noted() == 0)
        #expect(try server.objects().isEmpty)

        try node.start()
        let object = try await eventually("the copy is there", within: .seconds(120)) {
            try server.objects().first
        }
        #expect(object.size > Int64(Self.mebibytes) << 20)
        try await eventually("nothing else is there", within: .seconds(60)) {
            try server.unfinished().isEmpty && noted() == 0 ? true : nil
        }
        try await node.terminate()

        let restore = try directory.write(
            "restore.json", StorageConfiguration.of("s3", place, [.init("timeout", "300s")]))
        let next = Daemon(
            id: "next", httpPort: ports[2], raftPort: ports[3], directory: directory.path,
            arguments: ["-auto-restore", restore])
        defer { next.kill() }
        try next.start()
        try await eventually("the rows are there", within: .seconds(180)) {
            let rows = try? await next.client.rows("SELECT count(*), sum(length(a)) FROM t")
            return rows?[0][1].int == Self.mebibytes << 20 ? true : nil
        }
    }
}
