import HarnessBackends
import PluginABI
import Synchronization
import Threads
import Time

/// An instance in this process, called through the ABI itself.
///
/// `@unchecked Sendable`: the instance is only handed back to the plugin, in the order that the check
/// chooses; the tables are copies.
final class DirectSession: Session, @unchecked Sendable {
    private let table: rqd_plugin
    private let instance: OpaquePointer
    private let host: HarnessHost
    private let lent: LentArguments
    private let resolver: rqd_resolver
    private let registry: rqd_registry
    private let watch: rqd_watch
    private let status: rqd_status
    private let pages: rqd_pages
    private let node: rqd_node_watch

    private init(
        table: rqd_plugin, instance: OpaquePointer, host: HarnessHost, lent: LentArguments
    ) {
        self.table = table
        self.instance = instance
        self.host = host
        self.lent = lent
        resolver = Self.interface(table, instance, RQD_RESOLVER_1, rqd_resolver())
        registry = Self.interface(table, instance, RQD_REGISTRY_1, rqd_registry())
        watch = Self.interface(table, instance, RQD_WATCH_1, rqd_watch())
        status = Self.interface(table, instance, RQD_STATUS_1, rqd_status())
        pages = Self.interface(table, instance, RQD_PAGES_1, rqd_pages())
        node = Self.interface(table, instance, RQD_NODE_1, rqd_node_watch())
    }

    /// Calls the plugin's `create` on this thread.
    static func create(_ plugin: LoadedPlugin, _ arguments: InstanceArguments) throws(Finding)
        -> Creation
    {
        let table = try plugin.table()
        guard let create = table.create, table.destroy != nil, table.get_interface != nil else {
            throw .failed(
                expected: "create, destroy and get_interface", seen: "one of them is null")
        }
        let host = HarnessHost()
        let lent = LentArguments(arguments)
        let recorder = CallRecorder(deadline: MonotonicTime.now.nanoseconds + 5_000_000_000)
        recorder.open()
        var instance: OpaquePointer?
        let start = MonotonicTime.now.nanoseconds
        let status = CallActivity.during("create") {
            create(plugin.descriptor, host.pointer, lent.pointer, recorder.sink, &instance)
        }
        let time = MonotonicTime.now.nanoseconds - start
        let results = recorder.finish()
        lent.takeBack()
        let session = status == RQD_OK ? instance : nil
        return Creation(
            status: status, results: results, milliseconds: Int(time / 1_000_000),
            session: session.map {
                DirectSession(table: table, instance: $0, host: host, lent: lent)
            }, log: host.log)
    }

    private static let nodeTexts = [
        InstanceArguments.nodeID, InstanceArguments.raftAddress, InstanceArguments.apiURL,
        "it waits for a leader", "follower", "voter",
    ].map { Array($0.utf8) }

    private static func interface<Table>(
        _ plugin: rqd_plugin, _ instance: OpaquePointer, _ id: String, _ blank: Table
    ) -> Table {
        let name = GuardedMemory(Array(id.utf8))
        guard let found = plugin.get_interface?(instance, name.text) else { return blank }
        var table = blank
        let size = found.assumingMemoryBound(to: UInt32.self).pointee
        withUnsafeMutableBytes(of: &table) { bytes in
            let known = min(Int(size), bytes.count)
            bytes.copyMemory(from: UnsafeRawBufferPointer(start: found, count: known))
        }
        return table
    }

    /// The table itself, for checks that look at it.
    func interface(_ id: String) -> UnsafeRawPointer? {
        let name = GuardedMemory(Array(id.utf8))
        return table.get_interface?(instance, name.text).map { UnsafeRawPointer($0) }
    }

    var log: [LogLine] { host.log }

    func offers(_ request: Request) -> Bool {
        switch request {
        case .resolve: resolver.resolve != nil
        case .read: registry.read != nil
        case .write: registry.write != nil
        case .erase: registry.erase != nil
        case .list: registry.list != nil
        case .wait: watch.wait != nil
        case .describe: status.describe != nil
        case .page: pages.page != nil
        case .update: node.update != nil
        }
    }

