import Glibc
import Simulator

/// What seeds said of broken rules. Kept in a file, a line for each history, it lets a survey go on
/// where it was stopped, and be made in pieces:
///
///     rqlite-simulate survey OPTIONS        the options that histories were played with
///     RULE SEED held|trapped|COMPLAINT
struct SurveyResults {
    enum Outcome: Equatable {
        case held
        /// A precondition ended the process: no notice.
        case trapped
        /// What was violated, without the numbers that differ between histories.
        case noticed(String)
    }

    private var outcomes: [Mutation: [UInt64: Outcome]] = [:]
    private let path: String?

    /// - Parameters:
    ///   - path: of the file; nil: nothing is kept.
    ///   - options: results of others are none of this survey.
    /// - Returns: nil if the file is of a survey with other options, or can't be read or written.
    init?(path: String?, options: String) {
        self.path = path
        guard let path else { return }
        let heading = "rqlite-simulate survey \(options)\n"
        guard let text = Self.content(of: path) else { return nil }
        if text.isEmpty {
            guard append(heading) else { return nil }
            return
        }
        guard text.hasPrefix(heading) else { return nil }
        // A line that was cut off when the survey was stopped is no result.
        let lines = text.dropFirst(heading.count).split(
            separator: "\n", omittingEmptySubsequences: false)
        for line in lines.dropLast() { take(line) }
        if let rest = lines.last, !rest.isEmpty, !append("\n") { return nil }
    }

    subscript(rule: Mutation, seed: UInt64) -> Outcome? { outcomes[rule]?[seed] }

    mutating func note(_ outcome: Outcome, _ rule: Mutation, _ seed: UInt64) {
        outcomes[rule, default: [:]][seed] = outcome
        let words =
            switch outcome {
            case .held: "held"
            case .trapped: "trapped"
            case .noticed(let complaint): complaint
            }
        _ = append("\(rule.rawValue) \(seed) \(words)\n")
    }

    private mutating func take(_ line: Substring) {
        let words = line.split(separator: " ", maxSplits: 2)
        guard words.count == 3, let rule = Mutation(rawValue: String(words[0])),
            let seed = UInt64(words[1])
        else { return }
        outcomes[rule, default: [:]][seed] =
            words[2] == "held"
            ? .held : words[2] == "trapped" ? .trapped : .noticed(String(words[2]))
    }

    /// Whole lines, so that several surveys can share the file.
    private func append(_ text: String) -> Bool {
        guard let path else { return true }
        let file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { return false }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count
    }

    /// Empty if there is no file; nil if it can't be read.
    private static func content(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return errno == ENOENT ? "" : nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count > 0 else {
                return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil
            }
            bytes += buffer[..<count]
        }
    }
}
