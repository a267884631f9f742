import Simulator

/// Counts, for each rule that can be broken, how many seeds notice it, and by what: a line of a table
/// each. A history that ends its process by a precondition is no notice, and is counted apart.
struct MutationSurvey {
    let invocation: Invocation

    /// - Parameter report: takes one line of the table after the other.
    func run(_ report: (String) -> Void) {
        report("| rule | noticed | first seed | by what | ended by a precondition |")
        report("|---|---|---|---|---|")
        for mutation in Mutation.allCases where mutation.isPossible {
            guard invocation.mutation == nil || invocation.mutation == mutation else { continue }
            report(line(for: mutation))
        }
    }

    private func line(for mutation: Mutation) -> String {
        var broken = invocation
        broken.mutation = mutation
        broken.surveys = false
        if mutation == .toleratesCopies, broken.chapter == nil { broken.chapter = .copyBeside }
        var first: UInt64?
        var trapped = 0
        var complaints: [String: Int] = [:]
        for seed in invocation.seeds {
            let (status, text) = SeedProcess.run(broken, seed)
            guard status != 0 else { continue }
            guard let complaint = complaint(in: text) else {
                trapped += 1
                continue
            }
            first = first ?? seed
            complaints[complaint, default: 0] += 1
        }
        let noticed = complaints.values.reduce(0, +)
        let kinds = complaints.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(4).map {
            "\($0.key) (\($0.value))"
        }.joined(separator: "; ")
        let start = first.map { "\($0)" } ?? "none"
        return "| \(mutation.rawValue) | \(noticed) of \(invocation.seeds.count) | \(start) "
            + "| \(kinds) | \(trapped) |"
    }

    /// What was violated, without the numbers that differ between histories.
    private func complaint(in text: String) -> String? {
        for line in text.split(separator: "\n") where line.hasPrefix("seed ") {
            let words = line.split(separator: " ")
            guard words.count > 3, words[2] == "failed:" else { continue }
            return words[3...].prefix(9).map { $0.contains(where: \.isNumber) ? "N" : String($0) }
                .joined(separator: " ")
        }
        return nil
    }
}
