/// Reads numbers, Booleans and durations as Go's `flag` package does, for that is the syntax
/// rqlite's users and their scripts know.
package enum GoLiteral {
    package enum Failure: Error, Equatable {
        /// It is not written so.
        case syntax
        /// Beyond 64 bits.
        case range
    }

    static func boolean(_ text: String) throws(Failure) -> Bool {
        switch text {
        case "1", "t", "T", "TRUE", "true", "True": return true
        case "0", "f", "F", "FALSE", "false", "False": return false
        default: throw .syntax
        }
    }

    static func integer(_ text: String) throws(Failure) -> Int64 {
        var digits = Array(text.utf8)[...]
        var isNegative = false
        if let sign = digits.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            digits = digits.dropFirst()
        }
        let magnitude = try unsigned(digits)
        if isNegative {
            guard magnitude <= UInt64(Int64.max) + 1 else { throw .range }
            return Int64(truncatingIfNeeded: 0 &- magnitude)
        }
        guard let value = Int64(exactly: magnitude) else { throw .range }
        return value
    }

    static func unsigned(_ text: String) throws(Failure) -> UInt64 {
        try unsigned(Array(text.utf8)[...])
    }

    /// `1h2m3.5s`; the units are ns, us (also µs), ms, s, m and h; a bare `0` needs none.
    package static func duration(_ text: String) throws(Failure) -> Duration {
        var rest = Array(text.utf8)[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        if rest.elementsEqual("0".utf8) { return .zero }
        guard !rest.isEmpty else { throw .syntax }
        var total: Int128 = 0
        while !rest.isEmpty {
            total += try durationPart(&rest)
            // Go reports an overflow of a duration as a parse error, too.
            guard total <= Int128(Int64.max) + (isNegative ? 1 : 0) else { throw .syntax }
        }
        return .nanoseconds(Int64(isNegative ? -total : total))
    }

    /// Takes one number and its unit off the front; returns nanoseconds.
    private static func durationPart(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> Int128 {
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction: ArraySlice<UInt8> = []
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = rest.prefix(while: isDigit)
            rest = rest.dropFirst(fraction.count)
        }
        guard !whole.isEmpty || !fraction.isEmpty else { throw .syntax }
        let name = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: ".") }
        rest = rest.dropFirst(name.count)
        guard let unit = units[String(decoding: name, as: UTF8.self)] else { throw .syntax }
        // 19 digits hold every 64-bit number; leading zeros beyond them are not worth a rule.
        guard whole.count <= 19 else { throw .syntax }
        var nanoseconds = decimal(whole) * unit
        // More digits than 18 are below a nanosecond even for hours.
        var scale: Int128 = 1
        for _ in fraction.prefix(18) { scale *= 10 }
        nanoseconds += decimal(fraction.prefix(18)) * unit / scale
        return nanoseconds
    }

    private static let units: [String: Int128] = [
        "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000,
        "m": 60_000_000_000, "h": 3_600_000_000_000,
    ]

    private static func decimal(_ digits: ArraySlice<UInt8>) -> Int128 {
        digits.reduce(0) { $0 * 10 + Int128($1 - UInt8(ascii: "0")) }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Decimal, `0x`, `0o` or a leading `0` (octal), `0b`; `_` between digits.
    private static func unsigned(_ text: ArraySlice<UInt8>) throws(Failure) -> UInt64 {
        var digits = text
        var radix: UInt64 = 10
        // An underscore may follow a prefix, but never begin a plain number.
        var mayUnderscore = false
        if digits.first == UInt8(ascii: "0"), digits.count > 1 {
            digits = digits.dropFirst()
            mayUnderscore = true
            radix = 8
            if let letter = digits.first, let named = radices[letter | 0x20] {
                radix = named
                digits = digits.dropFirst()
            }
        }
        return try number(digits, radix: radix, mayUnderscore: mayUnderscore)
    }

    private static let radices: [UInt8: UInt64] = [
        UInt8(ascii: "x"): 16, UInt8(ascii: "o"): 8, UInt8(ascii: "b"): 2,
    ]

    private static func number(
        _ digits: ArraySlice<UInt8>, radix: UInt64, mayUnderscore: Bool
    ) throws(Failure) -> UInt64 {
        var mayUnderscore = mayUnderscore
        var value: UInt64 = 0
        var overflowed = false
        var endsInDigit = false
        for byte in digits {
            if byte == UInt8(ascii: "_") {
                guard mayUnderscore else { throw .syntax }
                mayUnderscore = false
                endsInDigit = false
                continue
            }
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue.map(UInt64.init),
                digit < radix
            else { throw .syntax }
            let (product, overflowedTimes) = value.multipliedReportingOverflow(by: radix)
            let (sum, overflowedPlus) = product.addingReportingOverflow(digit)
            overflowed = overflowed || overflowedTimes || overflowedPlus
            value = sum
            mayUnderscore = true
            endsInDigit = true
        }
        guard endsInDigit else { throw .syntax }
        if overflowed { throw .range }
        return value
    }
}
