/// How a certificate names the node that it is for: by a Subject Alternative Name of the form
///
///     URI: rqlited:node:ID
///
/// with the ID's bytes beyond letters, digits and `-._~:` as `%XX` (RFC 3986 §2.1). A certificate may
/// name several. It is a name under the authority and no key, so that certificates can be exchanged.
package enum NodeName {
    /// Of schemes the case doesn't count, and operators don't know where the scheme ends.
    private static let prefix = "rqlited:node:"

    /// The ID that a URI names; nil if it names no node. What can't be decoded names one that there is
    /// not, for such a certificate is not meant for everybody.
    static func id(inURI uri: String) -> String? {
        guard uri.lowercased().hasPrefix(prefix) else { return nil }
        let text = Array(uri.utf8.dropFirst(prefix.utf8.count))
        var bytes: [UInt8] = []
        var place = 0
        while place < text.count {
            guard text[place] == UInt8(ascii: "%") else {
                bytes.append(text[place])
                place += 1
                continue
            }
            guard place + 2 < text.count,
                let digits = String(validating: text[(place + 1)...(place + 2)], as: UTF8.self),
                digits.allSatisfy(\.isHexDigit), let byte = UInt8(digits, radix: 16)
            else { return "" }
            bytes.append(byte)
            place += 3
        }
        return String(validating: bytes, as: UTF8.self) ?? ""
    }

    /// The URI that names a node, for whoever makes its certificate.
    package static func uri(of id: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return id.utf8.reduce(into: prefix) { text, byte in
            let character = Character(UnicodeScalar(byte))
            if character.isASCII,
                character.isLetter || character.isNumber || "-._~:".contains(character)
            {
                text.append(character)
            } else {
                text += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }
}
