import Testing
import Wire

@testable import StateMachine

/// Answers to reads that go out in parts.
@Suite struct StreamedReadTests {
    /// Takes parts, as a test says.
    private final class Stream: ResultStream {
        var parts: [ResultPart] = []
        var beginning = ResultStreamBeginning.began(deadline: nil)
        /// Parts after these are not taken.
        var limit = Int.max
        var waited = Duration.zero
        var onPart: () -> Void = {}

        func begin() -> ResultStreamBeginning { beginning }

        func send(_ part: ResultPart) -> ResultStreamStep {
            guard parts.count < limit || part.isLast else { return .ended }
            parts.append(part)
            onPart()
            return .sent(waited: waited)
        }

        /// Cells, and where rows end, statement by statement.
        func cells() -> [[UInt8]] {
            var all: [[UInt8]] = []
            for piece in parts.flatMap(\.pieces) {
                switch piece {
                case .rowsBegin: all.append([])
                case .cells(let cells): all[all.count - 1] += cells
                case .statement(let result):
                    guard case .rows(let rows) = result.outcome else { continue }
                    all.append(rows.cells)
                case .rowsEnd, .end, .contentBegins, .copyBegins, .content: break
                }
            }
            return all
        }

        var errors: [String] {
            parts.flatMap(\.pieces).compactMap { piece in
                if case .rowsEnd(_, let error?) = piece { return error }
                guard case .statement(let result) = piece, case .failed(let text) = result.outcome
                else { return nil }
                return text
            }
        }
    }

