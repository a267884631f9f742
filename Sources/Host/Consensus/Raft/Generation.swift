/// The number of a database file. A snapshot that is installed begins a new one, so that an old file
/// and a new one never bear the same name.
package struct Generation: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// From 1; stands in the file's name.
    package let rawValue: UInt64

    package init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Of a new data directory.
    package static let first = Generation(1)
    /// What a snapshot becomes that takes this one's place.
    package var next: Generation { Generation(rawValue + 1) }
    package static func < (a: Generation, b: Generation) -> Bool { a.rawValue < b.rawValue }
    package var description: String { "\(rawValue)" }
}
