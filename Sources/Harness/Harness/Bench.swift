import Glibc
import HarnessBackends
import JSON
import PluginABI
import Synchronization
import Threads
import Time

/// What a check works with, in its own process: the plugin, a server if there is one, and the shared
/// ways of calling. A check that can't begin is skipped, for another one says why.
final class Bench {
    /// `--slow`: what times are multiplied by, for machines and tools that make everything slow.
    static let slowness = Atomic<UInt64>(1)
    /// Seconds for calls whose time is not the question.
    static var patience: UInt64 { 5 * slowness.load(ordering: .relaxed) }
    /// Seconds after which the host abandons a call that should have returned.
    static var grace: UInt64 { 2 * slowness.load(ordering: .relaxed) }
    static let second: UInt64 = 1_000_000_000
    static let noWatch = "the plugin does not offer rqd.watch/1"

    let job: Job
    let manifest: Manifest
    /// Nil if the plugin speaks to none, or to a real one.
    let fakeServer: ServerControl?
    private let placeholders: Placeholders
    /// Nil when the note does not say.
    let role: UInt32?
    private var loaded: LoadedPlugin?

    init(_ job: Job, manifest: Manifest, server: ServerControl?) throws(Finding) {
        self.job = job
        self.manifest = manifest
        fakeServer = server
        var url = job.backendURL ?? ""
        if let server { url = try server.url() }
        let address =
            url.split(separator: "/", omittingEmptySubsequences: false)
            .dropFirst(2).first ?? ""
        let colon = address.lastIndex(of: ":") ?? address.endIndex
        placeholders = Placeholders(values: [
            ("BACKEND_URL", url), ("BACKEND_HOST", String(address[..<colon])),
            ("BACKEND_PORT", String(address[colon...].dropFirst())), ("FILES", job.directory),
            ("MODE", job.mode),
        ])
        role = PluginModes.read(job.plugin).first { $0.name == job.mode }?.role
        for command in manifest.setup where job.backendURL == nil {
            try fakeServer?.command(command.map(placeholders.fill))
        }
        for file in manifest.files { try write(file.name, file.value.string ?? "") }
    }

    /// Lets what the plugin sees be another, as the manifest says how; false if it does not.
    func change() throws(Finding) -> Bool {
        let isFake = fakeServer != nil && job.backendURL == nil
        for command in manifest.change where isFake {
            try fakeServer?.command(command.map(placeholders.fill))
        }
        for file in manifest.changedFiles { try write(file.name, file.value.string ?? "") }
        return (isFake && !manifest.change.isEmpty) || !manifest.changedFiles.isEmpty
    }

    /// The file appears whole, as one that an operator moves into place.
    private func write(_ name: String, _ text: String) throws(Finding) {
        let path = "\(job.directory)/\(name)"
        let content = Array(placeholders.fill(text).utf8)
        guard TextFile.write(content, to: path + ".new"), rename(path + ".new", path) == 0 else {
            let cause = String(cString: strerror(errno))
            throw .skipped("the manifest's file \(name) can't be written: \(cause)")
        }
    }

    // MARK: The plugin

    /// The file, for checks of files.
    func image() throws(Finding) -> ELFImage { try ELFImage(path: job.plugin) }

    /// The notes that are this header's business.
    func notes() throws(Finding) -> [ELFImage.Note] {
        guard let notes = try image().notes() else {
            throw .failed(
                expected: "notes that lie within their segment", seen: "one reaches beyond it")
        }
        return notes.filter { $0.name == Array("rqdisco".utf8) + [0] && $0.type == RQD_NOTE_TYPE }
    }

    func plugin() throws(Finding) -> LoadedPlugin {
        if let loaded { return loaded }
        do throws(Finding) {
            let plugin = try LoadedPlugin(path: job.plugin)
            loaded = plugin
            return plugin
        } catch {
            throw .skipped("the plugin can't be loaded; see the checks of its file")
        }
    }

    func table() throws(Finding) -> rqd_plugin {
        let plugin = try plugin()
        do throws(Finding) {
            return try plugin.table()
        } catch {
            throw .skipped("there is no descriptor to look at; see the checks of the descriptor")
        }
    }

    // MARK: Instances

    var config: [UInt8] { placeholders.fill(job.config ?? manifest.config ?? []) }

    func filled(_ config: [UInt8]) -> [UInt8] { placeholders.fill(config) }

    var server: String { placeholders.values[1].value + ":" + placeholders.values[2].value }

    /// On a real server of its own for each check, so that runs do not meet.
    var key: String {
        job.backendURL == nil
            ? "harness" : "rqlite-harness/\(getpid())-\(job.check)"
    }

    func arguments(config: [UInt8]? = nil, key: String? = nil) -> InstanceArguments {
        InstanceArguments(
            mode: job.mode, key: key ?? self.key, config: config ?? self.config)
    }

