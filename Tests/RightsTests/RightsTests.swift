import Testing
import Wire

@testable import Rights

/// Grants and what they allow, and credentials between nodes.
@Suite struct RightsTests {
    private func grants(_ words: String...) -> Grants {
        var grants = Grants()
        for word in words { _ = grants.add(word) }
        return grants
    }

    @Test(arguments: Permission.allCases)
    func `A permission grants itself and nothing else`(permission: Permission) {
        let own = grants(permission.rawValue)
        for other in Permission.allCases {
            #expect(own.contains(other, isReading: false) == (other == permission))
        }
        #expect(grants("all").contains(permission, isReading: false))
        #expect(!Grants().contains(permission, isReading: true))
    }

    @Test func `A right to read changes nothing`() {
        for own in [grants("leader-ops:read"), grants("all:read")] {
            #expect(own.contains(.leaderOperations, isReading: true))
            #expect(!own.contains(.leaderOperations, isReading: false))
        }
        #expect(!grants("leader-ops:read").contains(.status, isReading: true))
    }

    @Test func `A word that is no permission grants nothing, whatever it looks like`() {
        for word in ["", "ALL", "all ", ":read", "all:read:read", "execute:", "*"] {
            var grants = Grants()
            let isKnown = grants.add(word)
            #expect(!isKnown)
            for permission in Permission.allCases {
                #expect(!grants.contains(permission, isReading: true), "\(word)")
            }
        }
    }

    @Test func `What needs two permissions may have one from everybody`() {
        let need = RightsNeed([.query, .execute])
        #expect(need.isMet(by: [grants("query"), grants("execute")]))
        #expect(!need.isMet(by: [grants("query"), grants("query")]))
        #expect(!need.isMet(by: [grants("execute")]))
        let either = RightsNeed(anyOf: [.joinReadOnly, .joinReadReplica])
        #expect(either.isMet(by: [grants("join-read-replica")]))
        #expect(!either.isMet(by: [grants("join")]))
    }

    @Test(arguments: [
        Credential.none, .password(user: "bob", password: "s:e\u{0}c"), .token("ci.0123"),
        .password(user: "", password: ""),
    ])
    func `A credential is read as it was written`(credential: Credential) throws {
        var writer = ByteWriter()
        credential.encodeAtEnd(into: &writer)
        #expect(writer.bytes.isEmpty == (credential == .none))
        var reader = ByteReader(writer.bytes)
        #expect(try Credential(atEndOf: &reader) == credential)
        for end in 1..<max(1, writer.bytes.count) {
            var part = ByteReader(Array(writer.bytes[..<end]))
            #expect(throws: WireError.self) { _ = try Credential(atEndOf: &part) }
        }
    }
}
