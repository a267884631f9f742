import Discovery
import Foundation
import Synchronization

/// A plugin's instance, loaded from a file by the host's own code.
final class LoadedPlugin: Sendable {
    private let instance: PluginInstance
    private let lastCall = Mutex<PluginCall?>(nil)

    init(_ path: String, config: String) throws {
        let choice = try PluginCatalog(directories: []).find(mode: path)
        instance = PluginInstance(
            plugin: try Plugin(loading: choice),
            arguments: PluginArguments(
                key: "rqlite", config: Array(config.utf8), nodeID: "1",
                raft: ("10.0.0.1:4002", 4002), apiURL: "http://10.0.0.1:4001"),
            environment: PluginEnvironment(log: { _, _ in }, wallTime: { "" }))
    }

    deinit { instance.stop {} }

    func resolve(_ timeout: Duration = .seconds(10)) async -> Result<Resolution, PluginError> {
        await withCheckedContinuation { waiter in
            let call = instance.resolve(timeout: timeout) { waiter.resume(returning: $0) }
            lastCall.withLock { $0 = call }
        }
    }

    /// Gives up the call that was made last.
    func cancel() { lastCall.withLock { $0 }?.cancel() }

    /// The addresses, or a text that says what went wrong.
    func addresses() async -> String {
        switch await resolve() {
        case .success(let answer): answer.addresses.map(\.hostAndPort).joined(separator: " ")
        case .failure(let error): "\(error.code): \(error.message)"
        }
    }

    func wait(_ token: [UInt8], _ timeout: Duration = .seconds(10)) async
        -> Result<WatchOutcome, PluginError>
    {
        await withCheckedContinuation { waiter in
            instance.wait(token: token, timeout: timeout) { waiter.resume(returning: $0) }
        }
    }
}
