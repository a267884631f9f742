import PluginABI

/// Why a call of a plugin failed, in words for the operator.
package struct PluginError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The results of the header `rqlite_disco.h`, and those that the host adds.
    package enum Code: Int32, Sendable {
        case config = 3
        case unavailable = 4
        case auth = 5
        case timeout = 6
        case cancelled = 7
        case `protocol` = 8
        case unsupported = 9
        case `internal` = 10
        /// The call did not come back; the instance was given up with it.
        case abandoned = 100
        /// Instances were given up too often: the mode is off until the program is restarted.
        case off = 101
        /// Too many calls wait already; this one never began.
        case busy = 102

        /// Codes that are not known, also those of newer versions, are the plugin's defects.
        init(status: Int32) {
            self = status < 100 ? Code(rawValue: status) ?? .internal : .internal
        }
    }

    /// Whether the same call may succeed later.
    package enum Retry: Sendable {
        case soon
        case slowly
        /// Fatal at start, an alarm later.
        case never
    }

    /// What kind of failure it is.
    package let code: Code
    /// For the operator, without secrets as far as the plugin keeps to its contract.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// By the code.
    package var retry: Retry {
        switch code {
        case .unavailable, .timeout, .cancelled, .busy: .soon
        case .auth, .protocol, .internal, .abandoned: .slowly
        case .config, .unsupported, .off: .never
        }
    }

    package var description: String { message }
}
