package import Raft

/// What a base is called in its cluster's folder: where the log stood, and the SHA-256 of all bytes of
/// the object, which no other object has.
///
///     <cluster>/<index>-<term>-<milliseconds>-<hash>/base
///     <cluster>/<index>-<term>-<milliseconds>-<hash>/<first>-<last>-<milliseconds>-<hash before>-<hash>[-d]
///     <cluster>/<index>-<term>-<milliseconds>-<hash>/extensions-<hash>
///     <cluster>/<index>-<term>-<milliseconds>-<hash>/engine-<hash>
///
/// Numbers have 20 digits, hashes 64, and the hash of the object before is cut to 16 digits; the whole
/// of it stands in the header. So what is there and how it hangs together is known from names alone, and
/// nobody ever writes over what somebody else wrote.
package struct BaseName: Hashable, Sendable {
    /// Of the last entry that the base holds.
    package var position: LogPosition
    /// The clock of the log there, milliseconds since 1970.
    package var milliseconds: Int64
    /// SHA-256 of the object, 64 digits.
    package var hash: String

    package init(position: LogPosition, milliseconds: Int64, hash: String) {
        self.position = position
        self.milliseconds = milliseconds
        self.hash = hash
    }

    /// By the log's clock: a cluster that was set back to older copies of its disks counts again from an
    /// index that its archive has passed.
    func isNewer(than other: BaseName) -> Bool {
        (milliseconds, position.index, text) > (
            other.milliseconds, other.position.index, other.text
        )
    }

    /// Of its folder, without the slash.
    package var text: String {
        [
            NameParts.digits(position.index.rawValue), NameParts.digits(position.term.rawValue),
            NameParts.digits(UInt64(bitPattern: max(0, milliseconds))), hash,
        ].joined(separator: "-")
    }

    /// Nil for anything but a folder's name, with or without the slash at its end.
    package init?(_ text: String) {
        let name = text.hasSuffix("/") ? text.dropLast() : text[...]
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, let index = NameParts.number(parts[0]),
            let term = NameParts.number(parts[1]),
            let time = NameParts.number(parts[2]).flatMap({ Int64(exactly: $0) }),
            NameParts.isHash(parts[3], count: 64)
        else { return nil }
        self.init(
            position: LogPosition(index: LogIndex(index), term: Term(term)), milliseconds: time,
            hash: String(parts[3]))
    }
}

/// What a piece is called in the folder of its base; see `BaseName`.
package struct PieceName: Hashable, Sendable {
    /// Of its entries.
    package var first: LogIndex
    /// Of its entries.
    package var last: LogIndex
    /// The clock of the log behind the last entry.
    package var milliseconds: Int64
    /// The first 16 digits of the hash of the object before.
    package var predecessor: String
    /// SHA-256 of the object, 64 digits.
    package var hash: String
    /// It holds decisions about entries that are to be left out, which may stand in pieces before.
    package var hasDecisions: Bool

    /// - Parameter predecessor: the hash of the object before, or its begin.
    package init(
        first: LogIndex, last: LogIndex, milliseconds: Int64, predecessor: String, hash: String,
        hasDecisions: Bool = false
    ) {
        self.first = first
        self.last = last
        self.milliseconds = milliseconds
        self.predecessor = String(predecessor.prefix(16))
        self.hash = hash
        self.hasDecisions = hasDecisions
    }

    /// In the folder of its base.
    package var text: String {
        [
            NameParts.digits(first.rawValue), NameParts.digits(last.rawValue),
            NameParts.digits(UInt64(bitPattern: max(0, milliseconds))), predecessor, hash,
        ].joined(separator: "-") + (hasDecisions ? "-d" : "")
    }

    /// Nil for what is no piece's name.
    package init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 5 || parts.count == 6 && parts[5] == "d",
            let first = NameParts.number(parts[0]), let last = NameParts.number(parts[1]),
            first <= last,
            let time = NameParts.number(parts[2]).flatMap({ Int64(exactly: $0) }),
            NameParts.isHash(parts[3], count: 16), NameParts.isHash(parts[4], count: 64)
        else { return nil }
        self.init(
            first: LogIndex(first), last: LogIndex(last), milliseconds: time,
            predecessor: String(parts[3]), hash: String(parts[4]), hasDecisions: parts.count == 6)
    }
}

/// Numbers and hashes as names have them.
private enum NameParts {
    static func digits(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: 20 - text.utf8.count) + text
    }

    static func number(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 20, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt64(text)
    }

    static func isHash(_ text: Substring, count: Int) -> Bool {
        text.utf8.count == count
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}
