import Service
import Wire

/// How a client wants its results written.
struct ResultFormat {
    var pretty = false
    var timings = false
    var associative = false
    var blobArray = false
    var raftIndex = false

    init() {}

    init(_ parameters: QueryParameters) {
        pretty = parameters.has(.pretty)
        timings = parameters.has(.timings)
        associative = parameters.has(.associative)
        blobArray = parameters.has(.blobArray)
        raftIndex = parameters.has(.raftIndex)
    }
}

/// The answer to `/db/execute`, `/db/query` and `/db/request`. Members that are zero or empty are
/// left out, except `results` and the associative form's `rows`. Rows are written straight from
/// their encoded cells: no object stands for a value.
///
/// The document is written in steps, each about as long as the caller wants it, so that an answer
/// of any size costs its event loop a little at a time, and memory for a step. However it is cut,
/// the same bytes come out.
struct ResultDocument {
    private enum Stage {
        case opening
        case statement(Int)
        case rows(Int, RowWriter)
        case closing
        case finished
    }

    private var output: JSONOutput
    private let format: ResultFormat
    private let result: CommandResult
    /// Asked when the end is written.
    private let elapsed: () -> Duration
    private var stage = Stage.opening

    init(
        _ result: CommandResult, _ format: ResultFormat, elapsed: @escaping () -> Duration,
        continuing bytes: consuming [UInt8] = []
    ) {
        self.result = result
        self.format = format
        self.elapsed = elapsed
        output = JSONOutput(continuing: bytes, pretty: format.pretty)
    }

    /// The whole document at once. Fails when the cells of a row set are not what its columns
    /// promise.
    static func render(
        _ result: CommandResult, _ format: ResultFormat, elapsed: Duration,
        continuing bytes: consuming [UInt8]
    ) throws(WireError) -> [UInt8] {
        var document = ResultDocument(
            result, format, elapsed: { elapsed }, continuing: bytes)
        _ = try document.advance(until: .max)
        return document.takeBytes()
    }

    /// Writes until at least `size` bytes are there to be taken, or all is written. A step may end
    /// a few KiB later, for what is short is not cut.
    /// - Returns: whether the document is complete.
    mutating func advance(until size: Int) throws(WireError) -> Bool {
        while output.bytes.count < size {
            switch stage {
            case .opening:
                output.beginObject()
                output.member("results")
                output.beginArray()
                stage = .statement(0)
            case .statement(let index): beginStatement(index)
            case .rows(let index, var writer):
                // Leaves `writer` the only owner of its lists.
                stage = .finished
                let statement = result.statements[index]
                guard case .rows(let rows) = statement.outcome else { return true }
                let isComplete = try writer.advance(rows, to: &output, until: size)
                stage = .rows(index, writer)
                if isComplete {
                    writeTime(nanoseconds: statement.nanoseconds)
                    output.endObject()
                    stage = .statement(index + 1)
                }
            case .closing:
                writeEnd()
                stage = .finished
            case .finished: return true
            }
        }
        if case .finished = stage { return true }
        return false
    }

    /// What was written since it was last taken.
    mutating func takeBytes() -> [UInt8] { output.takeBytes() }

    private mutating func beginStatement(_ index: Int) {
        // A request that failed as a whole has no results to show.
        guard result.error == nil, index < result.statements.count else {
            output.endArray()
            stage = .closing
            return
        }
        output.element()
        output.beginObject()
        let statement = result.statements[index]
        if case .rows(let rows) = statement.outcome {
            stage = .rows(index, RowWriter(rows, format))
        } else {
            write(statement)
            output.endObject()
            stage = .statement(index + 1)
        }
    }

    private mutating func writeEnd() {
        if let error = result.error { write(error: error) }
        if format.timings { writeTime(nanoseconds: UInt64(max(0, elapsed().wholeNanoseconds))) }
        if format.raftIndex, result.logIndex != 0 {
            output.member("raft_index")
            output.integer(Int64(bitPattern: result.logIndex))
        }
        output.endObject()
    }

    /// Every outcome but rows.
    private mutating func write(_ statement: StatementResult) {
        switch statement.outcome {
        case .changed(let lastInsertID, let rowsAffected):
            if lastInsertID != 0 {
                output.member("last_insert_id")
                output.integer(lastInsertID)
            }
            if rowsAffected != 0 {
                output.member("rows_affected")
                output.integer(rowsAffected)
            }
            writeTime(nanoseconds: statement.nanoseconds)
            if format.associative { writeNullRows() }
        case .empty:
            if format.associative, statement.isRead { writeNoRows() }
            writeTime(nanoseconds: statement.nanoseconds)
            if format.associative, !statement.isRead { writeNullRows() }
        case .failed(let message):
            if format.associative, statement.isRead { writeNoRows() }
            write(error: message)
        case .rows: break
        }
    }

    /// SQLite repeats names in its messages, and a name may be as long as a statement.
    private mutating func write(error message: String) {
        output.member("error")
        if message.utf8.count <= Self.longestError {
            output.text(message)
        } else {
            var text = message
            text = text.withUTF8 {
                String(decoding: $0.prefix(Self.longestError), as: UTF8.self)
            }
            output.text("\(text)… (\(message.utf8.count) bytes)")
        }
    }

    /// Bytes of a message that are shown.
    private static let longestError = 64 * 1024

    private mutating func writeTime(nanoseconds: UInt64) {
        guard format.timings, nanoseconds != 0 else { return }
        output.member("time")
        output.real(Double(nanoseconds) / 1e9)
    }

    private mutating func writeNullRows() {
        output.member("rows")
        output.null()
    }

    private mutating func writeNoRows() {
        output.member("rows")
        output.beginArray()
        output.endArray()
    }
}
