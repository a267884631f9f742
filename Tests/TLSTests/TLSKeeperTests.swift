import Foundation
import NIOCore
import NIOEmbedded
import ServerTesting
import Telemetry
import Testing

@testable import TLS

/// What is read of the files of TLS, and what is said of those that can't be used.
@Suite struct TLSKeeperTests {
    private let authority: CertificateAuthority

    init() throws { authority = try CertificateAuthority() }

    private func files(_ pair: CertificateAuthority.Pair) -> TLSFiles {
        TLSFiles(
            certificate: pair.certificate, key: pair.key, authority: authority.certificate)
    }

    private let policy = TLSPolicy(verifiesClients: true, protocols: ["test"])

    @Test func `A certificate tells its names and its end`() throws {
        let pair = try authority.pair(
            "a", names: "DNS:*.example.com,DNS:b.test,IP:127.0.0.1,IP:::1")
        let facts = try #require(try TLSKeeper(files(pair), policy).facts.first)
        #expect(facts.names == ["*.example.com", "b.test", "127.0.0.1", "::1"])
        #expect((1...2).contains(facts.daysLeft(at: .now())))
        for host in ["a.example.com", "A.EXAMPLE.com", "b.test", "127.0.0.1", "::1"] {
            #expect(facts.isValid(for: host), "\(host)")
        }
        for host in ["example.com", "x.a.example.com", "c.test", "127.0.0.2", ""] {
            #expect(!facts.isValid(for: host), "\(host)")
        }
    }

    @Test func `Files that can't be used are named, with what is wrong`() throws {
        let good = authority.server
        let other = try authority.pair("other", names: "DNS:other")
        let old = try authority.pair("old", names: "DNS:old", days: 0)
        let missing = CertificateAuthority.Pair(certificate: "/nowhere", key: good.key)
        let cases: [(CertificateAuthority.Pair, [String])] = [
            (missing, ["open /nowhere: no such file or directory"]),
            (
                .init(certificate: good.certificate, key: other.key),
                [good.certificate, other.key, "does not match"]
            ),
            (.init(certificate: good.key, key: good.key), [good.key, "PEM data in certificate"]),
            (
                .init(certificate: good.certificate, key: good.certificate),
                [good.certificate, "PEM data in key"]
            ),
            (old, [old.certificate, "expired at 20"]),
        ]
        for (pair, words) in cases {
            let failure = #expect(throws: TLSFailure.self) { try TLSKeeper(files(pair), policy) }
            for word in words {
                #expect(failure?.description.contains(word) == true, "\(failure as Any)")
            }
        }
    }

    @Test func `A reload that fails leaves what was there`() throws {
        let pair = try authority.pair("a", names: "DNS:a.test")
        let keeper = try TLSKeeper(files(pair), policy)
        let other = try authority.pair("b", names: "DNS:b.test")
        let manager = FileManager.default
        try manager.removeItem(atPath: pair.key)
        try manager.copyItem(atPath: other.key, toPath: pair.key)
        #expect(throws: TLSFailure.self) { try keeper.reload() }
        #expect(keeper.facts.first?.names == ["a.test"])
        try manager.removeItem(atPath: pair.certificate)
        try manager.copyItem(atPath: other.certificate, toPath: pair.certificate)
        try keeper.reload()
        #expect(keeper.facts.first?.names == ["b.test"])
    }

    /// Two ends shake hands through memory.
    private func shake(_ server: TLSKeeper, _ client: TLSKeeper, host: String) throws -> Bool {
        let (near, far) = (EmbeddedChannel(), EmbeddedChannel())
        try far.pipeline.syncOperations.addHandler(server.acceptingHandler())
        try near.pipeline.syncOperations.addHandlers(client.dialingHandlers(host: host))
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        for channel in [far, near] { channel.connect(to: address, promise: nil) }
        near.writeAndFlush(ByteBuffer(string: "hello"), promise: nil)
        var isOver = false
        for _ in 0..<20 where !isOver {
            do {
                while let bytes = try near.readOutbound(as: ByteBuffer.self) {
                    try far.writeInbound(bytes)
                }
                while let bytes = try far.readOutbound(as: ByteBuffer.self) {
                    try near.writeInbound(bytes)
                }
            } catch {
                isOver = true
            }
            if let text = try? far.readInbound(as: ByteBuffer.self) {
                return String(buffer: text) == "hello"
            }
        }
        return false
    }

    @Test func `Who is dialled is believed under the name that was dialled, or the one given`()
        throws
    {
        let pair = try authority.pair("a", names: "DNS:a.test,IP:127.0.0.1")
        let keeper = try TLSKeeper(files(pair), policy)
        #expect(try shake(keeper, keeper, host: "a.test"))
        #expect(try shake(keeper, keeper, host: "127.0.0.1"))
        #expect(try !shake(keeper, keeper, host: "b.test"))
        var named = policy
        named.serverName = "a.test"
        #expect(try shake(keeper, try TLSKeeper(files(pair), named), host: "b.test"))
        named.serverName = "127.0.0.1"
        #expect(try shake(keeper, try TLSKeeper(files(pair), named), host: "b.test"))
        named.serverName = "c.test"
        #expect(try !shake(keeper, try TLSKeeper(files(pair), named), host: "a.test"))
        let careless = TLSPolicy(verifiesServers: false, protocols: ["test"])
        #expect(try shake(keeper, try TLSKeeper(files(pair), careless), host: "b.test"))
    }

    @Test func `A certificate of another authority is none, on either side`() throws {
        let other = try CertificateAuthority()
        let own = try TLSKeeper(files(authority.server), policy)
        let foreign = try TLSKeeper(
            TLSFiles(
                certificate: other.server.certificate, key: other.server.key,
                authority: authority.certificate), policy)
        let believer = try TLSKeeper(
            TLSFiles(
                certificate: other.server.certificate, key: other.server.key,
                authority: other.certificate), policy)
        #expect(try shake(own, own, host: "db.test"))
        #expect(try !shake(own, foreign, host: "db.test"))
        #expect(try !shake(foreign, own, host: "db.test"))
        #expect(try !shake(own, believer, host: "db.test"))
        let nobody = try TLSKeeper(TLSFiles(authority: authority.certificate), policy)
        #expect(try !shake(own, nobody, host: "db.test"))
    }

    private func secret(_ lines: String...) throws -> TLSKeeper {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "rqd-secret-\(UUID().uuidString.prefix(8))").path
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try TLSKeeper(secretFile: path, protocols: ["test"])
    }

    @Test func `Who knows a secret speaks with who knows it, and with nobody else`() throws {
        let (old, new) = (
            "old.00112233445566778899aabbccddeeff", "new.ffeeddccbbaa99887766554433221100"
        )
        let (before, during, after) = (
            try secret(old), try secret(new, old), try secret(new)
        )
        #expect(try shake(before, before, host: "anything"))
        #expect(try shake(during, before, host: "127.0.0.1"))
        #expect(try shake(during, after, host: "a"))
        #expect(try shake(after, during, host: "a"))
        // Who shows the new one first must be known to all already.
        #expect(try !shake(before, during, host: "a"))
        #expect(try !shake(before, after, host: "a"))
        #expect(try !shake(after, before, host: "a"))
        let sameName = try secret("old.00112233445566778899aabbccddeefe")
        #expect(try !shake(before, sameName, host: "a"))
        let certificates = try TLSKeeper(files(authority.server), policy)
        #expect(try !shake(before, certificates, host: "db.test"))
        #expect(try !shake(certificates, before, host: "db.test"))
    }
}