    func destroy() { CallActivity.during("destroy") { table.destroy?(instance) } }

    func begin(_ request: Request, deadline: UInt64) -> any PendingCall { start(request, deadline) }

    func start(_ request: Request, _ deadline: UInt64) -> DirectCall {
        let recorder = CallRecorder(deadline: deadline)
        let pending = DirectCall(recorder: recorder)
        CallThread.start { [self] in pending.finish(perform(request, recorder)) }
        return pending
    }

    /// Makes a call on this thread.
    func perform(_ request: Request, _ recorder: CallRecorder) -> CallReport {
        recorder.open()
        let started = MonotonicTime.now.nanoseconds
        let status = CallActivity.during(request.name) { call(request, recorder) }
        let ended = MonotonicTime.now.nanoseconds
        return CallReport(
            request: request, status: status, results: recorder.finish(), started: started,
            ended: ended)
    }

    private func call(_ request: Request, _ recorder: CallRecorder) -> Int32 {
        let (call, sink) = (recorder.call, recorder.sink)
        func lend<Answer>(_ texts: [[UInt8]], _ body: ([GuardedMemory]) -> Answer) -> Answer {
            let memory = texts.map { GuardedMemory($0) }
            defer { for part in memory { part.takeBack() } }
            return body(memory)
        }
        let status: Int32? =
            switch request {
            case .resolve: resolver.resolve?(instance, call, sink)
            case .describe: self.status.describe?(instance, sink)
            case .page(let prefix, let after, let most):
                lend([Array(prefix.utf8), Array(after.utf8)]) {
                    pages.page?(instance, call, $0[0].text, $0[1].text, most, sink)
                }
            case .update(let flags, let changed):
                lend(Self.nodeTexts) { texts in
                    let tags = texts[4...].map(\.text)
                    return tags.withUnsafeBufferPointer { tags in
                        var state = rqd_node(
                            size: UInt32(MemoryLayout<rqd_node>.size), flags: flags,
                            changed: changed, tag_count: UInt32(tags.count),
                            node_id: texts[0].text, raft_adv: texts[1].text,
                            api_url: texts[2].text, health: texts[3].text, tags: tags.baseAddress)
                        return node.update?(instance, call, &state, sink)
                    }
                }
            case .read(let name):
                lend([Array(name.utf8)]) { registry.read?(instance, call, $0[0].text, sink) }
            case .list(let prefix):
                lend([Array(prefix.utf8)]) { registry.list?(instance, call, $0[0].text, sink) }
            case .write(let name, let expected, let value):
                lend([Array(name.utf8), expected, value]) {
                    registry.write?(
                        instance, call, $0[0].text, $0[1].bytes, $0[2].bytes, sink)
                }
            case .erase(let name, let expected):
                lend([Array(name.utf8), expected]) {
                    registry.erase?(instance, call, $0[0].text, $0[1].bytes, sink)
                }
            case .wait(let name, let token):
                lend([Array(name.utf8), token]) {
                    watch.wait?(instance, call, $0[0].text, $0[1].bytes, sink)
                }
            }
        return status ?? RQD_UNSUPPORTED
    }
}

/// A call under way on a thread of its own.
final class DirectCall: PendingCall {
    let recorder: CallRecorder
    private let report = Mutex<CallReport?>(nil)

    init(recorder: CallRecorder) { self.recorder = recorder }

    func finish(_ report: CallReport) { self.report.withLock { $0 = report } }

    func cancel() { recorder.cancel() }

    func wait(until time: UInt64) -> CallReport? {
        while true {
            if let report = report.withLock({ $0 }) { return report }
            guard MonotonicTime.now.nanoseconds < time else { return nil }
            CurrentThread.pause(milliseconds: 1)
        }
    }
}
