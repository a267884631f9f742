import Threads
import CPlatform
import Glibc
import PluginABI
import Synchronization
import Wire

/// The other side of `IsolatedSession`: a process that runs one instance of one plugin and does what
/// the frames on its descriptor 3 say. The thread that calls `run` reads; the plugin's calls are made
/// on two others, one for `wait`.
///
/// It has no time limits: the node kills what takes too long. When the node is gone, so is this.
package final class PluginServer: Sendable {
    private let channel: PluginChannel
    private let contexts = Mutex<[UInt64: CallContext]>([:])
    private let session = Mutex<InProcessSession?>(nil)
    private let serial = JobQueue()
    private let watching = JobQueue()

    private init(_ channel: PluginChannel) { self.channel = channel }

    /// Serves until the connection ends; the caller then ends the process at once, with `_exit`, for
    /// the plugin's threads may still run. Returns what went wrong, if something did. To be called
    /// before any other thread exists.
    package static func run() -> String? {
        cplatform_follow_parent()
        cplatform_name_thread("rqlited-disco")
        cplatform_explain_crashes()
        let descriptor: Int32 = 3
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
            return "nothing is connected to descriptor 3: a node starts this by itself"
        }
        let server = PluginServer(PluginChannel(owning: descriptor))
        switch server.serve() {
        case .closed: cplatform_end_group()
        case .malformed(let error): return "the node sent a malformed frame: \(error)"
        }
    }

    private func serve() -> PluginChannel.Failure {
        do throws(PluginError) {
            try serial.start(name: "disco-plugin")
            try watching.start(name: "disco-watch")
        } catch {
            channel.send(.log(RQD_LOG_ERROR, error.message))
            return .closed
        }
        var config: [UInt8] = []
        do throws(PluginChannel.Failure) {
            while true { try take(try channel.receive(), &config) }
        } catch {
            return error
        }
    }

    private func take(
        _ frame: PluginFrame, _ config: inout [UInt8]
    ) throws(PluginChannel.Failure) {
        let number = frame.call
        switch frame.content {
        case .config(let piece):
            config += piece
            guard config.count <= Int(RQD_MAX_CONFIG) else {
                throw .malformed(.tooLong(count: config.count, limit: Int(RQD_MAX_CONFIG)))
            }
        case .start(let order):
            let whole = config
            try submit(to: serial) { [self] in start(order, whole, number) }
        case .call(let request, let deadline):
            let context: CallContext
            do throws(PluginError) {
                context = try CallContext(deadline: deadline, kinds: request.results)
            } catch {
                return fail(error, number)
            }
            contexts.withLock { $0[number] = context }
            let queue = if case .wait = request { watching } else { serial }
            try submit(to: queue) { [self] in perform(request, context, number) }
        case .cancel: contexts.withLock { $0[number] }?.cancel()
        case .stop: try submit(to: serial) { [self] in stop(number) }
        default: throw .malformed(.invalid(field: "direction of frame", value: number))
        }
    }

    private func submit(
        to queue: JobQueue, _ job: @escaping @Sendable () -> Void
    ) throws(PluginChannel.Failure) {
        guard queue.submit(job) else {
            throw .malformed(
                .tooLong(
                    count: DiscoveryLimits.waitingCalls + 1, limit: DiscoveryLimits.waitingCalls))
        }
    }

    private func start(_ order: PluginOrder, _ config: [UInt8], _ number: UInt64) {
        var arguments = PluginArguments(
            key: order.key, config: config, nodeID: order.nodeID,
            raft: (order.raftAddress, 0), apiURL: order.apiURL)
        arguments.hostVersion = order.hostVersion
        do {
            let catalog = PluginCatalog(directories: [])
            let plugin = try Plugin(
                loading: try catalog.find(path: order.path, mode: order.mode), isOwnProcess: true)
            channel.send(.loaded(plugin.identity), call: number)
            let made = try InProcessSession(
                plugin: plugin, arguments: arguments, name: order.instance,
                log: { [channel] level, text in channel.send(.log(level.rawValue, text)) })
            session.withLock { $0 = made }
            channel.send(.returned(RQD_OK), call: number)
        } catch let error as PluginError {
            fail(error, number)
        } catch let error as PluginRefusal {
            fail(PluginError(.config, "plugin \(order.path) is refused: \(error)"), number)
        } catch {
            fail(PluginError(.config, "\(error)"), number)
        }
    }

    private func perform(_ request: PluginRequest, _ context: CallContext, _ number: UInt64) {
        let status = session.withLock { $0 }?.call(request, context) ?? RQD_INTERNAL
        contexts.withLock { $0[number] = nil }
        for content in context.withResults({ $0.contents }) {
            channel.send(content, call: number)
        }
        channel.send(.returned(status), call: number)
    }

    private func stop(_ number: UInt64) {
        session.withLock { $0.take() }?.destroy()
        channel.send(.returned(RQD_OK), call: number)
    }

    private func fail(_ error: PluginError, _ number: UInt64) {
        channel.send(.failed(code: error.code.rawValue, error.message), call: number)
    }
}

/// Jobs that run one after the other on a thread of their own, which lives as long as the process.
private final class JobQueue: Sendable {
    private let jobs = Monitor<[@Sendable () -> Void]>([])

    func start(name: String) throws(PluginError) {
        try PluginThread.start(name: name) { [jobs] in
            while let job = jobs.wait(
                until: { nil }, { $0.isEmpty ? nil : $0.removeFirst() })
            {
                job()
            }
        }
    }

    /// False when too many wait.
    func submit(_ job: @escaping @Sendable () -> Void) -> Bool {
        jobs.withLock { jobs in
            guard jobs.count < DiscoveryLimits.waitingCalls else { return false }
            jobs.append(job)
            return true
        }
    }
}
