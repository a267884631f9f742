import Testing

@testable import Discovery

/// Calls of a registry, against one in memory.
@Suite struct RegistryInstanceTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
        try workshop.compile("registry.c", as: "rqlite-disco-m.so")
    }

    private func subject(_ place: Place) throws -> Subject {
        try Subject(workshop, "memory", place)
    }

    @Test(arguments: Place.allCases)
    func `A record is created, changed and erased at its revision only`(_ place: Place) async throws
    {
        let subject = try subject(place)
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

    @Test(arguments: Place.allCases)
    func `Lists hold what begins with the prefix`(_ place: Place) async throws {
        let subject = try subject(place)
        for name in ["leader", "nodes/1", "nodes/%32"] {
            _ = try await subject.write(name, Array(name.utf8), nil)
        }
        #expect(try await subject.list("nodes/").map(\.name).sorted() == ["nodes/%32", "nodes/1"])
        #expect(try await subject.list("").count == 3)
        #expect(try await subject.list("x").isEmpty)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `Waiting runs beside other calls and sees their change`(_ place: Place) async throws {
        let subject = try subject(place)
        let token = try await subject.read("leader").token
        #expect(try await subject.wait("leader", token, .milliseconds(20)).get() == .unchanged)
        async let change = subject.wait("leader", token)
        _ = try await subject.write("leader", [1], nil)
        let seen = try await subject.read("leader").token
        #expect(try await change.get() == .changed(token: seen))
        #expect(seen != token)
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `Waiting ends at once when the instance stops`(_ place: Place) async throws {
        let subject = try subject(place)
        let token = try await subject.read("leader").token
        async let change = subject.wait("leader", token, .seconds(600))
        await subject.stop()
        guard case .failure(let error) = await change else {
            Issue.record("changed")
            return
        }
        #expect([.cancelled, .busy].contains(error.code))
    }

    @Test(arguments: Place.allCases)
    func `What is larger than the header allows never reaches the plugin`(_ place: Place)
        async throws
    {
        let subject = try subject(place)
        let name = String(repeating: "n", count: 301)
        let value = [UInt8](repeating: 0, count: 8193)
        await #expect(throws: PluginError.self) { try await subject.read(name) }
        await #expect(throws: PluginError.self) { try await subject.write("a", value, nil) }
        await #expect(throws: PluginError.self) { try await subject.write("a", [], value) }
        _ = try await subject.write("a", Array(value.dropLast()), nil)
        #expect(try await subject.list("").map(\.value.count) == [8192])
        await subject.stop()
    }

    @Test(arguments: Place.allCases)
    func `Waiting needs an instance`(_ place: Place) async throws {
        let subject = try subject(place)
        guard case .failure(let error) = await subject.wait("leader", []) else {
            Issue.record("waited on nothing")
            return
        }
        #expect(error.code == .unavailable)
        await subject.stop()
    }
}
