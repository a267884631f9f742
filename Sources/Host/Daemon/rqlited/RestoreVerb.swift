import Archive
import JSON
import ObjectStorage
import Raft
import SQLite
import Settings
import Synchronization
import Telemetry
import Threads

/// The verb `restore`: makes a database of an archive, or rehearses that. Results go to standard output,
/// failures to standard error.
struct RestoreVerb {
    private let command: RestoreCommand

    init(_ command: RestoreCommand) { self.command = command }

    /// - Returns: the exit code.
    func run() -> Int32 {
        let command = command
        let done = Mailbox<Result<ArchiveRestore.Report, StorageFault>>()
        do {
            // SQL of clients goes deep.
            let thread = try NamedThread("restore", stack: NamedThread.deepStack) {
                do throws(StorageFault) {
                    done.post(.success(try Self.restore(command)))
                } catch {
                    done.post(.failure(error))
                }
            }
            let result = done.take(atMost: 1)[0]
            thread.join()
            say(try result.get())
            return 0
        } catch {
            StandardErrorSink().write(Array("\(error)\n".utf8))
            return 1
        }
    }

    private static func restore(
        _ command: RestoreCommand
    ) throws(StorageFault) -> ArchiveRestore.Report {
        if let problem = Engine.unfitness() { throw StorageFault(problem) }
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
        let store = ArchiveAccess(try settings.place(environment: Environment.value))
        let cluster = try command.cluster.map { text throws(StorageFault) in
            guard let id = RandomID(text) else {
                throw StorageFault("\(text) is no cluster's ID")
            }
            return ClusterID(id)
        }
        let plan = try ArchivePlan(store, cluster: cluster, target: target)
        let directory = try directory(for: command.target)
        return try ArchiveRestore(store, plan, in: directory).run(to: command.target)
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
        guard let target else { return Environment.value("TMPDIR") ?? "/tmp" }
        guard FileStamp(target) == nil else {
            throw StorageFault("\(target) is there already: a restore replaces nothing")
        }
        let end = target.lastIndex(of: "/") ?? target.startIndex
        return end == target.startIndex ? "/" : String(target[..<end])
    }

    private func say(_ report: ArchiveRestore.Report) {
        let time = ArchivePlan.text(report.milliseconds)
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
