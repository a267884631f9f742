/// Results for people: a line for each check, and more for those that did not pass. Colour and
/// progress only on a terminal.
package struct Presentation: Sendable {
    package let isTerminal: Bool
    private let width: Int

    package init(isTerminal: Bool) {
        self.isTerminal = isTerminal
        width = CheckCatalog.all.map(\.name.count).max() ?? 0
    }

    package func heading(_ runner: Runner, count: Int) -> String {
        let place = runner.isIsolated ? ", in a process of its own" : ""
        let server =
            runner.backendURL ?? runner.manifest.backend.map { "a fake server (\($0))" }
            ?? "no server"
        return "\(runner.plugin): mode \(runner.mode.isEmpty ? "unknown" : runner.mode), "
            + "\(count) checks against \(server)\(place)\n"
    }

    /// - Parameters: `number` of `count`, for the progress.
    package func line(_ entry: Runner.Entry, _ number: Int, of count: Int) -> String {
        let (check, verdict) = (entry.check, entry.verdict)
        var text = isTerminal ? "\r\u{1B}[K" : ""
        let name = check.name + String(repeating: " ", count: width - check.name.count)
        let first =
            switch verdict.outcome {
            case .skipped: verdict.seen
            default: check.summary
            }
        text += "\(mark(verdict.outcome)) \(name)  \(first)\n"
        if verdict.outcome != .passed, verdict.outcome != .skipped {
            text += "          expected: \(indented(verdict.expected))\n"
            text += "          seen:     \(indented(verdict.seen))\n"
            text += "          rule:     \(check.rule)\n"
        }
        if isTerminal, number < count { text += "[\(number)/\(count)]" }
        return text
    }

    private func indented(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false)
            .joined(separator: "\n                    ")
    }

    private func mark(_ outcome: Outcome) -> String {
        let word = outcome.rawValue + String(repeating: " ", count: 7 - outcome.rawValue.count)
        guard isTerminal else { return word }
        let colour =
            switch outcome {
            case .passed: 32
            case .failed, .crashed: 31
            case .skipped: 90
            case .warning: 33
            }
        return "\u{1B}[\(colour)m\(word)\u{1B}[0m"
    }

    /// The table of docs/harness.md.
    package static var list: String {
        var text = ""
        for group in Check.Group.allCases {
            text += "\n### \(group.rawValue): \(group.summary)\n\n"
            text += "| check | what it asks | where the rule is |\n|---|---|---|\n"
            for check in CheckCatalog.all where check.group == group {
                text += "| `\(check.name)` | \(check.summary) | \(check.rule) |\n"
            }
        }
        return String(text.dropFirst())
    }
}
