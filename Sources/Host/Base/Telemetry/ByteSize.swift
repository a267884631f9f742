/// A number of bytes for people to read.
package struct ByteSize: Sendable, CustomStringConvertible {
    /// The size.
    package let bytes: UInt64

    /// - Parameter bytes: what is negative counts as 0.
    package init(bytes: some BinaryInteger) {
        self.bytes = UInt64(clamping: bytes)
    }

    /// Decimal units and, below ten, one digit behind the point: `512 B`, `4.1 kB`, `33 MB`.
    package var description: String {
        var unit: UInt128 = 1
        var name = "B"
        for next in ["kB", "MB", "GB", "TB", "PB", "EB"] where UInt128(bytes) >= unit * 1000 {
            unit *= 1000
            name = next
        }
        guard bytes >= 10 else { return "\(bytes) B" }
        let tenths = (UInt128(bytes) * 10 + unit / 2) / unit
        if tenths < 100 { return "\(tenths / 10).\(tenths % 10) \(name)" }
        // Halves go to the even neighbour, as C's printf rounds.
        let whole = tenths / 10
        let roundsUp = tenths % 10 > 5 || (tenths % 10 == 5 && whole % 2 == 1)
        return "\(whole + (roundsUp ? 1 : 0)) \(name)"
    }
}
