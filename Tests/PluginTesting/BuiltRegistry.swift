package import Discovery
package import JSON

/// An instance of a registry, with calls to await.
package struct BuiltRegistry: Sendable {
    private let instance: PluginInstance

    package init(_ instance: PluginInstance) { self.instance = instance }

    package func read(_ name: String) async throws -> RegistryReading {
        try await withCheckedContinuation { waiter in
            instance.read(name, timeout: .seconds(20)) { waiter.resume(returning: $0) }
        }.get()
    }

    /// - Parameter expected: nil for "there is no record".
    package func write(
        _ name: String, _ value: [UInt8], _ expected: [UInt8]?
    ) async throws -> RegistryWriting {
        try await withCheckedContinuation { waiter in
            instance.write(name, value: value, expected: expected, timeout: .seconds(20)) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    package func erase(_ name: String, _ expected: [UInt8]) async throws -> RegistryErasure {
        try await withCheckedContinuation { waiter in
            instance.erase(name, expected: expected, timeout: .seconds(20)) {
                waiter.resume(returning: $0)
            }
        }.get()
    }

    package func list(_ prefix: String) async throws -> [RegistryRecord] {
        try await withCheckedContinuation { waiter in
            instance.list(prefix: prefix, timeout: .seconds(20)) { waiter.resume(returning: $0) }
        }.get()
    }

    /// Begins at once, also when nobody awaits the outcome yet.
    package func wait(
        _ name: String, _ token: [UInt8]
    ) -> AsyncStream<Result<WatchOutcome, PluginError>> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Result<WatchOutcome, PluginError>.self)
        instance.wait(for: name, token: token, timeout: .seconds(20)) {
            continuation.yield($0)
            continuation.finish()
        }
        return stream
    }

    package func status() -> JSONValue { instance.status() }

    package func stop() async {
        await withCheckedContinuation { waiter in instance.stop { waiter.resume() } }
    }
}
