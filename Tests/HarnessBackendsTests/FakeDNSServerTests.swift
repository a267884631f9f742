import Glibc
import Testing

@testable import HarnessBackends

/// The fake name server, asked in raw messages.
@Suite struct FakeDNSServerTests {
    private let server: FakeDNSServer

    init() throws {
        server = try FakeDNSServer()
        _ = try server.command(["a", "db.test", "10.1.0.1"])
        _ = try server.command(["srv", "_rqlite._tcp.test", "1", "2", "4002", "db.test"])
    }

    /// "db.test", type A.
    private func question(type: UInt8 = 1) -> [UInt8] {
        [9, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2] + Array("db".utf8) + [4] + Array("test".utf8)
            + [0, 0, type, 0, 1]
    }

    private func ask(_ question: [UInt8], waiting: Int32 = 60_000) throws -> [UInt8] {
        let client = try RawClient(port: server.port, kind: SOCK_DGRAM)
        try client.send(question)
        return client.receiveBytes(waiting: waiting)
    }

    @Test func `An address is answered with the question's id`() throws {
        defer { server.stop() }
        let answer = try ask(question())
        #expect(answer.prefix(8) == [9, 8, 0x85, 0x80, 0, 1, 0, 1])
        #expect(answer.suffix(4) == [10, 1, 0, 1])
        // The name exists, but not with that type.
        #expect(try ask(question(type: 28)).prefix(8) == [9, 8, 0x85, 0x80, 0, 1, 0, 0])
    }

    @Test func `An unknown name does not exist`() throws {
        defer { server.stop() }
        _ = try server.command(["wipe"])
        #expect(try ask(question())[3] == 0x83)
    }

    @Test func `A target that no message holds is one that is cut off`() throws {
        defer { server.stop() }
        let long = String(repeating: "a", count: 70_000)
        _ = try server.command(["ptr", "db.test", long])
        #expect(try ask(question(type: 12))[2] & 2 == 2)
    }

    @Test func `It misbehaves when told to`() throws {
        defer { server.stop() }
        server.misbehave(FaultPlan(.status(2)))
        #expect(try ask(question())[3] == 0x82)
        server.misbehave(FaultPlan(.silent))
        #expect(try ask(question(), waiting: 100).isEmpty)
        server.misbehave(FaultPlan(.giant))
        #expect(try ask(question())[2] & 2 == 2)
        let client = try RawClient(port: server.port)
        try client.send([0, UInt8(question().count)] + question())
        let head = client.receiveBytes(waiting: 5000)
        #expect(head.count > 2)
        #expect(Int(head[0]) << 8 + Int(head[1]) == 4000 * 16 + question().count)
    }

    @Test func `It comes back on its port`() throws {
        defer { server.stop() }
        server.goDown()
        #expect(throws: RawClient.Failure.self) { try RawClient(port: server.port) }
        try server.comeUp()
        #expect(try ask(question()).suffix(4) == [10, 1, 0, 1])
    }
}
