/// The Common Name in a certificate's subject, of which swift-nio-ssl does not tell. Reads as much DER
/// (X.690) of a certificate (RFC 5280 §4.1) as lies on the way there.
///
///     SEQUENCE { SEQUENCE { [0] version, if any | serial number | algorithm | issuer | validity
///     | subject: SEQUENCE of SET of SEQUENCE { OBJECT IDENTIFIER | a string } | … } … }
enum SubjectName {
    private struct Field {
        let tag: UInt8
        let content: ArraySlice<UInt8>
    }

    private enum Tag {
        static let objectIdentifier: UInt8 = 0x06
        static let utf8: UInt8 = 0x0C
        static let printable: UInt8 = 0x13
        static let ascii: UInt8 = 0x16
        static let unicode: UInt8 = 0x1E
        static let sequence: UInt8 = 0x30
        static let set: UInt8 = 0x31
        static let version: UInt8 = 0xA0
    }

    /// 2.5.4.3
    private static let commonName: [UInt8] = [0x55, 0x04, 0x03]

    /// - Returns: the last of several, as rqlite sees it; nil without any, or if it is no text.
    static func commonName(ofCertificate bytes: [UInt8]) -> String? {
        var rest = bytes[...]
        guard var certificate = next(&rest, Tag.sequence)?.content,
            var body = next(&certificate, Tag.sequence)?.content
        else { return nil }
        if body.first == Tag.version { _ = next(&body) }
        for _ in ["serial number", "algorithm", "issuer", "validity"] {
            guard next(&body) != nil else { return nil }
        }
        guard var subject = next(&body, Tag.sequence)?.content else { return nil }
        var name: String?
        while var part = next(&subject, Tag.set)?.content {
            while var attribute = next(&part, Tag.sequence)?.content {
                guard let kind = next(&attribute, Tag.objectIdentifier),
                    kind.content.elementsEqual(commonName)
                else { continue }
                name = next(&attribute).flatMap(text)
            }
        }
        return name
    }

    private static func text(_ field: Field) -> String? {
        switch field.tag {
        case Tag.utf8, Tag.printable, Tag.ascii:
            return String(validating: field.content, as: UTF8.self)
        case Tag.unicode where field.content.count.isMultiple(of: 2):
            let bytes = Array(field.content)
            let units = stride(from: 0, to: bytes.count, by: 2).map {
                UInt16(bytes[$0]) << 8 | UInt16(bytes[$0 + 1])
            }
            return String(validating: units, as: UTF16.self)
        default: return nil
        }
    }

    private static func next(_ rest: inout ArraySlice<UInt8>, _ tag: UInt8) -> Field? {
        next(&rest).flatMap { $0.tag == tag ? $0 : nil }
    }

    /// Tag, length, content; nil where there is no whole field of a known form.
    private static func next(_ rest: inout ArraySlice<UInt8>) -> Field? {
        guard let tag = rest.popFirst(), tag & 0x1F != 0x1F, let first = rest.popFirst()
        else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...3).contains(count), rest.count >= count else { return nil }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard rest.count >= length else { return nil }
        defer { rest = rest.dropFirst(length) }
        return Field(tag: tag, content: rest.prefix(length))
    }
}
