import Service
import Wire

/// How a client wants its results written.
struct ResultFormat {
    var pretty = false
    var timings = false
    var associative = false
    var blobArray = false
    var raftIndex = false
    /// Each row is a document on a line of its own, in place of one document for all; see
    /// `StreamedDocument`.
    var lines = false

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
    private let members: ResultMembers
    private let result: CommandResult
    /// Asked when the end is written.
    private let elapsed: () -> Duration
    private var stage = Stage.opening

    init(
        _ result: CommandResult, _ format: ResultFormat, elapsed: @escaping () -> Duration,
        continuing bytes: consuming [UInt8] = []
    ) {
        self.result = result
        members = ResultMembers(format: format)
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
    /// a few KiB later, for what is short is not cut; and without a byte, where it was spent on looking
    /// what a long cell is.
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
                guard isComplete else { return false }
                members.write(nanoseconds: statement.nanoseconds, to: &output)
                output.endObject()
                stage = .statement(index + 1)
            case .closing:
                members.writeEnd(
                    error: result.error, logIndex: result.logIndex, elapsed: elapsed, to: &output)
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
            stage = .rows(index, RowWriter(rows, members.format))
        } else {
            members.write(statement, to: &output)
            output.endObject()
            stage = .statement(index + 1)
        }
    }
}
