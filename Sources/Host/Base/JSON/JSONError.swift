/// Why a text is not JSON, and where: the first byte that can't stand where it does.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    package enum Reason: Equatable, Sendable {
        /// The text ended where `expected` should stand.
        case unexpectedEnd(expected: String)
        case unexpected(byte: UInt8, expected: String)
        /// A control character stands unescaped in a string.
        case controlCharacter(UInt8)
        case invalidEscape
        /// A `\uD800`…`\uDFFF` without its other half: no string can hold it.
        case unpairedSurrogate
        case invalidUTF8
        case invalidNumber
        case tooDeep(limit: Int)
        case trailingText(byte: UInt8)
    }

    /// Bytes before the fault.
    package let offset: Int
    /// What is wrong at that place.
    package let reason: Reason

    package init(offset: Int, reason: Reason) {
        self.offset = offset
        self.reason = reason
    }

    package var description: String {
        switch reason {
        case .unexpectedEnd(let expected):
            "JSON ends at byte \(offset) where \(expected) must stand"
        case .unexpected(let byte, let expected):
            "JSON has \(Self.name(of: byte)) at byte \(offset) where \(expected) must stand"
        case .controlCharacter(let byte):
            "JSON has \(Self.name(of: byte)) inside a string at byte \(offset); it must be escaped"
        case .invalidEscape: "JSON has an unknown escape at byte \(offset)"
        case .unpairedSurrogate: "JSON has half of a surrogate pair at byte \(offset)"
        case .invalidUTF8: "JSON is not UTF-8 at byte \(offset)"
        case .invalidNumber: "JSON has a malformed number at byte \(offset)"
        case .tooDeep(let limit): "JSON nests deeper than \(limit) levels at byte \(offset)"
        case .trailingText(let byte):
            "JSON is followed by \(Self.name(of: byte)) at byte \(offset), after its end"
        }
    }

    private static func name(of byte: UInt8) -> String {
        switch byte {
        case 0x21...0x7E: "'\(Character(UnicodeScalar(byte)))'"
        case 0x20: "a space"
        default: "byte 0x" + String(byte, radix: 16, uppercase: true)
        }
    }
}
