import Foundation

/// A registry in a directory, kept by the plugin `Plugins/directory.c`: the test looks into it,
/// writes as a rival, stops nodes at a step of theirs, and makes it fail.
final class DirectoryRegistry: Sendable {
    struct Record: Equatable {
        var revision: String
        var value: String

        var json: JSON {
            get throws { JSON(try JSONSerialization.jsonObject(with: Data(value.utf8))) }
        }
    }

    /// What a node did.
    struct Deed: Equatable, CustomStringConvertible {
        var node: String
        var operation: String
        var record: String
        /// The revision it wrote over; nil: none was expected.
        var expected: String?
        /// `RQD_OK` is 0, `RQD_ABSENT` 1, `RQD_CONFLICT` 2. Of `update` the milliseconds that it got.
        var status: Int
        /// What a written entry says: `forming`, `formed`, or `-`.
        var state: String

        var description: String {
            "\(node) \(operation) \(record) at \(expected ?? "-"): \(status) \(state)"
        }
    }

    /// Where a node stays until it is released.
    enum Step: String, CaseIterable {
        case beforeForming = "before write forming"
        case afterForming = "after write forming"
        case beforeFormed = "before write formed"
        case afterFormed = "after write formed"
    }

    private let directory: TestDirectory
    private var root: String { directory.path + "/registry" }

    /// - Parameters:
    ///   - isShared: false: each process that uses it has one of its own.
    ///   - listens: it wants to be told of the node, and takes all the time that there is for it.
    init(isShared: Bool = true, listens: Bool = false) throws {
        directory = try TestDirectory()
        try FileManager.default.createDirectory(
            atPath: directory.path + "/registry/control", withIntermediateDirectories: true)
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent()
        let include = here.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/PluginABI/include").path
        try run(
            "cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-fvisibility=hidden", "-I\(include)",
            "-o", directory.path + "/librqlite-disco-directory.so",
            isShared ? "-DSHARED" : "-DEACH_PROCESS_FOR_ITSELF", listens ? "-DLISTENS" : "-DDEAF",
            here.appendingPathComponent("Plugins/directory.c").path)
    }

    /// What a node needs to use it.
    func arguments(key: String = "rqlite") -> [String] {
        [
            "-disco-plugin-path", directory.path, "-disco-mode", "directory",
            "-disco-config", "{\(root)}", "-disco-key", key,
        ]
    }

    // MARK: Records

    func record(_ name: String, key: String = "rqlite") -> Record? {
        guard let text = try? String(contentsOfFile: path(name, key), encoding: .utf8),
            let end = text.firstIndex(of: "\n")
        else { return nil }
        return Record(
            revision: String(text[..<end]), value: String(text[text.index(after: end)...]))
    }

    /// The leader's entry.
    func entry(key: String = "rqlite") throws -> JSON {
        try record("leader", key: key)?.json ?? JSON(nil)
    }

    /// Writes as a rival does: by compare-and-set.
    /// - Returns: whether the record had this revision.
    func write(
        _ name: String, _ value: String, expected: String?, key: String = "rqlite"
    ) throws -> Bool {
        try withLock {
            guard record(name, key: key)?.revision == expected else { return false }
            let counter = root + "/revision"
            // The test may be the first to write.
            let isNew = !FileManager.default.fileExists(atPath: counter)
            let last = isNew ? 0 : try Int(String(contentsOfFile: counter, encoding: .utf8)) ?? 0
            let folder = URL(fileURLWithPath: path(name, key)).deletingLastPathComponent().path
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true)
            try "\(last + 1)".write(toFile: counter, atomically: true, encoding: .utf8)
            try "\(last + 1)\n\(value)".write(
                toFile: path(name, key), atomically: true, encoding: .utf8)
            return true
        }
    }

    func erase(_ name: String, key: String = "rqlite") throws {
        try withLock { try FileManager.default.removeItem(atPath: path(name, key)) }
    }

    /// What the nodes did, oldest first.
    var journal: [Deed] {
        let text = (try? String(contentsOfFile: root + "/journal", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 6, let status = Int(words[4]) else { return nil }
            return Deed(
                node: words[0], operation: words[1], record: words[2],
                expected: words[3] == "-" ? nil : words[3], status: status, state: words[5])
        }
    }

    private func path(_ name: String, _ key: String) -> String { "\(root)/\(key)/\(name)" }

    private func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        let file = open(root + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0, flock(file, LOCK_EX) == 0 else { throw CocoaError(.fileLocking) }
        defer { close(file) }
        return try body()
    }

    // MARK: Steps and failures

    /// The first node that comes to the step stays there.
    func stop(at step: Step) throws {
        try step.rawValue.write(
            toFile: root + "/control/stop-at", atomically: true, encoding: .utf8)
    }

    /// The node that stays at its step.
    var stopped: String? {
        let names = try? FileManager.default.contentsOfDirectory(atPath: root + "/control")
        return names?.first { $0.hasPrefix("stopped-") }.map { String($0.dropFirst(8)) }
    }

    func release(_ node: String) throws {
        try FileManager.default.removeItem(atPath: root + "/control/stopped-\(node)")
    }

    enum Failure: String {
        case down
        case hang
    }

    /// Nil: it works.
    func fail(_ how: Failure?) throws {
        let path = root + "/control/fail"
        if let how {
            try how.rawValue.write(toFile: path, atomically: true, encoding: .utf8)
        } else {
            try FileManager.default.removeItem(atPath: path)
        }
    }
}
