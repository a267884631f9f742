import JSON
import NIOCore
import NIOEmbedded
import Service
import Testing
import Wire

@testable import HTTPAPI

/// `/db/import`: bodies become batches of rows, and each batch has its fate.
@Suite struct ImportTests {
    private func client(
        _ answer: @escaping @Sendable (ClientRequest) -> Outcome? = { request in
            guard case .loadDump(let command) = request.operation else { return nil }
            let done = StatementResult(.changed(lastInsertID: 1, rowsAffected: 1))
            var result = CommandResult(command.statements.map { _ in done })
            result.logIndex = 7
            return .results(result)
        }
    ) throws -> Client {
        try Client(FakeNode(answer), loads: LoadsDouble { _ in .unfit("not asked") })
    }

    private func commands(_ client: Client) -> [Command] {
        client.node.requests.compactMap {
            if case .loadDump(let command) = $0.operation { command } else { nil }
        }
    }

    private func all(_ rows: any ImportRows) throws -> [ImportRow] {
        var found: [ImportRow] = []
        while let row = try rows.next() { found.append(row) }
        return found
    }

    @Test(arguments: [1, 2, 3, 7, .max])
    func `CSV is read by its standard, whatever pieces it comes in`(piece: Int) throws {
        let text = """
            \u{FEFF}id,name,"note, ""long""\"
            1,plain,
            2,"a ""q"" b","two
            lines, and a comma"\r

            3,"",x"y\r
            """
        let rows = try all(CSVRows(MemoryFile(Array(text.utf8), piece: piece), columns: nil))
        let columns = ["id", "name", #"note, "long""#]
        #expect(
            rows == [
                ImportRow(
                    line: 2, columns: columns, values: [.text("1"), .text("plain"), .null]),
                ImportRow(
                    line: 3, columns: columns,
                    values: [.text("2"), .text(#"a "q" b"#), .text("two\nlines, and a comma")]),
                ImportRow(
                    line: 6, columns: columns, values: [.text("3"), .text(""), .text(#"x"y"#)]),
            ])
    }

    @Test(arguments: [1, 2, .max])
    func `What begins as the mark of the order of bytes does, but is none, is a character`(
        piece: Int
    ) throws {
        for mark in ["", "\u{FEFF}"] {
            let file = MemoryFile(Array("\(mark)ｺｰﾄﾞ,Ｎｏ\nａ,2".utf8), piece: piece)
            #expect(
                try all(CSVRows(file, columns: nil)) == [
                    ImportRow(line: 2, columns: ["ｺｰﾄﾞ", "Ｎｏ"], values: [.text("ａ"), .text("2")])
                ])
        }
        let given = CSVRows(MemoryFile(Array("Ａ".utf8), piece: piece), columns: ["c"])
        #expect(
            try all(given) == [ImportRow(line: 1, columns: ["c"], values: [.text("Ａ")])])
        for broken in [[0xEF], [0xEF, 0xBB], [0xEF, 0xBB, 0x2C], [0xEF, 0x0A]] as [[UInt8]] {
            let rows = CSVRows(MemoryFile(broken, piece: piece), columns: nil)
            #expect(throws: ImportFault(line: 1, text: "it is not UTF-8")) { _ = try all(rows) }
        }
    }

    @Test(arguments: [
        ("a,b\n1\n", 2, "it has 1 fields, and there are 2 columns"),
        ("a,b\n1,2\n1,2,3", 3, "it has 3 fields, and there are 2 columns"),
        ("a\n\"x", 2, "a quoted field has no end"),
        ("a,b\n\"x\"y,1\n", 2, "something stands behind a quoted field"),
    ])
    func `What is no CSV is named with its line`(text: String, line: Int, fault: String) throws {
        let rows = CSVRows(MemoryFile(Array(text.utf8)), columns: nil)
        #expect(throws: ImportFault(line: line, text: fault)) { _ = try all(rows) }
    }

    @Test func `Bytes that are not UTF-8 are refused with their line`() throws {
        let csv = CSVRows(MemoryFile(Array("a\nx\n".utf8) + [0xFF, 10]), columns: nil)
        #expect(throws: ImportFault(line: 3, text: "it is not UTF-8")) { _ = try all(csv) }
    }

    @Test(arguments: [
        ("a,b\n", ",", 2), ("a,b\n1,2\n", "\"\",", 3), ("a,b\n\"", "\"\"", 2), ("", ",", 1),
    ])
    func `A record is bounded, also one in whose fields nothing stands`(
        start: String, piece: String, line: Int
    ) throws {
        let text = start + String(repeating: piece, count: 101)
        let rows = CSVRows(MemoryFile(Array(text.utf8)), columns: nil, recordBytes: 100)
        #expect(throws: ImportFault(line: line, text: "it has more than 100 bytes")) {
            _ = try all(rows)
        }
    }

    @Test(arguments: [("a,b,a", "a"), ("a,b,A", "A"), ("é,É,É", "É")])
    func `Of two columns with one name SQLite would drop one: they are refused`(
        header: String, name: String
    ) throws {
        let rows = CSVRows(MemoryFile(Array("\(header)\n1,2,3\n".utf8)), columns: nil)
        let run = ImportRun(rows, into: "t", batchRows: 10, conflict: .abort)
        let text = "it has two columns \"\(name)\": letter case makes no difference"
        #expect(throws: ImportFault(line: 2, text: text)) { _ = try run.makeBatch() }
    }

    @Test func `Members of an object are columns, whose letter case makes no difference`() throws {
        let lines = "{\"a\":1,\"b\":2}\n{\"a\":1,\"A\":2}\n"
        let run = ImportRun(
            LineRows(MemoryFile(Array(lines.utf8))), into: "t", batchRows: 1, conflict: .abort)
        #expect(try run.makeBatch())
        #expect(throws: ImportFault.self) { _ = try run.makeBatch() }
    }

    @Test func `The first line names as many columns as a table may have`() throws {
        let names = (1...2000).map { "c\($0)" }.joined(separator: ",")
        let rows = CSVRows(MemoryFile(Array((names + "\n" + names).utf8)), columns: nil)
        #expect(try all(rows).map(\.values.count) == [2000])
        let fault = "it has 2001 fields, and a table has 2000 columns at most"
        #expect(throws: ImportFault(line: 1, text: fault)) {
            _ = try all(CSVRows(MemoryFile(Array((names + ",x\n").utf8)), columns: nil))
        }
    }

    @Test func `A batch is full by its statements, too`() throws {
        let name = String(repeating: "n", count: 600 << 10)
        let file = MemoryFile(Array("\(name)\n1\n2\n3\n".utf8))
        let run = ImportRun(
            CSVRows(file, columns: nil), into: "t", batchRows: 10, conflict: .abort)
        var lines: [[Int]] = []
        while try run.makeBatch() { lines.append(run.batch?.lines ?? []) }
        #expect(lines == [[2, 3], [4]])
    }

    @Test func `JSON lines give values of each kind, and what is none is named`() throws {
        let text = #"{"a":1,"b":"x","c":null}"# + "\n \n" + #"{"a":0.5,"d":[1,{"e":2}],"f":true}"#
        let rows = try all(LineRows(MemoryFile(Array(text.utf8), piece: 3)))
        #expect(
            rows == [
                ImportRow(
                    line: 1, columns: ["a", "b", "c"], values: [.integer(1), .text("x"), .null]),
                ImportRow(
                    line: 3, columns: ["a", "d", "f"],
                    values: [.real(0.5), .text(#"[1,{"e":2}]"#), .integer(1)]),
            ])
        for bad in [
            "[1]", "{", #"{"a":1,"a":2}"#, #"{"a":99999999999999999999}"#, #"{"a":1e999}"#,
            #"{"a":1} {}"#, #"{"a":[1}"#, #"{"a":{"b":[1,]}}"#, #"{"a":[1]"#, "1",
        ] {
            let rows = LineRows(MemoryFile(Array("{}\n\(bad)\n".utf8)))
            do {
                _ = try all(rows)
                Issue.record("taken: \(bad)")
            } catch let fault as ImportFault {
                #expect(fault.line == 2, "\(bad): \(fault)")
            }
        }
    }

    @Test(arguments: [
        ("[]", "[]"), ("{}", "{}"), ("[[],{},[{}]]", "[[],{},[{}]]"),
        (
            #"[ 1 , -2.50e+3 , "a\u0062\"" , null , true , false ]"#,
            #"[1,-2.50e+3,"ab\"",null,true,false]"#
        ),
        (
            #"{ "a" : { "b" : [ 1 , { "c" : null } ] , "a" : 2 } , "d" : "<" }"#,
            #"{"a":{"b":[1,{"c":null}],"a":2},"d":"\u003c"}"#
        ),
    ])
    func `An array or an object is kept as its text, without white space`(
        value: String, text: String
    ) throws {
        let line = #"{"a":\#(value),"b":2}"#
        #expect(
            try all(LineRows(MemoryFile(Array(line.utf8)))) == [
                ImportRow(line: 1, columns: ["a", "b"], values: [.text(text), .integer(2)])
            ])
        let tree = try JSONValue(parsing: value)
        #expect(tree.text() == text)
    }

    @Test func `A line has as many members as a table may have columns`() throws {
        let members = (1...2000).map { "\"c\($0)\":\($0)" }.joined(separator: ",")
        let rows = try all(LineRows(MemoryFile(Array("{\(members)}".utf8))))
        #expect(rows.map(\.values.count) == [2000])
        let fault = "it has more than 2000 members, which no table has columns for"
        #expect(throws: ImportFault(line: 1, text: fault)) {
            _ = try all(LineRows(MemoryFile(Array("{\(members),\"x\":1}".utf8))))
        }
    }

    @Test func `Names that only look alike are different columns, and a quote is a quote`() throws {
        let (one, two) = ("\u{E9}", "e\u{301}")
        let lines = [
            "{\"\(one)\":1}", "{\"\(two)\":2}", "{\"\(one)\":3,\"\(two)\":4}",
            "{\"a\\\"\u{301}\":5}",
        ]
        let file = MemoryFile(Array(lines.joined(separator: "\n").utf8))
        let run = ImportRun(LineRows(file), into: "t", batchRows: 10, conflict: .abort)
        #expect(try run.makeBatch())
        let texts = run.batch?.command.statements.map { Array($0.sql.utf8) }
        let expected = [
            "INSERT INTO \"t\"(\"\(one)\") VALUES(?)", "INSERT INTO \"t\"(\"\(two)\") VALUES(?)",
            "INSERT INTO \"t\"(\"\(one)\",\"\(two)\") VALUES(?,?)",
            "INSERT INTO \"t\"(\"a\"\"\u{301}\") VALUES(?)",
        ]
        #expect(texts == expected.map { Array($0.utf8) })
    }

    @Test func `Rows go in transactions of so many, one after the other`() throws {
        let client = try client()
        let body = "a,b\n" + (1...5).map { "\($0),x\n" }.joined()
        let answer = try client.post(#"/db/import?table=t"u&format=csv&batch=2"#, body)
        #expect(answer.status == 200)
        #expect(answer.body == #"{"rows":5,"batches":3,"raft_index":7}"#)
        let commands = commands(client)
        #expect(commands.map(\.statements.count) == [2, 2, 1])
        #expect(commands.allSatisfy { $0.transaction && $0.kind == .execute })
        #expect(
            commands[2].statements == [
                Statement(
                    #"INSERT INTO "t""u"("a","b") VALUES(?,?)"#,
                    positional: [.text("5"), .text("x")])
            ])
    }

    @Test func `A table of a file goes in with its names, and conflicts as they are asked for`()
        throws
    {
        let client = try client()
        let answer = try client.post(
            "/db/import?table=t&from=source&format=sqlite&conflict=ignore", "SQLite")
        #expect(answer.status == 200)
        #expect(
            commands(client)[0].statements.map(\.sql) == [
                #"INSERT OR IGNORE INTO "t"("a","b""c") VALUES(?,?)"#,
                #"INSERT OR IGNORE INTO "t"("a","b""c") VALUES(?,?)"#,
            ])
        #expect(try client.post("/db/import?table=t&format=sqlite", "x").status == 400)
    }

    @Test func `A row that fails is named with its line, and with what went in before`() throws {
        let client = try client { request in
            guard case .loadDump(let command) = request.operation else { return nil }
            var results: [StatementResult] = []
            for statement in command.statements {
                if statement.positional == [.text("4")] {
                    results.append(StatementResult(.failed("UNIQUE constraint failed: t.a")))
                    break
                }
                results.append(StatementResult(.changed(lastInsertID: 1, rowsAffected: 1)))
            }
            return .results(CommandResult(results))
        }
        let answer = try client.post(
            "/db/import?table=t&format=csv&batch=2", "a\n1\n2\n3\n4\n5\n6\n")
        #expect(answer.status == 400)
        #expect(
            answer.body
                == #"{"rows":2,"batches":1,"raft_index":0,"#
                + #""error":"UNIQUE constraint failed: t.a","line":5}"#)
        #expect(commands(client).count == 2)
    }

    @Test func `A batch whose fate is unknown ends the import, and says so`() throws {
        let client = try client { _ in .failed(.leadershipLost) }
        let answer = try client.post("/db/import?table=t&format=csv", "a\n1\n")
        #expect(answer.status == 503)
        #expect(answer.body.contains("whether this batch took effect is unknown"))
        #expect(answer.headers["x-rqlited-error"] == "leadership_lost")
        #expect(answer.headers["retry-after"] == nil)
        #expect(commands(client).count == 1)
        let other = try self.client { _ in .failed(.notLeader(leaderURL: "http://n2")) }
        #expect(try other.post("/db/import?table=t&format=csv&redirect", "a\n1\n").status == 301)
    }

    @Test func `A node that has no room for a batch says nothing of those before it`() throws {
        let client = try client { request in
            guard case .loadDump(let command) = request.operation else { return nil }
            guard command.statements.first?.positional == [.text("1")] else {
                return .failed(.busy)
            }
            let done = StatementResult(.changed(lastInsertID: 1, rowsAffected: 1))
            return .results(CommandResult(command.statements.map { _ in done }, logIndex: 7))
        }
        let answer = try client.post("/db/import?table=t&format=csv&batch=2", "a\n1\n2\n3\n")
        #expect(answer.status == 503)
        #expect(answer.headers["x-rqlited-error"] == "busy")
        #expect(answer.body.contains("this batch was not carried out"))
        #expect(!answer.body.contains("nothing was done"))
        #expect(answer.body.hasPrefix(#"{"rows":2,"batches":1,"raft_index":7,"#))
    }

    @Test func `What the node has no file for is no fault of the body`() throws {
        let loads = LoadsDouble(fault: { _ in .unable("no file") }, { _ in .busy })
        let client = try Client(FakeNode { _ in nil }, loads: loads)
        let answer = try client.post("/db/import?table=t&format=csv", "a\n1\n")
        #expect(answer.status == 503)
        #expect(answer.body == "no file\n")
        #expect(answer.headers["retry-after"] == "1")
        #expect(client.node.requests.isEmpty)
    }

    private final class LostFile: KeptFile {
        func read(at offset: Int, _ count: Int) -> [UInt8]? { nil }
        func table(_ name: String) throws(KeptFileFault) -> any KeptTable { LostTable() }
    }

    private final class LostTable: KeptTable {
        let columns = ["a"]
        func next() throws(KeptFileFault) -> [Value]? {
            throw KeptFileFault(text: "disk I/O error", isOfNode: true)
        }
    }

    @Test func `A body that the node can't read any more is no fault of its rows`() throws {
        let bodies: [any ImportRows] = [
            CSVRows(LostFile(), columns: nil), LineRows(LostFile()),
            TableRows(try LostFile().table("t")),
        ]
        for rows in bodies {
            let fault = #expect(throws: ImportFault.self) { _ = try rows.next() }
            #expect(fault?.isOfNode == true)
        }
    }

    @Test func `A client that wants lines hears of each batch`() throws {
        let client = try client()
        let body = #"{"a":1}"# + "\n" + #"{"a":2}"# + "\n" + #"{"a":3}"# + "\n"
        try client.send(
            "POST /db/import?table=t&format=ndjson&batch=2 HTTP/1.1\r\nHost: x\r\n"
                + "Accept: application/x-ndjson\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        let lines = try client.output().split(whereSeparator: \.isNewline)
            .filter { $0.hasPrefix("{") }
        #expect(
            lines == [
                #"{"batch":{"from":1,"to":2,"rows":2,"raft_index":7}}"#,
                #"{"batch":{"from":3,"to":3,"rows":1,"raft_index":7}}"#,
                #"{"end":true,"rows":3,"batches":2,"raft_index":7}"#,
            ])
    }

    @Test(arguments: [
        "format=csv", "table=&format=csv", "table=t", "table=t&format=xml",
        "table=t&format=csv&batch=0", "table=t&format=csv&batch=10001",
        "table=t&format=csv&conflict=maybe",
    ])
    func `What is asked for in a wrong way is refused`(query: String) throws {
        let client = try client()
        #expect(try client.post("/db/import?" + query, "a\n1\n").status == 400)
        #expect(client.node.requests.isEmpty)
    }

    @Test(arguments: [false, true])
    func `The file of an import is removed elsewhere than on the event loop`(hangsUp: Bool) throws {
        let bench = UploadTests.Bench()
        let loads = LoadsDouble { _ in .unfit("not asked") }
        let node = FakeNode { _ in nil }
        let client = try Client(node, loads: loads, workshop: bench.workshop)
        try client.send(
            "POST /db/import?table=t&format=csv HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na\n1\n"
        )
        let loop = client.channel.embeddedEventLoop
        repeat { loop.run() } while node.requests.isEmpty && bench.doNext()
        let id = try #require(node.requests.last?.id)
        if hangsUp {
            try client.channel.close().wait()
            loop.run()
            while bench.doNext() { loop.run() }
        }
        let done = StatementResult(.changed(lastInsertID: 1, rowsAffected: 1))
        node.deliver([Reply(id: id, outcome: .results(CommandResult([done])))])
        loop.run()
        var output = ""
        // The last batch, of which there is none, is looked for elsewhere, too.
        while !hangsUp, output.isEmpty, bench.doNext() {
            loop.run()
            output = try client.output()
        }
        #expect(output.isEmpty == hangsUp)
        #expect(loads.removed == 0)
        while bench.doNext() { loop.run() }
        #expect(loads.removed == 1)
    }

    @Test func `An empty body imports nothing`() throws {
        let client = try client()
        #expect(try client.post("/db/import?table=t&format=csv", "").status == 400)
        let answer = try client.post("/db/import?table=t&format=csv", "a\n")
        #expect(answer.body == #"{"rows":0,"batches":0,"raft_index":0}"#)
        #expect(client.node.requests.isEmpty)
    }
}
