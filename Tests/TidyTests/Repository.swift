import Foundation

/// The project's files, found from where this one stands.
struct Repository {
    let root: URL

    init() {
        // Symbolic links are resolved, for a package may be built over links into the project.
        root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }

    func isExecutable(_ path: String) -> Bool {
        FileManager.default.isExecutableFile(atPath: root.appendingPathComponent(path).path)
    }

    /// Paths of the files below `folder`, relative to the root, sorted; none without the folder.
    func files(below folder: String) -> [String] {
        let start = root.appendingPathComponent(folder).path
        guard let walk = FileManager.default.enumerator(atPath: start) else { return [] }
        return walk.compactMap { $0 as? String }
            .filter { !$0.split(separator: "/").contains { $0.hasPrefix(".build") } }
            .map { "\(folder)/\($0)" }.sorted()
    }

    func folders(in folder: String) throws -> [String] {
        try contents(of: folder, folders: true)
    }

    /// Paths relative to the root, without those in folders below.
    func plainFiles(in folder: String) throws -> [String] {
        try contents(of: folder, folders: false).map { "\(folder)/\($0)" }
    }

    private func contents(of folder: String, folders: Bool) throws -> [String] {
        try FileManager.default.contentsOfDirectory(
            at: root.appendingPathComponent(folder), includingPropertiesForKeys: [.isDirectoryKey]
        ).filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == folders }
            .map(\.lastPathComponent).sorted()
    }

    /// Swift files of the project itself.
    func swiftSources() throws -> [SwiftSource] {
        try ["Sources", "Plugins", "Examples", "Tests"].flatMap { files(below: $0) }
            .filter { $0.hasSuffix(".swift") }
            .map { SwiftSource(path: $0, text: try text($0)) }
    }
}
