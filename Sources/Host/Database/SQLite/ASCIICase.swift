/// Letter case as SQLite knows it for names and keywords: of ASCII alone. Swift's own would take the
/// Kelvin sign for a K, and `É` for `é`.
extension String {
    /// The letters A to Z in lower case; all else as it is.
    package var loweredASCII: String {
        utf8.contains { (0x41...0x5A).contains($0) }
            ? String(decoding: utf8.map(Self.lowered), as: UTF8.self) : self
    }

    fileprivate static func lowered(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }
}
