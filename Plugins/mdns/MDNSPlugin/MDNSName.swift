/// A name of DNS: labels of bytes, for those of services may hold anything, dots and blanks included. Letters
/// of ASCII are equal in either case (RFC 6762, section 16).
package struct MDNSName: Hashable, Sendable, CustomStringConvertible {
    package static let longestLabel = 63
    /// Bytes on the wire.
    package static let longest = 255

    private let labels: [[UInt8]]
    /// For comparisons.
    private let folded: [[UInt8]]

    /// - Parameter labels: each of 1 to 63 bytes, together at most 255 with their lengths.
    package init(_ labels: [[UInt8]]) {
        self.labels = labels
        folded = labels.map { $0.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 } }
    }

    package static func == (one: MDNSName, other: MDNSName) -> Bool { one.folded == other.folded }

    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }

    /// As it stands in a message, without compression.
    var bytes: [UInt8] { labels.flatMap { [UInt8(truncatingIfNeeded: $0.count)] + $0 } + [0] }

    /// With dots between, fit for a line of the log.
    package var description: String {
        labels.map { label in
            String(decoding: label, as: UTF8.self).unicodeScalars
                .map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }.joined()
        }.joined(separator: ".")
    }

    /// The first label: of a service's instance, what people call it.
    var instance: String { MDNSName(Array(labels.prefix(1))).description }

    /// One level below.
    func with(first label: [UInt8]) -> MDNSName { MDNSName([label] + labels) }

    /// Whether it leads nowhere.
    var isRoot: Bool { labels.isEmpty }
}
