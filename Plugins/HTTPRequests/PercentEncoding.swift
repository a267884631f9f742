/// Text as it stands in a path or a query.
package enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF")

    /// RFC 3986, section 2: all but what is unreserved.
    package static func encode(_ text: String) -> String {
        var output = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                output.unicodeScalars.append(UnicodeScalar(byte))
            default:
                output += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        return output
    }

    /// "?a=b&c=d", empty without parameters.
    package static func query(_ parameters: [(name: String, value: String)]) -> String {
        guard !parameters.isEmpty else { return "" }
        return "?"
            + parameters.map { "\(encode($0.name))=\(encode($0.value))" }.joined(separator: "&")
    }
}
