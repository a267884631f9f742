import NIOHTTP1
import Rights
import Telemetry
import Wire

/// `/db/execute`: statements run for their effect.
extension HTTPOperation {
    static let execute = StatementsOperation.row(
        "execute", .execute, "/db/execute", [.POST], [.execute], need: .log,
        counting: { $0.executions },
        answerToHead: { _, request in
            request.parameters.has(.queue) ? .unavailable("queued write") : nil
        },
        given: {
            StatementsOperation.isPlainText($0) ? [StatementsOperation.sql(of: $0)] : nil
        })
}
