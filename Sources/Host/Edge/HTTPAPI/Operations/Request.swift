import NIOHTTP1
import Rights
import Telemetry
import Wire

/// `/db/request`: statements that read or write, as each of them is.
extension HTTPOperation {
    static let request = StatementsOperation.row(
        "request", .request, "/db/request", [.POST], [.query, .execute], need: .levelOrLog,
        note: .statements(
            "Run statements that read or write, each as it is.",
            [.qualifyColumns] + OperationParameter.reading, isText: false,
            isWrite: true),
        counting: { $0.requests }, given: { _ in nil })
}
