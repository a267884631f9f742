import NIOCore
import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// `/db/load`: a database file takes the place of the database, or a dump is run; either may be
/// packed by gzip. The content decides what it is.
extension HTTPOperation {
    static let load = HTTPOperation(
        "load", [.prefix("/db/load")], [.POST], [.load], body: .database, need: .log, code: .load,
        note: OperationNote(
            "Replace the database by a file, or run a dump; either may be packed by gzip.",
            [.pretty, .timings, .timeout, .redirect] + OperationParameter.idle.prefix(1),
            bodies: [.bytes, .sql],
            [
                .json(200, .results, "Empty for a file; for SQL what it did."),
                .stream(200, .lines, "Progress, where Accept asks for it."),
            ], answerFields: [.servedBy]),
        counting: { $0.loads }, isSlow: true,
        work: { desk, request in
            guard let kept = request.kept else {
                return .respond(desk.emptyResult(request, of: .request))
            }
            switch kept.intake.finish() {
            case .sql(let text, let isTransaction):
                let command = Command(
                    kind: .execute, statements: [Statement(text)], transaction: isTransaction)
                return .submit(.loadDump(command))
            case .image(let image): return .submit(.load(image))
            case .parcel(let parcel): return .ship(parcel, isBoot: false)
            case .tooLarge(let text): return .respond(.plain(.payloadTooLarge, text))
            case .unfit(let text): return .respond(.plain(.badRequest, text))
            case .unable(let text): return .respond(.unable(text))
            case .busy:
                return .respond(
                    .unable("another load is under way here: nothing was done, try again"))
            }
        },
        answer: { desk, reply, pending in
            switch reply.outcome {
            case .results(let result):
                return desk.results(result, servedBy: reply.servedBy, pending)
            case .part(let part):
                return desk.results(beginning: part, servedBy: reply.servedBy, pending)
            default: return nil
            }
        },
        failure: { .plain(.internalServerError, ErrorTable.text($0)) })
}
