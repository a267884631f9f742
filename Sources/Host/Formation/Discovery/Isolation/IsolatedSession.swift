import CPlatform
import Glibc
import PluginABI
import Threads
import Time
import Wire

/// An instance of a plugin in a process of its own, which begins with the first call and ends with
/// the session. A plugin that crashes takes that process down and nothing else; one that hangs is
/// killed with it.
///
/// A thread of the session starts the process, takes what comes from it, and reaps it in the end.
/// That thread must outlive the process: the kernel kills a child whose parent *thread* ends.
final class IsolatedSession: PluginSession {
    private enum Phase {
        case fresh
        case starting
        case started
        /// What later calls are told.
        case ended(PluginError)
    }

    private struct State {
        var phase = Phase.fresh
        var identity: PluginIdentity?
        var calls: [UInt64: PendingCall] = [:]
        var lastCall: UInt64 = 0
        /// Nil before the process runs and once it is reaped: its number may be another's then.
        var process: Int32?
        /// Why this side ended the process; nil if it did not.
        var verdict: PluginError?
    }

    private let location: PluginLocation
    private let arguments: PluginArguments
    private let name: String
    private let log: PluginLog
    private let channel: PluginChannel
    private let monitor = Monitor(State())

    /// Does not block: the process starts by itself, the plugin with the first call.
    init(
        _ location: PluginLocation, in process: PluginProcess, arguments: PluginArguments,
        name: String, log: @escaping @Sendable (PluginLogLevel, String) -> Void
    ) throws(PluginError) {
        self.location = location
        self.arguments = arguments
        self.name = name
        self.log = PluginLog(log)
        let (channel, other) = try PluginChannel.pair()
        self.channel = channel
        do {
            try PluginThread.start(name: "disco-process") { [self] in run(process, other) }
        } catch {
            close(other)
            throw error
        }
    }

    func perform(
        _ request: PluginRequest, _ context: CallContext
    ) throws(PluginError) -> Int32 {
        try startIfFresh(request, context)
        if case .start = request { return RQD_OK }
        let call = PluginFrame.Content.call(request, deadline: context.deadline)
        switch try exchange(call, context) {
        case .returned(let status): return status
        case .failed(let error):
            throw PluginError(error.code, "\(error.message) (during \(request.name))")
        }
    }

    func destroy() {
        if case .started = monitor.withLock({ $0.phase }),
            let context = try? CallContext(deadline: .now + .seconds(1), kinds: [])
        {
            _ = try? exchange(.stop, context)
        }
        end(PluginError(.unavailable, "the process of plugin \(location.path) was stopped"))
        _ = monitor.wait(until: { nil }) { if case .ended = $0.phase { true } else { nil } }
    }

    func giveUp(during function: String) -> Bool {
        end(
            PluginError(
                .abandoned,
                "plugin \(location.path) did not come back from \(function); its process was killed"
            ))
        return true
    }

    var hasEnded: Bool {
        monitor.withLock { if case .ended = $0.phase { true } else { false } }
    }

    /// Known once the plugin is loaded.
    var identity: PluginIdentity? { monitor.withLock { $0.identity } }

    /// Nil when no process runs.
    var processID: Int32? { monitor.withLock { $0.process } }

    private func startIfFresh(
        _ request: PluginRequest, _ context: CallContext
    ) throws(PluginError) {
        let isMine = try monitor.withLock { state -> Result<Bool, PluginError> in
            switch (state.phase, request) {
            case (.started, _): return .success(false)
            case (.ended(let error), _): return .failure(error)
            case (.fresh, .wait), (.starting, _):
                return .failure(
                    PluginError(
                        .unavailable,
                        "plugin \(location.path) has no instance yet to \(request.name)"))
            case (.fresh, _):
                state.phase = .starting
                return .success(true)
            }
        }.get()
        guard isMine else { return }
        var rest = arguments.config[...]
        while !rest.isEmpty {
            channel.send(.config(Array(rest.prefix(PluginFrame.configPiece))))
            rest = rest.dropFirst(PluginFrame.configPiece)
        }
        let order = PluginOrder(
            path: location.path, mode: location.mode.name, key: arguments.key,
            nodeID: arguments.nodeID, instance: name, raftAddress: arguments.raftAddress,
            apiURL: arguments.apiURL, hostVersion: arguments.hostVersion)
        switch try start(order, context) {
        case .returned:
            monitor.withLock { state in
                if case .starting = state.phase { state.phase = .started }
            }
        case .failed(let error):
            // Either the plugin does not like what it is given, or it is gone.
            guard !hasEnded else {
                throw PluginError(error.code, "\(error.message) (during create)")
            }
            end(error)
            throw error
        }
    }

