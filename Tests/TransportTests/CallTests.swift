import NIOCore
import PeerProtocol
import Raft
import Rights
import Synchronization
import Testing
import Transport
import Wire

/// Questions to nodes, known or not, and the words for what can go wrong.
@Suite(.timeLimit(.minutes(15))) struct CallTests {
    private func failure(
        of request: PeerRequest = .hello, at address: PeerAddress, from node: TestNode,
        timeout: TimeAmount = .seconds(20)
    ) async -> TransportError? {
        await #expect(throws: TransportError.self) {
            try await node.transport.call(request, at: address, timeout: timeout).get()
        }
    }

    @Test func `A question for one node is not answered by another that is there`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        b.delegate.answering.withLock { $0 = { _, _, reply in reply(.checksums([])) } }
        let identity = b.transport.identity
        let other = NodeIdentity(id: NodeID("c"), incarnation: identity.incarnation)
        let error = await #expect(throws: TransportError.self) {
            try await a.transport.call(
                .checksums, at: b.address, of: other, timeout: .seconds(20)
            ).get()
        }
        #expect(
            error?.cause.contains("node b is here, not node c") == true, "\(error?.cause ?? "")")
        let answer = try await a.transport.call(
            .checksums, at: b.address, of: identity, timeout: .seconds(20)
        ).get()
        #expect(answer == .checksums([]))
        try await a.stop()
        try await b.stop()
    }

    @Test(arguments: Array(zip(Samples.requests, Samples.answers)))
    func `A question is answered, and the caller known`(
        request: PeerRequest, answer: PeerAnswer
    ) async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        let seen = Mailbox<(PeerRequest, PeerCaller)>()
        b.delegate.answering.withLock {
            $0 = { request, caller, reply in
                seen.put((request, caller))
                reply(answer)
            }
        }
        var request = request
        if case .join(var join) = request {
            join.identity = a.transport.identity
            request = .join(join)
        }
        let received = try await a.transport.call(
            request, at: b.address, timeout: .seconds(20)
        ).get()
        #expect(received == answer)
        let (asked, caller) = try await seen.first()
        #expect(asked == request)
        #expect(caller.identity == a.transport.identity)
        #expect(caller.remoteAddress.hasPrefix("127.0.0.1:"))
        // Nobody finds out for it any more what it may ask.
        try await until { caller.asker.isGone }
        try await a.stop()
        try await b.stop()
    }

    @Test func `Nobody asks to join in another's name`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        b.delegate.answering.withLock { $0 = { _, _, reply in reply(.failed("asked")) } }
        for request in Samples.requests {
            guard case .join = request else { continue }
            let answer = try await a.transport.call(
                request, at: b.address, timeout: .seconds(20)
            ).get()
            #expect(answer == .failed("node a asks to join as node n1"))
        }
        try await a.stop()
        try await b.stop()
    }

    @Test func `A name is resolved and all its addresses are tried`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        b.delegate.answering.withLock { $0 = { _, _, reply in reply(.failed("here")) } }
        // ::1 refuses, 127.0.0.1 answers.
        let answer = try await a.transport.call(
            .hello, at: PeerAddress("localhost:\(b.listener.port)"), timeout: .seconds(20)
        ).get()
        #expect(answer == .failed("here"))
        try await a.stop()
        try await b.stop()
    }

    @Test func `A question of an unknown kind is answered as unsupported`() async throws {
        let node = try await TestNode.start("a")
        let (raw, channel) = try await RawConnection.open(to: node.listener.port)
        try await channel.say(
            WireBytes.preamble(purpose: 2) + WireBytes.introduction()
                + WireBytes.frame(4, [200, 1, 2]))
        let event = try await raw.events.first()
        #expect(event == .bytes(WireBytes.frame(5, [5, 200])))
        try await channel.close()
        try await node.stop()
    }

    @Test func `Nobody listening is "connection refused"`() async throws {
        let a = try await TestNode.start("a")
        let gone = try await TestNode.start("b")
        try await gone.stop()
        let error = await failure(at: gone.address, from: a)
        #expect(error?.reason == .connectionRefused)
        #expect(error?.description == "\(gone.address): connection refused")
        let name = PeerAddress("localhost:\(gone.listener.port)")
        #expect(await failure(at: name, from: a)?.description == "\(name): connection refused")
        try await a.stop()
    }

    @Test func `An address that is none is said to be none`() async throws {
        let a = try await TestNode.start("a")
        for text in ["", "host", "host:", "host:70000", "host:x", "::1:80", "a b:1", ":1", "h:0"] {
            let error = await failure(at: PeerAddress(text), from: a)
            #expect(error?.reason == .invalidAddress, "\(text)")
        }
        try await a.stop()
    }

    @Test func `A name that can't exist is "no such host"`() async throws {
        let a = try await TestNode.start("a")
        let error = await failure(at: PeerAddress("a..b:4002"), from: a)
        #expect(error?.reason == .noSuchHost)
        #expect(error?.address == "a..b:4002")
        try await a.stop()
    }

    @Test func `A node that does not answer in time is named with the time`() async throws {
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b")
        b.delegate.answering.withLock { $0 = { _, _, _ in } }
        let error = await failure(at: b.address, from: a, timeout: .milliseconds(30))
        #expect(error?.reason == .timedOut)
        #expect(error?.description == "\(b.address): timed out after 30 ms")
        try await a.stop()
        try await b.stop()
    }

    @Test func `Another service at the address is recognized`() async throws {
        let a = try await TestNode.start("a")
        let server = try await RawServer.start(
            saying: Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        let error = await failure(at: server.address, from: a)
        #expect(error?.reason == .notANode)
        try await server.channel.close()
        try await a.stop()
    }

    @Test func `A node of another major version is named with both versions`() async throws {
        let a = try await TestNode.start("a")
        var text = ByteWriter()
        text.writeRaw([1, 9, 3] as [UInt8])
        text.write("…")
        let server = try await RawServer.start(saying: WireBytes.frame(2, text.bytes))
        let error = await failure(at: server.address, from: a)
        #expect(error?.reason == .versionMismatch)
        #expect(error?.cause == "speaks version 9.3 of the node protocol, this node 1.4")
        try await server.channel.close()
        try await a.stop()
    }

    @Test func `An answer no frame holds becomes a failure that says so`() async throws {
        var limits = TransportLimits.quick
        limits.maxCallBytes = 1000
        let a = try await TestNode.start("a")
        let b = try await TestNode.start("b", limits: limits)
        b.delegate.answering.withLock {
            $0 = { _, _, reply in reply(.formation([UInt8](repeating: 0, count: 2000))) }
        }
        let answer = try await a.transport.call(
            .hello, at: b.address, timeout: .seconds(20)
        ).get()
        guard case .failed(let text) = answer else {
            Issue.record("\(answer)")
            return
        }
        #expect(text.hasSuffix("is over the limit of 1000"))
        try await a.stop()
        try await b.stop()
    }
}
