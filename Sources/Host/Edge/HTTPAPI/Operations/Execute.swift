import NIOCore
import NIOHTTP1
import Rights
import Telemetry
import Wire

/// `/db/execute`: statements run for their effect, now or, with `queue`, by and by.
extension HTTPOperation {
    static let execute = StatementsOperation.row(
        "execute", .execute, "/db/execute", [.POST], [.execute], need: .log,
        note: .statements(
            "Run statements for their effect, or queue them.",
            [.databaseTimeout, .queue, .queueWait, .queueWithoutLeader], isText: true,
            isWrite: true),
        counting: { $0.executions },
        given: {
            StatementsOperation.isPlainText($0) ? [StatementsOperation.sql(of: $0)] : nil
        })
}

extension StatementsOperation {
    /// A write for the queue.
    /// - Parameter given: the statements, when they are not in a JSON body.
    static func queued(
        _ desk: AnswerDesk, _ request: HTTPRequest, _ given: (HTTPRequest) -> [Statement]?
    ) -> Action {
        let parameters = request.parameters
        var statements: [Statement] = []
        if let given = given(request) {
            statements = given
        } else {
            switch self.statements(of: request, desk.limits.statements) {
            case .success(let parsed): statements = parsed
            // With nothing to do it only waits for those before it.
            case .failure(.noStatements) where parameters.has(.wait): break
            case .failure(let fault): return .respond(fault.response)
            }
        }
        statements.removeAll { $0.sql.isEmpty }
        return .enqueue(
            QueuedWrite(
                statements: statements, credential: request.credential,
                byteCount: request.body?.readableBytes ?? 0, waits: parameters.has(.wait),
                needsNoLeader: parameters.has(.noleader), timeout: parameters.timeout,
                owner: request.account?.number ?? 0))
    }
}
