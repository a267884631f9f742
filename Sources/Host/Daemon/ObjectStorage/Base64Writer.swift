/// Bytes as letters (RFC 4648).
enum Base64Writer {
    private static let common = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    private static let digits = Array("\(common)+/".utf8)
    private static let digitsOfAddresses = Array("\(common)-_".utf8)

    /// §4, with padding.
    static func of(_ bytes: [UInt8]) -> String {
        let text = encode(bytes, digits)
        return text + String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
    }

    /// §5, without padding.
    static func ofAddress(_ bytes: [UInt8]) -> String { encode(bytes, digitsOfAddresses) }

    private static func encode(_ bytes: [UInt8], _ digits: [UInt8]) -> String {
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = (0..<3).reduce(0) {
                $0 << 8 | (start + $1 < bytes.count ? Int(bytes[start + $1]) : 0)
            }
            for place in 0...group.count {
                output.append(digits[bits >> (18 - 6 * place) & 63])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
