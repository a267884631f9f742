import NIOCore
import NIOEmbedded
import Service
import Synchronization
import Testing
import Wire

@testable import HTTPAPI

/// Bodies that are taken in parts while they come.
@Suite struct UploadTests {
    /// Keeps what is to be done until the test does it.
    final class Bench: Sendable {
        private let jobs = Mutex<[@Sendable () -> Void]>([])

        var workshop: HTTPWorkshop {
            HTTPWorkshop { work in self.jobs.withLock { $0.append(work) } }
        }

        var count: Int { jobs.withLock { $0.count } }

        /// - Returns: whether there was something to do.
        @discardableResult
        func doNext() -> Bool {
            let job = jobs.withLock { $0.isEmpty ? nil : $0.removeFirst() }
            job?()
            return job != nil
        }
    }

    private static let image = DatabaseImage(byteCount: 4096, packed: [1, 2, 3])
    private let bench = Bench()
    private let loads = LoadsDouble { _ in .image(UploadTests.image) }

    private func client(
        _ limits: HTTPLimits = HTTPLimits(), loads: LoadsDouble? = nil, isHeld: Bool = false
    ) throws -> Client {
        try Client(
            FakeNode { _ in .results(CommandResult([])) }, limits: limits,
            loads: loads ?? self.loads, workshop: isHeld ? bench.workshop : .inline)
    }

    private func head(_ size: Int, path: String = "/db/load") -> String {
        "POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(size)\r\n\r\n"
    }

    private func run(_ client: Client) {
        repeat { client.channel.embeddedEventLoop.run() } while bench.doNext()
        client.channel.embeddedEventLoop.run()
    }

    @Test func `Parts are taken while the body comes, and looked at when it is whole`() throws {
        let client = try client()
        try client.send(head(10) + "abc")
        try client.send("def")
        #expect(loads.parts == [Array("abc".utf8), Array("def".utf8)])
        #expect(loads.finished == 0)
        try client.send("ghij")
        #expect(loads.finished == 1)
        #expect(try Client.answers(in: client.output()).map(\.status) == [200])
        #expect(client.node.requests.count == 1)
    }

    @Test func `Statements don't wait for bodies that go into files, where a disk hangs`() throws {
        var limits = HTTPLimits()
        limits.inlineBodyBytes = 4
        let client = try Client(
            FakeNode { _ in .results(CommandResult([])) }, limits: limits, loads: loads,
            files: bench.workshop)
        let other = try Client(beside: client, sharesLoop: true)
        try client.send(head(10) + "abc")
        #expect(bench.count == 1)
        let body = #"["SELECT 1"]"#
        try other.send(head(body.utf8.count, path: "/db/execute") + body)
        other.channel.embeddedEventLoop.run()
        #expect(Client.answers(in: try other.output()).map(\.status) == [200])
        #expect(loads.parts.isEmpty)
    }

