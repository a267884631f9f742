import NIOCore
import NIOEmbedded
import NIOHTTP1
import Rights
import Service
import Synchronization
import Telemetry
import Testing
import Wire

@testable import HTTPAPI

/// Grants what a test says, at once or when the test wants it.
private final class FakeJudge: RightsJudge {
    private struct State {
        var grants = Grants()
        var asked: [Credential] = []
        var isLate = false
        var late: [@Sendable (Bool) -> Void] = []
        var askers: [Asker] = []
    }

    private let state = Mutex(State())

    init(_ words: String..., isLate: Bool = false) {
        state.withLock { state in
            for word in words { _ = state.grants.add(word) }
            state.isLate = isLate
        }
    }

    func judge(
        _ credential: Credential, _ need: RightsNeed, for asker: Asker,
        later: @escaping @Sendable (Bool) -> Void
    ) -> RightsVerdict? {
        state.withLock { state in
            state.asked.append(credential)
            state.askers.append(asker)
            if state.isLate {
                state.late.append(later)
                return nil
            }
            return RightsVerdict(isGranted: need.isMet(by: [state.grants]))
        }
    }

    var asked: [Credential] { state.withLock { $0.asked } }
    var askers: [Asker] { state.withLock { $0.askers } }

    func decide(_ verdict: Bool) {
        let late = state.withLock { state in
            defer { state.late = [] }
            return state.late
        }
        for later in late { later(verdict) }
    }
}

/// Who may do what over HTTP.
@Suite struct DoorTests {
    private func client(
        _ judge: FakeJudge?, open: [String] = [],
        answering outcome: Outcome = .results(.oneInsert), limits: HTTPLimits = HTTPLimits()
    ) throws -> Client {
        try Client(
            FakeNode { _ in outcome }, limits: limits, door: HTTPDoor(judge: judge, open: open))
    }

    private static let targets: [(HTTPOperation, String, String)] = OperationTable.all.flatMap {
        operation in
        operation.paths.map { path in
            let text =
                switch path {
                case .exact(let text): text
                case .prefix(let text): text + "/"
                }
            return (operation, operation.methods?.first?.rawValue ?? "GET", text)
        }
    }

    @Test(arguments: Permission.allCases)
    func `Each permission opens the operations that name it alone, and no others`(
        permission: Permission
    ) throws {
        for (operation, method, target) in Self.targets where !target.isEmpty {
            let answer = try client(FakeJudge(permission.rawValue)).request(method, target)
            let isOpen = operation.permissions.allSatisfy { $0 == permission }
            #expect((answer.status != 401) == isOpen, "\(permission) \(method) \(target)")
        }
    }

    @Test func `Where everybody may do everything each look at a right counts as one that passed`()
        throws
    {
        let client = try client(nil)
        _ = try client.get("/status")
        _ = try client.get("/db/execute")
        // No right is needed for these, or there is no such path.
        for target in ["/licenses", "/openapi.json", "/nowhere"] { _ = try client.get(target) }
        #expect(client.metrics.counter("http", "open_checks").current == 2)
        let judged = try self.client(FakeJudge("all"))
        _ = try judged.get("/status")
        #expect(judged.metrics.counter("http", "open_checks").current == 0)
    }

    @Test func `A right to read opens what changes nothing`() throws {
        let changing = [
            "execute", "request", "change limits", "try an entry again", "leave an entry out",
            "load", "import", "boot", "snapshot", "reap", "remove", "stepdown", "reseed",
            "drop addresses",
        ]
        for (operation, method, target) in Self.targets where !target.isEmpty {
            let answer = try client(FakeJudge("all:read")).request(method, target)
            let isOpen = !changing.contains(operation.name)
            #expect((answer.status != 401) == isOpen, "\(method) \(target)")
        }
    }

