package import Simulator

/// What clients saw of one register, zero at first.
package struct RegisterHistory: Sendable {
    /// For the texts of violations.
    package let name: String
    /// All that may have taken effect, and all reads that were to see it; times in microseconds.
    package private(set) var operations: [RegisterOperation] = []

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

    /// What of it can't be.
    package func violations() -> [Violation] {
        guard !LinearizabilityChecker.accepts(operations) else { return [] }
        let story = operations.sorted { $0.invoked < $1.invoked }.map(Self.line)
        return [
            Violation(
                .contradiction,
                "\(name) is not linearizable:\n\(story.joined(separator: "\n"))")
        ]
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
