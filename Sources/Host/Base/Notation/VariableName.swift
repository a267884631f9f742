/// The name of an environment's variable behind a dollar sign, as Go's `os.Expand` reads it, which
/// files of rqlite are written for:
///
///     $NAME        the longest run of [A-Za-z0-9_]
///     ${ANYTHING}  exactly that
///     $5, $*, …    the single character: a digit, or one of * # $ @ ! ? -
///     ${}          no name: the three characters are left out
///     ${ …         without a closing brace: the two characters are left out
///     $            before anything else, or last: it stands for itself
///
/// What becomes of a value is its reader's: in a configuration of a plugin `$$` is a dollar sign, and a
/// value inside a string is escaped.
package enum VariableName {
    /// - Parameter text: what follows the dollar sign.
    /// - Returns: the name, empty if something is only left out, and how many bytes go with it; nil
    ///   where the dollar sign stands for itself.
    package static func read(_ text: ArraySlice<UInt8>) -> (name: ArraySlice<UInt8>, length: Int)? {
        guard let first = text.first else { return nil }
        if first == UInt8(ascii: "{") {
            let inner = text.dropFirst()
            guard let end = inner.firstIndex(of: UInt8(ascii: "}")) else { return ([], 1) }
            return (inner[..<end], end - text.startIndex + 1)
        }
        if isSpecial(first) { return (text.prefix(1), 1) }
        let name = text.prefix(while: isNamePart)
        return name.isEmpty ? nil : (name, name.count)
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "*#$@!?-".utf8.contains(byte)
    }

    /// A byte of a name without braces.
    package static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
