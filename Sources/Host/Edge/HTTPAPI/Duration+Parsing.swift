/// Durations in the notation of Go's `time` package, which rqlite's clients send: `1h30m`,
/// `1.5s`, `250ms`.
extension Duration {
    private static let unitNanoseconds: [(name: [UInt8], value: UInt64)] = [
        (Array("ns".utf8), 1),
        (Array("us".utf8), 1_000),
        (Array("\u{B5}s".utf8), 1_000),
        (Array("\u{3BC}s".utf8), 1_000),
        (Array("ms".utf8), 1_000_000),
        (Array("s".utf8), 1_000_000_000),
        (Array("m".utf8), 60_000_000_000),
        (Array("h".utf8), 3_600_000_000_000),
    ]

    /// Nil for what `time.ParseDuration` refuses: no unit, an unknown unit, nothing at all, or
    /// more than a signed 64-bit count of nanoseconds.
    init?(goText text: String) {
        var rest = Substring(text).utf8
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest.removeFirst()
        }
        if rest.elementsEqual("0".utf8) {
            self = .zero
            return
        }
        guard !rest.isEmpty else { return nil }
        var total: UInt64 = 0
        while !rest.isEmpty {
            guard let term = Self.takeTerm(&rest) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(term)
            guard !overflow, sum <= UInt64(Int64.max) else { return nil }
            total = sum
        }
        self = .nanoseconds(isNegative ? -Int64(total) : Int64(total))
    }

    /// Takes a decimal number and its unit off the front; nanoseconds.
    private static func takeTerm(_ rest: inout Substring.UTF8View) -> UInt64? {
        var whole: UInt64 = 0
        var digits = 0
        while let digit = rest.first, isDigit(digit) {
            let (scaled, over) = whole.multipliedReportingOverflow(by: 10)
            let (sum, over2) = scaled.addingReportingOverflow(UInt64(digit - UInt8(ascii: "0")))
            guard !over, !over2 else { return nil }
            whole = sum
            digits += 1
            rest.removeFirst()
        }
        var fraction = 0.0
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            var weight = 0.1
            while let digit = rest.first, isDigit(digit) {
                fraction += Double(digit - UInt8(ascii: "0")) * weight
                weight /= 10
                digits += 1
                rest.removeFirst()
            }
        }
        guard digits > 0 else { return nil }
        let name = rest.prefix { !isDigit($0) && $0 != UInt8(ascii: ".") }
        guard let unit = unitNanoseconds.first(where: { name.elementsEqual($0.name) }) else {
            return nil
        }
        rest.removeFirst(name.count)
        let (nanoseconds, overflow) = whole.multipliedReportingOverflow(by: unit.value)
        guard !overflow else { return nil }
        let part = UInt64((fraction * Double(unit.value)).rounded())
        let (sum, overflow2) = nanoseconds.addingReportingOverflow(part)
        return overflow2 ? nil : sum
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
    }

    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}
