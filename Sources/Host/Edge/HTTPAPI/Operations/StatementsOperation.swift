import NIOCore
import NIOHTTP1
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
        _ permissions: [HTTPOperation.Permission], need: HTTPOperation.Need,
        counting counter: @escaping @Sendable (HTTPCounters) -> Counter,
        answerToHead: @escaping @Sendable (AnswerDesk, HTTPRequest) -> Response? = { _, _ in nil },
        given: @escaping @Sendable (HTTPRequest) -> [Statement]?
    ) -> HTTPOperation {
        HTTPOperation(
            name, [.prefix(path)], methods, permissions, body: .statements, need: need,
            code: .command, counting: counter, answerToHead: answerToHead,
            work: { desk, request in
                kind == .execute && request.parameters.has(.queue)
                    ? queued(desk, request, given) : work(kind, desk, request, given)
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
            // A failure of the whole request is an answer like others, as rqlite has it.
            failure: { .envelope(ErrorTable.text($0)) })
    }

    private static func work(
        _ kind: CommandKind, _ desk: AnswerDesk, _ request: HTTPRequest,
        _ given: (HTTPRequest) -> [Statement]?
    ) -> Action {
        var statements: [Statement]
        if let given = given(request) {
            statements = given
        } else {
            switch self.statements(of: request) {
            case .success(let parsed): statements = parsed
            case .failure(let fault): return .respond(.plain(.badRequest, fault.text))
            }
        }
        desk.count(statements.count, kind)
        // An empty text does nothing and has no result, unlike a comment.
        statements.removeAll { $0.sql.isEmpty }
        if statements.isEmpty {
            return .respond(desk.emptyResult(request, of: .request))
        }
        let parameters = request.parameters
        let command = Command(
            kind: kind, statements: statements, transaction: parameters.has(.transaction),
            qualifyColumns: kind != .execute && parameters.has(.qualifyColumns))
        let options = ReadOptions(
            level: parameters.level, freshness: parameters.freshness,
            linearizableTimeout: kind == .query ? parameters.linearizableTimeout : .seconds(1),
            databaseTimeout: parameters.databaseTimeout)
        return .submit(.command(command, options))
    }

    static func isPlainText(_ request: HTTPRequest) -> Bool {
        request.headers.first(name: "content-type")?.hasPrefix("text/plain") ?? false
    }

    /// A body that is SQL and nothing else.
    static func sql(of request: HTTPRequest) -> Statement {
        Statement(request.body.map { String(buffer: $0) } ?? "")
    }

    static func statements(
        of request: HTTPRequest
    ) -> Result<[Statement], StatementParser.Fault> {
        guard let body = request.body else { return .failure(.notJSON) }
        return body.withUnsafeReadableBytes { bytes in
            do throws(StatementParser.Fault) {
                return .success(try StatementParser.parse(bytes))
            } catch {
                return .failure(error)
            }
        }
    }
}
