package import PluginABI

/// Why a plugin can't do what it was asked: a status of the ABI, and words for the operator.
package struct CallFailure: Error, Equatable, CustomStringConvertible {
    package let code: rqd_code
    package let message: String

    package init(_ code: rqd_code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
