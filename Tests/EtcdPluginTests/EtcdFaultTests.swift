import HarnessBackends
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Testing

@testable import EtcdPlugin

/// The `etcd-kv` mode against the fake gateway that the harness brings, which misbehaves as told.
@Suite struct EtcdFaultTests {
    private let fake: EtcdGatewayServer
    private let subject: EtcdSubject

    init() throws {
        fake = try EtcdGatewayServer()
        subject = try EtcdSubject("{\"endpoints\":[\"\(fake.url)\"]}")
    }

    /// One history of a registry, and what came of each step.
    private static func history(of subject: EtcdSubject) throws -> [String] {
        var seen: [String] = []
        func note(_ step: String, _ body: () throws -> String) {
            do {
                seen.append("\(step): \(try body())")
            } catch {
                seen.append("\(step): \((error as? CallFailure)?.code ?? -1)")
            }
        }
        func value(_ record: RegistryRecord?) -> String {
            record.map { String(decoding: $0.value, as: UTF8.self) } ?? "absent"
        }
        let call = EtcdSubject.call(seconds: 10)
        note("read") { value(try subject.read().record) }
        let first = try subject.write("one")
        note("create again") { "\(try subject.write("two"))" }
        let second = try subject.write("two", expected: first)
        note("write at the first revision") { "\(try subject.write("x", expected: first))" }
        note("read") { value(try subject.read().record) }
        note("revision") { "\(try subject.read().record?.revision == second)" }
        _ = try subject.write("", "nodes/1")
        _ = try subject.write("n2", "nodes/2")
        note("list") { "\(try subject.registry.list(prefix: "nodes/", call).map(value))" }
        note("erase") { "\(try subject.registry.erase("leader", expected: first, call))" }
        note("erase") { "\(try subject.registry.erase("leader", expected: second, call))" }
        note("erase") { "\(try subject.registry.erase("leader", expected: second, call))" }
        note("write") { "\(try subject.write("x", expected: second))" }
        let token = try #require(try subject.read().token)
        note("wait") {
            "\(try subject.registry.wait(for: "leader", token: token, EtcdSubject.call(seconds: 0.3)) as Any)"
        }
        try subject.write("three")
        note("wait") {
            "\(try subject.registry.wait(for: "leader", token: token, call) != nil)"
        }
        return seen
    }

    @Test(.enabled(if: EtcdServer.hindrance == nil, "\(EtcdServer.hindrance ?? "")"))
    func `The fake answers as the real one`() throws {
        let real = try EtcdServer()
        #expect(
            try Self.history(of: subject) == (try Self.history(of: EtcdSubject(real))))
    }

    @Test(arguments: ["/v3", "/v3beta", "/v3alpha"])
    func `The gateway of any version is found, and remembered`(_ prefix: String) throws {
        _ = try fake.command(["gateway", prefix])
        try subject.write("one")
        #expect(subject.registry.describe()["gateway"]?.string == prefix)
        let before = fake.requestCount
        _ = try subject.read()
        #expect(fake.requestCount == before + 1)
        // Upgraded meanwhile.
        _ = try fake.command(["gateway", "/v3"])
        #expect(try subject.read().record?.value == Array("one".utf8))
    }

    @Test func `Old gateways have users too`() throws {
        _ = try fake.command(["gateway", "/v3alpha"])
        _ = try fake.command(["user", "me", "hunter2"])
        let subject = try EtcdSubject(
            "{\"endpoints\":[\"\(fake.url)\"],\"username\":\"me\",\"password\":\"hunter2\"}")
        let revision = try subject.write("one")
        _ = try fake.command(["expire"])
        try subject.write("two", expected: revision)
    }

    @Test(arguments: [
        (Fault.silent, RQD_TIMEOUT), (.dribble, RQD_TIMEOUT), (.reset, RQD_UNAVAILABLE),
        (.status(500), RQD_UNAVAILABLE), (.status(503), RQD_UNAVAILABLE),
        (.status(403), RQD_AUTH), (.status(404), RQD_PROTOCOL), (.status(301), RQD_PROTOCOL),
        (.html, RQD_PROTOCOL), (.garbage, RQD_PROTOCOL), (.truncated, RQD_UNAVAILABLE),
        (.giant, RQD_PROTOCOL),
    ])
    func `A server that misbehaves is told from one that is well`(
        _ fault: Fault, _ code: rqd_code
    ) throws {
        let revision = try subject.write("one")
        fake.misbehave(FaultPlan(fault))
        for isWrite in [false, true] {
            let call = EtcdSubject.call(seconds: 0.4)
            let failure = subject.failure { subject in
                if isWrite {
                    _ = try subject.registry.write("leader", expected: revision, value: [1], call)
                } else {
                    _ = try subject.registry.read("leader", call)
                }
            }
            #expect(failure?.code == code, "\(failure as Any)")
            #expect(failure?.message.contains("\(fake.url): POST /v3") == true)
            #expect(Call.now < call.deadline + 1_000_000_000)
        }
        fake.behave()
        // It answers slowly, or in part, only after it has written.
        let isWritten = fault == .dribble || fault == .truncated
        #expect(try (subject.read().record?.revision == revision) == !isWritten)
    }

    @Test func `A write whose answer was lost is sent once, and its outcome is open`() throws {
        let revision = try subject.write("one")
        let second = try EtcdGatewayServer()
        let both = try EtcdSubject("{\"endpoints\":[\"\(fake.url)\",\"\(second.url)\"]}")
        fake.misbehave(FaultPlan(.dropAfterExecution))
        let failure = both.failure { try $0.write("two", expected: revision) }
        #expect(failure?.code == RQD_UNAVAILABLE)
        fake.behave()
        #expect(try subject.read().record?.value == Array("two".utf8))
        #expect(second.requestCount == 0)
    }

    @Test func `A stream that breaks, or is none, ends waiting with an error`() throws {
        for fault in [Fault.html, .garbage, .reset] {
            let token = try #require(try subject.read().token)
            // The read before the watch is answered.
            fake.misbehave(FaultPlan(fault, times: 1))
            let failure = subject.failure {
                _ = try $0.registry.wait(
                    for: "leader", token: token, EtcdSubject.call(seconds: 5))
            }
            #expect(failure != nil && failure?.code != RQD_TIMEOUT, "\(failure as Any)")
        }
    }

    @Test func `A store that was wiped is absent, and old revisions are worth nothing`() throws {
        let revision = try subject.write("one")
        let token = try #require(try subject.read().token)
        _ = try fake.command(["wipe"])
        #expect(
            try subject.registry.wait(for: "leader", token: token, EtcdSubject.call(seconds: 5))
                != nil)
        #expect(subject.failure { try $0.write("x", expected: revision) }?.code == RQD_ABSENT)
        _ = try fake.command(["put", "/rqlite/leader", "other"])
        #expect(subject.failure { try $0.write("x", expected: revision) }?.code == RQD_CONFLICT)
        #expect(try fake.command(["get", "/rqlite/leader"]) == "other")
    }
}
