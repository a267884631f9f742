import Foundation
import Synchronization

/// The plugins of `Examples/plugins`, built as a stranger builds them: from a copy outside the
/// package, with nothing of ours but the installed header. Built once for all tests.
final class ExamplePlugins: Sendable {
    struct Example: Sendable {
        let mode: String
        /// Below `Examples/plugins`.
        let folder: String
        let compiler: String

        var file: String { "librqlite-disco-\(mode).so" }
    }

    static let all = [
        Example(mode: "file", folder: "file", compiler: "cc"),
        Example(mode: "exec", folder: "exec", compiler: rustc),
        Example(mode: "env", folder: "template-swift", compiler: "swiftc"),
    ]

    /// Debian's comes first: it is the oldest that the example is for.
    private static let rustc =
        FileManager.default.isExecutableFile(atPath: "/usr/bin/rustc") ? "/usr/bin/rustc" : "rustc"

    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static let cache = Mutex<ExamplePlugins?>(nil)

    static func built() throws -> ExamplePlugins {
        try cache.withLock { known in
            if let known { return known }
            let built = try ExamplePlugins()
            known = built
            return built
        }
    }

    /// What lacks for building them; nil when nothing does.
    static let hindrance: String? = {
        let missing = (["make"] + all.map(\.compiler)).filter {
            (try? run("sh", "-c", "command -v \($0)")) == nil
        }
        return missing.isEmpty ? nil : "not found: \(missing.joined(separator: ", "))"
    }()

    private let copy: TestDirectory

    private init() throws {
        copy = try TestDirectory()
        try run("cp", "-R", "\(Self.root.path)/Examples/plugins/.", copy.path)
        for example in Self.all {
            // Without an installation beside the tests the header alone has to do.
            let place =
                Installation.prefix.map { "PREFIX=\($0)" }
                ?? "INCLUDE=\(Self.root.path)/Sources/PluginABI/include"
            try run(
                "make", "-s", "-C", "\(copy.path)/\(example.folder)", place,
                "RUSTC=\(Self.rustc)")
        }
    }

    func folder(_ example: Example) -> String { "\(copy.path)/\(example.folder)" }

    func path(_ example: Example) -> String { "\(folder(example))/\(example.file)" }
}
