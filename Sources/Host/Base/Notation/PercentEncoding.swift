/// Text as it stands in a path or a query (RFC 3986, section 2): all bytes of its UTF-8 but letters,
/// digits, `-`, `.`, `_` and `~` as a percent sign and two digits, of which those above 9 are capitals,
/// as signatures of requests want them.
package enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".unicodeScalars)

    /// - Parameter keepingSlashes: the text is a path, whose segments are encoded.
    package static func encode(_ text: String, keepingSlashes: Bool = false) -> String {
        var output = String.UnicodeScalarView()
        for byte in text.utf8 {
            if isUnreserved(byte) || keepingSlashes && byte == UInt8(ascii: "/") {
                output.append(UnicodeScalar(byte))
            } else {
                append(byte, to: &output)
            }
        }
        return String(output)
    }

    /// Every byte as a percent sign and two digits, for texts that must not be taken for anything else.
    package static func encodeAll(_ text: String) -> String {
        var output = String.UnicodeScalarView()
        for byte in text.utf8 { append(byte, to: &output) }
        return String(output)
    }

    /// "?a=b&c=d", empty without parameters.
    package static func query(_ parameters: [(name: String, value: String)]) -> String {
        guard !parameters.isEmpty else { return "" }
        return "?"
            + parameters.map { "\(encode($0.name))=\(encode($0.value))" }.joined(separator: "&")
    }

    private static func append(_ byte: UInt8, to output: inout String.UnicodeScalarView) {
        output.append("%")
        output.append(digits[Int(byte >> 4)])
        output.append(digits[Int(byte & 15)])
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
