package import JSON
import PluginABI

/// One address that a resolver found; see `rqd_address`.
package struct FoundAddress: Equatable {
    package var host: String
    /// 0: the asking node's own.
    package var port: UInt16
    /// Seconds; 0: unknown.
    package var timeToLive: UInt32
    package var source: String
    /// As in DNS SRV: the lower priority first.
    package var priority: UInt16 = 0
    package var weight: UInt16 = 0

    package init(host: String, port: UInt16, timeToLive: UInt32, source: String) {
        self.host = host
        self.port = port
        self.timeToLive = timeToLive
        self.source = source
    }
}

extension [FoundAddress] {
    /// Whether there are more than an answer may have. It is refused whatever follows, so who multiplies what
    /// it was told, as places by their addresses, need not go on.
    package var isExcessive: Bool { count > Int(RQD_MAX_ADDRESSES) }
}

/// An instance of a resolver, in Swift's terms. Calls come one at a time, from any thread.
package protocol Resolver: AnyObject {
    func resolve(_ call: Call) throws(CallFailure) -> [FoundAddress]
    /// For `/status`.
    func describe() -> JSONValue
}
