import PluginABI
package import PluginSupport

/// What the `mdns` mode is told.
///
///     service    what the nodes are announced as; default "_rqlite._tcp"
///     interface  the one to ask on; default: all that are up and can do multicast, but loopback
///     window     how long answers are waited for; default "1s"
///     interval   between two questions that look for a change; default "5s"
///     responder  IP:PORT of one responder to ask instead of all
///     announce   whether the node announces itself; default false, for a machine's responder may do that
package struct MDNSConfiguration: Equatable, Sendable {
    private static let usualWindow: UInt64 = 1_000_000_000
    private static let longestWindow: UInt64 = 10_000_000_000
    private static let usualInterval: UInt64 = 5_000_000_000

    package private(set) var service: MDNSName
    package private(set) var interface: String
    /// Nanoseconds.
    package private(set) var window: UInt64
    /// Nanoseconds.
    package private(set) var interval: UInt64
    package private(set) var responder: MDNSAddress?
    package private(set) var announces: Bool

    package static let schema = """
        {"type":"object","additionalProperties":false,"properties":{\
        "service":{"type":"string","default":"_rqlite._tcp"},"interface":{"type":"string"},\
        "window":{"type":["string","integer"],"default":"1s"},\
        "interval":{"type":["string","integer"],"default":"5s"},\
        "responder":{"type":"string"},"announce":{"type":"boolean","default":false}}}
        """

    package init(_ bytes: [UInt8], environment: (String) -> String?) throws(CallFailure) {
        var configuration = try Configuration(bytes, environment: environment)
        let service = try configuration.string("service", default: "_rqlite._tcp")
        interface = try configuration.string("interface")
        let window = try configuration.nanoseconds("window")
        self.window = window == 0 ? Self.usualWindow : window
        let interval = try configuration.nanoseconds("interval")
        self.interval = interval == 0 ? Self.usualInterval : interval
        let responder = try configuration.string("responder")
        announces = try configuration.bool("announce")
        try configuration.finish()
        guard let name = Self.name(service) else {
            throw configuration.wrong(
                "service", "a type of service (RFC 6763): _NAME._tcp or _NAME._udp")
        }
        self.service = name
        // The system's limit, its last byte being zero.
        guard interface.utf8.count < 16, !interface.contains("/") else {
            throw configuration.wrong("interface", "the name of one: eth0")
        }
        guard self.window <= Self.longestWindow else {
            throw configuration.wrong("window", "at most 10s")
        }
        self.responder = nil
        if !responder.isEmpty {
            guard let address = MDNSAddress(responder) else {
                throw configuration.wrong("responder", "IP:PORT, an IPv6 address in brackets")
            }
            self.responder = address
        }
    }

    /// Names of services have 1 to 15 letters, digits and hyphens (RFC 6335, section 5.1).
    private static func name(_ service: String) -> MDNSName? {
        let labels = service.split(separator: ".", omittingEmptySubsequences: false)
        guard labels.count == 2, ["_tcp", "_udp"].contains(labels[1].lowercased()),
            labels[0].hasPrefix("_"), (2...16).contains(labels[0].utf8.count),
            labels[0].dropFirst().utf8.allSatisfy({ byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D: true
                default: false
                }
            })
        else { return nil }
        return MDNSName(labels.map { Array($0.utf8) } + [Array("local".utf8)])
    }
}
