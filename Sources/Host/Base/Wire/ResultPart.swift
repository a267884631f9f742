/// A piece of a `CommandResult` that is handed over while the rest is still being made. The pieces of
/// an answer, in order, say what the whole would say; where they are cut says nothing: cells are a
/// stream of bytes that may break off in the middle of a value.
///
/// The order is `( statement | rowsBegin cells* rowsEnd )* end`, or `contentBegins content* end`.
package struct ResultPart: Equatable, Sendable {
    package enum Piece: Equatable, Sendable {
        /// A statement's result that is complete.
        case statement(StatementResult)
        /// A statement's rows follow. A column without a declared type that held only nulls so far
        /// has the type "".
        case rowsBegin(columns: [String], types: [String], isRead: Bool)
        /// Encoded values, as `RowSet.cells` has them.
        case cells([UInt8])
        /// The rows of the statement end, with an error when those to come can't be had.
        case rowsEnd(nanoseconds: UInt64, error: String?)
        /// Nothing follows. What `CommandResult` says of the request as a whole.
        case end(error: String?, logIndex: UInt64)
        /// Bytes follow that are the answer as they are, in place of results: a copy of the database
        /// as the log had made it at the index.
        case contentBegins(logIndex: UInt64)
        /// The same, of a copy that has a tag. To another node it goes as `contentBegins`.
        case copyBegins(CopyHead)
        /// Some of these bytes, or none: the node is still at work.
        case content([UInt8])
    }

    /// In their order.
    package var pieces: [Piece]

    package init(_ pieces: [Piece]) { self.pieces = pieces }

    /// The answer ends with this part.
    package var isLast: Bool {
        if case .end? = pieces.last { true } else { false }
    }

    fileprivate static func byteCount(of texts: [String]) -> Int {
        texts.reduce(0) { $0 + 4 + $1.utf8.count }
    }

    /// What it counts for where parts are asked for, in bytes: the same at both ends.
    package var byteCount: Int { pieces.reduce(0) { $0 + $1.byteCount } }
}

/// How much of an answer in parts may be under way.
package enum ResultWindow {
    /// Bytes that may be sent before the first of them is taken, and that are ahead of the receiver
    /// at most, but for one part.
    package static let bytes = 1 << 20
    /// Cells of one part, in bytes, roughly.
    package static let partBytes = 128 << 10
    /// A receiver asks for so many bytes at once.
    package static let demandBytes = 256 << 10
}

extension ResultPart.Piece {
    /// In bytes, with something for the piece itself, so that no number of empty ones is free.
    package var byteCount: Int {
        switch self {
        case .statement(let result): result.byteCount
        case .rowsBegin(let columns, let types, _):
            32 + ResultPart.byteCount(of: columns) + ResultPart.byteCount(of: types)
        case .cells(let bytes), .content(let bytes): 32 + bytes.count
        case .contentBegins: 32
        case .copyBegins(let head): 64 + head.tag.utf8.count
        case .rowsEnd(_, let error), .end(let error, _): 32 + (error?.utf8.count ?? 0)
        }
    }
}

extension StatementResult {
    /// What it takes encoded, in bytes, roughly.
    package var byteCount: Int {
        switch outcome {
        case .changed, .empty: 32
        case .failed(let message): 32 + message.utf8.count
        case .rows(let rows):
            64 + rows.cells.count + ResultPart.byteCount(of: rows.columns)
                + ResultPart.byteCount(of: rows.types)
        }
    }
}

/// A part as it travels: list of pieces.
///
///     u8 1  statement   statement result
///     u8 2  rows begin  list of columns | list of types | bool is read
///     u8 3  cells       counted bytes
///     u8 4  rows end    u64 nanoseconds | optional error
///     u8 5  end         optional error | u64 log index
///     u8 6  begins      u64 log index
///     u8 7  content     counted bytes
extension ResultPart {
    package func encode(into writer: inout ByteWriter) {
        writer.write(pieces) { $1.encode(into: &$0) }
    }

    package init(from reader: inout ByteReader) throws(WireError) {
        pieces = try reader.readList(elementSize: 5) { (r) throws(WireError) in
            try Piece(from: &r)
        }
    }
}

extension ResultPart.Piece {
    fileprivate func encode(into writer: inout ByteWriter) {
        switch self {
        case .statement(let result):
            writer.write(UInt8(1))
            result.encode(into: &writer)
        case .rowsBegin(let columns, let types, let isRead):
            writer.write(UInt8(2))
            writer.write(columns) { $0.write($1) }
            writer.write(types) { $0.write($1) }
            writer.write(isRead)
        case .cells(let cells):
            writer.write(UInt8(3))
            writer.write(cells)
        case .rowsEnd(let nanoseconds, let error):
            writer.write(UInt8(4))
            writer.write(nanoseconds)
            writer.write(error) { $0.write($1) }
        case .end(let error, let logIndex):
            writer.write(UInt8(5))
            writer.write(error) { $0.write($1) }
            writer.write(logIndex)
        case .contentBegins(let logIndex):
            writer.write(UInt8(6))
            writer.write(logIndex)
        case .copyBegins(let head):
            writer.write(UInt8(6))
            writer.write(head.logIndex)
        case .content(let bytes):
            writer.write(UInt8(7))
            writer.write(bytes)
        }
    }

    fileprivate init(from reader: inout ByteReader) throws(WireError) {
        let tag = try reader.readByte()
        switch tag {
        case 1: self = .statement(try StatementResult(from: &reader))
        case 2:
            let (columns, types) = try reader.readColumns()
            self = .rowsBegin(columns: columns, types: types, isRead: try reader.readBool())
        case 3: self = .cells(try reader.readBytes())
        case 4:
            self = .rowsEnd(nanoseconds: try reader.read(), error: try reader.readOptionalText())
        case 5: self = .end(error: try reader.readOptionalText(), logIndex: try reader.read())
        case 6: self = .contentBegins(logIndex: try reader.read())
        case 7: self = .content(try reader.readBytes())
        default: throw .invalid(field: "piece of a result", value: UInt64(tag))
        }
    }
}

extension ByteReader {
    fileprivate mutating func readOptionalText() throws(WireError) -> String? {
        try readOptional { (r) throws(WireError) in try r.readText() }
    }
}
