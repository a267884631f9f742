import CSQLite
import Chance
import SQLite
import Scratch
import Testing
import Wire

@testable import StateMachine

/// LIKE and GLOB, made anew for the sake of their time, are SQLite's.
@Suite(.serialized) struct PatternTests {
    /// A statement on a connection with SQLite's own functions, and one with ours.
    private final class Pair {
        let own: Connection
        let ours: Connection
        let asOwn: PreparedStatement
        let asOurs: PreparedStatement

        /// - Parameter isSensitive: SQLite's own after its PRAGMA, and ours that stands for it.
        init(_ expression: String, isSensitive: Bool = false) throws {
            own = try Connection(path: ":memory:", access: .create)
            ours = try Connection(path: ":memory:", access: .create)
            #expect(csqlite_register_patterns(ours.pointer, nil, nil) == SQLITE_OK)
            if isSensitive { try own.execute("PRAGMA case_sensitive_like=ON") }
            asOwn = try own.prepare("SELECT \(expression)")
            let words = isSensitive ? expression.replacing("LIKE", with: "REGEXP") : expression
            asOurs = try ours.prepare("SELECT \(words)")
        }

        private static func answer(
            _ statement: borrowing PreparedStatement, on connection: borrowing Connection,
            _ values: [[UInt8]]
        ) -> String {
            defer { statement.reset() }
            do {
                for (index, value) in values.enumerated() {
                    try statement.bind(value, at: index + 1)
                }
                _ = try statement.step()
                return "\(statement.type(at: 0)) \(statement.integer(at: 0))"
            } catch {
                return error.message
            }
        }

        func answers(_ values: [[UInt8]]) -> (own: String, ours: String) {
            (
                Self.answer(asOwn, on: own, values), Self.answer(asOurs, on: ours, values)
            )
        }
    }

    private static let letters: [[UInt8]] = [
        [0x61], [0x61], [0x62], [0x42], [0x41], [0x5B], [0x5D], [0x2D], [0x5E], [0xC3, 0xA4],
        [0xC3, 0x84], [0xE2, 0x82, 0xAC], [0xF0, 0x9F, 0x98, 0x80], [0x7F], [0xC2, 0x80],
    ]
    private static let broken: [[UInt8]] = [
        [0xC3], [0x80], [0xA4], [0xFF], [0xE2, 0x82], [0], [0xC0, 0x80], [0xED, 0xA0, 0x80],
        [0xFE, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xEF, 0xBF, 0xBF],
    ]
    private static let signs: [[UInt8]] = [
        [0x25], [0x25], [0x5F], [0x2A], [0x2A], [0x3F], [0x5B], [0x5D], [0x5B, 0x5E], [0x2D],
        [0x5B, 0x61, 0x2D, 0xC3, 0xA4, 0x5D], [0x5B, 0x61, 0x62, 0x5D], [0x21],
    ]

    private static func bytes(
        _ random: inout SplitMix64, upTo count: UInt64, of alphabets: [[UInt8]]...
    ) -> [UInt8] {
        (0..<random.next() % count).flatMap { _ -> [UInt8] in
            let alphabet = alphabets[random.index(alphabets.count)]
            return alphabet[random.index(alphabet.count)]
        }
    }

    @Test(arguments: [
        ("CAST(?2 AS TEXT) LIKE CAST(?1 AS TEXT)", false),
        ("CAST(?2 AS TEXT) LIKE CAST(?1 AS TEXT) ESCAPE CAST(?3 AS TEXT)", false),
        ("CAST(?2 AS TEXT) GLOB CAST(?1 AS TEXT)", false),
        ("CAST(?2 AS TEXT) LIKE CAST(?1 AS TEXT)", true),
        ("CAST(?2 AS TEXT) LIKE CAST(?1 AS TEXT) ESCAPE CAST(?3 AS TEXT)", true),
        ("?2 LIKE ?1", false), ("?2 GLOB ?1", false),
    ])
    func `LIKE and GLOB of random texts are SQLite's`(expression: String, isSensitive: Bool) throws
    {
        let pair = try Pair(expression, isSensitive: isSensitive)
        var random = SplitMix64(seed: 11)
        let usesEscape = expression.contains("?3")
        var matches = 0
        for _ in 0..<30_000 {
            let pattern =
                Self.bytes(&random, upTo: 9, of: Self.letters, Self.signs)
                + (random.next() % 8 == 0 ? Self.bytes(&random, upTo: 3, of: Self.broken) : [])
            let text =
                random.next() % 4 == 0
                ? Self.bytes(&random, upTo: 12, of: Self.letters, Self.broken)
                : Self.bytes(&random, upTo: 12, of: Self.letters)
            let escape = [Self.signs, Self.letters, Self.broken][random.index(3)].first ?? []
            let values = usesEscape ? [pattern, text, escape] : [pattern, text]
            let (own, ours) = pair.answers(values)
            if own.hasSuffix(" 1") { matches += 1 }
            guard own != ours else { continue }
            Issue.record("\(values): \(ours) in place of \(own)")
            return
        }
        #expect(matches > 500 || expression.hasPrefix("?2"), "\(matches)")
    }

