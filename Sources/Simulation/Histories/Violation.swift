/// A promise that a history shows to be broken.
package struct Violation: Equatable, Sendable, CustomStringConvertible {
    /// Which kind of promise.
    package enum Kind: String, Sendable {
        /// What was acknowledged is not there.
        case lost
        /// What was done once is there twice.
        case doubled
        /// What was refused is there, or what was seen can't have been so.
        case contradiction
    }

    /// Which kind of promise.
    package var kind: Kind
    /// What was seen, of what.
    package var text: String

    /// - Parameter text: what was seen, of what.
    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }

    package var description: String { "\(kind.rawValue): \(text)" }
}
