import NIOCore
import NIOHTTP1
import Rights
import Service
import Telemetry
import Wire

/// `/boot`: a database file takes the place of the leader's database, and of those of all members.
extension HTTPOperation {
    static let boot = HTTPOperation(
        "boot", [.exact("/boot")], [.POST], [.load], body: .database, need: .leader, code: .boot,
        note: OperationNote(
            "Replace the database by a file, through the node that leads.", [.timeout],
            bodies: [.bytes],
            [
                .empty(200, "The file is the database."),
                .text(503, "It is no file, or the node does not lead."),
            ]),
        content: .none, counting: { $0.boots }, isSlow: true,
        work: { _, request in
            guard let kept = request.kept, kept.byteCount >= 32 else {
                return .respond(.plain(.serviceUnavailable, "EOF"))
            }
            guard kept.start.starts(with: "SQLite format".utf8) else {
                return .respond(.plain(.badRequest, "invalid SQLite data"))
            }
            switch kept.intake.finish() {
            case .image(let image): return .submit(.boot(image))
            case .parcel(let parcel): return .ship(parcel, isBoot: true)
            case .tooLarge(let text): return .respond(.plain(.payloadTooLarge, text))
            case .unfit(let text): return .respond(.plain(.badRequest, text))
            case .unable(let text): return .respond(.unable(text))
            case .sql: return .respond(.plain(.badRequest, "invalid SQLite data"))
            case .busy: return .respond(.unable("load in progress"))
            }
        },
        answer: { _, reply, _ in
            guard case .results(let result) = reply.outcome else { return nil }
            return result.error.map { .plain(.serviceUnavailable, $0) } ?? Response(.ok)
        },
        failure: { .plain(.serviceUnavailable, ErrorTable.text($0)) })
}
