import NIOCore
import NIOHTTP1
import Rights
import Telemetry

/// What all connections of a server share: what it may do, hold and say. Thread-safe.
struct Edge: Sendable {
    var limits: HTTPLimits
    var budgets: EdgeBudgets
    let door: HTTPDoor
    let writer: ResponseWriter
    let desk: AnswerDesk
    let workshop: HTTPWorkshop
    /// The same for what goes into files, or comes out of them: where the disk hangs that holds nobody else.
    let files: HTTPWorkshop
    /// The same for those who look at the node: they don't wait for uploads where the disk hangs, nor
    /// requests for them.
    let lookout: HTTPWorkshop
    /// Begins to take what is to be loaded.
    let loads: HTTPServer.Loads
    /// Nil: there are no queued writes.
    var queue: WriteQueue?
    let clients = ClientTable()

    /// For the streams of one connection: of bodies they may hold together what the requests of a
    /// connection of HTTP/1.1 may.
    var ofSession: Edge {
        var edge = self
        edge.limits.bodyBytesInFlight = min(
            limits.bodyBytesInFlight, limits.connectionBodyBytes + limits.bodyBytes)
        edge.budgets.bodyBytes = Budget(
            edge.limits.bodyBytesInFlight, within: budgets.bodyBytes)
        return edge
    }

    struct Planned {
        var plan: HTTPConnection.Machine.Plan
        var bodyLimit: Int
        var work: (HTTPOperation, HTTPRequest)?

        /// What the connection must know of the request.
        func head(
            _ head: HTTPRequestHead, _ framing: ResponseFraming, expectsContinue: Bool,
            _ limits: HTTPLimits
        ) -> HTTPConnection.Machine.Head {
            HTTPConnection.Machine.Head(
                framing: framing, plan: plan, bodyLimit: bodyLimit,
                bodyWindow: work?.0.body.window(limits),
                announcedBody: head.headers.first(name: "content-length").flatMap { Int($0) },
                expectsContinue: expectsContinue)
        }
    }

    /// What becomes of a request, by its head alone; nil: that depends on a verdict that comes later.
    /// - Parameter verdict: what came, when this request is planned for the second time.
    func plan(
        _ head: HTTPRequestHead, from client: ConnectionClient, at place: ConnectionPlace,
        asker: Asker, verdict: Bool? = nil, later: @escaping @Sendable (Bool) -> Void
    ) -> Planned? {
        do throws(QueryParameters.Invalid) {
            if head.method == .OPTIONS { return planned(options(head)) }
            var request = try HTTPRequest(head, arrival: .now())
            guard let path = OperationTable.path(for: request.path) else {
                return planned(Response(.notFound))
            }
            if verdict == nil, let counter = path.counter { counter(desk.counters).add() }
            let found = path.operation(for: request.method)
            // Before the method is looked at, as in rqlite: who may nothing learns nothing.
            let asked = found ?? path.operations[0]
            let answer = verdict.map { $0 ? HTTPDoor.Answer.mayPass : .refused }
            switch answer ?? door.ask(asked, request.credential, for: asker, later: later) {
            case .mayPass:
                if door.judge == nil, !asked.permissions.isEmpty { desk.counters.openChecks.add() }
            case .refused: return planned(Response(.unauthorized, path.content))
            case .noRoom:
                return planned(.unable("too many credentials wait to be looked at: try again"))
            case .wait: return nil
            }
            guard let operation = found else {
                var response = Response(.methodNotAllowed, path.content)
                response.allow = path.allow
                return planned(response)
            }
            request.keepParameters(of: operation)
            if let shortage = place.shortage, !operation.isObservation {
                return planned(tooManyConnections(shortage))
            }
            request.account = client.account(showing: request.credential)
            if let answer = operation.answerToHead(desk, request) { return planned(answer) }
            return Planned(
                plan: .work, bodyLimit: operation.body.limit(limits), work: (operation, request))
        } catch {
            return planned(.plain(.badRequest, error.text))
        }
    }

    private func planned(_ response: Response) -> Planned {
        Planned(plan: .answer(FinishedResponse(response)), bodyLimit: limits.smallBodyBytes)
    }

    /// Always 200, as rqlite has it, whatever else is wrong with the request.
    private func options(_ head: HTTPRequestHead) -> Response {
        var response = Response(.ok)
        response.allowedFields = Self.allowedFields(head.headers)
        do throws(QueryParameters.Invalid) {
            let request = try HTTPRequest(head, arrival: .now())
            response.allow = OperationTable.path(for: request.path)?.allow
        } catch {
            // Then there is no path to tell of.
        }
        return response
    }

    /// Of the fields that a page of another origin would send, those that mean something here and that rqlite,
    /// which does not know them, does not allow.
    private static func allowedFields(_ headers: HTTPHeaders) -> String? {
        let asked = headers[canonicalForm: "access-control-request-headers"]
        guard !asked.isEmpty else { return nil }
        let names = Set(asked.map { $0.lowercased() })
        let known = OperationNote.RequestField.allCases.map(\.rawValue)
            .filter { names.contains($0.lowercased()) }
        return known.isEmpty ? nil : known.joined(separator: ", ")
    }

    func response(to refusal: HTTPRefusal) -> Response {
        switch refusal {
        case .bodyTooLarge(let limit):
            return .plain(
                .payloadTooLarge, "request body is larger than the limit of \(limit) bytes")
        case .bodiesExhausted(.ofClient): return overShare(of: "bodies under way")
        case .bodiesExhausted(.ofNode):
            return .unable(
                "the bodies of all requests under way reached the limit of "
                    + "\(limits.bodyBytesInFlight) bytes: nothing was done, try again")
        case .uploadsExhausted(.ofClient): return overShare(of: "loads that are received")
        case .uploadsExhausted(.ofNode):
            return .unable(
                "\(limits.uploads) loads are being received here, which is the limit: nothing was "
                    + "done, try again")
        case .bodyUnfit(let text, let isTooLarge):
            return .plain(isTooLarge ? .payloadTooLarge : .badRequest, text)
        case .bodyUnkept(let text): return .unable(text)
        case .bodyTooSlow:
            return .plain(.requestTimeout, "the request's body came too slowly: nothing was done")
        case .malformed(let text): return .plain(.badRequest, text)
        case .headerTooLarge:
            return .plain(
                .requestHeaderFieldsTooLarge,
                "the request's header is larger than the limit of \(limits.headerBytes) bytes or "
                    + "\(limits.headerFields) fields")
        case .targetTooLong:
            return .plain(
                .uriTooLong,
                "the request's URL is longer than the limit of \(limits.targetBytes) bytes: "
                    + "send statements by POST, in the body")
        case .expectationUnknown:
            return .plain(
                .expectationFailed, "nothing can be expected of this server but 100-continue")
        }
    }

    /// The node has more clients than it can serve, or this one has its share of the connections.
    func tooManyConnections(_ shortage: Shortage) -> Response {
        guard shortage == .ofNode else { return overShare(of: "connections") }
        return .unable("too many connections: try again, or ask another node")
    }

    private func overShare(of things: String) -> Response {
        desk.counters.overShare.add()
        return Problem.overShare(of: things, asDocument: false)
    }
}

/// Where work is done that would keep an event loop from its other connections. Thread-safe.
package struct HTTPWorkshop: Sendable {
    let run: @Sendable (@escaping @Sendable () -> Void) -> Void

    /// At once, in the caller's call: for tests without threads.
    package static let inline = HTTPWorkshop { work in work() }
}
