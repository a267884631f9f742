/// One try of a client to change something, known by a value that no other try has.
package struct Attempt: Equatable, Sendable {
    /// What the client was told.
    package enum Outcome: Equatable, Sendable {
        /// It took effect.
        case done
        /// It had no effect for certain.
        case refused
        /// It may have taken effect, once, or may yet.
        case unknown
    }

    /// What nobody else tries to write into the same place.
    package var value: Int
    /// When the client asked, in microseconds since the run began.
    package var invoked: Int
    /// When it heard, in the same; nil where the outcome is unknown.
    package var returned: Int?
    /// What it heard.
    package var outcome: Outcome

    /// - Parameter returned: in microseconds since the run began; it counts for nothing where the
    ///   outcome is unknown.
    package init(_ value: Int, invoked: Int, returned: Int?, _ outcome: Outcome) {
        self.value = value
        self.invoked = invoked
        self.returned = outcome == .unknown ? nil : returned
        self.outcome = outcome
    }
}
