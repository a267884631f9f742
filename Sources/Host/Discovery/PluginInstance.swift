package import JSON
import PluginABI
import Synchronization

/// A discovery mode at work: calls of one plugin, made on threads of their own, one at a time (and
/// `wait` beside them), each under a deadline.
///
/// A call must be back soon after its deadline or cancellation. If it is not, it is *abandoned* with
/// the instance it was made on, which is never called or freed again; the next call makes a new one,
/// no sooner than a back-off allows. After three of them the mode is off until the program is
/// restarted.
///
/// Every call is answered exactly once, through its completion, on a thread of this object, which
/// must not be blocked. `stop` must be called in the end.
package final class PluginInstance: Sendable {
    /// Times that tests shorten.
    package struct Timing: Sendable {
        /// From deadline or cancellation to abandonment: one second in which a plugin must return,
        /// and two more.
        package var grace = Duration.seconds(3)
        package var firstBackoff = Duration.seconds(1)
        package var lastBackoff = Duration.seconds(60)

        package init() {}
    }

    struct Supervision {
        var session: (any PluginSession)?
        /// Counts abandoned instances; a call belongs to the instance of its number.
        var epoch = 0
        var notBefore: MonotonicTime?
    }

    package let plugin: Plugin
    let arguments: PluginArguments
    private let environment: PluginEnvironment
    private let timing: Timing
    private let supervision = Mutex(Supervision())
    private let statistics = Mutex(PluginStatistics())
    private let serial = PluginLane()
    private let watching = PluginLane()

    package init(
        plugin: Plugin, arguments: PluginArguments, environment: PluginEnvironment,
        timing: Timing = Timing()
    ) {
        self.plugin = plugin
        self.arguments = arguments
        self.environment = environment
        self.timing = timing
    }

    /// `/status`, member `disco`.
    package func status() -> JSONValue {
        statistics.withLock { $0.json(mode: plugin.mode.name) }
    }

    /// Cancels everything and destroys the plugin's instance. Returns at once; the process need not
    /// wait for the completion to exit.
    package func stop(completion: @escaping @Sendable () -> Void) {
        watching.stop()
        serial.stop()
        do {
            try PluginThread.start(name: "disco-stop") { [self] in
                watching.waitForEnd()
                serial.waitForEnd()
                destroy()
                completion()
            }
        } catch {
            environment.log(.warning, "plugin \(plugin.id) is not destroyed: \(error)")
            completion()
        }
    }

    func submit(
        _ request: PluginRequest, timeout: Duration,
        completion: @escaping @Sendable (Result<CallAnswer, PluginError>) -> Void
    ) -> PluginCall {
        let lane = if case .wait = request { watching } else { serial }
        do throws(PluginError) {
            if let excess = request.excess { throw PluginError(.unsupported, excess) }
            let context = try CallContext(deadline: .now + timeout, kinds: request.results)
            try startKeeper(of: lane)
            let call = PluginLane.Pending(
                request: request, context: context, completion: completion)
            guard lane.submit(call) else {
                throw PluginError(
                    .busy, "plugin \(plugin.id) has no room for another call, or stops")
            }
            return PluginCall(context: context, lane: lane)
        } catch {
            completion(.failure(error))
            return PluginCall(context: nil, lane: lane)
        }
    }

    private func startKeeper(of lane: PluginLane) throws(PluginError) {
        guard lane.claimKeeper() else { return }
        do {
            try PluginThread.start(name: "disco-keeper") { [self] in keep(lane) }
        } catch {
            lane.abandonKeeper()
            throw error
        }
    }
}

/// The life of a lane, on its keeper's thread.
extension PluginInstance {
    private func keep(_ lane: PluginLane) {
        var thread: PluginThread?
        while let call = lane.next() {
            let result = perform(call.request, call.context, lane, &thread)
            record(call.request, result)
            call.completion(result)
            if lane === serial { describe(&thread) }
        }
        thread?.end()
        lane.end()
    }

