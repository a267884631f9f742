import NIOHTTP1
import Telemetry

/// Who answers a path. Paths are matched from top to bottom; most match by prefix
/// (`/db/queryfoo` is `/db/query`), as clients of rqlite know it.
struct Route: Sendable {
    enum Match {
        case exact(String)
        case prefix(String)
    }

    enum BodyLimit {
        case statements
        case small
    }

    let match: Match
    /// Nil: any.
    let methods: [HTTPMethod]?
    /// What a refusal without words is labelled as.
    let content: Response.Content
    let bodyLimit: BodyLimit
    let counter: (@Sendable (HTTPCounters) -> Counter)?
    let handler: @Sendable (Endpoints, HTTPRequest) -> Action

    init(
        _ match: Match, _ methods: [HTTPMethod]?, _ content: Response.Content = .json,
        body: BodyLimit = .small,
        counting counter: (@Sendable (HTTPCounters) -> Counter)? = nil,
        handler: @escaping @Sendable (Endpoints, HTTPRequest) -> Action
    ) {
        self.match = match
        self.methods = methods
        self.content = content
        bodyLimit = body
        self.counter = counter
        self.handler = handler
    }

    func matches(_ path: String) -> Bool {
        switch match {
        case .exact(let text): path == text
        case .prefix(let text): path.hasPrefix(text)
        }
    }
}

/// Every route of the API.
enum RouteTable {
    static func route(for path: String) -> Route? { all.first { $0.matches(path) } }

    private static let all: [Route] = [
        Route(
            .prefix("/db/execute"), [.POST], body: .statements,
            counting: { $0.executions },
            handler: { $0.execute($1) }),
        Route(
            .prefix("/db/query"), [.GET, .POST], body: .statements,
            counting: { $0.queries },
            handler: { $0.query($1) }),
        Route(
            .prefix("/db/request"), [.POST], body: .statements,
            counting: { $0.requests },
            handler: { $0.request($1) }),
        Route(.exact("/"), nil, .none, handler: { $0.root($1) }),
        Route(.exact(""), nil, .none, handler: { $0.root($1) }),
        Route(
            .exact("/console"), nil, .none,
            handler: { _, _ in .respond(.redirect(.movedPermanently, to: "/console/")) }),
        Route(
            .prefix("/console"), [.GET, .HEAD], .none,
            counting: { $0.consoleFiles },
            handler: { _, _ in .respond(.plain(.notFound, "404 page not found")) }),
        Route(
            .prefix("/db/backup"), [.GET], .none,
            counting: { $0.backups },
            handler: { _, _ in .respond(Endpoints.unavailable("backup")) }),
        Route(
            .prefix("/db/load"), [.POST], .none, body: .statements,
            counting: { $0.loads },
            handler: { _, _ in .respond(Endpoints.unavailable("load")) }),
        Route(
            .prefix("/db/sql"), [.GET, .POST], body: .statements,
            counting: { $0.analyses },
            handler: { $0.showRewriting($1) }),
        Route(
            .exact("/boot"), [.POST], .none, body: .statements,
            counting: { $0.boots },
            handler: { _, _ in .respond(Endpoints.unavailable("boot")) }),
        Route(
            .exact("/snapshot"), [.POST], .none,
            counting: { $0.snapshots },
            handler: { _, _ in .respond(Endpoints.unavailable("snapshot")) }),
        Route(
            .exact("/reap"), [.POST],
            counting: { $0.reaps },
            handler: { _, _ in .respond(Endpoints.unavailable("reap")) }),
        Route(.prefix("/remove"), [.DELETE], .none, handler: { $0.remove($1) }),
        Route(
            .prefix("/status"), [.GET],
            counting: { $0.statusReads },
            handler: { $0.status($1) }),
        Route(.prefix("/nodes"), [.GET], handler: { $0.nodes($1) }),
        Route(.exact("/leader"), [.GET, .POST], handler: { $0.leader($1) }),
        Route(
            .prefix("/readyz"), [.GET], .text,
            counting: { $0.readinessChecks },
            handler: { $0.readiness($1) }),
        Route(.exact("/debug/vars"), nil, handler: { $0.variables($1) }),
    ]
}
