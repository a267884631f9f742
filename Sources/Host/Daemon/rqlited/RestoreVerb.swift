import Archive
import Glibc
import JSON
import ObjectStorage
import Raft
import SQLite
import Settings
import StateMachine
import Synchronization
import Telemetry
import Threads
import Time

/// The verb `restore`: makes a database of an archive, or rehearses that. Results go to standard output,
/// failures to standard error.
struct RestoreVerb {
    private let command: RestoreCommand

    init(_ command: RestoreCommand) { self.command = command }

    private enum Event: Sendable {
        case ended(Result<ArchiveRestore.Report, StorageFault>)
        case signal(Int32)
    }

    /// How long a restore that is interrupted may take to end by itself.
    private static let patience = Duration.seconds(2)

    /// An interruption leaves nothing, or the whole file where it came too late.
    /// - Returns: the exit code: 128 and the signal's number for one that was interrupted. Other threads may
    ///   still run: the process must end at once.
    func run() -> Int32 {
        let command = command
        let events = Mailbox<Event>()
        let interruption = RestoreInterruption()
        do {
            try Self.watchSignals(events)
            // SQL of clients goes deep.
            _ = try NamedThread("restore", stack: NamedThread.deepStack) {
                do throws(StorageFault) {
                    events.post(.ended(.success(try Self.restore(command, interruption))))
                } catch {
                    events.post(.ended(.failure(error)))
                }
            }
        } catch {
            Self.complain("\(error)")
            return 1
        }
        return wait(for: events, interruption)
    }

    private func wait(for events: Mailbox<Event>, _ interruption: RestoreInterruption) -> Int32 {
        var interrupted: Int32?
        var deadline: MonotonicTime?
        while true {
            switch events.take(atMost: 1, until: deadline).first {
            case .ended(.success(let report)):
                say(report)
                return 0
            case .ended(.failure(let fault)):
                guard let interrupted else {
                    Self.complain(fault.description)
                    return 1
                }
                return Self.end(interrupted)
            case .signal(let number) where interrupted == nil:
                interrupted = number
                interruption.flag.raise()
                deadline = .now + Self.patience
            case .signal, nil:
                // Asked twice, or it does not end by itself.
                if let interrupted, interruption.abandon() { return Self.end(interrupted) }
                deadline = nil
            }
        }
    }

    private static func end(_ signal: Int32) -> Int32 {
        complain("interrupted: nothing was made, and nothing is left")
        return 128 + signal
    }

    /// From here on signals that end a process are events.
    private static func watchSignals(_ events: Mailbox<Event>) throws(ThreadShortage) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(number) {
            sigaddset(&set, number)
        }
        pthread_sigmask(SIG_BLOCK, &set, nil)
        let watched = set
        _ = try NamedThread("signals") {
            var set = watched
            while true {
                var number: Int32 = 0
                if sigwait(&set, &number) == 0 { events.post(.signal(number)) }
            }
        }
    }

    /// Whoever started the program wants it so, as nohup does.
    private static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    private static func complain(_ text: String) {
        StandardErrorSink().write(Array("\(text)\n".utf8))
    }

    private static func restore(
        _ command: RestoreCommand, _ interruption: RestoreInterruption
    ) throws(StorageFault) -> ArchiveRestore.Report {
        if let problem = Engine.unfitness() { throw StorageFault(problem) }
        let extensions = try RestoreExtensions(command.extensionPaths, interruption)
        defer { extensions.remove() }
        let target = try target(command.place)
        try StorageLibraries.require()
        let settings: StorageSettings
        if command.source.contains("://") {
            settings = try StorageSettings(
                url: command.source, environment: Environment.value)
        } else {
            settings = try StorageSettings(
                configuration: try text(of: command.source), environment: Environment.value)
        }
        let store = ArchiveAccess(
            try settings.place(environment: Environment.value), interruption.flag)
        let cluster = try command.cluster.map { text throws(StorageFault) in
            guard let id = RandomID(text) else {
                throw StorageFault("\(text) is no cluster's ID")
            }
            return ClusterID(id)
        }
        let plan = try ArchivePlan(store, cluster: cluster, target: target)
        let directory = try directory(for: command.target)
        return try ArchiveRestore(store, plan, in: directory, interruption: interruption)
            .run(to: command.target)
    }

    private static func target(_ text: String?) throws(StorageFault) -> ArchiveTarget {
        guard let text else { return .newest }
        guard let target = ArchiveTarget(text) else {
            throw StorageFault(
                "--at takes an index of the log, or a time as 2026-01-31T12:00:00Z, not \(text)")
        }
        return target
    }

    private static func text(of path: String) throws(StorageFault) -> [UInt8] {
        do throws(Daemon.StartFailure) {
            return try SmallFile.read(path)
        } catch {
            throw StorageFault(error.description)
        }
    }

    /// Where the work is done: beside what comes of it.
    private static func directory(for target: String?) throws(StorageFault) -> String {
        guard let target else {
            return RestoreDirectory.usualParent(environment: Environment.value)
        }
        let end = target.lastIndex(of: "/") ?? target.startIndex
        let directory = end == target.startIndex ? "/" : String(target[..<end])
        guard FileStamp(target) == nil else {
            // One that was killed behind its last step may have left the rest there.
            RestoreDirectory.removeAbandoned(in: directory)
            throw StorageFault(
                "\(target) is there already, and a restore replaces nothing: take it away, or give "
                    + "another name")
        }
        return directory
    }

    /// In which ways this program may carry out entries otherwise than the nodes did, in words.
    /// - Parameter engines: what their leaders said.
    private static func differences(from engines: [String]) -> [String] {
        guard !engines.isEmpty else {
            return ["the archive does not say by which SQLite, and which rqlited, they were"]
        }
        var own = Engine.fingerprint
        own.extensions = SQLExtensions.current.probes
        return engines.flatMap {
            EngineFingerprint.differences(between: own.description, and: $0)
        }
    }

    private func say(_ report: ArchiveRestore.Report) {
        let time = ArchivePlan.text(report.milliseconds)
        let differences = Self.differences(from: report.engines)
        if !differences.isEmpty {
            Self.complain(
                "warning: some entries may have been carried out otherwise on the nodes: "
                    + differences.joined(separator: "; "))
        }
        if command.printsJSON {
            let document = JSONValue.object([
                .init("cluster_id", .string("\(report.cluster)")),
                .init("base_index", .integer(report.baseIndex.rawValue)),
                .init("pieces", .integer(Int64(report.pieces))),
                .init("fetched_bytes", .integer(report.fetchedBytes)),
                .init("entries", .integer(Int64(report.entries))),
                .init("index", .integer(report.position.index.rawValue)),
                .init("term", .integer(report.position.term.rawValue)),
                .init("log_time", .string(time)),
                .init("file_bytes", .integer(report.fileBytes)),
                .init("file", command.target.map { .string($0) } ?? .null),
                .init("differences", .array(differences.map { .string($0) })),
            ])
            _ = StandardOutput.write(document.text(pretty: true) + "\n")
            return
        }
        let lines = [
            "cluster   \(report.cluster)",
            "base      index \(report.baseIndex)",
            "log       \(report.pieces) pieces, \(report.entries) entries applied",
            "checked   \(report.fetchedBytes) bytes",
            "restored  index \(report.position.index), \(time)",
            command.target.map { "file      \($0), \(report.fileBytes) bytes" }
                ?? "rehearsed: the file would have \(report.fileBytes) bytes",
        ]
        _ = StandardOutput.write(lines.joined(separator: "\n") + "\n")
    }
}
