/// Texts and names of clients within SQL of ours. By bytes, as SQLite reads it: to Swift a quote with a
/// combining character behind it is another character, and would not be doubled.
extension String {
    /// As a text: `'it''s'`.
    package var quotedText: String { quoted(by: UInt8(ascii: "'")) }

    /// As a name: `"a ""b"""`.
    package var quotedName: String { quoted(by: UInt8(ascii: "\"")) }

    private func quoted(by quote: UInt8) -> String {
        var bytes: [UInt8] = [quote]
        bytes.reserveCapacity(utf8.count + 2)
        for byte in utf8 {
            bytes.append(byte)
            if byte == quote { bytes.append(quote) }
        }
        bytes.append(quote)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The inside of a quoted text or name, with its doubled quotes made one.
    package func unquoted(from quote: UInt8) -> String {
        String(decoding: SQLTokenizer.undoubled(utf8, quote), as: UTF8.self)
    }
}

extension SQLTokenizer {
    /// Bytes in which of each two quotes in a row one is left out.
    package static func undoubled(_ bytes: some Sequence<UInt8>, _ quote: UInt8) -> [UInt8] {
        var result: [UInt8] = []
        var isSecond = false
        for byte in bytes {
            isSecond = byte == quote && !isSecond
            if !isSecond { result.append(byte) }
        }
        return result
    }
}
