/// The text of `-help`: the flags by subject, each in the form Go prints it.
enum Usage {
    static let text: String = render(introduction, Flag.all)

    private static let introduction = """

        rqlited makes SQLite fault-tolerant: a replicated database in one process,
        with rqlite's HTTP API, that finds its peers through discovery plugins.

        Usage: rqlited [flags] <data directory>
               rqlited disco list|resolve|show|clear [flags]
               rqlited recover [--json] <data directory>
               rqlited recover --force [--survivor TERM:INDEX ...] [--json] <data directory>
               rqlited restore --from URL|FILE [--at INDEX|TIME] --to FILE|--rehearse
               rqlited auth hash|token|check
               rqlited secret | openapi | version | help

        """

    static func render(_ introduction: String, _ flags: [Flag]) -> String {
        var text = introduction
        for subject in Flag.Subject.allCases {
            let available = flags.filter {
                $0.subject == subject && $0.availability == .available
            }
            guard !available.isEmpty else { continue }
            text += "\n\(subject.rawValue):\n"
            for flag in available.sorted(by: { $0.name < $1.name }) { text += entry(flag) }
        }
        let later = flags.filter { $0.availability != .available }.map { "-\($0.name)" }.sorted()
        guard !later.isEmpty else { return text }
        return text + "\nNot available yet, and refused:\n" + wrapped(later)
    }

    private static func entry(_ flag: Flag) -> String {
        "  -\(flag.name)\(flag.kind.word)\n    \t\(flag.help)\(defaultNote(flag))\n"
    }

    /// As Go does, a zero value is not worth a word.
    static func defaultNote(_ flag: Flag) -> String {
        switch flag.defaultText {
        case "", "false", "0", "0s": ""
        case let text where flag.kind == .string: " (default \"\(text)\")"
        case let text: " (default \(text))"
        }
    }

    private static func wrapped(_ words: [String]) -> String {
        var lines: [String] = []
        for word in words {
            if let last = lines.last, last.utf8.count + word.utf8.count < 78 {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append("  " + word)
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
