import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// `/db/sql`. Statements are executed as they are sent, because every node computes the same from
/// them: there is no rewriting to show.
extension HTTPOperation {
    static let analysis = HTTPOperation(
        answeredHere: "sql", [.prefix("/db/sql")], [.GET, .POST], [.query], body: .shownStatements,
        note: OperationNote(
            "Show how statements are rewritten: not at all. Nothing is run.",
            [.q, .pretty, .timings] + OperationParameter.idle.suffix(2),
            bodies: [.json(.statements)],
            [.json(200, .analysis, "The statements as they would be run.")]),
        counting: { $0.analyses },
        work: { desk, request in
            if request.method == .GET {
                guard let sql = request.parameters[.q] else {
                    return .plain(.badRequest, "query not specified")
                }
                return analysis(of: [Statement(sql)], request)
            }
            switch StatementsOperation.statements(of: request, desk.limits.statements) {
            case .success(let statements): return analysis(of: statements, request)
            case .failure(let fault): return fault.response
            }
        })

    private static func analysis(of statements: [Statement], _ request: HTTPRequest) -> Response {
        let format = ResultFormat(request.parameters)
        var output = JSONOutput(continuing: [], pretty: format.pretty)
        output.beginObject()
        output.member("results")
        output.beginArray()
        for statement in statements {
            output.element()
            output.beginObject()
            output.member("original")
            output.text(statement.sql)
            if !statement.sql.isEmpty {
                output.member("rewritten")
                output.text(statement.sql)
            }
            output.endObject()
        }
        output.endArray()
        if format.timings {
            output.member("time")
            output.real(request.head.elapsed.inSeconds)
        }
        output.endObject()
        return Response(.ok, .json, body: output.bytes)
    }
}
