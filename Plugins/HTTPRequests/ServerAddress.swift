/// Where a server of a registry listens, without anything secret: it is named in every error.
package struct ServerAddress: Equatable, Hashable, Sendable, CustomStringConvertible {
    package var isTLS: Bool
    /// A name or an IP address, without brackets.
    package var host: String
    package var port: UInt16
    /// The server listens on this socket; `host` and `port` are then what it is called in requests.
    package var unixSocket: String?
    /// What stands before every path: empty, or "/path" without a slash at its end.
    package var pathPrefix: String

    package init(
        isTLS: Bool, host: String, port: UInt16, unixSocket: String? = nil, pathPrefix: String = ""
    ) {
        self.isTLS = isTLS
        self.host = host
        self.port = port
        self.unixSocket = unixSocket
        self.pathPrefix = pathPrefix
    }

    /// - Parameter text: `HOST`, `HOST:PORT`, `http://…`, `https://…` with or without port and path, or
    ///   `unix:///PATH`; an IPv6 address with a port stands in brackets. Nil for anything else, user
    ///   names and passwords included: they belong into members of their own.
    package init?(_ text: String, defaultPort: UInt16, isTLS: Bool) {
        var rest = text[...]
        var isTLS = isTLS
        if let separator = Self.range(of: "://", in: rest) {
            switch rest[..<separator.lowerBound].lowercased() {
            case "http": isTLS = false
            case "https": isTLS = true
            case "unix":
                let path = rest[separator.upperBound...]
                // The kernel's limit on a socket's path, its last byte being zero.
                guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else {
                    return nil
                }
                self.init(
                    isTLS: isTLS, host: "localhost", port: defaultPort, unixSocket: String(path))
                return
            default: return nil
            }
            rest = rest[separator.upperBound...]
        }
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        var prefix = rest[slash...]
        guard let (host, port) = Self.split(rest[..<slash]), Self.isHost(host),
            prefix.utf8.allSatisfy({ Self.isPathByte($0) })
        else { return nil }
        while prefix.hasSuffix("/") { prefix.removeLast() }
        self.init(
            isTLS: isTLS, host: String(host), port: port ?? defaultPort,
            pathPrefix: String(prefix))
    }

    package var description: String {
        let scheme = isTLS ? "https" : "http"
        if let unixSocket { return "\(isTLS ? "https+" : "")unix://\(unixSocket)" }
        return "\(scheme)://\(authority)\(pathPrefix)"
    }

    /// As it stands in a URL and in the header `Host`.
    var authority: String { "\(Self.bracketed(host)):\(port)" }

    static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    private static func range(of needle: String, in text: Substring) -> Range<String.Index>? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix(needle) {
                return index..<text.index(index, offsetBy: needle.count)
            }
            index = text.index(after: index)
        }
        return nil
    }

    private static func split(_ authority: Substring) -> (host: Substring, port: UInt16?)? {
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            let host = authority[authority.index(after: authority.startIndex)..<end]
            let rest = authority[authority.index(after: end)...]
            if rest.isEmpty { return (host, nil) }
            guard rest.hasPrefix(":"), let port = port(rest.dropFirst()) else { return nil }
            return (host, port)
        }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        switch parts.count {
        case 1: return (authority, nil)
        case 2:
            guard let port = port(parts[1]) else { return nil }
            return (parts[0], port)
        // An IPv6 address alone.
        default: return (authority, nil)
        }
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(text),
            port > 0
        else { return nil }
        return port
    }

    private static func isHost(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.count <= 255
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._:".utf8.contains(byte)
                }
            }
    }

    private static func isPathByte(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"?#\"<>\\".utf8.contains(byte)
    }
}
