import JSON
import NIOHTTP1
import Raft
import Service
import Wire

/// What programs are told of a failure beside the text, which is rqlite's: the code in the header field
/// `X-Rqlited-Error`, and to who asks for it (`Accept: application/problem+json`, RFC 9457) a document
/// with code, cause and leader, under a status that says what the failure is.
enum Problem {
    /// Never renamed: programs decide by it.
    static func code(of error: ServiceError) -> String {
        switch error {
        case .notLeader: "not_leader"
        case .noLeader: "no_leader"
        case .notReady: "not_ready"
        case .leadershipLost: "leadership_lost"
        case .timedOut: "timed_out"
        case .busy: "busy"
        case .staleRead: "stale_read"
        case .linearizableTimeout: "linearizable_timeout"
        case .forwardingFailed: "forwarding_failed"
        case .requestTooLarge: "request_too_large"
        case .transfer: "transfer_refused"
        case .membership: "membership_refused"
        case .diskFull: "disk_full"
        case .unsuitable: "unsuitable"
        case .otherHistory: "other_history"
        case .behind: "behind"
        case .keyTaken: "key_taken"
        case .notAuthorized: "not_authorized"
        }
    }

    /// Whether the request may have taken effect all the same.
    private static func isUncertain(_ error: ServiceError) -> Bool {
        switch error {
        case .leadershipLost, .timedOut, .forwardingFailed: true
        default: false
        }
    }

    static func status(of error: ServiceError) -> HTTPResponseStatus {
        switch error {
        case .notLeader: .misdirectedRequest
        case .noLeader, .notReady, .leadershipLost, .busy, .staleRead: .serviceUnavailable
        case .timedOut, .linearizableTimeout, .behind: .gatewayTimeout
        case .forwardingFailed: .badGateway
        case .requestTooLarge: .payloadTooLarge
        case .transfer, .membership, .unsuitable: .conflict
        case .diskFull: .insufficientStorage
        case .otherHistory: .preconditionFailed
        case .keyTaken: .unprocessableEntity
        case .notAuthorized: .unauthorized
        }
    }

    /// The document, with a line's end.
    static func response(to error: ServiceError) -> Response {
        var members: [JSONValue.Member] = []
        switch error {
        case .notLeader(let url?): members.append(.init("leader", .string(url)))
        case .noLeader(let waitingFor) where !waitingFor.isEmpty:
            members.append(.init("cause", .string(waitingFor)))
        case .notReady(let cause): members.append(.init("cause", .string(cause)))
        case .timedOut(let waitingFor): members.append(.init("cause", .string(waitingFor)))
        case .forwardingFailed(let address, let cause):
            members.append(.init("leader_address", .string(address.rawValue)))
            members.append(.init("cause", .string(cause)))
        case .requestTooLarge(let limit):
            members.append(.init("limit_bytes", .integer(UInt64(clamping: limit))))
        case .behind(let wanted, let applied):
            members.append(.init("wanted_index", .integer(wanted.rawValue)))
            members.append(.init("applied_index", .integer(applied.rawValue)))
        case .keyTaken(let index): members.append(.init("index", .integer(index.rawValue)))
        default: break
        }
        return document(
            status(of: error), code: code(of: error), ErrorTable.text(error),
            isUncertain: isUncertain(error), members)
    }

    /// Of what has come to its end, and whose answer can't be held until its client takes it.
    static let droppedCode = "answer_dropped"

    /// - Parameters:
    ///   - result: of which a statement may have failed, by which others may be undone; nil: nothing is known of it.
    ///   - asDocument: the client asks for that.
    static func droppedAnswer(of result: CommandResult?, asDocument: Bool) -> Response {
        let room = "there is no room for its answer: too many wait for their clients"
        let text: String
        if let failure = result?.firstFailure {
            text = "a statement of the request has failed, and \(room). It failed by: \(failure)"
        } else if result != nil {
            text = "the request was carried out, and \(room)"
        } else {
            text = "whether the request failed is not known here, and \(room)"
        }
        return failed(
            .internalServerError, code: droppedCode, text, isUncertain: true, asDocument: asDocument
        )
    }

    /// The client has its share of what all clients may have together, while others are starved.
    static let overShareCode = "over_share"

    /// - Parameters:
    ///   - things: of which it has that.
    ///   - asDocument: the client asks for that.
    static func overShare(of things: String, asDocument: Bool) -> Response {
        let text =
            "this client has its share of the \(things), and others are refused for want of any: nothing "
            + "was done, try again"
        var response = failed(
            .tooManyRequests, code: overShareCode, text, isUncertain: false, asDocument: asDocument)
        response.retryAfter = 1
        return response
    }

    private static func failed(
        _ status: HTTPResponseStatus, code: String, _ text: String, isUncertain: Bool,
        asDocument: Bool
    ) -> Response {
        var response =
            asDocument
            ? document(status, code: code, text, isUncertain: isUncertain) : .plain(status, text)
        response.errorCode = code
        return response
    }

    private static func document(
        _ status: HTTPResponseStatus, code: String, _ detail: String, isUncertain: Bool,
        _ more: [JSONValue.Member] = []
    ) -> Response {
        let members: [JSONValue.Member] = [
            .init("type", .string("about:blank")), .init("title", .string(status.reasonPhrase)),
            .init("status", .integer(UInt64(status.code))), .init("detail", .string(detail)),
            .init("code", .string(code)), .init("may_have_taken_effect", .bool(isUncertain)),
        ]
        var body: [UInt8] = []
        JSONValue.object(members + more).write(to: &body)
        return Response(status, .problem, body: body + [UInt8(ascii: "\n")])
    }

    /// The client names the form among those that it takes.
    static func isWanted(_ headers: HTTPHeaders) -> Bool {
        headers[canonicalForm: "accept"].contains {
            $0.lowercased().hasPrefix("application/problem+json")
        }
    }
}
