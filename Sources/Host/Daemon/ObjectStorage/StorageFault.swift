/// Why something did not get to a storage or from it, or why a configuration is refused: what was to be
/// done, with what, and what came of it. No text holds a secret.
package struct StorageFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// For the operator.
    package let description: String
    /// The same may go well later.
    package let isTransient: Bool
    /// The storage was not looked into: it refused that, or there was no key to ask with. So nothing is known of what is
    /// there, and it is as it was when somebody has given another key, or set the clock.
    package let isUnseen: Bool

    package init(_ description: String, isTransient: Bool = false, isUnseen: Bool = false) {
        self.description = description
        self.isTransient = isTransient
        self.isUnseen = isUnseen
    }

    /// The same, of what was not looked into.
    var unseen: StorageFault {
        StorageFault(description, isTransient: isTransient, isUnseen: true)
    }

    /// - Parameter code: an error number of the system.
    init(_ operation: String, code: Int32) {
        self.init("\(operation): \(SystemText.of(code))", isTransient: true)
    }
}
