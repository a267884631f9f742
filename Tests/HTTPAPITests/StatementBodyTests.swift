import NIOCore
import NIOEmbedded
import Scratch
import Service
import Testing
import Wire

@testable import HTTPAPI

/// Bodies that carry statements.
@Suite struct StatementBodyTests {
    private func parse(_ text: String) throws(StatementParser.Fault) -> [Statement] {
        let result: Result<[Statement], StatementParser.Fault> = Array(text.utf8).withUnsafeBytes {
            bytes in
            do throws(StatementParser.Fault) {
                return .success(try StatementParser.parse(bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @Test func `Texts, parameters by place and by name, mixed`() throws {
        let statements = try parse(
            #" ["a", ["b"], ["c", 1, {"n": 2, "m": "x", "n": 3}, null, {}, {"k": true}]] rest"#)
        #expect(
            statements == [
                Statement("a"), Statement("b"),
                Statement(
                    "c", positional: [.integer(1), .null],
                    named: [
                        .init(name: "n", value: .integer(3)), .init(name: "m", value: .text("x")),
                        .init(name: "k", value: .integer(1)),
                    ]),
            ])
    }

    @Test func `Of many named parameters the last of a name counts`() throws {
        let members = (0..<50).map { "\"p\($0)\":\($0)" } + ["\"p3\":100", "\"p40\":101"]
        let statement = try #require(
            try parse("[[\"x\",{\(members.joined(separator: ","))}]]").first)
        #expect(statement.named.count == 50)
        #expect(statement.named[3] == .init(name: "p3", value: .integer(100)))
        #expect(statement.named[40] == .init(name: "p40", value: .integer(101)))
    }

    @Test(arguments: [
        ("3", Value.integer(3)), ("-0", .integer(0)),
        ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
        ("1.0", .real(1)), ("1e3", .real(1000)), ("1e-400", .real(0)), ("-2.5E-1", .real(-0.25)),
        ("true", .integer(1)), ("false", .integer(0)), ("null", .null),
        (#""""#, .text("")), (#""a\u0000b\ud83d\ude00\n""#, .text("a\0b😀\n")),
        (#""x'0aFf'""#, .blob([0x0A, 0xFF])), (#"" X'01' ""#, .blob([1])), (#""x''""#, .blob([])),
        (#""x'0Z'""#, .text("x'0Z'")), (#""x'012'""#, .text("x'012'")), (#""x'01""#, .text("x'01")),
        (#""x'""#, .text("x'")), (#""x""#, .text("x")), (#""xy'01'""#, .text("xy'01'")),
        ("[]", .blob([])), ("[0, 255]", .blob([0, 255])), (#""3q2+7w==""#, .text("3q2+7w==")),
    ])
    func `Values of parameters`(text: String, value: Value) throws {
        #expect(try parse("[[\"x\",\(text)]]").first?.positional == [value])
        #expect(
            try parse("[[\"x\",{\"n\":\(text)}]]").first?.named == [.init(name: "n", value: value)])
    }

    @Test(arguments: [
        ("", "invalid JSON body"), ("   ", "invalid JSON body"), ("SELECT 1", "invalid JSON body"),
        (#"["SELECT 1""#, "invalid JSON body"), (#"["a",]"#, "invalid JSON body"),
        (#"["a" "b"]"#, "invalid JSON body"), (#"[1"#, "invalid JSON body"),
        (#"[["a", [256], }]"#, "invalid JSON body"), (#"["\ud800"]"#, "invalid JSON body"),
        ("{}", "invalid request"), (#""x""#, "invalid request"), ("1", "invalid request"),
        ("null", "invalid request"), ("[]", "no statements"), ("[1]", "invalid request"),
        ("[null]", "invalid request"), ("[true]", "invalid request"),
        (#"[{"a":1}]"#, "invalid request"), ("[[]]", "invalid request"),
        (#"[[1,"x"]]"#, "invalid request"),
        (#"[["a",1e400]]"#, "invalid number 1e400"),
        (
            #"[["a",18446744073709551615]]"#,
            "integer 18446744073709551615 does not fit in 64 bits: write it as a string, or with a "
                + "decimal point for a floating-point number"
        ),
        (#"[["a",[256]]]"#, "unsupported type 256"), (#"[["a",[-4]]]"#, "unsupported type -4"),
        (#"[["a",[1.5]]]"#, "unsupported type 1.5"), (#"[["a",[1.0]]]"#, "unsupported type 1.0"),
        (#"[["a",["s"]]]"#, "unsupported type string"),
        (#"[["a",[true]]]"#, "unsupported type bool"),
        (#"[["a",[null]]]"#, "unsupported type <nil>"),
        (#"[["a",[[]]]]"#, "unsupported type []interface {}"),
        (#"[["a",[{}]]]"#, "unsupported type map[string]interface {}"),
        (#"[["a",{"n":{}}]]"#, "unsupported type map[string]interface {}"),
    ])
    func `A faulty body is refused before anything is executed`(body: String, text: String) throws {
        let client = try Client(answering: .results(.oneInsert))
        for path in ["/db/execute", "/db/query", "/db/request", "/db/sql"] {
            let answer = try client.post(path, body)
            #expect(answer.status == 400)
            #expect(answer.body == text + "\n")
            #expect(answer.headers["content-type"] == "text/plain; charset=utf-8")
        }
        #expect(client.node.requests.isEmpty)
    }

    @Test func `A body without an end of its nesting is no trouble`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let body = String(repeating: "[", count: 10_000)
        #expect(try client.post("/db/execute", body).body == "invalid JSON body\n")
    }

    @Test func `A text body is one statement, but not for requests`() throws {
        let client = try Client(answering: .results(.oneInsert))
        for path in ["/db/execute", "/db/query"] {
            let answer = try client.request(
                "POST", path, headers: ["Content-Type: text/plain; charset=utf-8"], body: "SELECT 1"
            )
            #expect(answer.status == 200)
            #expect(client.node.lastCommand?.statements == [Statement("SELECT 1")])
            let empty = try client.request(
                "POST", path, headers: ["Content-Type: text/plain"], body: "")
            #expect(empty.body == #"{"results":[]}"#)
        }
        let refused = try client.request(
            "POST", "/db/request", headers: ["Content-Type: text/plain"], body: "SELECT 1")
        #expect(refused.body == "invalid JSON body\n")
    }

    @Test func `A text body of other bytes than UTF-8 is refused, and not changed`() throws {
        let client = try Client(answering: .results(.oneInsert))
        for path in ["/db/execute", "/db/execute?queue", "/db/query", "/db/request"] {
            let head =
                "POST \(path) HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
                + "Content-Length: 3\r\n\r\n"
            try client.channel.writeInbound(ByteBuffer(bytes: Array(head.utf8) + [39, 0xE9, 39]))
            client.channel.embeddedEventLoop.run()
            let answer = try #require(Client.answers(in: client.output()).first)
            #expect(answer.status == 400)
            #expect(answer.body.hasPrefix("the SQL is not UTF-8"))
        }
        #expect(client.node.requests.isEmpty)
    }

    @Test func `Empty texts are left out`() throws {
        let client = try Client(answering: .results(.oneInsert))
        _ = try client.post("/db/execute", #"["", "a", [""], " "]"#)
        #expect(client.node.lastCommand?.statements == [Statement("a"), Statement(" ")])
        #expect(try client.post("/db/execute", #"[""]"#).body == #"{"results":[]}"#)
        #expect(client.node.requests.count == 1)
    }

    @Test func `Showing the rewriting shows the text as it is`() throws {
        let client = try Client(answering: .results(.oneInsert))
        let answer = try client.post(
            "/db/sql", #"["INSERT INTO t VALUES(RANDOM())", ["x", 1], ""]"#)
        #expect(
            answer.body == #"{"results":[{"original":"INSERT INTO t VALUES(RANDOM())","#
                + #""rewritten":"INSERT INTO t VALUES(RANDOM())"},"#
                + #"{"original":"x","rewritten":"x"},{"original":""}]}"#)
        #expect(
            try client.get("/db/sql?q=x").body == #"{"results":[{"original":"x","rewritten":"x"}]}"#
        )
        #expect(try client.get("/db/sql").body == "query not specified\n")
        #expect(client.node.requests.isEmpty)
    }
}

/// Bodies that are large or hostile cost time in proportion to their size.
@Suite struct StatementBodyCostTests {
    /// A limit far above what linear work takes, and far below what quadratic work does.
    private func expectLinear(_ text: String, _ what: String) {
        let bytes = Array(text.utf8)
        let start = ThreadTime.now
        bytes.withUnsafeBytes { _ = try? StatementParser.parse($0) }
        let elapsed = ThreadTime.now - start
        #expect(elapsed < .seconds(20), "\(what): \(elapsed) for \(bytes.count) bytes")
    }

    @Test func `However parameters are spread over objects, reading them is linear`() {
        let many = (0..<40_000).map { "{\"a\($0)\":1}" }.joined(separator: ",")
        expectLinear("[[\"S\",\(many)]]", "an object each")
        let one = (0..<100_000).map { "\"a\($0)\":1" }.joined(separator: ",")
        expectLinear("[[\"S\",{\(one)}]]", "one object")
        let same = String(repeating: "{\"a\":1},", count: 100_000)
        expectLinear("[[\"S\",\(same)1]]", "one name")
        let lists = String(repeating: "[\"S\",{\"a\":1,\"b\":2}],", count: 30_000)
        expectLinear("[\(lists)\"S\"]", "many statements")
    }

    @Test func `Long texts, blobs and numbers are read in linear time`() {
        expectLinear("[[\"S\",\"x'\(String(repeating: "0a", count: 500_000))'\"]]", "hex")
        expectLinear("[[\"S\",\"x'\(String(repeating: "0", count: 999_999))'\"]]", "odd hex")
        expectLinear("[[\"S\",[\(String(repeating: "1,", count: 300_000))1]]]", "byte array")
        expectLinear("[[\"S\",\(String(repeating: "1", count: 300_000))]]", "number")
        expectLinear("[\"\(String(repeating: "\\u00e9", count: 200_000))\"]", "escapes")
        expectLinear(String(repeating: "[", count: 1_000_000), "depth")
        expectLinear("[[\"S\",\(String(repeating: "1,", count: 300_000))x", "late fault")
    }

    @Test func `Names are told apart by their bytes`() throws {
        let composed = "{\"\u{e9}\":1}"
        let decomposed = "{\"e\u{301}\":2}"
        let text = Array("[[\"S\",\(composed),\(decomposed)]]".utf8)
        let statements = try text.withUnsafeBytes { try StatementParser.parse($0) }
        #expect(statements[0].named.map(\.value) == [.integer(1), .integer(2)])
    }
}
