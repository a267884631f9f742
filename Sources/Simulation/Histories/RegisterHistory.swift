package import Simulator

/// What clients saw of one register, zero at first.
package struct RegisterHistory: Sendable {
    /// For the texts of violations.
    package let name: String
    /// All that may have taken effect, and all reads that were to see it; times in microseconds.
    package private(set) var operations: [RegisterOperation] = []
    /// What reads of other levels saw, and when they were over, in microseconds.
    private var glimpses: [(value: UInt64, returned: Int)] = []

    /// - Parameter name: for the texts of violations.
    package init(name: String) { self.name = name }

    /// One more write; one that was refused must be seen by nobody.
    package mutating func note(_ attempt: Attempt) {
        guard attempt.outcome != .refused else { return }
        operations.append(
            RegisterOperation(
                .write(UInt64(attempt.value)), invoked: attempt.invoked,
                returned: attempt.returned))
    }

    /// One more read, of a level that is linearizable; times in microseconds since the run began.
    package mutating func noteRead(_ value: Int, invoked: Int, returned: Int) {
        operations.append(
            RegisterOperation(.read(UInt64(value)), invoked: invoked, returned: returned))
    }

    /// One more read, of a level that may see an older state; when it was over, in microseconds since the run
    /// began.
    package mutating func noteGlimpse(_ value: Int, returned: Int) {
        glimpses.append((UInt64(value), returned))
    }

    /// What of it can't be.
    package func violations() -> [Violation] {
        guard !LinearizabilityChecker.accepts(operations) else { return strangeGlimpses }
        let story = operations.sorted { $0.invoked < $1.invoked }.map(Self.line)
        return strangeGlimpses + [
            Violation(
                .contradiction,
                "\(name) is not linearizable:\n\(story.joined(separator: "\n"))")
        ]
    }

    /// Reads that saw what was in the register at no time before: what nobody had tried to write then, or what was
    /// refused.
    private var strangeGlimpses: [Violation] {
        var invoked: [UInt64: Int] = [0: .min]
        for operation in operations {
            if case .write(let value) = operation.action { invoked[value] = operation.invoked }
        }
        return glimpses.filter { (invoked[$0.value] ?? .max) > $0.returned }.map {
            Violation(
                .contradiction,
                "\(name): a read that was over at \($0.returned) saw \($0.value), which nobody had written "
                    + "then")
        }
    }

    /// When it was asked for and answered, and what it was.
    private static func line(_ operation: RegisterOperation) -> String {
        let action =
            switch operation.action {
            case .write(let value): "write \(value)"
            case .read(let value): "read \(value)"
            }
        return "\(operation.invoked)-\(operation.returned.map(String.init) ?? "?") \(action)"
    }
}
