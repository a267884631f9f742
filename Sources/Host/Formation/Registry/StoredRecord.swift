/// The state of one record in a registry: it changes with every write, and no other write of the
/// record ever has the same. Opaque: the plugin chooses the bytes.
package struct Revision: Hashable, Sendable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// - Parameter bytes: 1 to 64.
    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// As an operator reads and types it: the bytes themselves where they are printable ASCII
    /// without spaces, else `0x` and their hexadecimal digits.
    package var description: String {
        let isPrintable = bytes.allSatisfy { (0x21...0x7E).contains($0) }
        if isPrintable, !bytes.starts(with: "0x".utf8) {
            return String(decoding: bytes, as: UTF8.self)
        }
        return "0x"
            + bytes.map { byte in
                String(byte >> 4, radix: 16) + String(byte & 0xF, radix: 16)
            }.joined()
    }

    /// Reads what `description` writes.
    package init?(_ text: String) {
        guard text.hasPrefix("0x") else {
            bytes = Array(text.utf8)
            if bytes.isEmpty || bytes.count > RegistryLimits.revision { return nil }
            return
        }
        let digits = Array(text.utf8.dropFirst(2))
        guard !digits.isEmpty, digits.count % 2 == 0, digits.count <= 2 * RegistryLimits.revision
        else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            let pair = String(decoding: digits[index...(index + 1)], as: UTF8.self)
            guard pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        self.bytes = bytes
    }
}

/// A record as the registry holds it.
package struct StoredRecord: Equatable, Sendable {
    package let name: String
    package let value: [UInt8]
    package let revision: Revision

    package init(name: String, value: [UInt8], revision: Revision) {
        self.name = name
        self.value = value
        self.revision = revision
    }
}
