import Testing
import Wire

/// Results that are handed over in parts.
@Suite struct ResultPartTests {
    private static let rows = RowSet(
        columns: ["a", "b"], types: ["integer", ""], rowCount: 20_000,
        cells: (0..<20_000).flatMap { _ in [1, 7, 0, 0, 0, 0, 0, 0, 0, 0] as [UInt8] })

    private static let result = CommandResult(
        [
            StatementResult(.empty, isRead: true),
            StatementResult(.rows(rows), isRead: true, nanoseconds: 9),
            StatementResult(.failed("no such table: t"), isRead: true),
            StatementResult(.changed(lastInsertID: 3, rowsAffected: 2)),
        ], logIndex: 12)

    private func parts(of result: CommandResult) -> [ResultPart] {
        var slices = ResultSlices(result)
        var parts: [ResultPart] = []
        while !slices.isFinished { parts.append(slices.next()) }
        return parts
    }

    @Test func `The parts of a result say what the whole says, and none is long`() throws {
        let parts = parts(of: Self.result)
        #expect(parts.count > 1)
        #expect(parts.allSatisfy { $0.byteCount < 2 * ResultWindow.partBytes })
        #expect(parts.dropLast().allSatisfy { !$0.isLast })
        #expect(parts.last?.isLast == true)
        #expect(try whole(parts) == Self.result)
    }

    @Test func `A part is the same after it was encoded and read`() throws {
        for part in parts(of: Self.result) + parts(of: CommandResult([], error: "stale read")) {
            var writer = ByteWriter()
            part.encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            #expect(try ResultPart(from: &reader) == part)
            #expect(reader.isAtEnd)
        }
    }

    @Test(arguments: [(32_767, true), (32_768, false)])
    func `Rows of more columns than there can be are refused`(count: Int, isTaken: Bool) throws {
        let names = [String](repeating: "", count: count)
        let pieces: [ResultPart.Piece] = [
            .rowsBegin(columns: names, types: names, isRead: true),
            .statement(StatementResult(.rows(RowSet(columns: names, types: names)))),
        ]
        for piece in pieces {
            var writer = ByteWriter()
            ResultPart([piece]).encode(into: &writer)
            var reader = ByteReader(writer.bytes)
            if isTaken {
                #expect(try ResultPart(from: &reader) == ResultPart([piece]))
            } else {
                #expect(throws: WireError.tooLong(count: count, limit: 32_767)) {
                    try ResultPart(from: &reader)
                }
            }
        }
    }

    @Test func `A part that is cut or unknown is refused`() throws {
        var writer = ByteWriter()
        ResultPart([.rowsBegin(columns: ["a"], types: [""], isRead: true), .cells([0])])
            .encode(into: &writer)
        for count in 0..<writer.bytes.count {
            var reader = ByteReader(Array(writer.bytes.prefix(count)))
            #expect(throws: WireError.self) { try ResultPart(from: &reader) }
        }
        var unknown = ByteReader([1, 0, 0, 0, 99, 0, 0, 0, 0, 0])
        #expect(throws: WireError.self) { try ResultPart(from: &unknown) }
        var unequal = ByteWriter()
        ResultPart([.rowsBegin(columns: ["a"], types: [], isRead: true)]).encode(into: &unequal)
        var reader = ByteReader(unequal.bytes)
        #expect(throws: WireError.self) { try ResultPart(from: &reader) }
    }
}

/// Puts parts together again.
func whole(_ parts: [ResultPart]) throws -> CommandResult {
    var result = CommandResult([])
    var rows: (RowSet, isRead: Bool)?
    for piece in parts.flatMap(\.pieces) {
        switch piece {
        case .statement(let statement): result.statements.append(statement)
        case .rowsBegin(let columns, let types, let isRead):
            rows = (RowSet(columns: columns, types: types), isRead)
        case .cells(let cells): rows?.0.cells += cells
        case .rowsEnd(let nanoseconds, let error):
            var (found, isRead) = try #require(rows)
            rows = nil
            var reader = ByteReader(found.cells)
            while !reader.isAtEnd {
                for _ in found.columns { _ = try Value(from: &reader) }
                found.rowCount += 1
            }
            result.statements.append(
                StatementResult(
                    error.map { .failed($0) } ?? .rows(found), isRead: isRead,
                    nanoseconds: nanoseconds))
        case .contentBegins, .copyBegins, .content: Issue.record("bytes among results")
        case .end(let error, let logIndex):
            result.error = error
            result.logIndex = logIndex
        }
    }
    return result
}
