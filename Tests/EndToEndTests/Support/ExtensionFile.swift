import Foundation

/// `Plugins/extension.c`, compiled: an SQLite extension for nodes to load.
struct ExtensionFile {
    private let directory: TestDirectory
    let path: String

    static let hindrance: String? =
        (try? run(
            "sh", "-c", "command -v cc && echo '#include <sqlite3ext.h>' | cc -E -xc - >/dev/null"))
            == nil ? "not found: cc, or SQLite's headers" : nil

    /// - Parameter answer: what its `twice()` multiplies by.
    init(_ name: String = "sums.so", answer: Int = 2) throws {
        directory = try TestDirectory()
        path = "\(directory.path)/\(name)"
        let here = URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
        try run(
            "cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
            "-DANSWER=\(answer)", "-o", path,
            here.appendingPathComponent("Plugins/extension.c").path)
    }

    /// The folder that it is in.
    var folder: String { directory.path }
}
