import Foundation
import HarnessBackends

@testable import Harness

/// Which check catches which bad plugin, as `docs/harness-matrix.md` has it.
struct Matrix {
    static let serverKinds = BackendCatalog.kinds

    private(set) var checks: [String] = []
    private(set) var plugins: [String] = []
    private var caught: [String: Set<String>] = [:]
    private var crashed: [String: Set<String>] = [:]

    func catches(_ check: String, _ plugin: String) -> Bool {
        caught[check]?.contains(plugin) == true || crashed[check]?.contains(plugin) == true
    }

    /// Judges every bad plugin by every check.
    static func run() async throws -> Matrix {
        var matrix = Matrix()
        matrix.checks = CheckCatalog.all.map(\.name)
        matrix.plugins = BadPlugin.all.map(\.name)
        try await withThrowingTaskGroup(of: (String, [Runner.Entry]).self) { group in
            for plugin in BadPlugin.all {
                group.addTask {
                    let shop = try PluginShop()
                    let mode = plugin.name == "two_versions" ? "tested-resolver" : nil
                    let path = try await shop.compile(plugin)
                    let outside = CheckCatalog.all.filter { $0.needs.contains(.isolated) }
                    var entries = try await PluginShop.judge(path, mode: mode)
                    entries += try await PluginShop.judge(
                        path, outside.map(\.name), mode: mode, isIsolated: true)
                    // A hang ends a whole run before the checks that are about it.
                    for check in plugin.caughtBy {
                        entries += try await PluginShop.judge(path, [check], mode: mode)
                    }
                    return (plugin.name, entries)
                }
            }
            for try await (plugin, entries) in group {
                for entry in entries {
                    let check = entry.check.name
                    switch entry.verdict.outcome {
                    case .failed: matrix.caught[check, default: []].insert(plugin)
                    case .crashed: matrix.crashed[check, default: []].insert(plugin)
                    default: break
                    }
                }
            }
        }
        return matrix
    }

    private init() {}

    /// Reads what `text` writes.
    init(parsing page: String) {
        for line in page.split(separator: "\n") where line.hasPrefix("| `") {
            let cells = line.split(separator: "|").map { $0.split(separator: "`") }
            let names = cells.map { $0.map(String.init).filter { $0.first?.isLetter == true } }
            guard let name = names.first?.first else { continue }
            if name.contains(".") {
                checks.append(name)
                caught[name] = Set(names.dropFirst().first ?? [])
                crashed[name] = Set(names.dropFirst(2).first ?? [])
            } else {
                plugins.append(name)
            }
        }
    }

    var text: String {
        var text = """
            # Who is caught by what

            Made by judging every plugin of `Tests/HarnessTests/BadPlugins` by every check, with

                HARNESS_MATRIX=write swift test --filter HarnessTests.DocumentTests

            which takes some minutes. `BadPluginTests` proves in every run of the tests that each plugin is
            caught by the checks it was written for, and that every check catches one of them. Many catch
            more: one that always crashes is caught by whatever calls it. The rest of this page is from the
            last whole run.

            ## By check

            | check | failed by | crashed by |
            |---|---|---|

            """
        for check in checks {
            text += "| `\(check)` | \(list(caught[check])) | \(list(crashed[check])) |\n"
        }
        text +=
            "\n## The plugins\n\n| plugin | role | what it does | written for |\n|---|---|---|---|\n"
        for plugin in BadPlugin.all {
            let checks = plugin.caughtBy.map { "`\($0)`" }.joined(separator: ", ")
            text += "| `\(plugin.name)` | \(plugin.role.rawValue) | \(plugin.deed) | \(checks) |\n"
        }
        return text
    }

    private func list(_ names: Set<String>?) -> String {
        plugins.filter { names?.contains($0) == true }.map { "`\($0)`" }.joined(separator: ", ")
    }
}

extension BadPlugin {
    /// The first line of its source.
    var deed: String {
        for ending in ["c", "cc"] {
            let path = PluginShop.sources.appending(path: "\(name).\(ending)").path
            guard let text = TextFile.read(path, limit: 1 << 20) else { continue }
            let line = text.prefix { $0 != "\n" }
            return line.dropFirst(3).dropLast(3).trimmingCharacters(in: .whitespaces)
        }
        return ""
    }
}
