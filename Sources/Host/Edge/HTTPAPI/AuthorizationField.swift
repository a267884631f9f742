import Rights

/// Reads the header field `Authorization` (RFC 7617, RFC 6750). What is none of both kinds, or broken,
/// says nothing about anybody.
enum AuthorizationField {
    static func credential(_ field: String?) -> Credential {
        guard let field, let blank = field.firstIndex(of: " ") else { return .none }
        let rest = field[blank...].drop { $0 == " " }
        switch field[..<blank].lowercased() {
        case "basic":
            guard let bytes = decode(rest.utf8),
                let colon = bytes.firstIndex(of: UInt8(ascii: ":")),
                let user = String(validating: bytes[..<colon], as: UTF8.self),
                let password = String(validating: bytes[(colon + 1)...], as: UTF8.self)
            else { return .none }
            return .password(user: user, password: password)
        case "bearer": return rest.isEmpty ? .none : .token(String(rest))
        default: return .none
        }
    }

    /// Base64 (RFC 4648 §4), with its padding or without.
    static func decode(_ text: Substring.UTF8View) -> [UInt8]? {
        var digits = text[...]
        while digits.last == UInt8(ascii: "=") { digits.removeLast() }
        guard text.count - digits.count <= 2, digits.count % 4 != 1 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count * 3 / 4)
        var bits: UInt32 = 0
        var count = 0
        for digit in digits {
            guard let value = value(of: digit) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
