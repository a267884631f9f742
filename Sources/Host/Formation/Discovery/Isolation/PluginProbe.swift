import Threads
import Time
/// Asks a plugin's descriptor what it says of itself, in a process of its own: its note does not
/// tell, and to look at a plugin must not mean to run it here.
package enum PluginProbe {
    /// Blocks for at most `timeout`. The plugin makes an instance without a configuration; whether
    /// that works does not matter.
    package static func identity(
        of location: PluginLocation, in process: PluginProcess, timeout: Duration
    ) throws(PluginError) -> PluginIdentity {
        let arguments = PluginArguments(
            key: "rqlite", config: [], nodeID: "1", raft: ("localhost:4002", 4002),
            apiURL: "http://localhost:4001")
        let session = try IsolatedSession(
            location, in: process, arguments: arguments, name: location.mode.name,
            log: { _, _ in })
        let context = try CallContext(deadline: .now + timeout, kinds: [])
        let thread = try PluginThread(name: "disco-probe")
        defer { thread.end() }
        let failure = Monitor<PluginError?>(nil)
        let isBack = thread.run(until: { context.deadline }) {
            do throws(PluginError) {
                _ = try session.perform(.start, context)
            } catch {
                failure.withLock { $0 = error }
            }
        }
        let identity = session.identity
        _ = session.giveUp(during: "create")
        if let identity { return identity }
        throw failure.withLock { $0 }
            ?? PluginError(
                .internal,
                isBack ? "it did not say what it is" : "it could not be loaded in \(timeout)")
    }
}