    @Test func `What comes while a part is being taken goes with the next one`() throws {
        let client = try client(isHeld: true)
        try client.send("POST /db/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<1000 { try client.send("1\r\nx\r\n") }
        #expect(bench.count == 1)
        try client.send("0\r\n\r\n")
        run(client)
        #expect(loads.parts.map(\.count) == [1, 999])
        #expect(try Client.answers(in: client.output()).map(\.status) == [200])
    }

    @Test func `Nothing is read while more waits to be taken than the window holds`() throws {
        var limits = HTTPLimits()
        limits.uploadWindow = 100
        let client = try client(limits, isHeld: true)
        let reads = ReadCounter()
        try client.channel.pipeline.syncOperations.addHandler(reads, position: .first)
        try client.send(head(1000) + String(repeating: "x", count: 99))
        let before = reads.count
        client.channel.read()
        #expect(reads.count == before + 1)
        try client.send("x")
        client.channel.read()
        #expect(reads.count == before + 1)
        // What was asked for meanwhile is read when there is room.
        run(client)
        #expect(reads.count == before + 2)
    }

    @Test func `Requests behind a body wait for it, and are answered in their order`() throws {
        let client = try client(isHeld: true)
        let statement = #"["SELECT 1"]"#
        try client.send(
            head(3) + "abc" + head(statement.utf8.count, path: "/db/execute") + statement + head(2)
                + "de")
        #expect(client.node.requests.isEmpty)
        run(client)
        #expect(loads.parts == [Array("abc".utf8), Array("de".utf8)])
        #expect(try Client.answers(in: client.output()).map(\.status) == [200, 200, 200])
        let kinds = client.node.requests.map(\.operation.code)
        #expect(kinds == [.load, .command, .load])
    }

    @Test(arguments: [false, true])
    func `A client that hangs up leaves nothing behind`(isTaken: Bool) throws {
        let client = try client(isHeld: true)
        try client.send(head(10) + "abc")
        if isTaken { run(client) }
        try client.channel.close().wait()
        run(client)
        #expect(loads.discarded == 1)
        #expect(loads.finished == 0)
        #expect(client.node.requests.isEmpty)
        #expect(client.server.budgets.uploads.inUse == 0)
    }

    @Test func `A client that hangs up behind its body leaves nothing behind either`() throws {
        let client = try client(isHeld: true)
        try client.send(head(3) + "abc")
        try client.channel.close().wait()
        run(client)
        #expect(loads.discarded == 1)
        #expect(client.node.requests.isEmpty)
        #expect(client.server.budgets.uploads.inUse == 0)
    }

    @Test func `A client that hangs up while its body is looked at ends that`() throws {
        let client = try client(isHeld: true)
        try client.send(head(3) + "abc")
        #expect(bench.doNext())
        client.channel.embeddedEventLoop.run()
        #expect(loads.parts == [Array("abc".utf8)])
        #expect(bench.count == 1)
        #expect(loads.abandoned == 0)
        try client.channel.close().wait()
        // At once, for whoever looks at it may have the last thread.
        #expect(loads.abandoned == 1)
        run(client)
        #expect(loads.finished == 1)
        #expect(client.server.budgets.uploads.inUse == 0)
    }

    @Test(arguments: [
        (LoadContent.unfit("damaged"), 400, "damaged\n"),
        (.tooLarge("too much"), 413, "too much\n"),
        (.unable("no file"), 503, "no file\n"),
    ])
    func `A body of which nothing can become is refused as soon as that shows`(
        fault: LoadContent, status: Int, text: String
    ) throws {
        let loads = LoadsDouble(fault: { $0.count > 5 ? fault : nil }, { _ in .busy })
        let client = try client(loads: loads)
        try client.send(head(1000) + "abc")
        #expect(try client.output().isEmpty)
        try client.send("defg")
        let answer = try #require(Client.answers(in: client.output()).first)
        #expect(answer.status == status)
        #expect(answer.body == text)
        #expect(answer.headers["connection"] == "close")
        #expect((answer.headers["retry-after"] != nil) == (status == 503))
        #expect(loads.discarded == 1)
        try client.send("more")
        #expect(loads.parts.count == 2)
        // With the last part it is an answer like any other.
        let other = try self.client(loads: loads)
        let whole = try other.post("/db/load", "abcdefg")
        #expect(whole.status == status)
        #expect(whole.headers["connection"] != "close")
        #expect(other.node.requests.isEmpty)
        let rows = try self.client(loads: loads)
        #expect(try rows.post("/db/import?table=t&format=csv", "abcdefg").status == status)
        #expect(rows.node.requests.isEmpty)
    }

    @Test func `What the head tells is refused before anything is taken`() throws {
        var limits = HTTPLimits()
        limits.loadBytes = 100
        let client = try client(limits)
        try client.send(head(101))
        #expect(try Client.answers(in: client.output()).map(\.status) == [413])
        let other = try self.client(limits)
        try other.send("PUT /db/load HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        #expect(try Client.answers(in: other.output()).map(\.status) == [405])
        #expect(loads.begun == 0)
        // In chunks the size shows later.
        let third = try self.client(limits)
        try third.send("POST /db/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in 0..<3 { try third.send("28\r\n" + String(repeating: "x", count: 40) + "\r\n") }
        #expect(try Client.answers(in: third.output()).map(\.status) == [413])
        #expect(loads.discarded == 1)
    }

    @Test func `A body larger than what memory takes is no burden to it`() throws {
        var limits = HTTPLimits()
        limits.bodyBytes = 1000
        limits.bodyBytesInFlight = 1000
        let client = try client(limits)
        #expect(
            try client.post("/db/load", String(repeating: "x", count: 100_000)).status == 200)
        #expect(client.server.budgets.bodyBytes.inUse == 0)
    }

    @Test func `So many bodies are taken at a time, and one more is told to try again`() throws {
        var limits = HTTPLimits()
        limits.uploads = 2
        let client = try client(limits)
        try client.send(head(10) + "abc")
        let second = try Client(beside: client)
        try second.send(head(10) + "abc")
        let third = try Client(beside: client)
        let refused = try third.post("/db/load", "abc")
        #expect(refused.status == 503)
        #expect(refused.headers["retry-after"] == "1")
        // An empty body takes nobody's place, and other requests don't either.
        let fourth = try Client(beside: client)
        #expect(try fourth.post("/db/load", "").status == 200)
        try client.send("defghij")
        #expect(try Client.answers(in: client.output()).map(\.status) == [200])
        #expect(try fourth.post("/db/load", "abc").status == 200)
    }

    /// Where work may wait for the disk: whoever held it last would remove the file, on an event loop.
    @Test func `What is kept of a body that is refused when it has come is let go of`() throws {
        var limits = HTTPLimits()
        limits.requestsInFlight = 0
        let full = try client(limits, isHeld: true)
        try full.send(head(3) + "abc")
        #expect(bench.doNext())
        full.channel.embeddedEventLoop.run()
        #expect(try Client.answers(in: full.output()).map(\.status) == [503])
        #expect(loads.discarded == 0)
        run(full)
        #expect(loads.discarded == 1)
        // Neither is a database.
        for body in ["abc", String(repeating: "x", count: 40)] {
            #expect(try client().post("/boot", body).status != 200)
        }
        #expect(loads.discarded == 3)
        #expect(loads.finished == 0)
    }

    @Test func `Nonsense behind a body takes nothing from its request`() throws {
        let client = try client(isHeld: true)
        let second = head(2) + "de"
        try client.send(head(3) + "abc" + second + "no request\r\n\r\n")
        run(client)
        #expect(try Client.answers(in: client.output()).map(\.status) == [200, 200, 400])
        #expect(loads.finished == 2)
        #expect(client.node.requests.count == 2)
    }

    @Test func `A body that breaks off in nonsense is dropped`() throws {
        let client = try client()
        try client.send("POST /db/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        try client.send("3\r\nabc\r\nzz\r\n")
        #expect(try Client.answers(in: client.output()).map(\.status) == [400])
        #expect(loads.discarded == 1)
        #expect(client.node.requests.isEmpty)
    }
}

private final class ReadCounter: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    private(set) var count = 0

    func read(context: ChannelHandlerContext) {
        count += 1
        context.read()
    }
}