    @Test func `A refusal is 401 with the realm and no body, whatever the method`() throws {
        let client = try client(FakeJudge())
        for method in ["POST", "GET", "DELETE"] {
            let answer = try client.request(method, "/db/execute")
            #expect(answer.status == 401)
            #expect(answer.body.isEmpty)
            #expect(answer.headers["www-authenticate"] == #"Basic realm="rqlite""#)
            #expect(answer.headers["x-rqlite-version"] != nil)
            #expect(answer.headers["access-control-allow-credentials"] == "true")
            #expect(
                answer.headers["access-control-allow-headers"] == "Content-Type, Authorization")
        }
        #expect(client.node.requests.isEmpty)
        #expect(try client.request("OPTIONS", "/db/execute").status == 200)
        #expect(try client.get("/nowhere").status == 404)
        #expect(try client.get("/").status == 302)
    }

    private struct FullJudge: RightsJudge {
        func judge(
            _ credential: Credential, _ need: RightsNeed, for asker: Asker,
            later: @escaping @Sendable (Bool) -> Void
        ) -> RightsVerdict? { .noRoom }
    }

    @Test func `Whose credential nobody has room to look at may try again`() throws {
        let client = try Client(
            FakeNode { _ in .results(.oneInsert) }, door: HTTPDoor(judge: FullJudge()))
        for _ in 0..<2 {
            let answer = try client.get("/db/query?q=x")
            #expect(answer.status == 503)
            #expect(answer.headers["retry-after"] == "1")
        }
        #expect(client.node.requests.isEmpty)
    }

    @Test func `Without a judge nobody is asked who they are`() throws {
        let answer = try client(nil).post("/db/execute", #"["INSERT INTO t VALUES(1)"]"#)
        #expect(answer.status == 200)
        #expect(answer.headers["www-authenticate"] == nil)
    }

    @Test func `What is left open needs no right, and nothing else is left open`() throws {
        let client = try client(FakeJudge(), open: ["ready"], answering: .readiness(.nodeOnly))
        #expect(try client.get("/readyz").status == 200)
        #expect(try client.get("/status").status == 401)
    }

    @Test(arguments: [
        ("Basic Ym9iOnNlY3JldA==", Credential.password(user: "bob", password: "secret")),
        ("basic  Ym9iOnNlY3JldA", .password(user: "bob", password: "secret")),
        ("Basic Ym9iOmE6Yg==", .password(user: "bob", password: "a:b")),
        ("Basic Og==", .password(user: "", password: "")),
        ("Bearer ci.0123", .token("ci.0123")),
        ("Basic Ym9i", .none), ("Basic ????", .none), ("Basic /w==", .none), ("Basic", .none),
        ("Digest x", .none), ("", .none), ("Bearer ", .none), ("Basic Ym9iOnNlY3JldA===", .none),
    ])
    func `The header is read as its kinds are written`(field: String, credential: Credential)
        throws
    {
        let judge = FakeJudge("all")
        let client = try client(judge)
        let answer = try client.request(
            "POST", "/db/execute", headers: ["Authorization: \(field)"],
            body: #"["INSERT INTO t VALUES(1)"]"#)
        #expect(answer.status == 200)
        #expect(judge.asked == [credential])
        #expect(client.node.requests.map(\.credential) == [credential])
    }

    @Test func `Who asks is told by the connection, so that those of one address can take turns`()
        throws
    {
        let judge = FakeJudge("all")
        let client = try client(judge)
        _ = try client.get("/status")
        _ = try Client(beside: client).get("/status")
        let streams = try FrameClient(Client(beside: client))
        for stream in [1, 3] as [UInt32] { try streams.request(stream, "GET", "/status") }
        let others = Array(repeating: "127.0.0.1:2", count: 3)
        #expect(judge.askers.map(\.address) == ["127.0.0.1:1"] + others)
    }

    @Test func `While a verdict is awaited no body is taken, and then all is answered in order`()
        throws
    {
        let judge = FakeJudge(isLate: true)
        let client = try client(judge)
        let body = #"["INSERT INTO t VALUES(1)"]"#
        let request =
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try client.send(request + body + request)
        #expect(client.node.requests.isEmpty)
        #expect(try client.output().isEmpty)
        judge.decide(true)
        client.channel.embeddedEventLoop.run()
        #expect(client.node.requests.count == 1)
        #expect(judge.asked.count == 2)
        judge.decide(false)
        client.channel.embeddedEventLoop.run()
        try client.send(body)
        #expect(Client.answers(in: try client.output()).map(\.status) == [200, 401])
        #expect(client.node.requests.count == 1)
    }

    @Test func `What comes while a verdict is awaited counts as bodies do`() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 50_000
        let judge = FakeJudge(isLate: true)
        let client = try client(judge, limits: limits)
        let head = "GET /status HTTP/1.1\r\nHost: a\r\n\r\n"
        try client.send(String(repeating: head, count: 20))
        let held = client.server.budgets.bodyBytes.inUse
        #expect(held > 10_000 && held < 50_000)
        #expect(try client.output().isEmpty)
        // Another client of the same process is not refused for what is small.
        let other = try Client(beside: client)
        try other.send(head)
        // Too much for all of them.
        try client.send(String(repeating: head, count: 1000))
        let answers = Client.answers(in: try client.output())
        #expect(answers.map(\.status) == [503])
        #expect(answers.first?.headers["connection"] == "close")
        #expect(client.server.budgets.bodyBytes.inUse < 1000)
        judge.decide(false)
        client.channel.embeddedEventLoop.run()
        other.channel.embeddedEventLoop.run()
        #expect(try client.output().isEmpty)
        #expect(Client.answers(in: try other.output()).map(\.status) == [401])
        client.channel.embeddedEventLoop.advanceTime(by: .seconds(3))
        #expect(!client.channel.isActive)
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `What was held for a verdict is given back with it`() throws {
        let judge = FakeJudge(isLate: true)
        let client = try client(judge)
        let body = "[\"\(String(repeating: "a", count: 3000))\"]"
        try client.send(
            "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                + body)
        #expect(client.server.budgets.bodyBytes.inUse > 3000)
        judge.decide(true)
        client.channel.embeddedEventLoop.run()
        #expect(Client.answers(in: try client.output()).map(\.status) == [200])
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `What comes on a stream while a verdict is awaited counts by its frames`() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 100_000
        let judge = FakeJudge(isLate: true)
        let client = try FrameClient(client(judge, limits: limits))
        for stream in [1, 3] as [UInt32] {
            try client.send(client.head(stream, "POST", "/db/execute", ends: false))
        }
        let bodies = client.client.server.budgets.bodyBytes
        #expect(bodies.inUse == 0)
        // Of a byte each.
        let frame = Frame(.data, 0, 1, [0x20]).bytes
        let frames = Array(repeating: frame, count: 400).flatMap(\.self)
        try client.send(frames)
        #expect(bodies.inUse > 40_000 && bodies.inUse < 100_000)
        #expect(client.streams[1]?.status == nil)
        // Too much.
        try client.send(frames + frames)
        #expect(client.streams[1]?.status == "503")
        #expect(bodies.inUse == 0)
        judge.decide(false)
        try client.advance()
        try client.send(Frame(.data, Frame.endStream, 3, [0x20]))
        #expect(client.streams[3]?.status == "401")
        #expect(bodies.inUse == 0)
        #expect(client.goAways == [])
    }

    @Test func `A body that has waited for a verdict counts once`() throws {
        var limits = HTTPLimits()
        limits.bodyBytesInFlight = 100_000
        let judge = FakeJudge(isLate: true)
        let client = try FrameClient(client(judge, limits: limits))
        let bodies = client.client.server.budgets.bodyBytes
        try client.send(client.head(1, "POST", "/db/execute", ends: false))
        let text = Array("[\"\(String(repeating: "a", count: 59_996))\"]".utf8)
        for start in stride(from: 0, to: text.count, by: 15_000) {
            let isLast = start + 15_000 == text.count
            try client.send(
                Frame(
                    .data, isLast ? Frame.endStream : 0, 1, Array(text[start..<(start + 15_000)])))
        }
        #expect(bodies.inUse > 60_000 && bodies.inUse < 62_000)
        judge.decide(true)
        try client.advance()
        #expect(client.streams[1]?.status == "200")
        #expect(bodies.inUse == 0)
    }

    @Test func `Who goes while a verdict is awaited is waited for no longer`() throws {
        let judge = FakeJudge(isLate: true)
        let client = try client(judge)
        try client.send("GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
        let asker = try #require(judge.askers.first)
        #expect(!asker.isGone)
        _ = try client.channel.finish(acceptAlreadyClosed: true)
        #expect(asker.isGone)
        judge.decide(true)
        client.channel.embeddedEventLoop.run()
        #expect(client.node.requests.isEmpty)
    }

    @Test func `A body that a client asks about is asked for after the verdict`() throws {
        let judge = FakeJudge(isLate: true)
        let client = try client(judge)
        let head = "POST /db/execute HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        try client.send(head + "Expect: 100-continue\r\n\r\n")
        #expect(try client.output().isEmpty)
        judge.decide(false)
        client.channel.embeddedEventLoop.run()
        #expect(try client.output().hasPrefix("HTTP/1.1 401"))
    }

    @Test func `What another node refuses its client is refused in rqlite's words`() throws {
        let client = try client(nil, answering: .failed(.notAuthorized("Execute")))
        let answer = try client.post("/db/execute", #"["INSERT INTO t VALUES(1)"]"#)
        #expect(answer.status == 401)
        #expect(answer.body == "remote Execute not authorized\n")
    }

    @Test func `A row asks for the rights that its request between nodes asks for`() throws {
        let bodies = [
            "remove": #"{"id":"2"}"#, "change limits": #"{"steps":1000000000}"#,
            "leave an entry out": #"{"index":1,"hash":2}"#,
        ]
        for (operation, method, target) in Self.targets where operation.code != nil {
            let client = try client(nil, answering: .done)
            _ = try client.request(
                method, target + (method == "GET" ? "?q=SELECT%201" : ""),
                body: method == "GET"
                    ? nil
                    : bodies[operation.name] ?? (operation.body == .none ? "" : #"["SELECT 1"]"#))
            guard let sent = client.node.requests.first else { continue }
            let need = sent.operation.need
            #expect(
                Set(need.all) == Set(operation.rightsNeed.all)
                    && need.isReading == operation.rightsNeed.isReading, "\(operation.name)")
        }
    }
}
