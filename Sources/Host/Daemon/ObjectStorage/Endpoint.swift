internal import Glibc

/// Where a service is: `[http[s]://]host[:port][/path]`.
struct Endpoint: Equatable, Sendable {
    let isTLS: Bool
    /// With its port, if one was given.
    let host: String
    /// Without a slash at its end.
    let basePath: String

    /// - Parameter member: for the text.
    init(_ text: String, of member: String) throws(StorageFault) {
        var rest = text[...]
        if let range = text.firstRange(of: "://") {
            let scheme = text[..<range.lowerBound].lowercased()
            guard scheme == "http" || scheme == "https" else {
                throw StorageFault("\(member) must begin with http:// or https://, or with neither")
            }
            isTLS = scheme == "https"
            rest = text[range.upperBound...]
        } else {
            isTLS = true
        }
        let end = rest.firstIndex(of: "/") ?? rest.endIndex
        host = String(rest[..<end])
        var path = rest[end...]
        while path.hasSuffix("/") { path = path.dropLast() }
        basePath = String(path)
        let marks: [Character] = ["@", "?", "#", " ", "%", "\\"]
        guard !host.isEmpty, !host.hasPrefix(":"), !rest.contains(where: marks.contains) else {
            // Not shown: a password may stand in it.
            throw StorageFault(
                "\(member) must be host, port and path alone: no user, query, blank or escape")
        }
    }

    var url: String { "\(isTLS ? "https" : "http")://\(host)\(basePath)" }

    /// This machine, which no proxy leads to.
    var isLoopback: Bool {
        if host.hasPrefix("[") { return host.hasPrefix("[::1]") }
        let name = host.prefix { $0 != ":" }.lowercased()
        if name == "localhost" { return true }
        var four = in_addr()
        return inet_pton(AF_INET, name, &four) == 1 && UInt32(bigEndian: four.s_addr) >> 24 == 127
    }
}

/// Bytes as two digits each.
package enum HexText {
    /// - Parameter uppercase: the digits above 9.
    package static func of(_ bytes: some Sequence<UInt8>, uppercase: Bool = false) -> String {
        bytes.reduce(into: "") { text, byte in
            text += byte < 16 ? "0" : ""
            text += String(byte, radix: 16, uppercase: uppercase)
        }
    }
}