    /// Long enough that all places are followed at once.
    @Test(arguments: [
        "CAST(?2 AS TEXT) LIKE CAST(?1 AS TEXT)", "CAST(?2 AS TEXT) GLOB CAST(?1 AS TEXT)",
    ])
    func `LIKE and GLOB of long texts that are like their patterns are SQLite's`(
        expression: String
    ) throws {
        let isGlob = expression.contains("GLOB")
        let pair = try Pair(expression)
        var random = SplitMix64(seed: 13)
        let rare: [[UInt8]] = [[0x62], [0xC3, 0xA4], [0xE2, 0x82, 0xAC], [0x41], [0x80]]
        func letter(oneIn count: UInt64) -> [UInt8] {
            random.next() % count == 0 ? rare[random.index(rare.count)] : [0x61]
        }
        func segment() -> [UInt8] {
            (0..<random.next() % 150).flatMap { _ -> [UInt8] in
                switch random.next() % 12 {
                case 0: isGlob ? [0x3F] : [0x5F]
                case 1 where isGlob: Array("[^b]".utf8)
                case 2 where isGlob: Array("[a-€]".utf8)
                default: letter(oneIn: 60)
                }
            }
        }
        var matches = 0
        for _ in 0..<1_500 {
            let text = (0..<2_000).flatMap { _ in letter(oneIn: 25) }
            let wild: UInt8 = isGlob ? 0x2A : 0x25
            var pattern: [UInt8] = []
            for _ in 0..<1 + random.next() % 4 { pattern += [wild] + segment() }
            if random.next() % 2 == 0 { pattern.append(wild) }
            let (own, ours) = pair.answers([pattern, text])
            if own.hasSuffix(" 1") { matches += 1 }
            guard own != ours else { continue }
            Issue.record("\(pattern), \(text): \(ours) in place of \(own)")
            return
        }
        #expect((100..<1_400).contains(matches), "\(matches)")
    }

    private static let worst = String(repeating: "a", count: 500)

    @Test(arguments: [
        ("LIKE", "%\(worst)b%"), ("LIKE", "%\(worst)b"),
        ("LIKE", String(repeating: "%a", count: 250) + "b"),
        ("LIKE", "%a" + String(repeating: "_", count: 499) + "b%"),
        ("GLOB", "*[" + String(repeating: "a-b", count: 160) + "]" + "*b"),
        ("GLOB", "*" + String(repeating: "[^b]", count: 120) + "b*"),
        ("GLOB", "*" + String(repeating: "[ä-€]", count: 60) + "b*"),
    ])
    func `LIKE and GLOB take time that grows with the text, whatever the pattern`(
        verb: String, pattern: String
    ) throws {
        let database = try Database()
        let sql = "SELECT length(a), a \(verb) '\(pattern)' FROM big"
        try database.execute(
            "CREATE TABLE big(a)",
            "INSERT INTO big VALUES(replace(hex(zeroblob(2000000)), '0', 'a'))",
            "INSERT INTO big VALUES(replace(hex(zeroblob(250000)), '0', 'ää€'))")
        // SQLite's own takes tens of seconds for the first.
        let start = ThreadTime.now
        #expect(try database.request(sql).count == 1)
        #expect(try database.reader().rows(sql).count == 2)
        #expect(ThreadTime.now - start < .seconds(60))
    }

    /// Where the text is short that is most of the work.
    @Test func `What LIKE takes to prepare a long segment counts as work`() throws {
        let database = try Database()
        let before = database.applier.session.budget.charged
        let values: [Value] = [
            .text(String(repeating: "a", count: 500)),
            .text("%" + String(repeating: "a", count: 400) + "b%"),
        ]
        let result = try database.apply(
            Command(
                kind: .request, statements: [Statement("SELECT ?1 LIKE ?2", positional: values)]))
        guard case .rows(let rows)? = result.statements.first?.outcome else {
            Issue.record("\(result)")
            return
        }
        #expect(try rows.lines() == ["0"])
        #expect(database.applier.session.budget.charged - before > 3000)
    }

    @Test func `What LIKE takes counts as work of the request`() throws {
        var limits = WriteLimits.initial
        limits.steps = 10_000_000
        let database = try Database(writes: limits)
        try database.execute(
            "CREATE TABLE t(a)", "CREATE TABLE big(a)",
            "INSERT INTO big VALUES(replace(hex(zeroblob(1000000)), '0', 'a'))")
        for (verb, wild) in [("LIKE", "%"), ("GLOB", "*")] {
            let start = ThreadTime.now
            let outcomes = try database.execute(
                """
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000)
                INSERT INTO t SELECT count(*) FROM n CROSS JOIN big
                WHERE a \(verb) '\(wild)\(Self.worst)b' || i
                """)
            #expect("\(outcomes)".contains("needs more than 10000000 steps"), "\(outcomes)")
            #expect(ThreadTime.now - start < .seconds(60))
        }
        #expect(
            try database.execute("INSERT INTO t VALUES(1)")
                == [.changed(lastInsertID: 1, rowsAffected: 1)])
    }
}
