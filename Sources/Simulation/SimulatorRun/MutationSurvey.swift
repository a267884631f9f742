import Glibc
import Simulator

/// Counts, for each rule that can be broken, how many seeds notice it, and by what: a line of a table
/// each. A history that ends its process by a precondition is no notice, and is counted apart.
/// Histories are played on all cores; those whose outcome is known from the file of results are not
/// played again.
struct MutationSurvey {
    private let invocation: Invocation
    private var results: SurveyResults

    /// - Returns: nil if the file of results can't be used.
    init?(_ invocation: Invocation) {
        self.invocation = invocation
        let options = invocation.arguments(for: 0).dropFirst().joined(separator: " ")
        guard let results = SurveyResults(path: invocation.results, options: options) else {
            return nil
        }
        self.results = results
    }

    /// - Parameters:
    ///   - report: takes one line of the table after the other.
    ///   - progress: told how far it is.
    mutating func run(_ report: (String) -> Void, progress: (String) -> Void) {
        report("| rule | noticed | first seed | by what | ended by a precondition |")
        report("|---|---|---|---|---|")
        for rule in Mutation.allCases where rule.isPossible {
            guard invocation.rules.isEmpty || invocation.rules.contains(rule) else { continue }
            play(rule)
            report(line(for: rule))
            progress("\(rule.rawValue) is done")
        }
    }

    private mutating func play(_ rule: Mutation) {
        var broken = invocation
        broken.mutation = rule
        broken.surveys = false
        if rule == .toleratesCopies, broken.chapter == nil { broken.chapter = .copyBeside }
        let open = invocation.seeds.filter { results[rule, $0] == nil }
        let lanes = invocation.lanes ?? max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))
        SeedProcess.run(open.map { (broken, $0) }, lanes: lanes) { place, end in
            // It stays open, for the next time.
            guard end.isPlayed else { return }
            let outcome: SurveyResults.Outcome =
                end.status == 0
                ? .held : end.complaint(words: 9).map { .noticed($0) } ?? .trapped
            results.note(outcome, rule, open[place])
        }
    }

    private func line(for rule: Mutation) -> String {
        var first: UInt64?
        var trapped = 0
        var complaints: [String: Int] = [:]
        for seed in invocation.seeds {
            switch results[rule, seed] {
            case .held, nil: break
            case .trapped: trapped += 1
            case .noticed(let complaint):
                first = first ?? seed
                complaints[complaint, default: 0] += 1
            }
        }
        let noticed = complaints.values.reduce(0, +)
        let kinds = complaints.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4).map {
            "\($0.key) (\($0.value))"
        }.joined(separator: "; ")
        let start = first.map { "\($0)" } ?? "none"
        return "| \(rule.rawValue) | \(noticed) of \(invocation.seeds.count) | \(start) "
            + "| \(kinds) | \(trapped) |"
    }
}
