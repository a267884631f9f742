import JSON
import Wire

/// An import under way: makes batches of rows, each one transaction, and counts what became of them.
/// Used by one thread at a time.
///
/// `@unchecked Sendable`: handed from the thread that made a batch to the event loop that counts it, and
/// back; never used by both.
final class ImportRun: @unchecked Sendable {
    enum Conflict: String {
        case abort, ignore, replace
    }

    struct Batch {
        var command: Command
        /// Of each statement, where its row begins.
        var lines: [Int]
    }

    /// Bytes of rows and their statements after which a batch is full.
    private static let batchBytes = 1 << 20

    private let rows: any ImportRows
    private let table: String
    private let batchRows: Int
    private let conflict: Conflict
    private var isOver = false
    /// What was handed out last.
    private(set) var batch: Batch?
    private(set) var importedRows = 0
    private(set) var batches = 0
    private(set) var logIndex: UInt64 = 0

    init(_ rows: any ImportRows, into table: String, batchRows: Int, conflict: Conflict) {
        self.rows = rows
        self.table = table
        self.batchRows = batchRows
        self.conflict = conflict
    }

    /// - Returns: whether there is another one, which is `batch` then.
    func makeBatch() throws(ImportFault) -> Bool {
        var made = Batch(
            command: Command(kind: .execute, statements: [], transaction: true), lines: [])
        var bytes = 0
        var sql = (columns: [String](), text: "")
        while made.lines.count < batchRows, bytes < Self.batchBytes {
            guard !isOver, let row = try rows.next() else {
                isOver = true
                break
            }
            // By bytes, as SQLite does: to Swift two forms of a letter are the same.
            let isSame = sql.columns.elementsEqual(row.columns) {
                $0.utf8.elementsEqual($1.utf8)
            }
            if made.lines.isEmpty || !isSame {
                if let name = Self.repeated(row.columns) {
                    throw ImportFault(
                        line: row.line,
                        text: "it has two columns \"\(name)\": letter case makes no difference")
                }
                sql = (row.columns, statement(for: row.columns))
            }
            made.command.statements.append(Statement(sql.text, positional: row.values))
            made.lines.append(row.line)
            // Each row's statement stands in the entry, and names of columns may be long.
            bytes += row.byteCount + sql.text.utf8.count
        }
        batch = made.lines.isEmpty ? nil : made
        return batch != nil
    }

    private func statement(for columns: [String]) -> String {
        let verb =
            switch conflict {
            case .abort: "INSERT"
            case .ignore: "INSERT OR IGNORE"
            case .replace: "INSERT OR REPLACE"
            }
        let head = "\(verb) INTO \(Self.quoted(table))"
        guard !columns.isEmpty else { return head + " DEFAULT VALUES" }
        let names = columns.map(Self.quoted).joined(separator: ",")
        let places = columns.map { _ in "?" }.joined(separator: ",")
        return "\(head)(\(names)) VALUES(\(places))"
    }

    /// A column that stands there twice, as SQLite compares names: it would take the values of the first, and drop
    /// those of the other.
    private static func repeated(_ columns: [String]) -> String? {
        var known: Set<[UInt8]> = []
        return columns.first { !known.insert($0.utf8.map(\.loweredASCII)).inserted }
    }

    /// By bytes: a quote with a combining character behind it is a quote to SQLite.
    private static func quoted(_ name: String) -> String {
        let quote = UInt8(ascii: "\"")
        let doubled = name.utf8.flatMap { $0 == quote ? [quote, quote] : [$0] }
        return String(decoding: [quote] + doubled + [quote], as: UTF8.self)
    }

    /// The batch was carried out, or failed as a whole.
    /// - Returns: what it failed by.
    func note(_ result: CommandResult) -> ImportFault? {
        guard let batch else { return nil }
        if let error = result.error { return ImportFault(line: batch.lines.first, text: error) }
        for (place, statement) in result.statements.enumerated() {
            guard case .failed(let text) = statement.outcome else { continue }
            let line = place < batch.lines.count ? batch.lines[place] : batch.lines.last
            return ImportFault(line: line, text: text)
        }
        importedRows += batch.lines.count
        batches += 1
        logIndex = result.logIndex
        return nil
    }

    /// What the client is told of the last batch.
    var progress: [JSONValue.Member] {
        [
            .init(
                "batch",
                .object([
                    .init("from", .integer(batch?.lines.first ?? 0)),
                    .init("to", .integer(batch?.lines.last ?? 0)),
                    .init("rows", .integer(batch?.lines.count ?? 0)),
                    .init("raft_index", .integer(logIndex)),
                ]))
        ]
    }

    /// What the client is told at the end.
    func summary(_ fault: ImportFault?) -> [JSONValue.Member] {
        var members: [JSONValue.Member] = [
            .init("rows", .integer(importedRows)), .init("batches", .integer(batches)),
            .init("raft_index", .integer(logIndex)),
        ]
        if let fault {
            members.append(.init("error", .string(fault.text)))
            if let line = fault.line { members.append(.init("line", .integer(line))) }
        }
        return members
    }
}
