import Rights
import Telemetry
import Testing

@testable import Credentials

/// What a credentials file says.
@Suite struct CredentialTableTests {
    private func table(_ text: String) throws -> CredentialTable {
        try CredentialTable(parsing: Array(text.utf8))
    }

    @Test func `rqlite's example is read as rqlite reads it`() throws {
        let table = try table(
            """
            [{"username": "bob", "password": "secret1", "perms": ["all"]},
             {"username": "mary", "password": "secret2", "perms": ["query", "backup", "join"]},
             {"username": "*", "perms": ["status", "ready", "join-read-only"]}]
            """)
        let bob = try #require(
            table.entry(shownBy: .password(user: "bob", password: "secret1")))
        #expect(RightsNeed([.execute]).isMet(by: [bob.grants]))
        #expect(table.entry(shownBy: .password(user: "bob", password: "secret2")) == nil)
        #expect(table.entry(shownBy: .password(user: "*", password: "secret2")) == nil)
        #expect(RightsNeed([.status]).isMet(by: [table.everybody]))
        #expect(!RightsNeed([.query]).isMet(by: [table.everybody]))
        #expect(table.warnings.isEmpty)
    }

    @Test func `A member that is left out is not taken from the entry before`() throws {
        let table = try table(
            """
            [{"username": "a", "password": "p", "perms": ["all"]}, {"username": "b"},
             {"username": "c", "password": "q"}]
            """)
        #expect(table.entry(shownBy: .password(user: "b", password: "p")) == nil)
        #expect(table.entry(shownBy: .password(user: "b", password: "")) == nil)
        let last = try #require(table.entry(shownBy: .password(user: "c", password: "q")))
        #expect(!RightsNeed([.query]).isMet(by: [last.grants]))
        #expect(!table.warnings.isEmpty)
    }

    @Test func `Names of members match in any letter case, others are passed over`() throws {
        let table = try table(
            #"[{"UserName": "a", "PASSWORD": "p", "Perms": ["query"], "note": [1, {}]}]"#)
        #expect(table.entry(shownBy: .password(user: "a", password: "p")) != nil)
    }

    @Test func `Of two entries for one user the later counts alone`() throws {
        let table = try table(
            """
            [{"username": "a", "password": "p", "perms": ["all"]},
             {"username": "a", "password": "q", "perms": []}]
            """)
        #expect(table.entry(shownBy: .password(user: "a", password: "p")) == nil)
        let entry = try #require(table.entry(shownBy: .password(user: "a", password: "q")))
        #expect(entry.grants == Grants())
    }

    @Test func `A hash as a password is plain text, and no hash is a password`() throws {
        let hash = try PasswordHash.make("secret", .sha256)
        let table = try table(
            """
            [{"username": "plain", "password": "\(hash)", "perms": ["all"]},
             {"username": "hashed", "hash": "\(hash)", "perms": ["all"]}]
            """)
        #expect(table.entry(shownBy: .password(user: "plain", password: hash)) != nil)
        #expect(table.entry(shownBy: .password(user: "plain", password: "secret")) == nil)
        #expect(table.entry(shownBy: .password(user: "hashed", password: "secret")) != nil)
        #expect(table.entry(shownBy: .password(user: "hashed", password: hash)) == nil)
        #expect(table.entry(shownBy: .password(user: "hashed", password: "secret\u{0}")) == nil)
    }

    @Test(arguments: PasswordHash.Method.allCases)
    func `What a method hashes it knows again`(method: PasswordHash.Method) throws {
        let hash = try PasswordHash.make("pässword", method)
        #expect(PasswordHash.isUsable(hash))
        #expect(PasswordHash.matches("pässword", hash))
        #expect(!PasswordHash.matches("pässwore", hash))
        #expect(throws: PasswordHash.Failure.self) {
            try PasswordHash.make(String(repeating: "a", count: 512), method)
        }
    }

    @Test func `A password that bcrypt would look at in part is not hashed`() throws {
        #expect(throws: PasswordHash.Failure.self) {
            try PasswordHash.make(String(repeating: "a", count: 73), .bcrypt)
        }
    }

    @Test func `A token is known by its name, and by all of its text`() throws {
        let hash = try PasswordHash.make("ci.0123456789", .sha256)
        let table = try table(#"[{"token": "ci", "hash": "\#(hash)", "perms": ["query"]}]"#)
        #expect(table.entry(shownBy: .token("ci.0123456789")) != nil)
        for other in ["ci", "ci.", "ci.012345678", "cd.0123456789", ""] {
            #expect(table.entry(shownBy: .token(other)) == nil, "\(other)")
        }
        #expect(table.entry(shownBy: .password(user: "ci", password: "ci.0123456789")) == nil)
    }

    @Test(arguments: [
        "", "{}", "[1]", "[{}]", #"[{"username": ""}]"#, #"[{"username": 1}]"#, "[] x",
        #"[{"username": "a", "perms": "all"}]"#, #"[{"username": "a", "perms": [1]}]"#,
        #"[{"username": "a", "hash": "$1$abc$def"}]"#, #"[{"username": "a", "hash": "plain"}]"#,
        #"[{"username": "a", "password": "b", "hash": "c"}]"#,
        #"[{"username": "a", "token": "b", "hash": "c"}]"#, #"[{"token": "b"}]"#,
        #"[{"username": "a", "password": "b", "expires": "tomorrow"}]"#,
        #"[{"username": "a", "password": "b", "expires": "2027-02-30T00:00:00Z"}]"#,
    ])
    func `A file that can't be meant is refused whole`(text: String) {
        #expect(throws: CredentialTable.Invalid.self) { try table(text) }
    }

    @Test func `Moments are read as they are written`() throws {
        for text in [
            "1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2027-01-31T12:34:56Z",
            "2100-03-01T00:00:00Z",
        ] {
            #expect(WallTime(rfc3339: text)?.rfc3339 == text)
        }
        for text in ["2100-02-29T00:00:00Z", "2027-13-01T00:00:00Z", "2027-01-01", "x"] {
            #expect(WallTime(rfc3339: text) == nil)
        }
    }

    @Test func `Two forms of a letter are two names, and two passwords`() throws {
        let (composed, apart) = ("\u{E9}", "e\u{301}")
        let table = try CredentialTable(
            parsing: Array(
                """
                [{"username": "\(composed)", "password": "1", "perms": ["query"]},
                 {"username": "\(apart)", "password": "2", "perms": ["execute"]},
                 {"username": "c", "password": "\(composed)"}]
                """.utf8))
        #expect(table.warnings.isEmpty && table.counts.users == 3)
        for (user, password) in [(composed, "1"), (apart, "2"), ("c", composed)] {
            #expect(table.entry(shownBy: .password(user: user, password: password)) != nil)
        }
        for (user, password) in [(composed, "2"), (apart, "1"), ("c", apart)] {
            #expect(table.entry(shownBy: .password(user: user, password: password)) == nil)
        }
        #expect(table.plainCredential(of: apart) == .password(user: apart, password: "2"))
    }
}
