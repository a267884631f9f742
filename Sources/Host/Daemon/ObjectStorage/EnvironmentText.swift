internal import Notation

/// Puts the values of environment variables into a text, by the rules of Go's `os.Expand`, which files
/// of rqlite are written for: `$NAME`, `${ANYTHING}`; a variable that is not set is empty. A value goes
/// in as it is, and no escape for `$` exists.
enum EnvironmentText {
    static func expand(_ text: [UInt8], _ value: (String) -> String?) -> [UInt8] {
        var output: [UInt8] = []
        var rest = text[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "$"), let (name, length) = VariableName.read(rest)
            else {
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
}
