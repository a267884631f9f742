/// Puts the values of environment variables into a text, by the rules of Go's `os.Expand`, which files
/// of rqlite are written for: `$NAME`, `${ANYTHING}`; a variable that is not set is empty. A value goes
/// in as it is, and no escape for `$` exists.
enum EnvironmentText {
    static func expand(_ text: [UInt8], _ value: (String) -> String?) -> [UInt8] {
        var output: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "$"), let (name, length) = name(rest) else {
                output.append(byte)
                continue
            }
            rest = rest.dropFirst(length)
            if !name.isEmpty {
                output += (value(String(decoding: name, as: UTF8.self)) ?? "").utf8
            }
        }
        return output
    }

    /// - Parameter text: what follows a `$`.
    /// - Returns: the name, empty if something is only left out, and how many bytes go with it; nil
    ///   where the `$` stands for itself.
    private static func name(_ text: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, Int)? {
        guard let first = text.first else { return nil }
        if first == UInt8(ascii: "{") {
            let inner = text.dropFirst()
            guard let end = inner.firstIndex(of: UInt8(ascii: "}")) else { return ([], 1) }
            return (inner[..<end], end - text.startIndex + 1)
        }
        if "*#$@!?-0123456789".utf8.contains(first) { return (text.prefix(1), 1) }
        let name = text.prefix(while: isNamePart)
        return name.isEmpty ? nil : (name, name.count)
    }

    private static func isNamePart(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
