/// What became of attempts, by what is there when all is over.
enum Census {
    /// - Parameters:
    ///   - found: the values that are there, once for each time.
    ///   - name: of the place that they are in.
    static func violations(of attempts: [Attempt], in found: [Int], name: String) -> [Violation] {
        let counts = found.reduce(into: [Int: Int]()) { $0[$1, default: 0] += 1 }
        var violations: [Violation] = []
        for attempt in attempts {
            let count = counts[attempt.value] ?? 0
            if count > 1 {
                violations.append(
                    Violation(.doubled, "\(attempt.value) is \(count) times in \(name)"))
            }
            switch attempt.outcome {
            case .done where count == 0:
                violations.append(
                    Violation(.lost, "\(attempt.value) was acknowledged and is not in \(name)"))
            case .refused where count > 0:
                violations.append(
                    Violation(.contradiction, "\(attempt.value) was refused and is in \(name)"))
            default: break
            }
        }
        let known = Set(attempts.map(\.value))
        for value in found where !known.contains(value) {
            violations.append(
                Violation(.contradiction, "\(value) is in \(name), and nobody wrote it"))
        }
        return violations
    }
}
