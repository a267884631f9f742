/// How rqlite writes strings and numbers; everything that writes JSON does it through here.
package enum JSONText {
    /// With quotes. `<`, `>`, `&`, U+2028 and U+2029 are escaped besides what JSON demands, as Go's
    /// encoder does to make the text safe inside HTML and JavaScript.
    package static func append(_ text: String, to output: inout [UInt8]) {
        var text = text
        text.withUTF8 { append(utf8: $0, to: &output) }
    }

    /// `utf8` must be valid.
    package static func append(utf8: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        appendContents(utf8: utf8, to: &output)
        output.append(UInt8(ascii: "\""))
    }

    /// The characters of a string without its quotes, so that a long one can be written piece by
    /// piece. `utf8` must be valid, and so must not end within a character.
    package static func appendContents(
        utf8: UnsafeBufferPointer<UInt8>, to output: inout [UInt8]
    ) {
        var plain = 0
        var index = 0
        while index < utf8.count {
            let byte = utf8[index]
            let length = escapedLength(utf8, at: index)
            if length > 0 {
                output.append(contentsOf: utf8[plain..<index])
                appendEscape(length == 1 ? UInt16(byte) : lineSeparator(utf8, at: index), &output)
                plain = index + length
            }
            index += max(length, 1)
        }
        output.append(contentsOf: utf8[plain...])
    }

    /// Shortest form that reads back as the same number, without `.0`; with an exponent only below
    /// 1e-6 and from 1e21 on. The value must be finite.
    package static func append(_ value: Double, to output: inout [UInt8]) {
        precondition(value.isFinite, "JSON has no \(value)")
        if value.sign == .minus { output.append(UInt8(ascii: "-")) }
        let magnitude = value.magnitude
        if magnitude < 1e15, magnitude == magnitude.rounded(.towardZero) {
            output.append(contentsOf: String(Int64(magnitude)).utf8)
            return
        }
        let decimal = ShortestDecimal(magnitude)
        if magnitude < 1e-6 || magnitude >= 1e21 {
            decimal.appendScientific(to: &output)
        } else {
            decimal.appendPositional(to: &output)
        }
    }

    /// Bytes that one escape replaces at `index`; 0 where none is needed.
    @inline(__always) private static func escapedLength(
        _ utf8: UnsafeBufferPointer<UInt8>, at index: Int
    ) -> Int {
        switch utf8[index] {
        case ..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "<"),
            UInt8(ascii: ">"), UInt8(ascii: "&"):
            1
        case 0xE2: lineSeparator(utf8, at: index) == 0 ? 0 : 3
        default: 0
        }
    }

    /// U+2028 or U+2029 (E2 80 A8, E2 80 A9), or 0.
    private static func lineSeparator(
        _ utf8: UnsafeBufferPointer<UInt8>, at index: Int
    ) -> UInt16 {
        guard index + 2 < utf8.count, utf8[index + 1] == 0x80, utf8[index + 2] & 0xFE == 0xA8
        else { return 0 }
        return 0x2028 + UInt16(utf8[index + 2] & 1)
    }

    private static func appendEscape(_ unit: UInt16, _ output: inout [UInt8]) {
        output.append(UInt8(ascii: "\\"))
        switch unit {
        case 0x22, 0x5C: output.append(UInt8(unit))
        case 0x08: output.append(UInt8(ascii: "b"))
        case 0x09: output.append(UInt8(ascii: "t"))
        case 0x0A: output.append(UInt8(ascii: "n"))
        case 0x0C: output.append(UInt8(ascii: "f"))
        case 0x0D: output.append(UInt8(ascii: "r"))
        default:
            output.append(UInt8(ascii: "u"))
            for shift in [12, 8, 4, 0] as [UInt16] {
                let digit = UInt8(unit >> shift & 0xF)
                output.append(
                    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        }
    }
}

/// The digits d₁d₂… and exponent e of 0.d₁d₂… × 10ᵉ, as few digits as identify the number.
private struct ShortestDecimal {
    private var digits: [UInt8] = []
    private var exponent = 0

    /// Rearranges what the standard library prints, which has the right digits.
    init(_ magnitude: Double) {
        var integerDigits = 0
        var hasPoint = false
        let parts = magnitude.description.split(separator: "e")
        for byte in parts[0].utf8 {
            if byte == UInt8(ascii: ".") {
                hasPoint = true
            } else {
                digits.append(byte)
                if !hasPoint { integerDigits += 1 }
            }
        }
        let shift = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
        let leadingZeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(leadingZeros)
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        exponent = integerDigits - leadingZeros + shift
    }

    func appendScientific(to output: inout [UInt8]) {
        output.append(contentsOf: digits.prefix(1))
        if digits.count > 1 {
            output.append(UInt8(ascii: "."))
            output.append(contentsOf: digits.dropFirst())
        }
        output.append(UInt8(ascii: "e"))
        output.append(exponent > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
        output.append(contentsOf: String((exponent - 1).magnitude).utf8)
    }

    func appendPositional(to output: inout [UInt8]) {
        let zero = UInt8(ascii: "0")
        if exponent <= 0 {
            output.append(contentsOf: [zero, UInt8(ascii: ".")])
            output.append(contentsOf: repeatElement(zero, count: -exponent))
            output.append(contentsOf: digits)
        } else if digits.count <= exponent {
            output.append(contentsOf: digits)
            output.append(contentsOf: repeatElement(zero, count: exponent - digits.count))
        } else {
            output.append(contentsOf: digits.prefix(exponent))
            output.append(UInt8(ascii: "."))
            output.append(contentsOf: digits.dropFirst(exponent))
        }
    }
}
