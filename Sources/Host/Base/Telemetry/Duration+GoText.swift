import Time

/// Durations as Go prints them, which is how rqlite's documents have them.
extension Duration {
    /// `1h2m3.5s`, `2m0s`, `50ms`, `18.2µs`, `0s`.
    package var goText: String {
        let total = exactNanoseconds
        if total == 0 { return "0s" }
        let sign = total < 0 ? "-" : ""
        let magnitude = total.magnitude
        switch magnitude {
        case ..<1000: return "\(sign)\(magnitude)ns"
        case ..<1_000_000: return sign + Self.decimal(magnitude, unit: 1000) + "µs"
        case ..<1_000_000_000: return sign + Self.decimal(magnitude, unit: 1_000_000) + "ms"
        default: break
        }
        let minutes = magnitude / 60_000_000_000
        let rest = Self.decimal(magnitude % 60_000_000_000, unit: 1_000_000_000) + "s"
        switch minutes {
        case 0: return sign + rest
        case ..<60: return "\(sign)\(minutes)m\(rest)"
        default: return "\(sign)\(minutes / 60)h\(minutes % 60)m\(rest)"
        }
    }

    /// Without trailing zeros behind the point.
    private static func decimal(_ value: UInt128, unit: UInt128) -> String {
        let whole = String(value / unit)
        guard value % unit != 0 else { return whole }
        // The leading 1 keeps the zeros that stand first.
        var fraction = String(value % unit + unit).dropFirst()
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return whole + "." + fraction
    }
}
