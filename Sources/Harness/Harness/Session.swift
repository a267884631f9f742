/// An instance of the plugin under test, wherever it runs.
protocol Session: AnyObject, Sendable {
    /// Makes a call on a thread that never called before. Calls but `wait` must not overlap.
    /// - Parameter deadline: CLOCK_MONOTONIC, nanoseconds.
    func begin(_ request: Request, deadline: UInt64) -> any PendingCall
    /// Whether the optional interface that the request belongs to is there.
    func offers(_ request: Request) -> Bool
    /// Blocks. No call may be running.
    func destroy()
    /// What the plugin has logged so far.
    var log: [LogLine] { get }
}

protocol PendingCall: Sendable {
    /// Gives the call up, as the host does.
    func cancel()
    /// Nil when it is not back by then (CLOCK_MONOTONIC, nanoseconds).
    func wait(until time: UInt64) -> CallReport?
}

struct LogLine: Equatable, Sendable {
    let level: Int32
    let text: [UInt8]
}

/// What `create` did.
struct Creation: Sendable {
    var status: Int32
    var results: CallResults
    var milliseconds: Int
    /// If the status is OK and the plugin stored an instance.
    var session: (any Session)?
    var log: [LogLine]

    var outline: String {
        let text = results.messageText
        let stored = status == 0 && session == nil ? " and stored no instance" : ""
        return "create returned \(StatusName.of(status))\(stored)"
            + (text.isEmpty ? "" : ": \(text.prefix(300))")
    }
}
