import JSON
import NIOHTTP1
import Raft
import Rights
import Service
import Wire

/// `/db/limits`: the limits on writes, which are the same on every node.
extension HTTPOperation {
    static let limits = HTTPOperation(
        "limits", [.exact("/db/limits")], [.GET], [.status], need: .leader, code: .limits,
        note: OperationNote(
            "The limits on writes.", [.pretty, .timeout, .redirect],
            [.json(200, .limits, "All limits.")], answerFields: [.servedBy]),
        work: { _, _ in .submit(.limits(nil)) },
        answer: limitsAnswer,
        failure: { .plain(.serviceUnavailable, ErrorTable.text($0)) })

    static let changeLimits = HTTPOperation(
        "change limits", [.exact("/db/limits")], [.PUT], [.leaderOperations], body: .document,
        need: .log, code: .limits,
        note: OperationNote(
            "Change limits on writes.", [.pretty, .timeout, .redirect],
            bodies: [.json(.limitsChange)],
            [.json(200, .limits, "All limits, as they are now.")], answerFields: [.servedBy]),
        work: { _, request in
            do throws(LimitsDocument.Invalid) {
                return .submit(.limits(try LimitsDocument.change(request.document)))
            } catch {
                return .respond(.plain(.badRequest, error.text))
            }
        },
        answer: limitsAnswer,
        failure: { .plain(.serviceUnavailable, ErrorTable.text($0)) })

    private static let limitsAnswer: @Sendable (Context, Reply, PendingReply) -> Response? = {
        desk, reply, pending in
        guard case .limits(let limits) = reply.outcome else { return nil }
        var response = Response(
            .ok, .json, body: LimitsDocument.render(limits, pretty: pending.format.pretty))
        response.servedBy = reply.servedBy?.rawValue ?? desk.advertisedAddress
        return response
    }
}

/// The limits as JSON: an object with a whole number for each, as in `WriteLimits`.
enum LimitsDocument {
    struct Invalid: Error, Equatable {
        let text: String
    }

    static func render(_ limits: WriteLimits, pretty: Bool) -> [UInt8] {
        let document = JSONValue.object(
            fields.map { .init($0.name, .integer(limits[keyPath: $0.limit])) })
        var bytes: [UInt8] = []
        document.write(to: &bytes, pretty: pretty)
        return bytes
    }

    /// The limits that the document names; the others stay as they are.
    static func change(_ document: JSONValue?) throws(Invalid) -> WriteLimitsChange {
        guard let members = document?.members, !members.isEmpty else {
            throw Invalid(text: "a JSON object with one or more of \(names) is expected")
        }
        var change = WriteLimitsChange()
        for member in members {
            guard let field = fields.first(where: { $0.name == member.name }) else {
                throw Invalid(text: "there is no limit \"\(member.name)\", only \(names)")
            }
            let least = WriteLimits.least[keyPath: field.limit]
            guard case .number(let text) = member.value, let value = UInt64(text), value >= least
            else {
                throw Invalid(
                    text: "\(field.name) must be a whole number from \(least) to \(UInt64.max)")
            }
            change[keyPath: field.change] = value
        }
        return change
    }

    private struct Field {
        let name: String
        let limit: any KeyPath<WriteLimits, UInt64> & Sendable
        let change: any WritableKeyPath<WriteLimitsChange, UInt64?> & Sendable
    }

    private static let fields: [Field] = [
        Field(name: "steps", limit: \.steps, change: \.steps),
        Field(name: "growth", limit: \.growth, change: \.growth),
        Field(name: "database", limit: \.database, change: \.database),
        Field(name: "temporary", limit: \.temporary, change: \.temporary),
    ]

    /// The name of each and its least value.
    static var all: [(name: String, least: UInt64)] {
        fields.map { ($0.name, WriteLimits.least[keyPath: $0.limit]) }
    }

    private static var names: String { fields.map(\.name).joined(separator: ", ") }
}
