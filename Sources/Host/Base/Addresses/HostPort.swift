/// A network address as an operator writes it: `host:port`, IPv6 in brackets. The host may be
/// empty where all interfaces are meant.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, IPv6 without brackets; empty for all interfaces.
    package let host: String
    /// 0: any free one.
    package let port: UInt16

    /// - Parameter host: not checked; see the property.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Why a text is no such address.
    package enum Failure: Error, Equatable {
        /// It is not host and port at all.
        case notSplit
        /// What stands behind the colon is no number up to 65535.
        case port
    }

    /// - Parameter text: split at the last colon; what stands before it has no white space, slash or
    ///   bracket, and colons only within brackets.
    package init(parsing text: String) throws(Failure) {
        guard let (host, portText) = Self.split(text) else { throw .notSplit }
        guard let port = Self.port(portText) else { throw .port }
        self.init(host: host, port: port)
    }

    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Nobody can connect to it: no host, or an address that means "any".
    package var isUnspecified: Bool {
        if host.isEmpty { return true }
        let digits = host.split(separator: ".", omittingEmptySubsequences: false)
        if digits.count == 4, digits.allSatisfy({ $0 == "0" }) { return true }
        return host.contains(":") && host.allSatisfy { $0 == ":" || $0 == "0" }
    }

    /// The host is a name, and not an address.
    package var isName: Bool {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        let isVersion4 = parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
        return !host.isEmpty && !host.contains(":") && !isVersion4
    }

    /// Only this machine can connect to it, as far as its text tells.
    package var isLoopback: Bool {
        let name = host.lowercased()
        if name == "localhost" || name.hasSuffix(".localhost") || name == "::1" { return true }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127"
            && parts.allSatisfy { UInt8($0) != nil }
    }

    /// Host without brackets, and the text of the port.
    private static func split(_ text: String) -> (host: String, port: Substring)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let port = text[text.index(after: colon)...]
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
            guard host.contains(":") else { return nil }
        } else if host.contains(":") {
            return nil
        }
        guard !host.contains(where: { $0 == "[" || $0 == "]" || $0 == "/" || $0.isWhitespace })
        else { return nil }
        return (String(host), port)
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt16(text)
    }
}
