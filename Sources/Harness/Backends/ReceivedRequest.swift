/// A request as a fake server got it.
package struct ReceivedRequest: Sendable {
    package struct Parameter: Equatable, Sendable {
        package let name: String
        /// Empty for a bare name, as in `?recurse`.
        package let value: String
    }

    package let method: String
    /// With escapes decoded, without the query.
    package let path: String
    package let query: [Parameter]
    /// Names in lower case.
    package let headers: [Parameter]
    package let body: [UInt8]

    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
    package func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// From the request line and header lines, without the empty line at their end.
    init?(head: [UInt8], body: [UInt8]) {
        let lines = String(decoding: head, as: UTF8.self).split(
            separator: "\r\n", omittingEmptySubsequences: false)
        let start = (lines.first ?? "").split(separator: " ")
        guard start.count == 3, start[2].hasPrefix("HTTP/1.") else { return nil }
        method = String(start[0])
        let target = start[1].split(separator: "?", maxSplits: 1)
        path = Self.decode(target.first ?? "", plusIsSpace: false)
        query = target.dropFirst().flatMap { $0.split(separator: "&") }.map { pair in
            let parts = pair.split(separator: "=", maxSplits: 1)
            return Parameter(
                name: Self.decode(parts.first ?? "", plusIsSpace: true),
                value: Self.decode(parts.dropFirst().first ?? "", plusIsSpace: true))
        }
        headers = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return Parameter(
                name: line[..<colon].lowercased(),
                value: String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        self.body = body
    }

    private static func decode(_ text: Substring, plusIsSpace: Bool) -> String {
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let code = UInt8(
                    String(decoding: bytes[(index + 1)...(index + 2)], as: UTF8.self), radix: 16)
            {
                output.append(code)
                index += 3
            } else {
                let isSpace = plusIsSpace && bytes[index] == UInt8(ascii: "+")
                output.append(isSpace ? UInt8(ascii: " ") : bytes[index])
                index += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
