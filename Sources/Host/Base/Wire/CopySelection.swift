/// Which bytes of which copy of the database a client wants, where it has some of them already.
///
/// It never travels: copies are kept by the node that made them, for clients that ask that node
/// itself (docs/decisions/0143-a-download-goes-on-where-it-broke-off.md).
package struct CopySelection: Equatable, Sendable {
    /// Any of these copies will do, by their tags; none: a new one is made.
    package var tags: [String]
    /// Without one of these copies there is no answer; otherwise a new one goes out, whole.
    package var isRequired: Bool
    /// The bytes of such a copy that are wanted; nil: all.
    package var range: CopyRange?

    package init(tags: [String] = [], isRequired: Bool = false, range: CopyRange? = nil) {
        self.tags = tags
        self.isRequired = isRequired
        self.range = range
    }
}

/// Bytes of a body whose length the client does not know (RFC 9110 §14.1.2).
package enum CopyRange: Equatable, Sendable {
    /// From one through another, both counted from 0; nil: to the end.
    case bytes(from: UInt64, through: UInt64?)
    /// The last so many.
    case suffix(UInt64)

    /// The bytes in a body of `length`; nil: it has none of them.
    package func resolved(in length: UInt64) -> Range<UInt64>? {
        switch self {
        case .bytes(let first, let last):
            guard first < length, last.map({ $0 >= first }) ?? true else { return nil }
            // A last byte below `length` can be counted one further.
            return first..<(last.map { min($0, length - 1) + 1 } ?? length)
        case .suffix(let count):
            guard count > 0, length > 0 else { return nil }
            return (length - min(count, length))..<length
        }
    }
}

/// What begins the bytes of a copy that has a tag. As `CopySelection` it never travels.
package struct CopyHead: Equatable, Sendable {
    /// What follows.
    package enum Extent: Equatable, Sendable {
        case whole
        /// Some of a copy of so many bytes.
        case part(Range<UInt64>, of: UInt64)
        /// Nothing: the copy, of so many bytes, has none of those that are wanted.
        case outside(of: UInt64)
        /// Nothing: none of the copies is there that would have done.
        case gone
    }

    /// As what the log had made it the copy shows the database; 0 where there is none.
    package var logIndex: UInt64
    /// Two copies with one tag are the same bytes. Letters, digits and `-`.
    package var tag: String
    package var extent: Extent

    package init(logIndex: UInt64, tag: String, extent: Extent) {
        self.logIndex = logIndex
        self.tag = tag
        self.extent = extent
    }
}
