package import Addresses

/// One entry of `-join`: `[http[s]://]host[:port]`. Either port of a node may be named; what answers
/// there is found out by its first bytes.
package struct JoinEntry: Hashable, Sendable, CustomStringConvertible {
    /// With the default port where none was given.
    package let address: HostPort

    package init(address: HostPort) {
        self.address = address
    }

    package var description: String { address.description }

    struct Failure: Error, Equatable {
        let text: String
    }

    init(parsing text: String) throws(Failure) {
        let (rest, hasScheme) = try Self.withoutScheme(text)
        if rest.contains("@") {
            throw Failure(
                text: "\(Self.redacted(text)) is an invalid join address: "
                    + "name the user with -join-as, not in the address")
        }
        if rest.contains(where: { $0 == "/" || $0 == "?" || $0 == "#" }) {
            throw Failure(
                text: "\(text) is an invalid join address: a path or query has no meaning here")
        }
        let defaultPort = hasScheme ? Limits.defaultHTTPPort : Limits.defaultRaftPort
        guard let address = Self.address(rest, defaultPort: defaultPort),
            !address.host.isEmpty, address.port != 0
        else { throw Failure(text: "\(text) is an invalid join address") }
        self.init(address: address)
    }

    private static func withoutScheme(_ text: String) throws(Failure) -> (Substring, Bool) {
        guard let mark = text.firstRange(of: "://") else { return (text[...], false) }
        switch text[..<mark.lowerBound].lowercased() {
        // Nodes speak to each other as -node-cert says, on either port.
        case "http", "https": return (text[mark.upperBound...], true)
        case let scheme:
            throw Failure(
                text: "\(redacted(text)) is an invalid join address: "
                    + "\(scheme):// is neither http:// nor https://")
        }
    }

    private static func address(_ text: Substring, defaultPort: UInt16) -> HostPort? {
        let text = String(text)
        do {
            return try HostPort(parsing: text)
        } catch .port {
            return nil
        } catch {
            // No port: the default one completes it, for names and bracketed IPv6 alike.
            return try? HostPort(parsing: "\(text):\(defaultPort)")
        }
    }

    /// Without what may be a password: the text goes to a terminal and into logs.
    private static func redacted(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return text }
        let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
        return text[..<start] + "…" + text[at...]
    }
}
