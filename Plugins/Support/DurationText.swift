/// Lengths of time as Go and rqlite's flags write them: "1m30s", "1.5s", "250ms".
enum DurationText {
    /// In nanoseconds. No wait for a server makes sense below it.
    static let shortest: UInt64 = 100_000_000

    private static let units: [(name: String, nanoseconds: UInt64)] = [
        ("ns", 1), ("us", 1000), ("µs", 1000), ("ms", 1_000_000), ("s", 1_000_000_000),
        ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Nil where the text is no duration, or one beyond 2⁶³ nanoseconds.
    static func nanoseconds(_ text: String) -> UInt64? {
        var rest = text[...]
        var sum: Double = 0
        repeat {
            let number = rest.prefix { ("0"..."9").contains($0) || $0 == "." }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !("0"..."9").contains($0) && $0 != "." }
            rest = rest.dropFirst(unit.count)
            guard let value = Double(number),
                let scale = units.first(where: { $0.name == unit })?.nanoseconds
            else { return nil }
            sum += value * Double(scale)
        } while !rest.isEmpty
        return sum < 0x1p63 ? UInt64(sum) : nil
    }
}
