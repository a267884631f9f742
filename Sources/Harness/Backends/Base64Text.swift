/// RFC 4648, section 4, with padding: how registries' JSON carries bytes.
enum Base64Text {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for position in 0..<4 {
                output.append(
                    position > group.count
                        ? UInt8(ascii: "=") : alphabet[bits >> (18 - 6 * position) & 63])
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// Nil for what is no base64, missing padding included.
    static func decode(_ text: String) -> [UInt8]? {
        let bytes = Array(text.utf8)
        guard bytes.count % 4 == 0 else { return nil }
        let padding = bytes.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        var output: [UInt8] = []
        var bits = 0
        for (position, byte) in bytes.dropLast(padding).enumerated() {
            guard let value = alphabet.firstIndex(of: byte) else { return nil }
            bits = bits << 6 | value
            if position % 4 > 0 {
                output.append(UInt8(bits >> (6 - 2 * (position % 4)) & 255))
            }
        }
        guard padding < 2 || bytes[bytes.count - 2] == UInt8(ascii: "=") else { return nil }
        return output
    }
}