    func create(_ arguments: InstanceArguments? = nil) throws(Finding) -> Creation {
        let arguments = arguments ?? self.arguments()
        if job.isIsolated { return try IsolatedSession.create(job, arguments) }
        let table = try table()
        guard table.create != nil, table.destroy != nil, table.get_interface != nil else {
            throw .skipped("a function is missing; see descriptor.functions")
        }
        return try DirectSession.create(plugin(), arguments)
    }

    /// An instance that is ready to be called.
    func instance(config: [UInt8]? = nil, key: String? = nil) throws(Finding) -> any Session {
        guard role != nil else { throw .skipped("the note names no such mode; see note.modes") }
        let creation = try create(arguments(config: config, key: key))
        guard let session = creation.session else {
            throw .skipped("no instance can be made, see lifecycle.create: \(creation.outline)")
        }
        guard session.offers(mainRequest) else {
            session.destroy()
            throw .skipped("it can't be called; see interfaces.complete")
        }
        return session
    }

    func directInstance(config: [UInt8]? = nil) throws(Finding) -> DirectSession {
        guard let session = try instance(config: config) as? DirectSession else {
            throw .skipped("under isolation there is nothing to see")
        }
        return session
    }

    /// Leaves nothing in a real server, whatever became of the check.
    func tidy() {
        guard job.backendURL != nil, role == RQD_ROLE_REGISTRY else { return }
        do throws(Finding) {
            try fakeServer?.comeUp()
            try fakeServer?.misbehave(.none)
            let session = try instance()
            for record in try call(session, .list("")).results.records {
                _ = try call(session, .erase(record.name, expected: record.revision))
            }
            session.destroy()
        } catch {
            // Who can't be asked to forget was not asked to remember either, or says so elsewhere.
            return
        }
    }

    // MARK: Calls

    /// What every plugin of the role can be asked.
    var mainRequest: Request { role == RQD_ROLE_REGISTRY ? .read("leader") : .resolve }

    /// Makes a call and waits for it, as long as the host would.
    func call(
        _ session: any Session, _ request: Request, seconds: UInt64 = Bench.patience
    ) throws(Finding) -> CallReport {
        let deadline = MonotonicTime.now.nanoseconds + seconds * Self.second
        return try finish(session.begin(request, deadline: deadline), request, due: deadline)
    }

    /// Waits for a call that should be back by `due`.
    func finish(
        _ pending: any PendingCall, _ request: Request, due: UInt64
    ) throws(Finding) -> CallReport {
        guard let report = pending.wait(until: due + Self.grace * Self.second) else {
            throw .hung(
                expected: "\(request.name) returns within a second of its deadline",
                seen: "it was not back after two, when the host abandons the instance")
        }
        if let crash = report.crash { throw .crashed(crash) }
        return report
    }

    /// The main call, whose success is not the question here.
    func working(_ session: any Session) throws(Finding) -> CallReport {
        let report = try call(session, mainRequest)
        guard report.status == RQD_OK || report.status == RQD_ABSENT else {
            throw .skipped("the plugin does not work at all, see calls.work: \(report.outline)")
        }
        return report
    }

    func offersWatch(_ session: any Session) throws(Finding) {
        guard session.offers(.wait("", token: [])) else {
            throw .skipped(Self.noWatch)
        }
    }

    /// The fake server, or the reason why there is none.
    func fake() throws(Finding) -> ServerControl {
        guard let fakeServer else { throw .skipped("there is no fake server") }
        return fakeServer
    }
}

/// The modes a file's note names, for whoever only wants to know that.
package enum PluginModes {
    package struct Mode: Equatable, Sendable {
        package let name: String
        package let role: UInt32
    }

    /// Whether the file says that its process must be its own, or is Go's.
    static func needsOwnProcess(_ path: String) -> Bool {
        guard let image = try? ELFImage(path: path), let notes = image.notes() else { return false }
        return notes.contains { note in
            if note.name == Array("Go".utf8) + [0, 0] || note.name == Array("Go".utf8) + [0] {
                return note.type == 4
            }
            return note.name == Array("rqdisco".utf8) + [0] && note.type == RQD_FLAGS_TYPE
                && (note.word(at: 0) ?? 0) & RQD_FLAG_OWN_PROCESS != 0
        }
    }

    package static func read(_ path: String) -> [Mode] {
        guard let image = try? ELFImage(path: path), let notes = image.notes() else { return [] }
        return notes.compactMap { note in
            guard note.name == Array("rqdisco".utf8) + [0], note.descriptor.count == 52,
                let role = note.word(at: 12)
            else { return nil }
            let name = note.descriptor[16...].prefix { $0 != 0 }
            return Mode(name: String(decoding: name, as: UTF8.self), role: role)
        }
    }
}
