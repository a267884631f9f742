package import JSON

/// Cuts a stream into its messages: one JSON text per line, as etcd's gateway and Kubernetes send what
/// they watch.
package struct JSONLines {
    /// Bytes of one message.
    private static let longest = 1 << 20

    private var rest: [UInt8] = []
    /// Of `rest`, from its beginning: no line ends there. Who sends chooses in how many pieces a line comes.
    private var seen = 0
    /// A line was no JSON, or had no end; nothing comes after it.
    package private(set) var isBroken = false

    package init() {}

    /// The messages that are whole now.
    package mutating func take(_ bytes: [UInt8]) -> [JSONValue] {
        guard !isBroken else { return [] }
        rest += bytes
        var messages: [JSONValue] = []
        var begin = rest.startIndex
        while let end = rest[seen...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = Array(rest[begin..<end])
            begin = end + 1
            seen = begin
            if line.isEmpty { continue }
            guard let message = try? JSONValue(parsing: line) else {
                isBroken = true
                return messages
            }
            messages.append(message)
        }
        if begin > 0 { rest.removeSubrange(..<begin) }
        seen = rest.count
        isBroken = rest.count > Self.longest
        return messages
    }
}
