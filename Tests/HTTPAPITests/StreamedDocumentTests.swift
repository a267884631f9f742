import Service
import Testing
import Wire

@testable import HTTPAPI

/// Documents of results that come in parts.
@Suite struct StreamedDocumentTests {
    private static let formats: [ResultFormat] = (0..<16).map { bits in
        var format = ResultFormat()
        format.pretty = bits & 1 != 0
        format.associative = bits & 2 != 0
        format.blobArray = bits & 4 != 0
        format.timings = bits & 8 != 0
        format.raftIndex = format.timings
        return format
    }

    private static func table(_ count: Int, blob: [UInt8] = [1, 2, 0xFF]) -> StatementOutcome {
        rows(
            ["b", "a", "b", "c"], ["text", "", "blob", "boolean"],
            (0..<count).map { row in
                [.text("tä\(row)"), .null, .blob(blob), .integer(Int64(row % 2))]
            })
    }

    /// Rows that are cut: many, with nothing around them, and few large ones with other statements before and behind.
    private static let samples: [CommandResult] = [
        CommandResult([StatementResult(table(5000), isRead: true, nanoseconds: 5)]),
        CommandResult(
            [
                StatementResult(.empty, isRead: true),
                StatementResult(
                    table(2, blob: [UInt8](repeating: 0x62, count: 90_000)), isRead: true,
                    nanoseconds: 5),
                StatementResult(.failed("no such table: t"), isRead: true),
                StatementResult(table(0), isRead: true, nanoseconds: 6),
                StatementResult(table(3), isRead: true, nanoseconds: 6),
                StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 7),
            ], logIndex: 3),
        CommandResult([]), CommandResult([], error: "stale read"),
    ]

    /// Cells cut anew into pieces of a length.
    private func parts(_ result: CommandResult, cutAt length: Int) -> [ResultPart] {
        var slices = ResultSlices(result)
        var parts: [ResultPart] = []
        while !slices.isFinished {
            for piece in slices.next().pieces {
                guard case .cells(let cells) = piece else {
                    parts.append(ResultPart([piece]))
                    continue
                }
                for start in stride(from: 0, to: cells.count, by: length) {
                    let end = min(cells.count, start + length)
                    parts.append(ResultPart([.cells(Array(cells[start..<end]))]))
                }
            }
        }
        return parts
    }

    private func write(
        _ parts: [ResultPart], _ format: ResultFormat, size: Int
    ) throws -> (bytes: [UInt8], end: HTTPSlice) {
        var document = StreamedDocument(format, elapsed: { .milliseconds(3) })
        var bytes: [UInt8] = []
        var rest = parts[...]
        while true {
            let slice = try document.advance(until: size)
            bytes += document.takeBytes()
            guard slice != .last else {
                #expect(document.heldBytes == 0)
                #expect(document.takeUsedUp() == parts.reduce(0) { $0 + $1.byteCount })
                return (bytes, slice)
            }
            guard slice == .starved else { continue }
            guard let part = rest.popFirst() else { return (bytes, slice) }
            document.feed(part)
        }
    }

    @Test(arguments: formats.indices)
    func `Wherever a result is cut, the bytes are those of the whole`(number: Int) throws {
        let format = Self.formats[number]
        for result in Self.samples {
            let whole = try ResultDocument.render(
                result, format, elapsed: .milliseconds(3), continuing: [])
            for length in ((2...4).contains(number) ? [7] : []) + [1000, 200_000] {
                let written = try write(
                    parts(result, cutAt: length), format, size: length == 7 ? 100 : 65_536)
                // Not in the expectation: a failure would print it.
                let isSame = written.bytes == whole
                #expect(isSame, "\(format), cut at \(length)")
            }
        }
    }

    @Test func `Pieces that were taken leave nothing behind, also where one always waits`() {
        var queue = PieceQueue()
        queue.feed(ResultPart([.content([0])]))
        for number in 1...5000 {
            queue.feed(ResultPart([.content([UInt8(truncatingIfNeeded: number)])]))
            #expect(queue.take() == .content([UInt8(truncatingIfNeeded: number - 1)]))
        }
        let kept = Mirror(reflecting: queue).children.compactMap { child in
            (child.value as? any Collection).map { $0.count }
        }
        #expect(kept == [1])
    }

    @Test func `To look whether a long blob is a text takes slices, too`() throws {
        let blob = [UInt8](repeating: 0x61, count: 1 << 20) + [0xFF]
        var cells = ByteWriter()
        Value.blob(blob).encode(into: &cells)
        let whole = StatementResult(rows(["t"], ["text"], [[.blob(blob)]]), isRead: true)
        let forms: [[ResultPart.Piece]] = [
            [.statement(whole)],
            [
                .rowsBegin(columns: ["t"], types: ["text"], isRead: true), .cells(cells.bytes),
                .rowsEnd(nanoseconds: 0, error: nil),
            ],
        ]
        for pieces in forms {
            var document = StreamedDocument(ResultFormat(), elapsed: { .zero })
            document.feed(ResultPart(pieces + [.end(error: nil, logIndex: 0)]))
            var silent = 0
            while try document.advance(until: 16_384) == .more {
                if document.takeBytes().isEmpty { silent += 1 }
            }
            #expect(silent > 60)
        }
    }

    @Test func `Rows that end with an error have it behind them, and a row that was cut is gone`()
        throws
    {
        let parts = [
            ResultPart([.rowsBegin(columns: ["a"], types: ["integer"], isRead: true)]),
            ResultPart([.cells([1, 5, 0, 0, 0, 0, 0, 0, 0, 1, 6])]),
            ResultPart([
                .rowsEnd(nanoseconds: 4, error: "integer overflow"),
                .end(error: nil, logIndex: 0),
            ]),
        ]
        #expect(
            String(decoding: try write(parts, ResultFormat(), size: 10).bytes, as: UTF8.self)
                == #"{"results":[{"columns":["a"],"types":["integer"],"values":[[5]],"#
                + #""error":"integer overflow"}]}"#)
        var format = ResultFormat()
        format.associative = true
        #expect(
            String(decoding: try write(parts, format, size: 10).bytes, as: UTF8.self)
                == #"{"results":[{"types":{"a":"integer"},"rows":[{"a":5}],"#
                + #""error":"integer overflow"}]}"#)
    }

    @Test func `Parts that another node sends out of order or damaged end the document`() {
        let begin = ResultPart.Piece.rowsBegin(columns: ["a"], types: [""], isRead: true)
        let end = ResultPart.Piece.end(error: nil, logIndex: 0)
        let broken: [[ResultPart.Piece]] = [
            [.cells([0])], [.rowsEnd(nanoseconds: 0, error: nil)], [begin, begin],
            [begin, .cells([0]), end], [begin, .cells([9]), .rowsEnd(nanoseconds: 0, error: nil)],
            [begin, .cells([1, 0]), .rowsEnd(nanoseconds: 0, error: nil), end],
            [begin, .statement(StatementResult(.empty))],
            [
                .rowsBegin(columns: [], types: [], isRead: true), .cells([0]),
                .rowsEnd(nanoseconds: 0, error: nil), end,
            ],
        ]
        for pieces in broken {
            #expect(throws: WireError.self, "\(pieces)") {
                _ = try write([ResultPart(pieces)], ResultFormat(), size: 100)
            }
        }
    }
}
