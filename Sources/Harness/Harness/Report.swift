package import JSON

/// The results of one run, in the forms that people and machines read.
package struct Report: Sendable {
    package let plugin: String
    package let mode: String
    package let isIsolated: Bool
    package let seed: UInt64
    package let entries: [Runner.Entry]

    package init(_ runner: Runner, _ entries: [Runner.Entry]) {
        plugin = runner.plugin
        mode = runner.mode
        isIsolated = runner.isIsolated
        seed = runner.seed
        self.entries = entries
    }

    package var hasFailed: Bool { entries.contains { $0.verdict.outcome.isBad } }

    /// `54 passed, 1 failed, 3 skipped`
    package var summary: String {
        let counts = Outcome.allCases.compactMap { outcome -> String? in
            let count = entries.filter { $0.verdict.outcome == outcome }.count
            return count == 0 ? nil : "\(count) \(outcome.rawValue)"
        }
        return counts.joined(separator: ", ")
    }

    /// What is wrong, once more and together: a line for each check that failed, with its number in the
    /// report, the fault and the rule. Empty if none did.
    package var faults: String {
        entries.enumerated().filter { $0.element.verdict.outcome.isBad }.map { index, entry in
            let seen = entry.verdict.seen.split(separator: "\n").first ?? ""
            return "\(index + 1). \(entry.check.name): \(seen.prefix(160)) (\(entry.check.rule))\n"
        }.joined()
    }

    package var json: JSONValue {
        [
            "plugin": .string(plugin), "mode": .string(mode), "isolation": .bool(isIsolated),
            "seed": .integer(seed), "passed": .bool(!hasFailed),
            "checks": .array(
                entries.enumerated().map { index, entry in
                    [
                        "number": .integer(index + 1), "hang": .bool(entry.verdict.isHang),
                        "name": .string(entry.check.name),
                        "outcome": .string(entry.verdict.outcome.rawValue),
                        "milliseconds": .integer(entry.verdict.milliseconds),
                        "expected": .string(entry.verdict.expected),
                        "seen": .string(entry.verdict.seen), "rule": .string(entry.check.rule),
                    ]
                }),
        ]
    }

    /// One test suite; groups are its classes. A warning passes, with its text as output.
    package var junit: String {
        func count(_ outcomes: Outcome...) -> Int {
            entries.filter { outcomes.contains($0.verdict.outcome) }.count
        }
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        text +=
            "<testsuite name=\"\(Self.escaped("\(plugin) \(mode)"))\" tests=\"\(entries.count)\" "
        text += "failures=\"\(count(.failed))\" errors=\"\(count(.crashed))\" "
        text += "skipped=\"\(count(.skipped))\">\n"
        for (index, entry) in entries.enumerated() {
            let (check, verdict) = (entry.check, entry.verdict)
            let seconds = Double(verdict.milliseconds) / 1000
            text += "  <testcase classname=\"\(check.group.rawValue)\" name=\"\(check.name)\" "
            text += "line=\"\(index + 1)\" time=\"\(seconds)\""
            let words = Self.escaped(
                "\(check.summary)\nexpected: \(verdict.expected)\nseen: \(verdict.seen)\n"
                    + "rule: \(check.rule)")
            let seen = Self.escaped(verdict.seen)
            switch verdict.outcome {
            case .passed: text += "/>\n"
            case .failed: text += "><failure message=\"\(seen)\">\(words)</failure></testcase>\n"
            case .crashed: text += "><error message=\"\(seen)\">\(words)</error></testcase>\n"
            case .skipped: text += "><skipped message=\"\(seen)\"/></testcase>\n"
            case .warning: text += "><system-out>\(words)</system-out></testcase>\n"
            }
        }
        return text + "</testsuite>\n"
    }

    /// Characters that XML 1.0 does not have become question marks.
    private static func escaped(_ text: String) -> String {
        var output = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "&": output += "&amp;"
            case "\"": output += "&quot;"
            case "\n", "\t": output.unicodeScalars.append(scalar)
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF:
                output += "?"
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output
    }
}
