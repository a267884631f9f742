import NIOHTTP1
import Rights
import Telemetry
import Wire

/// `/db/query`: statements that only read.
extension HTTPOperation {
    static let query = StatementsOperation.row(
        "query", .query, "/db/query", [.GET, .POST], [.query], need: .level,
        note: .statements(
            "Run statements that only read.",
            [.q, .qualifyColumns, .linearizableTimeout] + OperationParameter.reading,
            isText: true, isWrite: false),
        counting: { $0.queries },
        given: { request in
            if request.method == .GET {
                return request.parameters[.q].map { [Statement($0)] } ?? []
            }
            return StatementsOperation.isPlainText(request)
                ? [StatementsOperation.sql(of: request)] : nil
        })
}
