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
            "a", names: "DNS:*.example.com,DNS:b.test,DNS:*.0.0.2,IP:127.0.0.1,IP:::1")
        let facts = try #require(try TLSKeeper(files(pair), policy).facts.first)
        #expect(facts.names == ["*.example.com", "b.test", "*.0.0.2", "127.0.0.1", "::1"])
        #expect((1...2).contains(facts.daysLeft(at: .now())))
        let hosts = [
            "a.example.com", "A.EXAMPLE.com", "a.example.com.", "b.test", "B.test.", "127.0.0.1",
            "::1", "0:0::0:1",
        ]
        for host in hosts {
            #expect(facts.isValid(for: host), "\(host)")
        }
        let others = [
            "example.com", "x.a.example.com", "c.test", "b.test..", "127.0.0.2", "::2", "", ".",
        ]
        for host in others {
            #expect(!facts.isValid(for: host), "\(host)")
        }
    }

    /// As one does who exchanges an authority: the new one beside the old, before it counts.
    @Test func `An authority that is not valid yet does no harm beside one that is`() throws {
        let present = try #require(
            try TLSMaterial(files(authority.server), policy, at: .now()).facts.last)
        var later = try CertificateAuthority()
        var coming = present
        for _ in 0..<1_000 where coming.begins <= present.begins {
            later = try CertificateAuthority()
            let alone = TLSFiles(
                certificate: nil, key: nil, authority: later.certificate)
            coming = try #require(try TLSMaterial(alone, policy, at: .now()).facts.last)
        }
        let both = FileManager.default.temporaryDirectory
            .appending(path: "rqd-both-\(UUID().uuidString).pem").path
        defer { try? FileManager.default.removeItem(atPath: both) }
        var content = try Data(contentsOf: URL(filePath: authority.certificate))
        content += try Data(contentsOf: URL(filePath: later.certificate))
        try content.write(to: URL(filePath: both))
        func facts(_ path: String) throws -> CertificateFacts? {
            let files = TLSFiles(certificate: nil, key: nil, authority: path)
            return try TLSMaterial(files, policy, at: present.begins).facts.last
        }
        let found = try #require(try facts(both))
        #expect(found.ends == present.ends && found.begins == present.begins)
        let failure = #expect(throws: TLSFailure.self) { try facts(later.certificate) }
        #expect(failure?.description.contains("not valid before") == true)
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

    @Test(arguments: [
        "eve", "an e with an accent: \u{E9}", "x; CN=admin", "*", "with spaces ",
    ])
    func `A Common Name is read whole`(name: String) throws {
        let pair = try authority.pair("a", names: "DNS:a.test", commonName: name)
        let facts = try #require(try TLSKeeper(files(pair), policy).facts.first)
        #expect(facts.commonName == name)
    }

    @Test func `Who dials must have the Common Name that is asked for, and nothing near it`()
        throws
    {
        var named = policy
        named.clientCommonName = "peer"
        let server = try TLSKeeper(files(authority.server), named)
        for (file, name, isTaken) in [
            ("a", "peer", true), ("b", "Peer", false), ("c", "peer ", false), ("d", "peers", false),
            ("e", "pe\u{301}er", false),
        ] {
            // A name that is an alternative one counts for nothing.
            let pair = try authority.pair(file, names: "DNS:peer", commonName: name)
            let client = try TLSKeeper(files(pair), policy)
            #expect(try shake(server, client, host: "db.test") == isTaken, "\(name)")
        }
        // It has none.
        let client = try TLSKeeper(files(authority.client), policy)
        #expect(try !shake(server, client, host: "db.test"))
        // Who is dialled needs it not.
        let dialling = try TLSKeeper(
            files(try authority.pair("f", names: "DNS:f.test", commonName: "peer")), named)
        #expect(try shake(server, dialling, host: "db.test"))
    }

    @Test func `A certificate that names nodes is for these, and one that names none for all`()
        throws
    {
        let plain = try TLSKeeper(files(authority.server), policy)
        var strict = policy
        strict.verifiesNodes = true
        let asking = try TLSKeeper(files(authority.server), strict)
        for (file, names, node, objections) in [
            ("a", "DNS:a.test", "1", [false, true]),
            ("b", "URI:rqlited:node:1", "1", [false, false]),
            ("c", "URI:rqlited:node:1", "2", [true, true]),
            ("d", "URI:rqlited:node:1,URI:RQLITED:Node:db%3A2", "db:2", [false, false]),
            ("e", "URI:rqlited:node:%C3%A9", "\u{E9}", [false, false]),
            ("f", "URI:rqlited:node:%C3%A9", "e\u{301}", [true, true]),
            ("g", "URI:rqlited:node:%zz", "%zz", [true, true]),
            ("h", "URI:https://rqlited:node/1", "1", [false, true]),
            ("i", "DNS:1", "1", [false, true]),
        ] {
            let client = try TLSKeeper(files(try authority.pair(file, names: names)), policy)
            for (server, isObjected) in zip([plain, asking], objections) {
                let ends = try meet(server, client, host: "db.test")
                #expect(ends.isShaken)
                let objection = server.objection(to: node, on: ends.far)
                #expect((objection != nil) == isObjected, "\(names) \(objection ?? "none")")
            }
            // It holds for who is dialled, too.
            let named = TLSPolicy(
                verifiesClients: true, serverName: "db.test", protocols: ["test"])
            let pair = try authority.pair("\(file)2", names: "DNS:db.test,\(names)")
            let dialler = try TLSKeeper(files(authority.client), named)
            let ends = try meet(try TLSKeeper(files(pair), policy), dialler, host: "x")
            #expect(ends.isShaken)
            #expect((dialler.objection(to: node, on: ends.near) != nil) == objections[0])
        }
        #expect(plain.objection(to: "1", on: EmbeddedChannel()) == nil)
    }

    @Test(arguments: ["1", "db-1.example.com:4002", "\u{E9} %/?#", "a+b"])
    func `What a certificate is told to name is what is read of it`(id: String) throws {
        let uri = NodeName.uri(of: id)
        #expect(uri.allSatisfy { $0.isASCII && $0 != " " })
        #expect(NodeName.id(inURI: uri) == id)
    }

    @Test func `Bytes that are no certificate have no Common Name`() throws {
        let text = try String(contentsOfFile: authority.server.certificate, encoding: .utf8)
        let lines = text.split(separator: "\n").filter { !$0.hasPrefix("-") }
        let bytes = Array(try #require(Data(base64Encoded: lines.joined())))
        #expect(SubjectName.commonName(ofCertificate: bytes) == "db.test")
        for count in bytes.indices {
            #expect(SubjectName.commonName(ofCertificate: Array(bytes.prefix(count))) == nil)
        }
        for place in 0..<min(bytes.count, 200) {
            for value in [0, 0x1F, 0x30, 0x7F, 0x80, 0x84, 0xFF] as [UInt8] {
                var bytes = bytes
                bytes[place] = value
                _ = SubjectName.commonName(ofCertificate: bytes)
            }
        }
    }

    private func shake(_ server: TLSKeeper, _ client: TLSKeeper, host: String) throws -> Bool {
        try meet(server, client, host: host).isShaken
    }

    private struct Ends {
        let near: EmbeddedChannel
        let far: EmbeddedChannel
        let isShaken: Bool
    }

    /// Two ends shake hands through memory.
    private func meet(_ server: TLSKeeper, _ client: TLSKeeper, host: String) throws -> Ends {
        let (near, far) = (EmbeddedChannel(), EmbeddedChannel())
        try far.pipeline.syncOperations.addHandlers(server.acceptingHandlers())
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
                return Ends(near: near, far: far, isShaken: String(buffer: text) == "hello")
            }
        }
        return Ends(near: near, far: far, isShaken: false)
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
