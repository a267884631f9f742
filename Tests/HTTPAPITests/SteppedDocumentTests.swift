import Service
import Testing
import Wire

@testable import HTTPAPI

/// Answers that are written step by step.
@Suite struct SteppedDocumentTests {
    /// All steps of a document, each about `size` long.
    private func steps(
        _ result: CommandResult, _ format: ResultFormat, size: Int
    ) throws -> [[UInt8]] {
        var document = ResultDocument(result, format, elapsed: { .milliseconds(3) })
        var steps: [[UInt8]] = []
        while true {
            let isComplete = try document.advance(until: size)
            steps.append(document.takeBytes())
            if isComplete { return steps }
            try #require(steps.count < 1_000_000, "the document does not end")
        }
    }

    private static let formats: [ResultFormat] = (0..<16).map { bits in
        var format = ResultFormat()
        format.pretty = bits & 1 != 0
        format.associative = bits & 2 != 0
        format.blobArray = bits & 4 != 0
        format.timings = bits & 8 != 0
        format.raftIndex = format.timings
        return format
    }

    private static func outcome(_ values: [[Value]]) -> StatementOutcome {
        rows(["b", "a", "b", "c"], ["text", "", "blob", "integer"], values)
    }

    /// Short and long cells of every kind, with characters of every length at every place where a
    /// piece may be cut, and bytes that belong to none.
    private static let samples: [CommandResult] = {
        let mixed = String(repeating: "aä€😀<\u{2028}\"", count: 1200)
        let shifted = "x" + mixed
        let broken = Array(mixed.utf8.dropFirst(2)) + [0xF0, 0x9F]
        let garbage = [UInt8](repeating: 0x80, count: 17_001)
        let patched = (0..<18_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let values: [[Value]] = [
            [.text("short"), .null, .blob([1, 2, 3]), .integer(-5)],
            [.text(mixed), .blob(broken), .blob(patched), .real(0.5)],
            [.blob(Array(shifted.utf8)), .text(shifted), .blob(garbage), .integer(1)],
            [.blob(garbage), .blob(Array(mixed.utf8)), .blob(Array(mixed.utf8)), .null],
        ]
        return [
            CommandResult(
                [
                    StatementResult(outcome(values), isRead: true, nanoseconds: 5),
                    StatementResult(.failed("no such table: t"), isRead: true),
                    StatementResult(outcome([]), isRead: true, nanoseconds: 6),
                    StatementResult(.changed(lastInsertID: 1, rowsAffected: 2), nanoseconds: 7),
                    StatementResult(.empty, isRead: true),
                ], logIndex: 3),
            CommandResult([], error: "stale read"), CommandResult([]),
        ]
    }()

    @Test(arguments: formats.indices)
    func `However a document is cut, the same bytes come out`(number: Int) throws {
        let format = Self.formats[number]
        for result in Self.samples {
            let whole = try ResultDocument.render(
                result, format, elapsed: .milliseconds(3), continuing: [])
            for size in (number < 4 ? [1] : []) + [1000, 65_536] {
                let isSame = try steps(result, format, size: size).joined().elementsEqual(whole)
                #expect(isSame, "\(format), cut at \(size)")
            }
        }
    }

    @Test func `A step is about as long as it is wanted, whatever the cells`() throws {
        var format = ResultFormat()
        format.pretty = true
        format.blobArray = true
        let blob = [UInt8](repeating: 200, count: 60_000)
        let result = CommandResult([
            StatementResult(Self.outcome([[.text("t"), .null, .blob(blob), .null]]))
        ])
        let written = try steps(result, format, size: 65_536)
        // A piece of 8 KiB becomes 27 to 33 bytes for each of its own.
        #expect(written.allSatisfy { $0.count < 65_536 + 9 * 1024 * 34 })
        #expect(written.count > 5)
    }

    @Test func `A blob that is no text at its very end is shown as one from its beginning`() throws
    {
        let blob = [UInt8](repeating: 0x61, count: 20_000) + [0xFF]
        let result = CommandResult([
            StatementResult(rows(["t"], ["text"], [[.blob(blob)]]), isRead: true)
        ])
        let text = String(
            decoding: try steps(result, ResultFormat(), size: 1000).joined(), as: UTF8.self)
        let begin = #"{"results":[{"columns":["t"],"types":["text"],"values":[["YWFhYWFh"#
        // Not in the expectation: a failure would print it.
        let isRight = text.hasPrefix(begin) && text.hasSuffix(#"YWH/"]]}]}"#)
        #expect(isRight, "\(text.prefix(100)) … \(text.suffix(100))")
    }

    @Test func `To look whether a long blob is a text takes steps, too`() throws {
        let blob = [UInt8](repeating: 0x61, count: 1 << 20) + [0xFF]
        let result = CommandResult([
            StatementResult(rows(["t"], ["text"], [[.blob(blob)]]), isRead: true)
        ])
        let silent = try steps(result, ResultFormat(), size: 16_384).filter(\.isEmpty).count
        #expect(silent > 60)
    }

    @Test func `Damaged cells end a document with an error, not a crash`() throws {
        for cells in [[], [4, 255, 255, 255, 255], [9], [1, 0], [0, 0, 0]] as [[UInt8]] {
            for isAssociative in [false, true] {
                var format = ResultFormat()
                format.associative = isAssociative
                let damaged = RowSet(
                    columns: ["a"], types: [""], rowCount: 1, cells: cells)
                let result = CommandResult([StatementResult(.rows(damaged), isRead: true)])
                #expect(throws: WireError.self) { try steps(result, format, size: 10) }
            }
        }
    }
}
