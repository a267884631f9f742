import JSON
import NIOCore
import NIOHTTP1
import Raft
import Service
import Telemetry
import Wire

/// The handlers of the routes: each turns a request into an answer or into something to ask of the
/// node. They keep nothing and may run on any event loop.
struct Endpoints: Sendable {
    let advertisedAddress: String
    let documents: Documents
    let counters: HTTPCounters

    static func unavailable(_ feature: String) -> Response {
        .plain(.serviceUnavailable, "\(feature) is not available yet")
    }

    func execute(_ request: HTTPRequest) -> Action {
        if request.parameters.has(.queue) {
            return .respond(Self.unavailable("queued write"))
        }
        return run(.execute, request) { isPlainText(request) ? [Self.sql(of: request)] : nil }
    }

    func query(_ request: HTTPRequest) -> Action {
        run(.query, request) {
            if request.method == .GET {
                return request.parameters[.q].map { [Statement($0)] } ?? []
            }
            return isPlainText(request) ? [Self.sql(of: request)] : nil
        }
    }

    func request(_ request: HTTPRequest) -> Action {
        run(.request, request) { nil }
    }

    /// Statements are executed as they are sent, because every node computes the same from them:
    /// there is no rewriting to show.
    func showRewriting(_ request: HTTPRequest) -> Action {
        let statements: [Statement]
        if request.method == .GET {
            guard let sql = request.parameters[.q] else {
                return .respond(.plain(.badRequest, "query not specified"))
            }
            statements = [Statement(sql)]
        } else {
            switch Self.statements(of: request) {
            case .success(let parsed): statements = parsed
            case .failure(let fault): return .respond(.plain(.badRequest, fault.text))
            }
        }
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
            output.real(PendingReply(.command, request).elapsed.inSeconds)
        }
        output.endObject()
        return .respond(Response(.ok, .json, body: output.bytes))
    }

    func remove(_ request: HTTPRequest) -> Action {
        guard case .object(let members)? = Self.document(of: request), members.count == 1,
            members[0].name == "id", let id = members[0].value.string
        else { return .respond(Response(.badRequest)) }
        return .submit(.remove(NodeID(id)), PendingReply(.remove, request))
    }

    func nodes(_ request: HTTPRequest) -> Action {
        let asList = request.parameters[.ver] == "2"
        return .submit(
            .nodes(includeNonvoters: request.parameters.has(.nonvoters)),
            PendingReply(.nodes(asList: asList), request))
    }

    func leader(_ request: HTTPRequest) -> Action {
        if request.method == .GET { return .submit(.leader, PendingReply(.leader, request)) }
        var successor: NodeID?
        let length = request.body?.readableBytes ?? 0
        if length > 0, request.headers.first(name: "content-type") == "application/json" {
            guard case .object(let members)? = Self.document(of: request) else {
                return .respond(
                    .plain(.badRequest, "invalid JSON: an object with an id is expected"))
            }
            if let id = members.last(where: { $0.name == "id" })?.value.string, !id.isEmpty {
                successor = NodeID(id)
            }
        }
        return .submit(
            .transferLeadership(to: successor, wait: request.parameters.has(.wait)),
            PendingReply(.transferLeadership, request))
    }

    func readiness(_ request: HTTPRequest) -> Action {
        let check = ClientRequest.ReadinessCheck(
            nodeOnly: request.parameters.has(.noleader), sync: request.parameters.has(.sync))
        return .submit(
            .readiness(check), PendingReply(.readiness(sync: check.sync), request))
    }

    func root(_ request: HTTPRequest) -> Action {
        var response = Response.redirect(.found, to: "/console/")
        if request.method == .GET || request.method == .HEAD {
            response.content = .html
            response.body = Array("<a href=\"/console/\">Found</a>.\n\n".utf8)
        }
        return .respond(response)
    }

    func status(_ request: HTTPRequest) -> Action {
        let body = documents.status(
            key: request.parameters[.key] ?? "", pretty: request.parameters.has(.pretty))
        return .respond(Response(.ok, .json, body: body))
    }

    func variables(_ request: HTTPRequest) -> Action {
        let body = documents.variables(key: request.parameters[.key])
        return .respond(Response(.ok, .json, body: body))
    }
}

extension Endpoints {
    /// - Parameter given: the statements, when they are not in a JSON body.
    private func run(
        _ kind: CommandKind, _ request: HTTPRequest, given: () -> [Statement]?
    ) -> Action {
        var statements: [Statement]
        if let given = given() {
            statements = given
        } else {
            switch Self.statements(of: request) {
            case .success(let parsed): statements = parsed
            case .failure(let fault): return .respond(.plain(.badRequest, fault.text))
            }
        }
        count(statements.count, kind)
        // An empty text does nothing and has no result, unlike a comment.
        statements.removeAll { $0.sql.isEmpty }
        if statements.isEmpty { return .respond(emptyResult(request)) }
        let parameters = request.parameters
        let command = Command(
            kind: kind, statements: statements, transaction: parameters.has(.transaction),
            qualifyColumns: kind != .execute && parameters.has(.qualifyColumns))
        let options = ReadOptions(
            level: parameters.level, freshness: parameters.freshness,
            linearizableTimeout: kind == .query ? parameters.linearizableTimeout : .seconds(1),
            databaseTimeout: parameters.databaseTimeout)
        return .submit(.command(command, options), PendingReply(.command, request))
    }

    private func count(_ statements: Int, _ kind: CommandKind) {
        switch kind {
        case .execute: counters.executeStatements.add(statements)
        case .query: counters.queryStatements.add(statements)
        case .request: counters.requestStatements.add(statements)
        }
    }

    private func emptyResult(_ request: HTTPRequest) -> Response {
        let pending = PendingReply(.command, request)
        var response = ReplyRenderer(advertisedAddress: advertisedAddress, counters: counters)
            .render(Reply(id: RequestID(0), outcome: .results(CommandResult([]))), to: pending)
        response.servedBy = advertisedAddress
        return response
    }

    private func isPlainText(_ request: HTTPRequest) -> Bool {
        request.headers.first(name: "content-type")?.hasPrefix("text/plain") ?? false
    }

    private static func sql(of request: HTTPRequest) -> Statement {
        Statement(request.body.map { String(buffer: $0) } ?? "")
    }

    private static func statements(
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

    /// A small JSON document; nil when the body is none.
    private static func document(of request: HTTPRequest) -> JSONValue? {
        guard let body = request.body else { return nil }
        do { return try JSONValue(parsing: Array(body.readableBytesView)) } catch { return nil }
    }
}
