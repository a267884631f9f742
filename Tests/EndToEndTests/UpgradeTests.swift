import Foundation
import Testing

/// Data directories of other versions: an older one starts and holds all that was written, a newer one is
/// refused by name.
@Suite(.serialized) struct UpgradeTests {
    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures")

    /// What `scripts/keep-release` kept of each release: names that begin so.
    private static func fixtures(_ kind: String) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
        return (names ?? []).filter { $0.hasPrefix(kind) }.sorted()
    }

    private static func unpack(_ fixture: String, into directory: String) throws {
        try run("tar", "-xzf", folder.appendingPathComponent(fixture).path, "-C", directory)
    }

    private func node(
        _ directory: TestDirectory, _ fixture: String = "data-directory-05a756f.tar.gz"
    ) throws -> Daemon {
        try Self.unpack(fixture, into: directory.path)
        let ports = try freePorts(2)
        return Daemon(
            id: "1", httpPort: ports[0], raftPort: ports[1], directory: directory.path)
    }

    @Test(arguments: fixtures("data-directory-"))
    func `What an earlier version wrote and a kill left behind is there, and goes on`(
        _ fixture: String
    ) async throws {
        let directory = try TestDirectory()
        let node = try node(directory, fixture)
        defer { node.kill() }
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        let sums = try await node.client.rows("SELECT count(*), sum(n) FROM numbers")
        #expect(sums.first?[0].int == 150)
        #expect(sums.first?[1].int == 150 * 151 / 2)
        let kept = try await node.client.rows("SELECT what, number, hex(bytes) FROM kept")
        #expect(kept.count == 1)
        #expect(kept.first?[0].string == "grüße")
        #expect(kept.first?[2].string == "00FF10")

        _ = try await node.client.execute(["INSERT INTO numbers VALUES (151)"])
        _ = try await node.terminate()
        try node.start()
        try await node.waitUntilReady(within: .seconds(60))
        let count = try await node.client.rows("SELECT count(*) FROM numbers")
        #expect(count.first?[0].int == 151)
    }

    @Test(arguments: fixtures("cluster-"))
    func `Three nodes start on what an earlier version's left, elsewhere, and take in a fourth`(
        _ fixture: String
    ) async throws {
        let cluster = try TestCluster.joined(3)
        let directory = try TestDirectory()
        let fourth = try cluster.another("4", in: directory)
        defer {
            for node in cluster.nodes + [fourth] { node.kill() }
            withExtendedLifetime(directory) {}
        }
        let folder = URL(fileURLWithPath: cluster.nodes[0].dataDirectory)
            .deletingLastPathComponent().path
        try Self.unpack(fixture, into: folder)
        try cluster.start()
        let leader = try await cluster.waitForAgreement(within: .seconds(60))
        try fourth.start()
        _ = try await leader.client.execute(["INSERT INTO numbers VALUES (151)"])
        try await fourth.waitUntilReady(within: .seconds(60))
        for node in cluster.nodes + [fourth] {
            try await eventually("node \(node.id) has all rows") {
                let rows = try await node.client.rows(
                    "SELECT count(*), sum(n) FROM numbers", level: "none")
                return rows[0][0].int == 151 && rows[0][1].int == 151 * 152 / 2 ? true : nil
            }
        }
    }

    @Test func `What is kept of earlier versions is found`() {
        #expect(Self.fixtures("data-directory-").contains("data-directory-05a756f.tar.gz"))
    }

    @Test func `A log of a version that is too new is refused with both numbers, and left alone`()
        async throws
    {
        let directory = try TestDirectory()
        let node = try node(directory)
        let path = node.dataDirectory + "/log/log-00000000000000000001.wal"
        var segment = try Data(contentsOf: URL(fileURLWithPath: path))
        segment[8] = 200
        let checksum = Self.crc32c(segment[0..<60])
        for byte in 0..<4 { segment[60 + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * byte)) }
        try segment.write(to: URL(fileURLWithPath: path))
        try node.start()
        #expect(try await node.waitForExit(within: .seconds(60)) == 1)
        #expect(
            node.log.contains("has format version 200, this program reads up to 2"), "\(node.log)")
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == segment)
    }

    /// As the header's checksum is defined, bit by bit.
    private static func crc32c(_ bytes: Data) -> UInt32 {
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 {
                let isOdd = sum & 1 == 1
                sum >>= 1
                if isOdd { sum ^= 0x82F6_3B78 }
            }
        }
        return ~sum
    }
}
