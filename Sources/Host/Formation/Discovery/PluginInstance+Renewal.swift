import Synchronization
import Threads
import Time

/// Another instance in the place of the one at work, while the node runs.
extension PluginInstance {
    /// Makes an instance, of the same file or another and with another configuration, and lets it take
    /// the place of the one at work once it has started; that one goes when its calls are back. If the
    /// new one can't be, nothing changes. Waits under way are given up; other calls come to their end.
    ///
    /// - Parameters:
    ///   - source: nil: as before.
    ///   - timeout: for the plugin's `create`.
    ///   - completion: called once, on a thread that may be held up.
    package func renew(
        from source: PluginSource?, config: [UInt8], timeout: Duration,
        completion: @escaping Completion<Void>
    ) {
        do {
            try PluginThread.start(name: "disco-renew") { [self] in
                do throws(PluginError) {
                    let old = try replace(from: source, config: config, timeout: timeout)
                    statistics.withLock { $0.recordRenewal(nil) }
                    completion(.success(()))
                    retire(old)
                } catch {
                    statistics.withLock { $0.recordRenewal(error.message) }
                    completion(.failure(error))
                }
            }
        } catch {
            completion(.failure(error))
        }
    }

    /// Blocks until the new instance has started.
    /// - Returns: the number of the old one.
    private func replace(
        from source: PluginSource?, config: [UInt8], timeout: Duration
    ) throws(PluginError) -> Int {
        let (known, epoch, isOff) = supervision.withLock { ($0.source, $0.epoch, $0.isOff) }
        guard source != nil || !isOff else {
            throw PluginError(
                .off, "discovery mode \(known.location.mode.name) is off until restart")
        }
        let source = source ?? known
        var arguments = arguments
        arguments.config = config
        let context = try CallContext(
            deadline: .now + timeout, kinds: PluginRequest.start.results)
        let worker = try PluginThread(name: "disco-\(source.location.mode.name)")
        defer { worker.end() }
        let newcomer = Newcomer()
        let grace = timing.grace
        let isBack = worker.run(until: { context.end + grace }) { [arguments, environment] in
            newcomer.arrive(
                from: source, arguments, name: "\(source.location.mode.name)-\(epoch + 2)", context,
                environment)
        }
        guard isBack else {
            newcomer.turnAway()
            throw PluginError(
                .abandoned, "plugin \(source.label) did not come back from create")
        }
        let session = try newcomer.session()
        return supervision.withLock {
            $0.replace(by: session, from: source, config: config, at: .now)
        }
    }

    /// Frees an instance when nothing runs on it any more. Blocks until then.
    private func retire(_ epoch: Int) {
        watching.cancelAll()
        let passed = Mailbox<Void>()
        var awaited = 0
        do throws(PluginError) {
            for lane in [serial, watching] {
                // What comes behind the calls on the old instance runs on the new one. However late that is, it
                // has the grace then; more would be what a third one, made for it, could hold up the lane for.
                let context = try CallContext(
                    deadline: .now + timing.grace, kinds: PluginRequest.start.results)
                try startKeeper(of: lane)
                let behind = PluginLane.Pending(request: .start, context: context) { _ in
                    passed.post(())
                }
                guard lane.submit(behind) else {
                    throw PluginError(.busy, "too many calls wait")
                }
                awaited += 1
            }
        } catch {
            return environment.log(
                .warning, "the former instance of plugin \(label) is not destroyed: \(error)")
        }
        while awaited > 0 { awaited -= passed.take().count }
        if let old = supervision.withLock({ $0.takeRetired(epoch) }) { destroy(old) }
    }
}

/// An instance that is being made: whoever waits for it may have gone by the time it is there.
private final class Newcomer: Sendable {
    private struct State {
        /// It is asked to start, perhaps for ever.
        var session: (any PluginSession)?
        var result: Result<any PluginSession, PluginError>?
        var isUnwanted = false
    }

    private let state = Mutex(State())

    /// On a plugin thread. Blocks.
    func arrive(
        from source: PluginSource, _ arguments: PluginArguments, name: String,
        _ context: CallContext, _ environment: PluginEnvironment
    ) {
        let result: Result<any PluginSession, PluginError>
        do throws(PluginError) {
            let session = try source.open(arguments: arguments, name: name, log: environment.log)
            let isUnwanted = state.withLock { state in
                state.session = session
                return state.isUnwanted
            }
            if isUnwanted { _ = session.giveUp(during: "create") }
            do throws(PluginError) {
                // In a process of its own the plugin is loaded only now.
                _ = try session.perform(.start, context)
            } catch {
                session.destroy()
                throw error
            }
            result = .success(session)
        } catch {
            result = .failure(error)
        }
        state.withLock { $0.result = result }
    }

    /// Gives it up, wherever it is: what waits for a process without a limit comes back when that ends.
    func turnAway() {
        let session = state.withLock { state in
            state.isUnwanted = true
            return state.session
        }
        _ = session?.giveUp(during: "create")
    }

    func session() throws(PluginError) -> any PluginSession {
        guard let result = state.withLock({ $0.result }) else {
            throw PluginError(.internal, "the instance left no result")
        }
        return try result.get()
    }
}
