import NIOCore
import NIOHTTP1
import Notation
import Service
import Telemetry
import Wire

/// What the operations that carry SQL have in common: how statements come in, what is asked of the
/// node, and how results and failures go out.
enum StatementsOperation {
    /// A row for a kind of command.
    /// - Parameter given: the statements, when they are not in a JSON body.
    static func row(
        _ name: String, _ kind: CommandKind, _ path: String, _ methods: [HTTPMethod],
        _ permissions: [HTTPOperation.Permission], need: HTTPOperation.Need, note: OperationNote,
        counting counter: @escaping @Sendable (HTTPCounters) -> Counter,
        answerToHead: @escaping @Sendable (AnswerDesk, HTTPRequest) -> Response? = { _, _ in nil },
        given: @escaping @Sendable (HTTPRequest) -> [Statement]?
    ) -> HTTPOperation {
        HTTPOperation(
            name, [.prefix(path)], methods, permissions, body: .statements, need: need,
            code: .command, note: note, counting: counter, answerToHead: answerToHead,
            work: { desk, request in
                guard isReadable(request) else { return .respond(.plain(.badRequest, notUTF8)) }
                let key: String?
                switch IdempotencyKey.of(request, kind) {
                case .success(let given): key = given
                case .failure(let fault): return .respond(.plain(.badRequest, fault.text))
                }
                guard kind == .execute, request.parameters.has(.queue) else {
                    return work(kind, desk, request, key, given)
                }
                return key == nil
                    ? queued(desk, request, given)
                    : .respond(.plain(.badRequest, IdempotencyKey.queuedText))
            },
            answer: { desk, reply, pending in
                switch reply.outcome {
                case .results(let result):
                    var response = desk.results(result, servedBy: reply.servedBy, pending)
                    response.entityTag = EntityTag.of(result, reply.sight, pending)
                    return response
                case .unchanged:
                    var response = Response(.notModified)
                    // What began since the tag was looked at is not in the client's copy.
                    response.entityTag = reply.sight.flatMap { $0.isExact ? $0.mark : nil }
                    return response
                case .repeated(let result):
                    var response = desk.results(result, servedBy: reply.servedBy, pending)
                    response.isRepeated = true
                    return response
                case .doneBefore(let index):
                    return desk.doneBefore(index, servedBy: reply.servedBy, pending)
                case .part(let part):
                    return desk.results(beginning: part, servedBy: reply.servedBy, pending)
                default: return nil
                }
            },
            // A failure of the whole request is an answer like others, as rqlite has it.
            failure: { .envelope(ErrorTable.text($0)) })
    }

    private static func work(
        _ kind: CommandKind, _ desk: AnswerDesk, _ request: HTTPRequest, _ key: String?,
        _ given: (HTTPRequest) -> [Statement]?
    ) -> Action {
        var statements: [Statement]
        if let given = given(request) {
            statements = given
        } else {
            switch self.statements(of: request, desk.limits.statements) {
            case .success(let parsed): statements = parsed
            case .failure(let fault): return .respond(fault.response)
            }
        }
        desk.count(statements.count, kind)
        // An empty text does nothing and has no result, unlike a comment.
        statements.removeAll { $0.sql.isEmpty }
        if statements.isEmpty {
            return .respond(desk.emptyResult(request, of: .request))
        }
        let parameters = request.parameters
        var command = Command(
            kind: kind, statements: statements, transaction: parameters.has(.transaction),
            qualifyColumns: kind != .execute && parameters.has(.qualifyColumns))
        command.key = key.map {
            RepeatKey($0, of: request.credential.principal, for: command)
        }
        var options = ReadOptions(
            level: parameters.level, freshness: parameters.freshness,
            linearizableTimeout: kind == .query ? parameters.linearizableTimeout : .seconds(1),
            databaseTimeout: parameters.databaseTimeout)
        options.demand = parameters.demand
        options.unless = EntityTag.unless(request)
        return .submit(.command(command, options))
    }

    static func isPlainText(_ request: HTTPRequest) -> Bool {
        request.headers.first(name: "content-type")?.hasPrefix("text/plain") ?? false
    }

    private static let notUTF8 =
        "the SQL is not UTF-8: write such texts as CAST(X'…' AS TEXT)"

    /// SQL alone must be UTF-8, as JSON must: other bytes would be replaced, and stored so without a word.
    private static func isReadable(_ request: HTTPRequest) -> Bool {
        guard isPlainText(request), let body = request.body else { return true }
        return body.withUnsafeReadableBytes { UTF8Check.isValid($0) }
    }

    /// A body that is SQL and nothing else.
    static func sql(of request: HTTPRequest) -> Statement {
        Statement(request.body.map { String(buffer: $0) } ?? "")
    }

    static func statements(
        of request: HTTPRequest, _ limits: StatementLimits
    ) -> Result<[Statement], StatementParser.Fault> {
        guard let body = request.body else { return .failure(.notJSON) }
        return body.withUnsafeReadableBytes { bytes in
            do throws(StatementParser.Fault) {
                return .success(try StatementParser.parse(bytes, limits))
            } catch {
                return .failure(error)
            }
        }
    }
}

extension StatementParser.Fault {
    /// What the client gets.
    var response: Response { .plain(isTooMuch ? .payloadTooLarge : .badRequest, text) }
}
