import Notation

/// A text or blob that is written in several steps, because it is long. Each step takes up where
/// the last one stopped; together they write what one step would.
struct LongCell {
    /// From this size on a cell is cut. A date or a time is never so long.
    static let leastSize = 16 * 1024
    /// Bytes looked at or written between two looks at the size of the step.
    private static let pieceSize = 8 * 1024

    private enum Work {
        /// Whether a blob in a text column is a text.
        case judging
        case text
        case base64
        case numbers
    }

    private var work: Work
    private let content: Range<Int>
    private let blobArray: Bool
    private var offset: Int
    private var hasBegun = false

    /// Nil for a cell that is short.
    /// - Parameter cells: where the cell's bytes lie.
    init?(
        _ cell: Cell, in cells: UnsafeRawBufferPointer, as form: ColumnForm, blobArray: Bool
    ) {
        let bytes: UnsafeRawBufferPointer
        switch cell {
        case .null, .integer, .real: return nil
        case .text(let text):
            bytes = text
            work = .text
        case .blob(let blob):
            bytes = blob
            work = form == .text ? .judging : blobArray ? .numbers : .base64
        }
        guard bytes.count >= Self.leastSize, let base = cells.baseAddress,
            let first = bytes.baseAddress
        else { return nil }
        let start = first - base
        content = start..<start + bytes.count
        offset = start
        self.blobArray = blobArray
    }

    /// - Returns: whether the cell is written.
    mutating func advance(
        _ cells: UnsafeRawBufferPointer, to output: inout JSONOutput, until size: Int
    ) -> Bool {
        // Judging writes nothing: a step does as much of it as it would write.
        var judged = 0
        while output.bytes.count < size, judged < size {
            guard offset < content.upperBound else {
                guard case .judging = work else {
                    end(&output)
                    return true
                }
                begin(.text)
                continue
            }
            let piece = nextPiece(cells)
            if case .judging = work {
                judged += piece.count
                if UTF8Check.isValid(piece) {
                    offset += piece.count
                } else {
                    begin(blobArray ? .numbers : .base64)
                }
                continue
            }
            write(piece, to: &output)
            offset += piece.count
        }
        return false
    }

    /// What the cell is was found out: it is written from its beginning.
    private mutating func begin(_ work: Work) {
        self.work = work
        offset = content.lowerBound
    }

    private func nextPiece(_ cells: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        var end = min(offset + Self.pieceSize, content.upperBound)
        if end < content.upperBound {
            switch work {
            case .judging, .text: end = Self.boundary(cells, atMost: end, after: offset)
            // Groups of three bytes become four digits, without padding between them.
            case .base64: end -= (end - offset) % 3
            case .numbers: break
            }
        }
        return UnsafeRawBufferPointer(rebasing: cells[offset..<end])
    }

    /// Where a character may begin. A piece that ends there breaks none that is whole; what is
    /// none is repaired byte by byte, wherever it is cut.
    private static func boundary(
        _ cells: UnsafeRawBufferPointer, atMost end: Int, after start: Int
    ) -> Int {
        for candidate in stride(from: end, through: max(end - 3, start + 1), by: -1)
        where cells[candidate] & 0xC0 != 0x80 {
            return candidate
        }
        return end
    }

    private mutating func write(_ piece: UnsafeRawBufferPointer, to output: inout JSONOutput) {
        if !hasBegun {
            hasBegun = true
            if case .numbers = work { output.beginArray() } else { output.quote() }
        }
        switch work {
        case .judging: break
        case .text: output.textContents(piece)
        case .base64: output.base64Digits(piece)
        case .numbers: output.numbers(piece)
        }
    }

    private func end(_ output: inout JSONOutput) {
        if case .numbers = work { output.endArray() } else { output.quote() }
    }
}