    private func perform(
        _ request: PluginRequest, _ context: CallContext, _ lane: PluginLane,
        _ thread: inout PluginThread?
    ) -> Result<CallAnswer, PluginError> {
        if context.isCancelled {
            return .failure(PluginError(.cancelled, "the call was given up before it began"))
        }
        let (epoch, notBefore) = supervision.withLock { ($0.epoch, $0.notBefore) }
        guard epoch < DiscoveryLimits.strikes else {
            return .failure(
                PluginError(
                    .off,
                    "discovery mode \(plugin.mode.name) is off until restart: \(epoch) calls of "
                        + "plugin \(plugin.id) never came back"))
        }
        if let notBefore, MonotonicTime.now < notBefore {
            return .failure(
                PluginError(.unavailable, "plugin \(plugin.id) starts again after a pause"))
        }
        do throws(PluginError) {
            let worker: PluginThread
            if let kept = thread {
                worker = kept
            } else {
                worker = try PluginThread(name: "disco-\(plugin.mode.name)")
            }
            thread = worker
            lane.occupy(worker)
            defer { lane.occupy(nil) }
            let outcome = CallOutcome()
            let grace = timing.grace
            let isBack = worker.run(until: { context.end + grace }) { [self] in
                outcome.set(performBlocking(request, context, epoch: epoch))
            }
            guard isBack else {
                thread = nil
                worker.end()
                return .failure(abandon(epoch: epoch, request))
            }
            let status = try outcome.get()
            return .success(try CallJudge(request: request, plugin: plugin).judge(status, context))
        } catch {
            return .failure(error)
        }
    }

    /// On the plugin's thread.
    private func performBlocking(
        _ request: PluginRequest, _ context: CallContext, epoch: Int
    ) -> Result<Int32, PluginError> {
        if let session = supervision.withLock({ $0.epoch == epoch ? $0.session : nil }) {
            return .success(session.perform(request, context))
        }
        if case .wait = request {
            return .failure(
                PluginError(.unavailable, "plugin \(plugin.id) has no instance yet to wait on"))
        }
        do {
            let session = try InProcessSession(
                plugin: plugin, arguments: arguments, name: "\(plugin.mode.name)-\(epoch + 1)",
                log: environment.log)
            let isWanted = supervision.withLock { state in
                // Too late: this thread was given up meanwhile, and its instance with it.
                guard state.epoch == epoch else { return false }
                state.session = session
                return true
            }
            guard isWanted else { return .success(RQD_CANCELLED) }
            return .success(session.perform(request, context))
        } catch {
            return .failure(error)
        }
    }

    private func abandon(epoch: Int, _ request: PluginRequest) -> PluginError {
        supervision.withLock { state in
            // Both lanes may lose a call to one instance.
            guard state.epoch == epoch else { return }
            state.session = nil
            state.epoch += 1
            let backoff = timing.firstBackoff * (1 << epoch)
            state.notBefore = .now + min(backoff, timing.lastBackoff)
        }
        let error = PluginError(
            .abandoned,
            "plugin \(plugin.id) did not come back from \(request.name); its instance was "
                + "given up (\(epoch + 1) of \(DiscoveryLimits.strikes))")
        environment.log(.error, error.message)
        return error
    }

    private func record(_ request: PluginRequest, _ result: Result<CallAnswer, PluginError>) {
        let time = environment.wallTime()
        statistics.withLock { $0.record(request, result, at: time, raftPort: arguments.raftPort) }
    }

    private func describe(_ thread: inout PluginThread?) {
        guard supervision.withLock({ $0.session != nil }),
            let context = try? CallContext(
                deadline: .now + .seconds(1), kinds: PluginRequest.describe.results),
            case .success(let answer) = perform(.describe, context, serial, &thread),
            let text = answer.results.text
        else { return }
        statistics.withLock { $0.record(description: text) }
    }

    private func destroy() {
        guard let session = supervision.withLock({ $0.session.take() }) else { return }
        do {
            let thread = try PluginThread(name: "disco-\(plugin.mode.name)")
            let limit = MonotonicTime.now + timing.grace
            if !thread.run(until: { limit }, { session.destroy() }) {
                environment.log(.warning, "plugin \(plugin.id) did not come back from destroy")
            }
            thread.end()
        } catch {
            environment.log(.warning, "plugin \(plugin.id) is not destroyed: \(error)")
        }
    }
}

/// Where a plugin's thread leaves what its call returned.
private final class CallOutcome: Sendable {
    private let result = Mutex<Result<Int32, PluginError>?>(nil)

    func set(_ new: Result<Int32, PluginError>) { result.withLock { $0 = new } }

    func get() throws(PluginError) -> Int32 {
        guard let result = result.withLock({ $0 }) else {
            throw PluginError(.internal, "the call left no result")
        }
        return try result.get()
    }
}
