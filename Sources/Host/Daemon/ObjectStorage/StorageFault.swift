/// Why something did not get to a storage or from it, or why a configuration is refused: what was to be
/// done, with what, and what came of it. No text holds a secret.
package struct StorageFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// For the operator.
    package let description: String
    /// The same may go well later.
    package let isTransient: Bool

    package init(_ description: String, isTransient: Bool = false) {
        self.description = description
        self.isTransient = isTransient
    }

    /// - Parameter code: an error number of the system.
    init(_ operation: String, code: Int32) {
        self.init("\(operation): \(SystemText.of(code))", isTransient: true)
    }
}
