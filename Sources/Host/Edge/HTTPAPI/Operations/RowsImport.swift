import JSON
import NIOCore
import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// `/db/import`: rows of a table of an SQLite file, of CSV or of JSON lines are added to a table, in
/// bounded transactions. What is imported stays, whatever comes behind it.
extension HTTPOperation {
    static let rowsImport = HTTPOperation(
        "import", [.exact("/db/import")], [.POST], [.load], body: .database, need: .log,
        code: .load,
        note: OperationNote(
            "Add rows to a table, in bounded transactions.",
            [
                .table, .format, .columns, .from, .batch, .conflict, .pretty, .timeout, .redirect,
            ], bodies: [.bytes, .sql],
            [
                .json(200, .imported, "All rows are in the table."),
                .stream(200, .lines, "The same by batches, where Accept asks for it."),
                .json(400, .imported, "A row failed; those counted are in the table."),
                .json(503, .imported, "It could not go on; those counted are in the table."),
            ]),
        counting: { $0.imports }, isSlow: true,
        answerToHead: { _, request in ImportRequest.refusal(of: request.parameters) },
        work: { desk, request in
            guard let kept = request.kept else {
                return .respond(.plain(.badRequest, "there is nothing to import"))
            }
            do throws(KeptFileFault) {
                return .importRows(try ImportRequest.run(request.parameters, kept.intake.keep()))
            } catch {
                if error.isOfNode { return .respond(.unable(error.text)) }
                return .respond(
                    .plain(error.isTooLarge ? .payloadTooLarge : .badRequest, error.text))
            }
        },
        // Each batch has its reply; the client's answer is made of all of them.
        answer: { _, _, _ in nil },
        failure: { .plain(.internalServerError, ErrorTable.text($0)) })
}

/// What the parameters of an import say.
enum ImportRequest {
    /// Rows of a transaction, unless the client says otherwise.
    private static let batchRows = 1000
    private static let mostBatchRows = 10_000

    private enum Form: String {
        case csv, ndjson, sqlite
    }

    static func refusal(of parameters: QueryParameters) -> Response? {
        guard let table = parameters[.table], !table.isEmpty else {
            return .plain(.badRequest, "table must name the table that rows are added to")
        }
        guard form(parameters) != nil else {
            return .plain(.badRequest, "format must be csv, ndjson or sqlite")
        }
        guard batchRows(parameters) != nil else {
            return .plain(.badRequest, "batch must be a number from 1 to \(mostBatchRows)")
        }
        guard conflict(parameters) != nil else {
            return .plain(.badRequest, "conflict must be abort, ignore or replace")
        }
        return nil
    }

    private static func form(_ parameters: QueryParameters) -> Form? {
        parameters[.format].flatMap(Form.init)
    }

    private static func batchRows(_ parameters: QueryParameters) -> Int? {
        guard let text = parameters[.batch] else { return batchRows }
        return Int(text).flatMap { (1...mostBatchRows).contains($0) ? $0 : nil }
    }

    private static func conflict(_ parameters: QueryParameters) -> ImportRun.Conflict? {
        guard let text = parameters[.conflict] else { return .abort }
        return ImportRun.Conflict(rawValue: text)
    }

    static func run(_ parameters: QueryParameters, _ file: any KeptFile) throws(KeptFileFault)
        -> ImportRun
    {
        let table = parameters[.table] ?? ""
        let rows: any ImportRows
        switch form(parameters) {
        case .csv:
            let names = parameters[.columns].map { text in
                text.utf8.split(separator: UInt8(ascii: ",")).map {
                    String(decoding: $0, as: UTF8.self)
                }
            }
            rows = CSVRows(file, columns: names.flatMap { $0.isEmpty ? nil : $0 })
        case .ndjson: rows = LineRows(file)
        case .sqlite: rows = TableRows(try file.table(parameters[.from] ?? table))
        case nil: throw KeptFileFault(text: "format must be csv, ndjson or sqlite")
        }
        return ImportRun(
            rows, into: table, batchRows: batchRows(parameters) ?? batchRows,
            conflict: conflict(parameters) ?? .abort)
    }
}
