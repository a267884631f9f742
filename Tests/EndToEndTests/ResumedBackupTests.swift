import Foundation
import ServerTesting
import Testing

/// Downloads of a copy that break off, taken up again with curl.
@Suite(.serialized) struct ResumedBackupTests {
    /// - Returns: what curl prints, whatever it ends with.
    private static func curl(_ arguments: [String]) throws -> String {
        try Program.run(
            ["sh", "-c", "\"$@\" || true", "sh", "curl", "-s", "--max-time", "120"] + arguments)
    }

    /// The header fields of the last answer, by their names in small letters, and `:status`.
    private static func head(_ path: String) throws -> [String: String] {
        var fields: [String: String] = [:]
        for line in try String(contentsOfFile: path, encoding: .utf8).split(
            whereSeparator: \.isNewline)
        {
            if line.hasPrefix("HTTP/") {
                fields[":status"] = String(line.split(separator: " ")[1])
                continue
            }
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        return fields
    }

    private static func size(_ path: String) -> Int {
        (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0
    }

    /// - Returns: the size of what came.
    private static func breakOff(_ url: String, _ file: String, _ head: String) throws -> Int {
        unlink(file)
        _ = try curl(["--limit-rate", "3M", "-m", "3", "-D", head, "-o", file, url])
        return size(file)
    }

    @Test(.timeLimit(.minutes(15)))
    func `A download that broke off goes on to the same bytes while writes go on`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        let leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute([
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 40) "
                + "INSERT INTO t SELECT i, randomblob(1 << 20) FROM n",
        ])
        let directory = try TestDirectory()
        let (file, head, again) = (
            "\(directory.path)/file", "\(directory.path)/head", "\(directory.path)/again"
        )
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        for url in [
            "\(leader.client.base)/db/backup", "\(leader.client.base)/db/backup?fmt=delete",
            "\(leader.client.base)/db/backup?vacuum", "\(follower.client.base)/db/backup?noleader",
        ] {
            let came = try Self.breakOff(url, file, head)
            let first = try Self.head(head)
            let tag = try #require(first["etag"])
            #expect(first["accept-ranges"] == "bytes")
            #expect(came > 0 && came < 40 << 20, "\(url): \(came)")
            _ = try await leader.client.execute([
                "UPDATE t SET b = randomblob(1 << 20) WHERE a < 10",
                "INSERT INTO t VALUES(NULL, 1)",
            ])
            // Without the tag it might be another copy's rest: nothing is added to the file.
            _ = try Self.curl(["-C", "-", "-D", head, "-o", file, url])
            #expect(try Self.head(head)[":status"] == "200")
            #expect(Self.size(file) == came)
            _ = try Self.curl(["-C", "-", "-H", "If-Range: \(tag)", "-D", head, "-o", file, url])
            let rest = try Self.head(head)
            #expect(rest[":status"] == "206")
            #expect(rest["etag"] == tag)
            #expect(rest["x-rqlite-raft-index"] == first["x-rqlite-raft-index"])
            let size = Self.size(file)
            #expect(rest["content-range"] == "bytes \(came)-\(size - 1)/\(size)")
            _ = try Self.curl(["-H", "If-Match: \(tag)", "-D", head, "-o", again, url])
            #expect(try Self.head(head)[":status"] == "200")
            #expect(try Program.run(["cmp", file, again]).isEmpty)
            #expect(try Program.run(["sqlite3", file, "PRAGMA integrity_check"]) == "ok\n")
            _ = try Self.curl(["-r", "\(size)-", "-H", "If-Range: \(tag)", "-D", head, url])
            #expect(try Self.head(head)[":status"] == "416")
        }
    }

    @Test(.timeLimit(.minutes(15)))
    func `Who comes too late, or comes through another node, gets a new copy whole`() async throws {
        let cluster = try TestCluster.joined(3)
        defer { cluster.stop() }
        try cluster.start()
        var leader = try await cluster.waitForAgreement()
        _ = try await leader.client.execute(["CREATE TABLE t(a)", "INSERT INTO t VALUES(1)"])
        let directory = try TestDirectory()
        let (file, head) = ("\(directory.path)/file", "\(directory.path)/head")
        let follower = try #require(cluster.nodes.first { $0 !== leader })
        let path = "/db/backup"
        _ = try Self.curl(["-D", head, "-o", file, leader.client.base + path])
        let tag = try #require(try Self.head(head)["etag"])
        let size = Self.size(file)
        let asked = ["-r", "100-", "-H", "If-Range: \(tag)", "-D", head, "-o", file]
        _ = try Self.curl(asked + [follower.client.base + path])
        let forwarded = try Self.head(head)
        #expect(forwarded[":status"] == "200")
        #expect(forwarded["accept-ranges"] == "none")
        #expect(forwarded["etag"] == nil)
        #expect(Self.size(file) == size)
        // A redirect leads to the copy.
        _ = try Self.curl(["-L"] + asked + [follower.client.base + path + "?redirect"])
        #expect(try Self.head(head)[":status"] == "206")
        #expect(Self.size(file) == size - 100)
        let required = ["-H", "If-Match: \(tag)", "-D", head, "-o", file]
        _ = try Self.curl(required + [follower.client.base + path])
        #expect(try Self.head(head)[":status"] == "412")
        for node in cluster.nodes { node.kill() }
        for node in cluster.nodes { try node.start() }
        leader = try await cluster.waitForAgreement()
        _ = try Self.curl(asked + [leader.client.base + path])
        let late = try Self.head(head)
        #expect(late[":status"] == "200")
        #expect(late["etag"] != nil && late["etag"] != tag)
        #expect(try Program.run(["sqlite3", file, "SELECT a FROM t"]) == "1\n")
        _ = try Self.curl(required + [leader.client.base + path])
        #expect(try Self.head(head)[":status"] == "412")
    }
}
