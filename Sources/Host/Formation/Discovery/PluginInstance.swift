package import JSON
import PluginABI
import Synchronization
import Threads
import Time

/// A discovery mode at work: calls of one plugin, made on threads of their own, one at a time (and
/// `wait` beside them), each under a deadline.
///
/// A call must be back soon after its deadline or cancellation, or after its begin, where that comes later.
/// If it is not, it is *abandoned* with the instance it was made on, which is never called or freed again; the
/// next call makes a new one, no sooner than a back-off allows. After three of them the mode moves to
/// isolation, or, where no child program is given, is off until the program is restarted.
///
/// Every call is answered exactly once, through its completion, on a thread of this object, which
/// must not be blocked. `stop` must be called in the end.
package final class PluginInstance: Sendable {
    /// Times that tests shorten.
    package struct Timing: Sendable {
        /// From deadline or cancellation, or the call's begin if that is later, to abandonment: one second in which
        /// a plugin must return, and two more.
        package var grace = Duration.seconds(3)
        /// Before the grace, for a call that needs an instance made first: a leader's calls are short, and a process
        /// takes its time to start on a machine that is busy.
        package var creation = Duration.seconds(5)
        /// Before a process that ended is started again.
        package var firstBackoff = Duration.seconds(1)
        /// The pause doubles up to this.
        package var lastBackoff = Duration.seconds(60)

        /// Nothing is loaded or called before `start`.
        package init() {}
    }

    let arguments: PluginArguments
    let environment: PluginEnvironment
    let timing: Timing
    let supervision: Mutex<PluginSupervision>
    let statistics = Mutex(PluginStatistics())
    let serial = PluginLane()
    let watching = PluginLane()

    package init(
        source: PluginSource, arguments: PluginArguments, environment: PluginEnvironment,
        timing: Timing = Timing()
    ) {
        self.arguments = arguments
        self.environment = environment
        self.timing = timing
        supervision = Mutex(PluginSupervision(source, timing: timing))
    }

    /// In this process alone.
    package convenience init(
        plugin: Plugin, arguments: PluginArguments, environment: PluginEnvironment,
        timing: Timing = Timing()
    ) {
        self.init(
            source: .loaded(plugin, refuge: nil), arguments: arguments, environment: environment,
            timing: timing)
    }

    /// The mode that is used.
    package var mode: PluginMode { source.location.mode }

    /// What the plugin says of itself: an isolated one only while its process runs.
    package var identity: PluginIdentity? {
        supervision.withLock { state in
            if case .loaded(let plugin, _) = state.source { return plugin.identity }
            return (state.session as? IsolatedSession)?.identity
        }
    }

    /// What instances are given now, and where another of the same kind can be made outside this
    /// process; nil where no program for it is known.
    package var present: (source: PluginSource?, arguments: PluginArguments) {
        supervision.withLock { state in
            var arguments = arguments
            if let config = state.config { arguments.config = config }
            let source = state.source.process.map {
                PluginSource.isolated(state.source.location, $0)
            }
            return (source, arguments)
        }
    }

    /// The plugin's file, as it is used now.
    package var path: String { source.location.path }

    private var source: PluginSource { supervision.withLock { $0.source } }
    var label: String { source.label }

    /// `/status`, member `disco`.
    package func status() -> JSONValue {
        let (mode, isIsolated, process) = supervision.withLock { state in
            (
                state.source.location.mode.name, state.source.isIsolated,
                (state.session as? IsolatedSession)?.processID
            )
        }
        return statistics.withLock {
            $0.json(mode: mode, isolation: isIsolated ? "process" : "none", process: process)
        }
    }

    /// Cancels everything and destroys the plugin's instance. Returns at once; the process need not
    /// wait for the completion to exit. May be called again.
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
            environment.log(.warning, "plugin \(label) is not destroyed: \(error)")
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
                    .busy, "plugin \(label) has no room for another call, or stops")
            }
            return PluginCall(context: context, lane: lane)
        } catch {
            completion(.failure(error))
            return PluginCall(context: nil, lane: lane)
        }
    }

    func startKeeper(of lane: PluginLane) throws(PluginError) {
        guard lane.claimKeeper() else { return }
        do {
            try PluginThread.start(name: "disco-keeper") { [self] in keep(lane) }
        } catch {
            for call in lane.abandonKeeper() { call.completion(.failure(error)) }
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
            if lane === serial, !call.request.isGoodbye { describe(&thread) }
        }
        thread?.end()
        lane.end()
    }

    private func perform(
        _ request: PluginRequest, _ context: CallContext, _ lane: PluginLane,
        _ thread: inout PluginThread?
    ) -> Result<CallAnswer, PluginError> {
        if context.isCancelled { return .failure(Self.givenUp) }
        let (epoch, refusal) = supervision.withLock { ($0.epoch, $0.refusal(at: .now)) }
        if let refusal { return .failure(refusal) }
        do throws(PluginError) {
            let worker: PluginThread
            if let kept = thread {
                worker = kept
            } else {
                worker = try PluginThread(name: "disco-\(mode.name)")
            }
            thread = worker
            lane.occupy(worker)
            defer { lane.occupy(nil) }
            let outcome = CallOutcome()
            let begin = MonotonicTime.now
            let isBack = worker.run(until: { [timing] in
                // What waited in line for longer than it may take is still given the time to come back.
                let last = outcome.madeAt ?? (context.isCancelled ? begin : begin + timing.creation)
                return max(context.end, last) + timing.grace
            }) { [self] in
                let result = performBlocking(request, context, epoch: epoch) {
                    outcome.made()
                    worker.poke()
                }
                outcome.set(result)
            }
            statistics.withLock { $0.record(request, took: .now - begin) }
            guard isBack else {
                thread = nil
                worker.end()
                return .failure(abandon(epoch: epoch, request))
            }
            let status = try outcome.get()
            return .success(try CallJudge(request: request, plugin: label).judge(status, context))
        } catch {
            return .failure(error)
        }
    }

    private static var givenUp: PluginError {
        PluginError(.cancelled, "the call was given up before it began")
    }

    /// On the plugin's thread.
    /// - Parameter isMade: called when the instance is there, and the call itself begins.
    private func performBlocking(
        _ request: PluginRequest, _ context: CallContext, epoch: Int, isMade: () -> Void
    ) -> Result<Int32, PluginError> {
        do throws(PluginError) {
            let session = try session(for: request, context, epoch: epoch)
            do throws(PluginError) {
                switch request {
                // It makes none.
                case .wait: break
                // In a process of its own the plugin is loaded only now.
                default: _ = try session.perform(.start, context)
                }
                isMade()
                guard !context.isCancelled else { throw Self.givenUp }
                // A plugin that can't be made has told nobody.
                if case .update = request { supervision.withLock { $0.beginTelling() } }
                return .success(try session.perform(request, context))
            } catch {
                if session.hasEnded { lose(epoch, request, isStrike: false, cause: error) }
                throw error
            }
        } catch {
            return .failure(error)
        }
    }

    private func session(
        for request: PluginRequest, _ context: CallContext, epoch: Int
    ) throws(PluginError) -> any PluginSession {
        let (source, config, session, isCurrent) = supervision.withLock { state in
            (state.source, state.config, state.session(of: epoch), state.epoch == epoch)
        }
        if let session { return session }
        // What would be made here now would be nobody's.
        guard isCurrent else {
            throw PluginError(.cancelled, "the instance was given up before the call began")
        }
        if case .wait = request {
            throw PluginError(.unavailable, "plugin \(source.label) has no instance yet to wait on")
        }
        var arguments = arguments
        if let config { arguments.config = config }
        let new = try source.open(
            arguments: arguments, name: "\(source.location.mode.name)-\(epoch + 1)",
            log: environment.log)
        guard supervision.withLock({ $0.adopt(new, epoch: epoch, at: .now) }) else {
            // Too late: this thread was given up meanwhile, and its instance with it. Or another
            // instance came first, and then nobody else knows of this one.
            if context.end + timing.grace > .now {
                new.destroy()
            } else {
                _ = new.giveUp(during: request.name)
            }
            throw Self.givenUp
        }
        return new
    }

    private func abandon(epoch: Int, _ request: PluginRequest) -> PluginError {
        let (label, session, strikes) = supervision.withLock { state in
            (
                state.source.label,
                state.epoch == epoch ? state.session : state.takeRetired(epoch), state.strikes
            )
        }
        let isEnded = session?.giveUp(during: request.name) ?? false
        let error = PluginError(
            .abandoned,
            "plugin \(label) did not come back from \(request.name); its "
                + (isEnded
                    ? "process was killed"
                    : "instance was given up (\(strikes + 1) of \(DiscoveryLimits.strikes))"))
        lose(epoch, request, isStrike: !isEnded, cause: error)
        return error
    }

    private func lose(_ epoch: Int, _ request: PluginRequest, isStrike: Bool, cause: PluginError) {
        let (isFirst, wasIsolated, source, isOff) = supervision.withLock { state in
            let before = state.source.isIsolated
            let isFirst = state.lose(
                epoch: epoch, in: request, isStrike: isStrike, cause: cause, at: .now)
            return (isFirst, before, state.source, state.isOff)
        }
        guard isFirst else { return }
        environment.log(.error, cause.message)
        let mode = source.location.mode.name
        if isOff {
            environment.log(.error, "discovery mode \(mode) is off until restart")
        } else if source.isIsolated, !wasIsolated {
            environment.log(
                .error, "discovery mode \(mode) runs in a process of its own from now on")
        }
    }

    private func record(_ request: PluginRequest, _ result: Result<CallAnswer, PluginError>) {
        let time = environment.wallTime()
        statistics.withLock { $0.record(request, result, at: time, raftPort: arguments.raftPort) }
    }

    /// What goes wrong here fails no call, and shows unless it is that there is nothing to describe.
    private func describe(_ thread: inout PluginThread?) {
        guard supervision.withLock({ $0.session != nil && $0.isDescribable }),
            let context = try? CallContext(
                deadline: .now + .seconds(1), kinds: PluginRequest.describe.results)
        else { return }
        let result = perform(.describe, context, serial, &thread)
        switch result {
        case .success(let answer):
            guard let text = answer.results.text else { return }
            statistics.withLock { $0.record(description: text) }
        case .failure(let error):
            if error.code != .unsupported { record(.describe, result) }
        }
    }

    private func destroy() {
        if let session = supervision.withLock({ $0.release() }) { destroy(session) }
    }

    /// Blocks, but not for ever.
    func destroy(_ session: any PluginSession) {
        do {
            let thread = try PluginThread(name: "disco-\(mode.name)")
            let limit = MonotonicTime.now + timing.grace
            if !thread.run(until: { limit }, { session.destroy() }) {
                _ = session.giveUp(during: "destroy")
                environment.log(.warning, "plugin \(label) did not come back from destroy")
            }
            thread.end()
        } catch {
            environment.log(.warning, "plugin \(label) is not destroyed: \(error)")
        }
    }
}

/// Where a plugin's thread leaves what its call returned.
private final class CallOutcome: Sendable {
    private struct State {
        var result: Result<Int32, PluginError>?
        var madeAt: MonotonicTime?
    }

    private let state = Mutex(State())

    /// When the instance was there; nil: it isn't yet.
    var madeAt: MonotonicTime? { state.withLock { $0.madeAt } }

    func made() { state.withLock { $0.madeAt = .now } }

    func set(_ new: Result<Int32, PluginError>) { state.withLock { $0.result = new } }

    func get() throws(PluginError) -> Int32 {
        guard let result = state.withLock({ $0.result }) else {
            throw PluginError(.internal, "the call left no result")
        }
        return try result.get()
    }
}
