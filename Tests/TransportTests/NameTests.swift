import Foundation
import Glibc
import NIOCore
import NIOPosix
import PeerProtocol
import Raft
import Synchronization
import Testing
import Wire

@testable import Transport

/// Names whose servers are slow, silent, wrong or many.
@Suite(.timeLimit(.minutes(15))) struct NameTests {
    /// Name servers that a test directs.
    private final class Servers: Sendable {
        typealias Answer = Result<[SocketAddress], NameFailure>

        let asked = Mailbox<String>()
        private let answers = Mutex<[Answer]>([])
        // Only handed to the semaphore's own functions, which any thread may call.
        private nonisolated(unsafe) let semaphore: UnsafeMutablePointer<sem_t>

        init() {
            semaphore = .allocate(capacity: 1)
            sem_init(semaphore, 0, 0)
        }

        /// Ends one lookup, now or when it is asked.
        func answer(_ answer: Answer) {
            answers.withLock { $0.append(answer) }
            sem_post(semaphore)
        }

        func look(up host: String) -> Answer {
            asked.put(host)
            while sem_wait(semaphore) != 0 {}
            return answers.withLock { $0.removeFirst() }
        }

        deinit { semaphore.deallocate() }
    }

    private func node(
        _ servers: Servers, _ limits: TransportLimits = .quick, memory: KnownNames? = nil
    ) -> PeerTransport {
        let transport = PeerTransport(
            group: MultiThreadedEventLoopGroup.singleton,
            identity: NodeIdentity(
                id: NodeID("a"), incarnation: Incarnation(RandomID(high: 1, low: 1))),
            limits: limits, memory: memory, lookup: { servers.look(up: $0) })
        transport.attach(RecordingDelegate())
        return transport
    }

    private func here() throws -> [SocketAddress] {
        [try SocketAddress(ipAddress: "127.0.0.1", port: 0)]
    }

    private func target() async throws -> TestNode {
        let node = try await TestNode.start("b")
        node.delegate.answering.withLock { $0 = { _, _, reply in reply(.failed("here")) } }
        return node
    }

    @Test func `What name servers say after the dial's time is kept for the next dial`()
        async throws
    {
        let b = try await target()
        let servers = Servers()
        var limits = TransportLimits.quick
        // The next dial may have to wait for a processor.
        limits.nameFreshness = .hours(1)
        let a = node(servers, limits)
        let address = PeerAddress("slow:\(b.listener.port)")
        let error = await #expect(throws: TransportError.self) {
            try await a.call(.hello, at: address, timeout: .milliseconds(30)).get()
        }
        #expect(error?.reason == .timedOut)
        // The call's time may be over before its dial begins.
        try await servers.asked.wait(count: 1)
        #expect(a.pendingResolutions.map(\.name) == ["slow"])
        let waiting = a.pendingResolutions.first?.description ?? ""
        #expect(waiting.hasPrefix("waiting for DNS: slow, ") && waiting.hasSuffix(" s"))
        servers.answer(.success(try here()))
        try await until { a.pendingResolutions.isEmpty }
        let answer = try await a.call(.hello, at: address, timeout: .seconds(20)).get()
        #expect(answer == .failed("here"))
        #expect(servers.asked.items == ["slow"])
        try await a.shutdown().get()
        try await b.stop()
    }

    @Test func `Who waits for an answer gets it whenever it comes, with one lookup under way`()
        async throws
    {
        let servers = Servers()
        let a = node(servers)
        let found = Mailbox<Result<[String], NameFailure>>()
        for _ in 0..<3 { a.lookUp("slow") { found.put($0) } }
        try await servers.asked.wait(count: 1)
        let late = NIODeadline.now() + TransportLimits.quick.dialTimeout * 3
        try await until { NIODeadline.now() > late }
        #expect(found.items.isEmpty)
        servers.answer(.success(try here()))
        try await found.wait(count: 3)
        #expect(found.items.allSatisfy { $0 == .success(["127.0.0.1"]) })
        #expect(servers.asked.items == ["slow"])
        servers.answer(.failure(NameFailure(.unknown)))
        a.lookUp("slow") { found.put($0) }
        try await found.wait(count: 4)
        #expect(found.items.last == .failure(NameFailure(.unknown)))
        try await a.shutdown().get()
    }

    @Test func `A name is looked up once, however many ask`() async throws {
        let b = try await target()
        let servers = Servers()
        let a = node(servers)
        let address = PeerAddress("busy:\(b.listener.port)")
        let calls = (0..<50).map { _ in a.call(.hello, at: address, timeout: .seconds(20)) }
        try await servers.asked.wait(count: 1)
        servers.answer(.success(try here()))
        for call in calls { #expect(try await call.get() == .failed("here")) }
        #expect(servers.asked.items == ["busy"])
        try await a.shutdown().get()
        try await b.stop()
    }

    @Test func `Former addresses are used while name servers are silent or fail`() async throws {
        let b = try await target()
        let servers = Servers()
        var limits = TransportLimits.quick
        limits.dialTimeout = .milliseconds(20)
        limits.nameFreshness = .milliseconds(50)
        limits.nameGrace = .milliseconds(10)
        let a = node(servers, limits)
        let address = PeerAddress("once:\(b.listener.port)")
        servers.answer(.success(try here()))
        #expect(
            try await a.call(.hello, at: address, timeout: .seconds(20)).get() == .failed("here"))
        let end = NIODeadline.now() + limits.nameFreshness
        try await until { NIODeadline.now() > end }
        // Silent.
        #expect(
            try await a.call(.hello, at: address, timeout: .seconds(20)).get() == .failed("here"))
        // Failing.
        servers.answer(.failure(NameFailure(.failed("servers are down"))))
        try await until { a.pendingResolutions.isEmpty }
        servers.answer(.failure(NameFailure(.failed("servers are down"))))
        #expect(
            try await a.call(.hello, at: address, timeout: .seconds(20)).get() == .failed("here"))
        // The name is gone: so are its addresses.
        try await until { a.pendingResolutions.isEmpty }
        servers.answer(.failure(NameFailure(.unknown)))
        let error = await #expect(throws: TransportError.self) {
            // The lookup may take longer than the grace: ask until it is heard.
            while true { _ = try await a.call(.hello, at: address, timeout: .seconds(20)).get() }
        }
        #expect(error?.description == "\(address): no such host")
        try await a.shutdown().get()
        try await b.stop()
    }

    @Test(arguments: [true, false])
    func `What a name led to in an earlier run serves while no server answers, and is no news`(
        isSilent: Bool
    ) async throws {
        let b = try await target()
        let directory = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { remove(directory) }
        let address = PeerAddress("kept:\(b.listener.port)")
        let servers = Servers()
        let first = node(servers, memory: KnownNames(in: directory))
        servers.answer(.success(try here()))
        #expect(
            try await first.call(.hello, at: address, timeout: .seconds(20)).get()
                == .failed("here"))
        try await until { !KnownNames(in: directory).lines().isEmpty }
        try await first.shutdown().get()

        let failure = NameFailure(.failed("servers are down"))
        let again = node(servers, memory: KnownNames(in: directory))
        if !isSilent { servers.answer(.failure(failure)) }
        #expect(
            try await again.call(.hello, at: address, timeout: .seconds(20)).get()
                == .failed("here"))
        let found = Mailbox<Result<[String], NameFailure>>()
        again.lookUp("kept") { found.put($0) }
        servers.answer(.failure(failure))
        try await found.wait(count: 1)
        #expect(found.items == [.failure(failure)])
        try await again.shutdown().get()
        try await b.stop()
    }

    @Test
    func `Of a damaged file of names what makes sense is read, and a name's line is its last`()
        throws
    {
        let directory = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
        let names = KnownNames(in: directory)
        names.remember("a", ["10.0.0.1"])
        #expect(names.lines().isEmpty)
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { remove(directory) }
        names.remember("a", ["10.0.0.1"])
        names.remember("b", ["10.0.0.2", "fd00::2"])
        names.remember("a", ["10.0.0.3"])
        names.remember("two words", ["10.0.0.4"])
        #expect(names.addresses(of: "a") == ["10.0.0.3"])
        #expect(names.addresses(of: "b") == ["10.0.0.2", "fd00::2"])
        #expect(names.lines().count == 2)
        let path = "\(directory)/names"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        try (text + "c 10.0.0.x\n\u{0}\u{7}\nd 10.0.0.5 nonsense\n\ne")
            .write(toFile: path, atomically: true, encoding: .utf8)
        #expect(names.addresses(of: "d") == ["10.0.0.5"])
        #expect(names.lines().map(\.host) == ["b", "a", "d"])
        try "something else\n".write(toFile: path, atomically: true, encoding: .utf8)
        #expect(names.lines().isEmpty)
    }

    @Test func `Whatever a disk makes of the file of names, what is read of it are addresses`()
        throws
    {
        let directory = FileManager.default.temporaryDirectory.appending(path: "\(UUID())").path
        try FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true)
        defer { remove(directory) }
        let names = KnownNames(in: directory)
        names.remember("h1.example", ["10.0.0.1", "fd00::1"])
        names.remember("h2.example", ["10.0.0.2"])
        let file = URL(filePath: "\(directory)/names")
        let whole = try Data(contentsOf: file)
        for place in whole.indices {
            var spoilt = whole
            // Of each second character the bit that makes nothing of a blank.
            spoilt[place] ^= 1 << UInt8(place % 2 == 0 ? 5 : place % 8)
            for content in [spoilt, whole.prefix(place)] {
                try content.write(to: file)
                let addresses = names.lines().flatMap(\.addresses)
                let areAll = addresses.allSatisfy {
                    !$0.utf8.contains(0) && (try? SocketAddress(ipAddress: $0, port: 1)) != nil
                }
                #expect(areAll, "byte \(place): \(addresses)")
            }
        }
        names.remember("h2.example", ["10.0.0.3"])
        #expect(names.addresses(of: "h2.example") == ["10.0.0.3"])
    }

    /// Of what a test made.
    private func remove(_ directory: String) {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            Issue.record("\(directory) stays: \(error)")
        }
    }

    @Test func `An address that leads nowhere is looked up again`() async throws {
        let b = try await target()
        let servers = Servers()
        let a = node(servers)
        let address = PeerAddress("moved:\(b.listener.port)")
        // Nobody listens there.
        servers.answer(.success([try SocketAddress(ipAddress: "127.0.0.9", port: 0)]))
        let error = await #expect(throws: TransportError.self) {
            try await a.call(.hello, at: address, timeout: .seconds(20)).get()
        }
        #expect(error?.reason == .connectionRefused)
        servers.answer(.success(try here()))
        let answers = try await answer(of: a, at: address)
        #expect(answers == .failed("here"))
        #expect(servers.asked.items == ["moved", "moved"])
        try await a.shutdown().get()
        try await b.stop()
    }

    private func answer(of a: PeerTransport, at address: PeerAddress) async throws -> PeerAnswer {
        while true {
            do {
                return try await a.call(.hello, at: address, timeout: .seconds(20)).get()
            } catch let error as TransportError where error.reason == .connectionRefused {
                try await pause(.milliseconds(1))
            }
        }
    }

    @Test func `Lookups at once are bounded, and none holds up another name`() async throws {
        let b = try await target()
        let servers = Servers()
        var limits = TransportLimits.quick
        limits.maxLookups = 2
        let a = node(servers, limits)
        let calls = (0..<5).map {
            a.call(.hello, at: PeerAddress("n\($0):1"), timeout: .milliseconds(50))
        }
        for call in calls {
            await #expect(throws: TransportError.self) { try await call.get() }
        }
        try await servers.asked.wait(count: 2)
        #expect(servers.asked.items.count == 2)
        // Literal addresses need none.
        #expect(
            try await a.call(.hello, at: b.address, timeout: .seconds(20)).get() == .failed("here"))
        servers.answer(.failure(NameFailure(.unknown)))
        servers.answer(.failure(NameFailure(.unknown)))
        try await until { a.pendingResolutions.isEmpty }
        servers.answer(.success(try here()))
        let answer = try await a.call(
            .hello, at: PeerAddress("next:\(b.listener.port)"), timeout: .seconds(20)
        ).get()
        #expect(answer == .failed("here"))
        try await a.shutdown().get()
        try await b.stop()
    }

    @Test func `Names that come while all lookups are under way make room for each other`()
        async throws
    {
        let servers = Servers()
        var limits = TransportLimits.quick
        (limits.maxNames, limits.maxLookups) = (4, 1)
        limits.nameFreshness = .hours(1)
        let names = NameLookups(limits: limits) { servers.look(up: $0) }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        servers.answer(.success(try here()))
        let found = try await names.resolve("kept", on: loop, within: .seconds(20)).get()
        #expect(found.count == 1)
        #expect(try await names.resolve("kept", on: loop, within: .seconds(20)).get() == found)
        // The first of them holds the only lookup.
        for number in 0..<10 {
            let name = names.resolve("n\(number)", on: loop, within: .milliseconds(1))
            await #expect(throws: NameFailure.self) { try await name.get() }
        }
        // It was used least lately.
        let again = names.resolve("kept", on: loop, within: .milliseconds(1))
        await #expect(throws: NameFailure.self) { try await again.get() }
        servers.answer(.failure(NameFailure(.unknown)))
        try await until { names.pending.isEmpty }
    }

    /// Debian's file of hosts has the machine's own name at 127.0.1.1.
    @Test(arguments: [
        ("host1", ["127.0.1.1"], true), ("host1", ["::1", "127.0.0.1"], true),
        ("host1", ["10.0.0.1"], false), ("host1", ["127.0.1.1", "10.0.0.1"], false),
        ("host1", [], false), ("localhost", ["127.0.0.1"], false),
        ("db.localhost", ["::1"], false),
    ])
    func `A name that other machines can't mean is known`(
        host: String, addresses: [String], isAlone: Bool
    ) {
        let line = KnownNames.Line(host: host, addresses: addresses)
        #expect(line.leadsHereAlone == isAlone)
    }
}
