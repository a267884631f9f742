/// Why files of TLS can't be used: which one, what is wrong with it, and since when.
package struct TLSFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
