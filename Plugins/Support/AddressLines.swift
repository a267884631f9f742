import PluginABI

/// Addresses as people and scripts write them, one in each line; `#` begins a comment, empty lines
/// count for nothing.
///
///     10.0.0.7              the port is the default one
///     node-1.local:4002
///     [2001:db8::7]:4002    an IPv6 address with a port is in brackets
///     2001:db8::7
package enum AddressLines {
    /// All that is read of one source, in bytes: far more than `RQD_MAX_ADDRESSES` names take.
    package static let mostBytes = 65_536

    /// The longest piece of a wrong line that an error quotes, in characters.
    private static let quoted = 80

    /// - Parameters:
    ///   - origin: what the errors and the addresses' sources name: "/etc/rqlite/peers".
    ///   - port: of addresses without one; 0: the asking node's own.
    /// - Throws: `RQD_PROTOCOL`, with the number of the line that is wrong, or if it is no text.
    package static func parse(
        _ bytes: [UInt8], origin: String, port: UInt16
    ) throws(CallFailure) -> [FoundAddress] {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CallFailure(RQD_PROTOCOL, "\(origin) is no UTF-8 text")
        }
        var found: [FoundAddress] = []
        for (index, line) in text.utf8.split(
            separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false
        ).enumerated() {
            let content = line.prefix { $0 != UInt8(ascii: "#") }
            let words = content.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
            guard let word = words.first else { continue }
            let source = "line \(index + 1) of \(origin)"
            guard words.count == 1, let (host, written) = endpoint(String(Substring(word)))
            else {
                throw CallFailure(
                    RQD_PROTOCOL,
                    "\(source) is \(quote(String(Substring(content)))), not one host[:port]")
            }
            found.append(
                FoundAddress(
                    host: host, port: written ?? port, timeToLive: 0, source: source))
        }
        return found
    }

    /// Of `host[:port]` as a line has it; nil for anything else. The port is 1 or more.
    package static func endpoint(_ text: String) -> (host: String, port: UInt16?)? {
        var host = text[...]
        var digits: Substring?
        if text.hasPrefix("[") {
            guard let end = text.lastIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            if !rest.isEmpty { digits = rest.dropFirst() }
            guard host.contains(":") else { return nil }
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            host = text[..<colon]
            digits = text[text.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy(isOfHost) else { return nil }
        guard let digits else { return (String(host), nil) }
        // No sign: `UInt16` takes "+7".
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = UInt16(digits), port > 0
        else { return nil }
        return (String(host), port)
    }

    /// Letters, digits, and `. : - _ %`; what stands where is the host's to check.
    private static func isOfHost(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: ".:-_%".utf8.contains(byte)
        }
    }

    /// In quotation marks, short, and without what could break a line of the log.
    package static func quote(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(quoted).map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7F ? "?" : String(scalar)
        }
        let isCut = text.unicodeScalars.count > quoted
        return "\"\(scalars.joined())\(isCut ? "…" : "")\""
    }
}

/// Names a state by its bytes (FNV-1a, 64 bits): a token that is the same for the same content.
package enum StateToken {
    package static func of(_ bytes: [UInt8]) -> [UInt8] {
        var hash: UInt64 = 14_695_981_039_346_656_037
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 1_099_511_628_211 }
        return (0..<8).map { UInt8(truncatingIfNeeded: hash >> (8 * $0)) }
    }

    /// The same for the same hosts and ports, in whichever order and however often they come.
    package static func of(addresses found: [FoundAddress]) -> [UInt8] {
        of(Array(Set(found.map { "\($0.host) \($0.port)\n" }).sorted().joined().utf8))
    }
}
