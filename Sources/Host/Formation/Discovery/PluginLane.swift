import Threads

/// Calls that run one after the other. An instance has two lanes: one for everything, and one for
/// `wait`, which may run beside it.
final class PluginLane: Sendable {
    /// A call on its way, from submission to completion.
    struct Pending: Sendable {
        let request: PluginRequest
        let context: CallContext
        let completion: @Sendable (Result<CallAnswer, PluginError>) -> Void
    }

    private struct State {
        var waiting: [Pending] = []
        var running: CallContext?
        var thread: PluginThread?
        var hasKeeper = false
        var isStopping = false
        var hasEnded = false
    }

    private let monitor = Monitor(State())

    /// False when too many calls wait, or the lane ends: behind a goodbye nothing is taken.
    func submit(_ call: Pending) -> Bool {
        monitor.withLock { state in
            guard !state.isStopping, state.waiting.count < DiscoveryLimits.waitingCalls else {
                return false
            }
            state.waiting.append(call)
            if call.request.isGoodbye { state.isStopping = true }
            return true
        }
    }

    /// Whether the caller must now start the thread that keeps the lane.
    func claimKeeper() -> Bool {
        monitor.withLock { state in
            defer { state.hasKeeper = true }
            return !state.hasKeeper && !state.isStopping
        }
    }

    /// There is no thread to keep the lane.
    /// - Returns: the calls that came from others meanwhile, to be answered: nobody else would.
    func abandonKeeper() -> [Pending] {
        monitor.withLock { state in
            state.hasKeeper = false
            if state.isStopping { state.hasEnded = true }
            defer { state.waiting = [] }
            return state.waiting
        }
    }

    /// Waits for the next call; nil when the lane has ended.
    func next() -> Pending? {
        monitor.wait(until: { nil }) { state -> Pending?? in
            if !state.waiting.isEmpty {
                let call = state.waiting.removeFirst()
                state.running = call.context
                return .some(call)
            }
            return state.isStopping ? .some(nil) : nil
        } ?? nil
    }

    func occupy(_ thread: PluginThread?) { monitor.withLock { $0.thread = thread } }

    /// Makes a cancelled call's new limit be seen.
    func poke() { monitor.withLock { $0.thread }?.poke() }

    /// Cancels what runs and what waits.
    func cancelAll() {
        let contexts = monitor.withLock { state in
            state.waiting.map(\.context) + [state.running].compactMap { $0 }
        }
        for context in contexts { context.cancel() }
        poke()
    }

    /// Cancels what runs and what waits, and takes nothing more.
    func stop() {
        let contexts = monitor.withLock { state in
            state.isStopping = true
            if !state.hasKeeper { state.hasEnded = true }
            return state.waiting.map(\.context) + [state.running].compactMap { $0 }
        }
        for context in contexts { context.cancel() }
        poke()
    }

    func end() {
        monitor.withLock { state in
            state.hasEnded = true
            state.running = nil
        }
    }

    func waitForEnd() { _ = monitor.wait(until: { nil }) { $0.hasEnded ? true : nil } }
}

/// What came back from a call that was answered.
struct CallAnswer: Sendable {
    /// RQD_OK, RQD_ABSENT, RQD_CONFLICT, or RQD_TIMEOUT of a `wait`.
    let status: Int32
    let results: CallResults
}

/// A call under way.
package struct PluginCall: Sendable {
    let context: CallContext?
    let lane: PluginLane

    /// Asks the plugin to come back; its completion is still called once.
    package func cancel() {
        context?.cancel()
        lane.poke()
    }
}
