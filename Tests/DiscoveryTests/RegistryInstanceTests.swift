import Testing

@testable import Discovery

/// Calls of a registry, against one in memory.
@Suite struct RegistryInstanceTests {
    private let workshop: Workshop
    private let subject: Subject

    init() throws {
        workshop = try Workshop()
        try workshop.compile("registry.c", as: "rqlite-disco-m.so")
        subject = Subject(try workshop.load("memory"))
    }

    @Test func `A record is created, changed and erased at its revision only`() async throws {
        #expect(try await subject.read("leader").record == nil)
        guard case .written(let first) = try await subject.write("leader", [1, 0, 2], nil) else {
            Issue.record("not written")
            return
        }
        #expect(try await subject.write("leader", [9], nil) == .conflict)
        #expect(
            try await subject.read("leader").record
                == RegistryRecord(name: "leader", value: [1, 0, 2], revision: first))
        guard case .written(let second) = try await subject.write("leader", [], first) else {
            Issue.record("not written")
            return
        }
        #expect(try await subject.write("leader", [9], first) == .conflict)
        #expect(try await subject.erase("leader", first) == .conflict)
        #expect(try await subject.erase("leader", second) == .erased)
        #expect(try await subject.erase("leader", second) == .absent)
        #expect(try await subject.write("leader", [9], second) == .absent)
        await subject.stop()
    }

    @Test func `Lists hold what begins with the prefix`() async throws {
        for name in ["leader", "nodes/1", "nodes/%32"] {
            _ = try await subject.write(name, Array(name.utf8), nil)
        }
        #expect(try await subject.list("nodes/").map(\.name).sorted() == ["nodes/%32", "nodes/1"])
        #expect(try await subject.list("").count == 3)
        #expect(try await subject.list("x").isEmpty)
        await subject.stop()
    }

    @Test func `Waiting runs beside other calls and sees their change`() async throws {
        let token = try await subject.read("leader").token
        #expect(try await subject.wait("leader", token, .milliseconds(20)).get() == .unchanged)
        async let change = subject.wait("leader", token)
        _ = try await subject.write("leader", [1], nil)
        let seen = try await subject.read("leader").token
        #expect(try await change.get() == .changed(token: seen))
        #expect(seen != token)
        await subject.stop()
    }

    @Test func `Waiting ends at once when the instance stops`() async throws {
        let token = try await subject.read("leader").token
        async let change = subject.wait("leader", token, .seconds(600))
        await subject.stop()
        guard case .failure(let error) = await change else {
            Issue.record("changed")
            return
        }
        #expect([.cancelled, .busy].contains(error.code))
    }

    @Test func `What is larger than the header allows never reaches the plugin`() async throws {
        let name = String(repeating: "n", count: 301)
        let value = [UInt8](repeating: 0, count: 8193)
        await #expect(throws: PluginError.self) { try await subject.read(name) }
        await #expect(throws: PluginError.self) { try await subject.write("a", value, nil) }
        await #expect(throws: PluginError.self) { try await subject.write("a", [], value) }
        _ = try await subject.write("a", Array(value.dropLast()), nil)
        #expect(try await subject.list("").map(\.value.count) == [8192])
        await subject.stop()
    }

    @Test func `Waiting needs an instance`() async throws {
        guard case .failure(let error) = await subject.wait("leader", []) else {
            Issue.record("waited on nothing")
            return
        }
        #expect(error.code == .unavailable)
        await subject.stop()
    }
}
