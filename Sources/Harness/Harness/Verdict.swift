package import JSON

/// How a check ended.
package enum Outcome: String, Sendable, CaseIterable {
    case passed
    /// The plugin breaks a rule.
    case failed
    /// The plugin took its process down.
    case crashed
    /// The check says nothing about this plugin, or could not be made.
    case skipped
    /// Allowed, but no good.
    case warning

    package var isBad: Bool { self == .failed || self == .crashed }
}

/// What a check found, in words for the plugin's author.
package struct Verdict: Equatable, Sendable {
    package var outcome: Outcome
    /// What the rule demands; empty if passed.
    package var expected: String
    /// What the plugin did, or why the check was skipped.
    package var seen: String
    package var milliseconds: Int = 0
    /// A call did not come back.
    package var isHang = false
    /// Something took too long. Once, that may be the machine's doing; each time, it is the plugin's.
    package var isLate = false

    package static let passed = Verdict(outcome: .passed, expected: "", seen: "")

    package var json: JSONValue {
        [
            "outcome": .string(outcome.rawValue), "expected": .string(expected),
            "seen": .string(seen), "milliseconds": .integer(milliseconds),
            "hang": .bool(isHang), "late": .bool(isLate),
        ]
    }

    init(outcome: Outcome, expected: String, seen: String) {
        self.outcome = outcome
        self.expected = expected
        self.seen = seen
    }

    init?(_ json: JSONValue) {
        guard let outcome = json["outcome"]?.string.flatMap(Outcome.init(rawValue:)),
            let expected = json["expected"]?.string, let seen = json["seen"]?.string
        else { return nil }
        self.init(outcome: outcome, expected: expected, seen: seen)
        milliseconds = json["milliseconds"]?.integer.map { Int($0) } ?? 0
        isHang = json["hang"]?.bool ?? false
        isLate = json["late"]?.bool ?? false
    }
}

/// Ends a check that did not pass. Thrown by its body.
package struct Finding: Error, Equatable {
    package let verdict: Verdict

    static func failed(expected: String, seen: String) -> Finding {
        Finding(verdict: Verdict(outcome: .failed, expected: expected, seen: seen))
    }

    /// A call that did not come back.
    static func hung(expected: String, seen: String) -> Finding {
        var verdict = Verdict(outcome: .failed, expected: expected, seen: seen)
        verdict.isHang = true
        return Finding(verdict: verdict)
    }

    /// For a plugin in a process of its own; one in the check's takes the check down.
    static func crashed(_ how: String) -> Finding {
        Finding(
            verdict: Verdict(outcome: .crashed, expected: "the process survives", seen: how))
    }

    /// What came back, but later than it should have: a warning up to twice the time, then a failure.
    static func late(_ outcome: Outcome, expected: String, seen: String) -> Finding {
        var verdict = Verdict(outcome: outcome, expected: expected, seen: seen)
        verdict.isLate = true
        return Finding(verdict: verdict)
    }

    static func warning(expected: String, seen: String) -> Finding {
        Finding(verdict: Verdict(outcome: .warning, expected: expected, seen: seen))
    }

    static func skipped(_ why: String) -> Finding {
        Finding(verdict: Verdict(outcome: .skipped, expected: "", seen: why))
    }
}
