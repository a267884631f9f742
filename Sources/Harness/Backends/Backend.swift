/// A fake server that a plugin under test talks to. It listens on a loopback port of its own, keeps
/// real state, and can be told at any time to misbehave.
///
/// All members may be called from any thread. Handling runs on threads of the server's own.
package protocol Backend: AnyObject, Sendable {
    /// What a manifest calls this kind of server: `dns`, `http`.
    static var kind: String { get }

    /// Always 127.0.0.1: what is faked stays on this machine.
    var host: String { get }
    /// Chosen by the system; the same until the end, over restarts too.
    var port: UInt16 { get }
    /// As configurations write it: `http://127.0.0.1:4711`.
    var url: String { get }

    /// Requests that arrived whole so far, misbehaviour or not.
    var requestCount: Int { get }

    /// From now on, until the next call.
    func misbehave(_ plan: FaultPlan)

    /// Does to the state what an operator would do beside the plugin: `arguments` depend on the kind
    /// of server; see each. Returns an answer, or throws what is wrong with them.
    func command(_ arguments: [String]) throws(BackendError) -> String

    /// Closes the port and every connection. State stays. Does nothing if it is down.
    func goDown()
    /// Opens the same port again. Does nothing if it is up.
    func comeUp() throws(BackendError)
    /// Goes down for good, and waits for nothing: threads end on their own within a second.
    func stop()
}

extension Backend {
    package var host: String { "127.0.0.1" }

    package func behave() { misbehave(FaultPlan(.none)) }

    package func restart() throws(BackendError) {
        goDown()
        try comeUp()
    }
}

/// Why a fake server can't do what it was told to.
package struct BackendError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