    private static func numbers(_ count: Int, _ columns: String) -> String {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT \(count)) "
            + "SELECT \(columns) FROM n"
    }

    private func query(_ sql: String...) -> Command {
        Command(kind: .query, statements: sql.map { Statement($0) })
    }

    private func gathered(_ reader: Reader, _ command: Command) throws -> [RowSet] {
        guard case .result(let result) = reader.run(command) else { throw HarnessError.noResult }
        return result.statements.compactMap { statement in
            if case .rows(let rows) = statement.outcome { rows } else { nil }
        }
    }

    private let database: Database
    private let reader: Reader
    private let stream = Stream()

    init() throws {
        database = try Database()
        reader = try database.reader()
    }

    @Test func `An answer that is small is whole`() throws {
        let command = query(Self.numbers(1000, "i"), "SELECT 2")
        guard case .result(let result) = reader.run(command, stream: stream) else {
            Issue.record("not whole")
            return
        }
        #expect(result.statements.count == 2)
        #expect(stream.parts.isEmpty)
    }

    @Test func `What goes out in parts is what would have been gathered`() throws {
        let command = query(
            "SELECT 1 AS one", Self.numbers(100_000, "i, 'text ' || i AS t, i * 0.5, NULL AS z"),
            "SELECT absent", Self.numbers(50_000, "NULL AS a, i AS b"), "SELECT 'end'")
        let whole = try gathered(reader, command)
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.cells() == whole.map(\.cells))
        #expect(stream.errors == ["no such column: absent"])
        #expect(stream.parts.allSatisfy { $0.byteCount < 2 * ResultWindow.partBytes })
        #expect(stream.parts.filter(\.isLast).count == 1)
        var headers: [ResultPart.Piece] = []
        for piece in stream.parts.flatMap(\.pieces) {
            if case .rowsBegin = piece { headers.append(piece) }
        }
        let long = [whole[1], whole[2]]
        #expect(
            headers
                == long.map { .rowsBegin(columns: $0.columns, types: $0.types, isRead: true) })
    }

    @Test func `A value longer than any part goes out in pieces, its row's types first`() throws {
        let command = query("SELECT NULL AS n, zeroblob(5000000) AS z, 7 AS i")
        let whole = try gathered(reader, command)
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.cells() == whole.map(\.cells))
        #expect(stream.parts.allSatisfy { $0.byteCount < 2 * ResultWindow.partBytes })
        #expect(
            stream.parts.first?.pieces.first
                == .rowsBegin(
                    columns: ["n", "z", "i"], types: ["", "blob", "integer"], isRead: true))
    }

    @Test func `An error in the middle of rows ends them, and the next statement runs`() throws {
        let command = query(
            Self.numbers(200_000, "CASE WHEN i < 150000 THEN i ELSE abs(-9223372036854775808) END"),
            "SELECT 5")
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.errors == ["integer overflow"])
        // 149,999 integers of nine bytes each, and the 5.
        #expect(stream.cells().map(\.count) == [149_999 * 9, 9])
    }

    @Test func `Rows of a statement that is not the last of its text don't go out`() throws {
        let text = Self.numbers(150_000, "i") + "; SELECT 3"
        let command = query(text)
        #expect(try gathered(reader, command).map(\.cells.count) == [9])
        guard case .result(let result) = reader.run(command, stream: stream),
            case .rows(let rows)? = result.statements.first?.outcome
        else {
            Issue.record("no rows")
            return
        }
        #expect(rows.rowCount == 1)
        #expect(stream.parts.isEmpty)
    }

    @Test func `Many small results are as many bytes as few large ones`() throws {
        let command = Command(
            kind: .request, statements: (0..<40_000).map { _ in Statement("SELECT 1, 'text'") })
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.cells().count == 40_000)
    }

    private func repeated(_ count: Int, _ sql: String) -> Command {
        Command(kind: .query, statements: Array(repeating: Statement(sql), count: count))
    }

    @Test func `Texts of failures are as many bytes as rows`() throws {
        let command = repeated(40, "SELECT json_extract('{}', hex(zeroblob(200000)))")
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.errors.count == 40)
        #expect(
            stream.errors.allSatisfy { $0.utf8.count < 61 * 1024 && $0.hasSuffix(" bytes)") })
        #expect(stream.parts.allSatisfy { $0.byteCount < 2 * ResultWindow.partBytes })
    }

    @Test func `Names of columns are as many bytes as rows`() throws {
        let name = String(repeating: "a", count: 100_000)
        let command = repeated(20, "SELECT 1 AS \(name) WHERE 0")
        #expect(reader.run(command, stream: stream) == .streamed)
        #expect(stream.cells().count == 20)
    }

    @Test func `Where parts aren't taken, failures share the memory of all readers`() throws {
        let budget = GatherBudget(limit: 2 << 20)
        let reader = try Reader(path: database.applier.path, budget: budget)
        let failing = "SELECT json_extract('{}', hex(zeroblob(200000)))"
        #expect(reader.run(repeated(60, failing)) == .busy)
        #expect(budget.inUse == 0)
        #expect(try reader.rows("SELECT 1") == ["1"])
    }

    @Test func `An answer that may not go out in parts is refused before any of it`() throws {
        stream.beginning = .refused
        #expect(reader.run(query(Self.numbers(200_000, "i")), stream: stream) == .busy)
        #expect(stream.parts.isEmpty)
        // The next is served.
        #expect(try gathered(reader, query("SELECT 1")).count == 1)
    }

    @Test func `An answer that nobody takes further ends at once`() throws {
        stream.limit = 3
        let endless = query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n")
        stream.onPart = { [reader] in reader.activity.cancel() }
        #expect(reader.run(endless, stream: stream) == .abandoned)
        #expect(stream.parts.count <= 3)
    }

    @Test func `A read that held back the checkpoint says so behind its rows`() throws {
        let endless = query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n",
            "SELECT 1")
        stream.limit = 2
        stream.onPart = { [reader] in
            if let start = reader.activity.startedAt { reader.activity.evict(begunAt: start) }
        }
        #expect(reader.run(endless, stream: stream) == .streamed)
        #expect(stream.errors.first?.hasPrefix("read ended: it held back") == true)
        #expect(stream.parts.last?.isLast == true)
    }

    @Test func `The time in which nobody asks for more is not the statement's`() throws {
        // It would be over many times.
        let deadline = ContinuousClock.now + .seconds(120)
        stream.beginning = .began(deadline: deadline)
        stream.waited = .seconds(1000)
        #expect(
            reader.run(query(Self.numbers(300_000, "i")), deadline: deadline, stream: stream)
                == .streamed)
        #expect(stream.errors.isEmpty)
        let times = stream.parts.flatMap(\.pieces).compactMap { piece -> UInt64? in
            if case .rowsEnd(let nanoseconds, _) = piece { nanoseconds } else { nil }
        }
        #expect(times.count == 1)
        #expect(times.allSatisfy { $0 < 900_000_000_000 })
    }

    @Test func `A result in parts has no limit, a row of it has`() throws {
        var limits = ApplierLimits()
        limits.resultBytes = 1 << 16
        limits.gatheredBytes = 1 << 15
        let reader = try Reader(path: database.applier.path, limits: limits)
        #expect(reader.run(query(Self.numbers(100_000, "i")), stream: stream) == .streamed)
        #expect(stream.errors.isEmpty)
        let columns = (0..<100).map { "zeroblob(30000) AS c\($0)" }.joined(separator: ",")
        let other = Stream()
        #expect(reader.run(query("SELECT \(columns)"), stream: other) == .streamed)
        #expect(other.errors == ["the result is larger than 65536 bytes: ask for fewer rows"])
    }
}
