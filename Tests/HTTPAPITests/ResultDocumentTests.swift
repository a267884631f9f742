import Chance
import Foundation
import Service
import Testing
import Wire

@testable import HTTPAPI

func rows(
    _ columns: [String], _ types: [String], _ values: [[Value]] = []
) -> StatementOutcome {
    var writer = ByteWriter()
    for value in values.joined() { value.encode(into: &writer) }
    return .rows(
        RowSet(columns: columns, types: types, rowCount: values.count, cells: writer.bytes))
}

func render(
    _ result: CommandResult, elapsed: Duration = .zero,
    _ change: (inout ResultFormat) -> Void = { _ in }
) throws -> String {
    var format = ResultFormat()
    change(&format)
    let bytes = try ResultDocument.render(result, format, elapsed: elapsed, continuing: [])
    return String(decoding: bytes, as: UTF8.self)
}

/// One result, without the envelope around it.
func entry(
    _ outcome: StatementOutcome, isRead: Bool = true,
    _ change: (inout ResultFormat) -> Void = { _ in }
) throws -> String {
    let text = try render(CommandResult([StatementResult(outcome, isRead: isRead)]), change)
    return String(text.dropFirst(#"{"results":["#.count).dropLast("]}".count))
}

/// The values of one column of one row.
func cell(_ value: Value, _ type: String, blobArray: Bool = false) throws -> String {
    let text = try entry(rows(["c"], ["t"], [[value]])) { $0.blobArray = blobArray }
    let typed = try entry(rows(["c"], [type], [[value]])) { $0.blobArray = blobArray }
    #expect(text.hasPrefix(#"{"columns":["c"]"#))
    guard let start = typed.range(of: #""values":[["#) else { return typed }
    return String(typed[start.upperBound...].dropLast(3))
}

/// Results as rqlite writes them.
@Suite struct ResultDocumentTests {
    @Test func `The forms of results`() throws {
        let person: [[Value]] = [[.integer(1), .text("fiona")]]
        let table: [(StatementOutcome, Bool, String, String)] = [
            (
                .changed(lastInsertID: 1, rowsAffected: 1), false,
                #"{"last_insert_id":1,"rows_affected":1}"#,
                #"{"last_insert_id":1,"rows_affected":1,"rows":null}"#
            ),
            (.changed(lastInsertID: 0, rowsAffected: 0), false, "{}", #"{"rows":null}"#),
            (
                .changed(lastInsertID: 0, rowsAffected: 2), false, #"{"rows_affected":2}"#,
                #"{"rows_affected":2,"rows":null}"#
            ),
            (
                rows(["id", "name"], ["integer", "text"], person), true,
                #"{"columns":["id","name"],"types":["integer","text"],"values":[[1,"fiona"]]}"#,
                #"{"types":{"id":"integer","name":"text"},"rows":[{"id":1,"name":"fiona"}]}"#
            ),
            (
                rows(["id", "name"], ["integer", "text"]), true,
                #"{"columns":["id","name"],"types":["integer","text"]}"#,
                #"{"types":{"id":"integer","name":"text"},"rows":[]}"#
            ),
            (.empty, true, "{}", #"{"rows":[]}"#),
            (.empty, false, "{}", #"{"rows":null}"#),
            (
                .failed("no such table: foo"), false, #"{"error":"no such table: foo"}"#,
                #"{"error":"no such table: foo"}"#
            ),
            (
                .failed("no such table: foo"), true, #"{"error":"no such table: foo"}"#,
                #"{"rows":[],"error":"no such table: foo"}"#
            ),
        ]
        for (outcome, isRead, normal, associative) in table {
            #expect(try entry(outcome, isRead: isRead) == normal)
            #expect(try entry(outcome, isRead: isRead) { $0.associative = true } == associative)
        }
    }

    @Test func `The envelope`() throws {
        let timed = CommandResult(
            [
                StatementResult(
                    .changed(lastInsertID: 1, rowsAffected: 1), nanoseconds: 115_000),
                StatementResult(.failed("x"), nanoseconds: 5),
            ], logIndex: 12)
        let text = try render(timed, elapsed: .microseconds(2100)) {
            $0.timings = true
            $0.raftIndex = true
        }
        #expect(
            text == #"{"results":[{"last_insert_id":1,"rows_affected":1,"time":0.000115},"#
                + #"{"error":"x"}],"time":0.0021,"raft_index":12}"#)
        #expect(
            try render(CommandResult([], error: "stale read"))
                == #"{"results":[],"error":"stale read"}"#)
        #expect(try render(CommandResult([])) { $0.raftIndex = true } == #"{"results":[]}"#)
    }

    @Test func `Pretty is indented by four blanks, empty containers stay on their line`() throws {
        let result = CommandResult([
            StatementResult(rows(["id"], ["integer"], [[.integer(1)], [.null]])),
            StatementResult(.empty),
        ])
        #expect(
            try render(result) { $0.pretty = true } == """
                {
                    "results": [
                        {
                            "columns": [
                                "id"
                            ],
                            "types": [
                                "integer"
                            ],
                            "values": [
                                [
                                    1
                                ],
                                [
                                    null
                                ]
                            ]
                        },
                        {}
                    ]
                }
                """)
        #expect(
            try render(CommandResult([])) { $0.pretty = true } == "{\n    \"results\": []\n}")
    }

    @Test func `Rows as objects are sorted by name, and the last of a name is shown`() throws {
        let outcome = rows(
            ["id", "b", "id", "B", "a<"], ["integer", "text", "real", "", "blob"],
            [[.integer(1), .text("x"), .real(2.5), .null, .blob([1])]])
        #expect(
            try entry(outcome) { $0.associative = true }
                == #"{"types":{"B":"","a\u003c":"blob","b":"text","id":"real"},"#
                + #""rows":[{"B":null,"a\u003c":"AQ==","b":"x","id":2.5}]}"#)
        #expect(
            try entry(outcome)
                == #"{"columns":["id","b","id","B","a\u003c"],"#
                + #""types":["integer","text","real","","blob"],"values":[[1,"x",2.5,null,"AQ=="]]}"#
        )
    }

    @Test(arguments: [
        (Value.null, "integer", "null"), (.null, "boolean", "null"),
        (.integer(.max), "integer", "9223372036854775807"),
        (.integer(.min), "", "-9223372036854775808"), (.integer(-7), "int", "-7"),
        (.integer(1), "boolean", "true"), (.integer(2), "boolean", "true"),
        (.integer(0), "boolean", "false"), (.integer(-1), "boolean", "false"),
        (.integer(1), "bool", "1"), (.text("true"), "boolean", #""true""#),
        (.real(1.5), "boolean", "1.5"), (.real(678), "real", "678"), (.real(-0.0), "real", "-0"),
        (.real(8.55), "", "8.55"), (.real(1e-6), "", "0.000001"), (.real(1e-7), "", "1e-7"),
        (.real(1e20), "", "100000000000000000000"), (.real(1e21), "", "1e+21"),
        (.real(.leastNonzeroMagnitude), "", "5e-324"), (.real(.infinity), "", "null"),
        (.real(-.infinity), "", "null"),
        (.text("a\"\\\n\u{1}<>&\u{2028}é"), "text", #""a\"\\\n\u0001\u003c\u003e\u0026\u2028é""#),
        (.text(#"{"mittens": "foobar"}"#), "json", #""{\"mittens\": \"foobar\"}""#),
        (.text("hello"), "blob", #""hello""#), (.blob(Array("test".utf8)), "blob", #""dGVzdA==""#),
        (.blob([0xDE, 0xAD, 0xBE, 0xEF]), "bytea", #""3q2+7w==""#), (.blob([]), "blob", #""""#),
        (.blob([1, 2]), "character(20)", #""AQI=""#), (.blob([1, 2, 3]), "integer", #""AQID""#),
        (.blob(Array("SQLite".utf8)), "text", #""SQLite""#),
        (.blob(Array("é".utf8)), "varchar(36)", #""é""#),
        (.blob(Array("x".utf8)), "", #""x""#), (.blob(Array("x".utf8)), "clob", #""x""#),
        (.blob([0xFF]), "text", #""/w==""#), (.blob([0xED, 0xA0, 0x80]), "", #""7aCA""#),
        (.blob(Array("x".utf8)), "date", #""eA==""#),
    ])
    func `Values by type`(value: Value, type: String, json: String) throws {
        #expect(try cell(value, type) == json)
    }

    @Test func `Blobs as arrays of numbers`() throws {
        #expect(
            try cell(.blob([222, 173, 190, 239]), "blob", blobArray: true) == "[222,173,190,239]")
        #expect(try cell(.blob([]), "blob", blobArray: true) == "[]")
        #expect(try cell(.blob([0xFF]), "text", blobArray: true) == "[255]")
        #expect(try cell(.blob([0x41]), "text", blobArray: true) == #""A""#)
    }

    @Test(arguments: [
        ("2024-01-02", "2024-01-02T00:00:00Z"), ("2004-02-14 07:15:00", "2004-02-14T07:15:00Z"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2021-10-22 19:39:32.016087", "2021-10-22T19:39:32.016087Z"),
        ("2024-01-02 03:04:05.678901234999", "2024-01-02T03:04:05.678901234Z"),
        ("2024-01-02 03:04:05,5000", "2024-01-02T03:04:05.5Z"),
        ("2024-01-02 03:04:05.000", "2024-01-02T03:04:05Z"),
        ("2024-01-02 03:04:05+02:00", "2024-01-02T03:04:05+02:00"),
        ("2024-01-02T03:04:05.5-11:30", "2024-01-02T03:04:05.5-11:30"),
        ("2024-01-02 03:04:05+00:00", "2024-01-02T03:04:05Z"),
        ("2024-01-02 03:04", "2024-01-02T03:04:00Z"), ("2024-01-02T03:04", "2024-01-02T03:04:00Z"),
        ("2024-01-02 3:04:05", "2024-01-02T03:04:05Z"), ("2024-02-29", "2024-02-29T00:00:00Z"),
        ("0000-01-01", "0000-01-01T00:00:00Z"), ("2000-02-29", "2000-02-29T00:00:00Z"),
    ])
    func `Texts of dates become RFC 3339`(stored: String, shown: String) throws {
        for type in ["date", "datetime", "timestamp"] {
            #expect(try cell(.text(stored), type) == "\"\(shown)\"")
        }
        #expect(try cell(.text(stored), "timestamptz") == "\"\(stored)\"")
    }

    @Test(arguments: [
        "03:04:05", "", "garbage", "2024-13-45", "2023-02-29", "1900-02-29", "2024-02-30",
        "2024-1-2", "2024-01-02 24:00:00", "2024-01-02 03:60", "2024-01-02 03:04:60",
        "2024-01-02 ", "2024-01-02 03:04:05 ", "2024-01-02 03:04:05 UTC",
        "2024-01-02 03:04:05+0200", "2024-01-02 03:04+02:00", "12024-01-02", "2024-01-02 03:04:05.",
        "2024-01-02 03:04:05ZZ", "2024-01-02 03:04:05+24:00", "2024-00-01", "2024-01-00", "Z",
    ])
    func `A text that is no date is shown as it is stored`(stored: String) throws {
        #expect(try cell(.text(stored), "datetime") == "\"\(stored)\"")
    }

    @Test(
        arguments: [
            (0, #""1970-01-01T00:00:00Z""#), (1_634_931_572, #""2021-10-22T19:39:32Z""#),
            (-1, #""1969-12-31T23:59:59Z""#), (1_634_931_572_016, #""2021-10-22T19:39:32.016Z""#),
            (-62_167_219_200, #""0000-01-01T00:00:00Z""#), (-62_167_219_201, "-62167219201"),
            (253_402_300_799, #""9999-12-31T23:59:59Z""#), (253_402_300_800, "253402300800"),
            (1_000_000_000_000, "1000000000000"),
            (1_000_000_000_001, #""2001-09-09T01:46:40.001Z""#),
            (951_782_400, #""2000-02-29T00:00:00Z""#), (.max, "9223372036854775807"),
            (.min, "-9223372036854775808"),
        ] as [(Int64, String)])
    func `Numbers in date columns are Unix times`(stored: Int64, json: String) throws {
        #expect(try cell(.integer(stored), "timestamp") == json)
        #expect(try cell(.real(2460311.5), "date") == "2460311.5")
    }

    @Test func `A text that is not UTF-8 is repaired byte by byte`() throws {
        let cells: [UInt8] = [3, 4, 0, 0, 0, 0x61, 0xC3, 0x28, 0xFF]
        let set = RowSet(columns: ["c"], types: ["text"], rowCount: 1, cells: cells)
        #expect(
            try entry(.rows(set))
                == "{\"columns\":[\"c\"],\"types\":[\"text\"],\"values\":[[\"a\u{FFFD}(\u{FFFD}\"]]}"
        )
    }

    @Test(
        arguments: [
            [], [9], [1, 0], [3, 5, 0, 0, 0, 0x61], [4, 0xFF, 0xFF, 0xFF, 0xFF], [0, 0],
        ] as [[UInt8]])
    func `Damaged rows are an error, not a crash`(cells: [UInt8]) throws {
        let set = RowSet(columns: ["c"], types: ["text"], rowCount: 1, cells: cells)
        let client = try Client(answering: .results(CommandResult([StatementResult(.rows(set))])))
        for target in ["/db/query?q=x", "/db/query?q=x&associative"] {
            let answer = try client.get(target)
            #expect(answer.status == 500)
            #expect(answer.body.hasPrefix("the rows of the result are damaged: "))
        }
    }

    /// Random rows, read back by a parser that is not ours.
    @Test(arguments: 0..<20)
    func `What is written is read back`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let width = Int.random(in: 1...6, using: &random)
        let height = Int.random(in: 0...20, using: &random)
        let names = (0..<width).map {
            "c\($0)\(["", "\"", "<é", "\u{2028}\n"].randomElement(using: &random) ?? "")"
        }
        let values = (0..<height).map { _ in
            (0..<width).map { _ in Self.randomValue(&random) }
        }
        let outcome = rows(names, names.map { _ in "blob" }, values)
        for pretty in [false, true] {
            let result = CommandResult([StatementResult(outcome)])
            let normal = try Self.parsedEntry(render(result) { $0.pretty = pretty })
            #expect(normal["columns"] as? [String] == names)
            let arrays = normal["values"] as? [[Any]] ?? []
            let associative = try Self.parsedEntry(
                render(result) {
                    $0.pretty = pretty
                    $0.associative = true
                })
            let objects = associative["rows"] as? [[String: Any]] ?? []
            #expect(arrays.count == height && objects.count == height)
            for (row, value) in values.enumerated() {
                for column in 0..<width {
                    #expect(Self.equals(arrays[row][column], value[column]))
                    #expect(Self.equals(objects[row][names[column]], value[column]))
                }
            }
        }
    }

    @Test(arguments: 0..<200)
    func `A number is written with all the digits that tell it from others`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let real = Double(bitPattern: random.next())
        let text = try cell(.real(real), "real")
        #expect(real.isFinite ? Double(text) == real : text == "null")
    }

    private static func parsedEntry(_ text: String) throws -> [String: Any] {
        let document = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        return try #require((document?["results"] as? [[String: Any]])?.first)
    }

    private static func randomValue(_ random: inout SplitMix64) -> Value {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: return .null
        case 1:
            return .integer(
                Int64.random(in: .min ... .max, using: &random)
                    >> Int64.random(in: 0..<63, using: &random))
        case 2:
            let real = Double(bitPattern: random.next())
            return .real(real.isFinite ? real : 0.1)
        case 3:
            let scalars = (0..<Int.random(in: 0..<40, using: &random)).compactMap { _ in
                Unicode.Scalar(
                    UInt32.random(
                        in: 0..<(Bool.random(using: &random) ? 0x80 : 0x11_0000), using: &random))
            }
            return .text(String(String.UnicodeScalarView(scalars)))
        default:
            return .blob(
                (0..<Int.random(in: 0..<20, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                })
        }
    }

    private static func equals(_ any: Any?, _ value: Value) -> Bool {
        switch value {
        case .null: any is NSNull
        case .integer(let integer): (any as? NSNumber)?.int64Value == integer
        case .real(let real):
            // Foundation reads numbers as decimals, which may cost the last digit of a double.
            (any as? NSNumber).map { abs($0.doubleValue - real) <= abs(real) * 1e-14 } ?? false
        case .text(let text): (any as? String).map { $0.utf8.elementsEqual(text.utf8) } ?? false
        case .blob(let bytes): (any as? String) == Data(bytes).base64EncodedString()
        }
    }
}

extension SplitMix64: RandomNumberGenerator {}