    /// What could not be asked to start never will be: it ends, so that another takes its place.
    private func start(
        _ order: PluginOrder, _ context: CallContext
    ) throws(PluginError) -> PendingCall.Answer {
        do throws(PluginError) {
            return try exchange(.start(order), context)
        } catch {
            end(error)
            throw error
        }
    }

    private func exchange(
        _ content: PluginFrame.Content, _ context: CallContext
    ) throws(PluginError) -> PendingCall.Answer {
        let call = try PendingCall(context)
        let number = try monitor.withLock { state -> Result<UInt64, PluginError> in
            if case .ended(let error) = state.phase { return .failure(error) }
            state.lastCall += 1
            state.calls[state.lastCall] = call
            return .success(state.lastCall)
        }.get()
        defer { monitor.withLock { $0.calls[number] = nil } }
        // If the process is gone, the thread that reads from it gives the answer.
        channel.send(content, call: number)
        return call.wait { channel.send(.cancel, call: number) }
    }

    /// Makes the process end, if it runs; the first reason counts.
    private func end(_ reason: PluginError) {
        monitor.withLock { state in
            if state.verdict == nil { state.verdict = reason }
            if let process = state.process { kill(-process, SIGKILL) }
        }
        channel.shutDown()
    }
}

/// The life of the process, on the session's thread.
extension IsolatedSession {
    private func run(_ process: PluginProcess, _ other: Int32) {
        do throws(PluginError) {
            defer { close(other) }
            let number = try process.spawn(
                mode: location.mode.name, config: arguments.config, channel: other)
            monitor.withLock { state in
                state.process = number
                if state.verdict != nil { kill(-number, SIGKILL) }
            }
        } catch {
            return finish(error)
        }
        finish(reap(takeFrames()))
    }

    /// Returns why it ends.
    private func takeFrames() -> PluginChannel.Failure {
        do throws(PluginChannel.Failure) {
            while true { try take(try channel.receive()) }
        } catch {
            return error
        }
    }

    private func take(_ frame: PluginFrame) throws(PluginChannel.Failure) {
        if case .log(let level, let text) = frame.content { return log.write(level, text) }
        guard let call = monitor.withLock({ $0.calls[frame.call] }) else {
            throw .malformed(.invalid(field: "call", value: frame.call))
        }
        switch frame.content {
        case .loaded(let identity): monitor.withLock { $0.identity = identity }
        case .returned(let status): call.give(.returned(status))
        case .failed(let code, let text):
            let text = String(decoding: text.utf8.prefix(Int(RQD_MAX_MESSAGE)), as: UTF8.self)
            call.give(.failed(PluginError(PluginError.Code(status: code), text)))
        default:
            guard call.context.withResults({ $0.take(frame.content) }) else {
                throw .malformed(.invalid(field: "direction of frame", value: frame.call))
            }
        }
    }

    /// Ends the process, whatever it still does, and says why it is gone.
    private func reap(_ failure: PluginChannel.Failure) -> PluginError {
        let process = monitor.withLock { state in
            // What ends by itself is beyond a signal and keeps its status. The group, for a plugin
            // may have started programs.
            if let process = state.process { kill(-process, SIGKILL) }
            return state.process ?? 0
        }
        var information = siginfo_t()
        while waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        // Its number is nobody else's until it is reaped, and then it is forgotten here.
        let status = monitor.withLock { state in
            var status: Int32 = 0
            waitpid(process, &status, 0)
            state.process = nil
            return status
        }
        let subject = "the process of plugin \(location.path)"
        if case .malformed = failure {
            return PluginError(.protocol, "\(subject) was killed: \(failure)")
        }
        return PluginError(.unavailable, "\(subject) \(ProcessEnd(status: status))")
    }

    private func finish(_ error: PluginError) {
        let (reason, calls) = monitor.withLock { state in
            let reason = state.verdict ?? error
            state.phase = .ended(reason)
            return (reason, Array(state.calls.values))
        }
        channel.shutDown()
        for call in calls { call.give(.failed(reason)) }
    }
}
