package import PluginSupport

/// Why there is no answer.
package struct HTTPFailure: Error, Equatable {
    /// Its text names the server, the request, and what happened.
    package var cause: CallFailure
    /// Whether any byte of the request may have reached the server, which then may have carried it
    /// out.
    package var mayHaveArrived: Bool

    package init(_ cause: CallFailure, mayHaveArrived: Bool) {
        self.cause = cause
        self.mayHaveArrived = mayHaveArrived
    }
}
