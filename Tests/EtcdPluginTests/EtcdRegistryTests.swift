import Foundation
import JSON
import PluginABI
import PluginSupport
import ServerTesting
import Synchronization
import Testing

@testable import EtcdPlugin

/// The `etcd-kv` mode against a real etcd without TLS and users.
@Suite(.enabled(if: EtcdServer.hindrance == nil, "\(EtcdServer.hindrance ?? "")"))
struct EtcdRegistryTests {
    private let server: EtcdServer
    private let subject: EtcdSubject

    init() throws {
        server = try EtcdServer()
        subject = try EtcdSubject(server)
    }

    @Test func `A record is created, changed and erased at its revision only`() throws {
        #expect(try subject.read().record == nil)
        let first = try subject.write("one")
        #expect(
            try subject.read().record
                == RegistryRecord(name: "leader", value: Array("one".utf8), revision: first))
        #expect(subject.failure { try $0.write("two") }?.code == RQD_CONFLICT)
        let second = try subject.write("two", expected: first)
        #expect(second != first)
        let conflict = subject.failure { try $0.write("three", expected: first) }
        #expect(conflict?.code == RQD_CONFLICT)
        #expect(conflict?.message.contains("/rqlite/leader is at revision 3, not at") == true)
        let erase = { [subject] (revision: [UInt8]) in
            try subject.registry.erase(
                "leader", expected: revision, EtcdSubject.call(seconds: 10))
        }
        #expect(subject.failure { _ in try erase(first) }?.code == RQD_CONFLICT)
        try erase(second)
        #expect(subject.failure { _ in try erase(second) }?.code == RQD_ABSENT)
        #expect(subject.failure { try $0.write("x", expected: second) }?.code == RQD_ABSENT)
        // No revision of etcd's, so no record can be at it.
        #expect(subject.failure { try $0.write("x", expected: [1]) }?.code == RQD_ABSENT)
        #expect(try subject.read().record == nil)
        try subject.write("again")
        #expect(subject.failure { try $0.write("x", expected: [1]) }?.code == RQD_CONFLICT)
    }

    @Test func `The record stands where rqlite's clients look for it`() throws {
        try subject.write("{\"id\":\"1\"}")
        let text = try server.control(["get", "/rqlite/leader", "--print-value-only"])
        #expect(text == "{\"id\":\"1\"}\n")
    }

    @Test func `Every byte of a value survives`() throws {
        let value = (0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        _ = try subject.registry.write(
            "v", expected: nil, value: value, EtcdSubject.call(seconds: 10))
        #expect(try subject.read("v").record?.value == value)
    }

    @Test func `Lists hold what begins with the prefix, and nothing of another key`() throws {
        let other = try EtcdSubject("{\"endpoints\":[\"\(server.url)\"]}", key: "rqlite2")
        for name in ["leader", "nodes/1", "nodes/%32", "nodesx"] { try subject.write(name, name) }
        try other.write("x", "nodes/9")
        let call = EtcdSubject.call(seconds: 10)
        let found = try subject.registry.list(prefix: "nodes/", call)
        #expect(found.map(\.name).sorted() == ["nodes/%32", "nodes/1"])
        #expect(found.allSatisfy { $0.value == Array($0.name.utf8) })
        #expect(try subject.registry.list(prefix: "", call).count == 4)
        #expect(try subject.registry.list(prefix: "none", call).isEmpty)
    }

    @Test func `Pages follow one another in the order of bytes`() throws {
        let names = ["nodes/10", "nodes/2", "nodes/B", "nodes/a", "nodes/\u{e4}"]
        for name in names.reversed() + ["leader", "nodes0"] { try subject.write(name, name) }
        let call = EtcdSubject.call(seconds: 10)
        for most in [1, 2, 5, 1024] {
            var found: [String] = []
            while true {
                let page = try subject.registry.page(
                    prefix: "nodes/", after: found.last ?? "", most: most, call)
                found += page.map(\.name)
                if page.count < most { break }
            }
            #expect(found == names)
        }
    }

    @Test func `Of sixteen clients that write at once one wins each round`() throws {
        let won = Mutex(0)
        let rounds = 20
        let clients = try (0..<16).map { _ in try EtcdSubject(server) }
        let finished = DispatchGroup()
        for (number, client) in clients.enumerated() {
            finished.enter()
            Thread.detachNewThread {
                defer { finished.leave() }
                for round in 0..<rounds {
                    do {
                        let seen = try client.read("counter").record
                        let count = seen.flatMap { Int(String(decoding: $0.value, as: UTF8.self)) }
                        try client.write(
                            String((count ?? 0) + 1), "counter", expected: seen?.revision)
                        won.withLock { $0 += 1 }
                    } catch let failure as CallFailure where failure.code == RQD_CONFLICT {
                        continue
                    } catch {
                        Issue.record("client \(number), round \(round): \(error)")
                    }
                }
            }
        }
        finished.wait()
        let value = try #require(try subject.read("counter").record).value
        #expect(String(decoding: value, as: UTF8.self) == String(won.withLock { $0 }))
        #expect(won.withLock { $0 } >= rounds)
    }

    @Test func `Waiting runs beside other calls and ends with their change`() throws {
        let outcomes = Mutex<[String]>([])
        for change in ["create", "change", "erase"] {
            let reading = try subject.read()
            let token = try #require(reading.token)
            let finished = DispatchSemaphore(value: 0)
            Thread.detachNewThread { [subject] in
                do {
                    _ = try subject.registry.wait(
                        for: "leader", token: token, EtcdSubject.call(seconds: 30))
                    outcomes.withLock { $0.append(change) }
                } catch {
                    outcomes.withLock { $0.append("\(error)") }
                }
                finished.signal()
            }
            let revision = reading.record?.revision
            if change == "erase" {
                try subject.registry.erase(
                    "leader", expected: try #require(revision), EtcdSubject.call(seconds: 10))
            } else {
                try subject.write(change, expected: revision)
            }
            finished.wait()
        }
        #expect(outcomes.withLock { $0 } == ["create", "change", "erase"])
    }

    @Test func `Waiting ends with the deadline where nothing changes`() throws {
        try subject.write("one")
        for name in ["leader", "none"] {
            let token = try #require(try subject.read(name).token)
            // Another record's change is none.
            try subject.write("x", "other-\(name)")
            let failure = subject.failure {
                _ = try $0.registry.wait(for: name, token: token, EtcdSubject.call(seconds: 0.3))
            }
            #expect(failure?.code == RQD_TIMEOUT, "\(failure as Any)")
        }
    }

    @Test func `Waiting with an old token returns at once, compaction or not`() throws {
        let token = try #require(try subject.read().token)
        var revision = try subject.write("one")
        for round in 0..<3 { revision = try subject.write("\(round)", expected: revision) }
        let text = try server.control(["get", "none", "-w", "json"])
        let pattern = #/"revision":(\d+)/#
        let store = try #require(text.firstMatch(of: pattern)?.1)
        try server.control(["compact", String(store)])
        let new = try subject.registry.wait(
            for: "leader", token: token, EtcdSubject.call(seconds: 10))
        #expect(new == (try subject.read().token))
        #expect(
            try subject.registry.wait(for: "leader", token: [], EtcdSubject.call(seconds: 10))
                == nil)
    }

    @Test func `Waiting notices a store that was wiped`() throws {
        // A revision that the new store does not reach.
        var revision = try subject.write("one")
        for round in 0..<3 { revision = try subject.write("\(round)", expected: revision) }
        try subject.registry.erase(
            "leader", expected: revision, EtcdSubject.call(seconds: 10))
        let token = try #require(try subject.read().token)
        server.stop()
        try server.wipe()
        try server.start()
        let new = try subject.registry.wait(
            for: "leader", token: token, EtcdSubject.call(seconds: 10))
        #expect(new != nil && new != token)
    }

    @Test func `A cancellation ends waiting at once`() throws {
        let token = try #require(try subject.read().token)
        let pipe = Pipe()
        let finished = DispatchSemaphore(value: 0)
        let failure = Mutex<CallFailure?>(nil)
        Thread.detachNewThread { [subject] in
            let call = EtcdSubject.call(
                seconds: 600, cancelDescriptor: pipe.fileHandleForReading.fileDescriptor)
            let seen = subject.failure {
                _ = try $0.registry.wait(for: "leader", token: token, call)
            }
            failure.withLock { $0 = seen }
            finished.signal()
        }
        pipe.fileHandleForWriting.write(Data([1]))
        finished.wait()
        #expect(failure.withLock { $0?.code } == RQD_CANCELLED)
    }

    @Test func `What etcd ends shows as an error, and the next call finds it again`() throws {
        let revision = try subject.write("one")
        let token = try #require(try subject.read().token)
        let finished = DispatchSemaphore(value: 0)
        let failure = Mutex<CallFailure?>(nil)
        Thread.detachNewThread { [subject] in
            let seen = subject.failure {
                _ = try $0.registry.wait(for: "leader", token: token, EtcdSubject.call(seconds: 60))
            }
            failure.withLock { $0 = seen }
            finished.signal()
        }
        server.stop()
        finished.wait()
        #expect(failure.withLock { $0?.code } == RQD_UNAVAILABLE)
        let refused = subject.failure { _ = try $0.read() }
        #expect(refused?.code == RQD_UNAVAILABLE)
        #expect(
            refused?.message
                == "reading /rqlite/leader: \(server.url): POST /v3/kv/range: "
                + "can't connect: Connection refused")
        let shown = subject.registry.describe()["last_error"]?.string
        #expect(shown == refused?.message)
        try server.start()
        #expect(try subject.read().record?.value == Array("one".utf8))
        #expect(subject.registry.describe()["last_error"] == nil)
        try subject.write("two", expected: revision)
    }

    @Test func `A server that is silent costs no more than the deadline`() throws {
        try subject.write("one")
        server.pause()
        defer { server.resume() }
        let call = EtcdSubject.call(seconds: 0.3)
        let failure = subject.failure { _ = try $0.registry.read("leader", call) }
        #expect(Call.now < call.deadline + 1_000_000_000)
        #expect(failure?.code == RQD_TIMEOUT)
    }

    @Test func `An endpoint that is dead or silent costs a read nothing but time`() throws {
        let second = try EtcdServer()
        let two = try EtcdSubject(second, server)
        try EtcdSubject(second).write("second")
        try subject.write("first")
        #expect(try two.read().record?.value == Array("second".utf8))
        second.pause()
        #expect(try two.read(seconds: 6).record?.value == Array("first".utf8))
        #expect(
            two.logged == ["etcd answers at \(second.url)", "etcd answers at \(server.url)"])
        #expect(two.registry.describe()["endpoint"]?.string == server.url)
        server.stop()
        second.resume()
        #expect(try two.read().record?.value == Array("second".utf8))
    }

    @Test func `A write goes elsewhere only while nothing was sent`() throws {
        let second = try EtcdServer()
        second.stop()
        // Not connected: the other one gets it.
        try EtcdSubject(second, server).write("one")
        try second.start()
        second.pause()
        defer { second.resume() }
        let failure = try EtcdSubject(second, server).failure {
            try $0.write("x", "other", seconds: 0.5)
        }
        #expect(failure?.code == RQD_TIMEOUT)
        #expect(try subject.read("other").record == nil)
    }

    @Test func `A gateway that is off is told`() throws {
        var options = EtcdServer.Options()
        options.arguments = ["--enable-grpc-gateway=false"]
        let off = try EtcdServer(options)
        let failure = try EtcdSubject(off).failure { _ = try $0.read() }
        #expect(failure?.code == RQD_PROTOCOL)
        #expect(failure?.message.contains("POST /v3alpha/kv/range: status 404") == true)
        #expect(failure?.message.contains("--enable-grpc-gateway") == true)
    }

    @Test func `What it shows has no secrets`() throws {
        let server = server
        let subject = try EtcdSubject(
            server, more: #","username":"me","password":"hunter2""#)
        try subject.write("one")
        #expect(
            subject.registry.describe() == [
                "endpoints": [.string(server.url)], "endpoint": .string(server.url),
                "gateway": "/v3", "username": "me",
            ])
        #expect(
            subject.logged == [
                "\(server.url) has authentication off; user name and password are not used",
                "etcd answers at \(server.url)",
            ])
    }
}
