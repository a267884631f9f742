/// Under what a client may send a write again without its taking effect twice
/// (docs/decisions/0139-a-write-may-be-repeated.md). Both parts are the first 16 bytes of a SHA-256,
/// so that nobody can make another's key, and neither names nor keys of clients are in the data.
package struct RepeatKey: Hashable, Sendable {
    /// Of who asks, and the key that they chose.
    package var name: Digest
    /// Of what is asked for: kind, flags and statements.
    package var content: Digest

    package init(name: Digest, content: Digest) {
        self.name = name
        self.content = content
    }

    /// - Parameters:
    ///   - key: as the client chose it.
    ///   - principal: who asks, in a form that no other's is equal to.
    ///   - command: what is asked for; its stamp and its own key don't count.
    package init(_ key: String, of principal: String, for command: Command) {
        var names = ByteWriter()
        names.write(principal)
        names.write(key)
        var asked = command
        asked.key = nil
        asked.stamp = Stamp(milliseconds: 0, seed: 0)
        var content = ByteWriter()
        asked.encode(into: &content)
        self.init(
            name: Digest(beginning: SHA256.hash(names.bytes)),
            content: Digest(beginning: SHA256.hash(content.bytes)))
    }
}

extension Digest {
    /// The first 16 of at least as many bytes.
    fileprivate init(beginning bytes: [UInt8]) {
        func word(_ range: Range<Int>) -> UInt64 {
            bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
        self.init(low: word(0..<8), high: word(8..<16))
    }
}

/// 16 bytes of the name | 16 bytes of the content.
extension RepeatKey {
    package func encode(into writer: inout ByteWriter) {
        name.encode(into: &writer)
        content.encode(into: &writer)
    }

    /// - Throws: `WireError` where bytes are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        self.init(name: try Digest(from: &reader), content: try Digest(from: &reader))
    }
}
