import NIOHTTP1
import Raft
import Wire

/// What the header fields `Range`, `If-Range` and `If-Match` ask of a copy of the database (RFC 9110
/// §13 and §14): some bytes of one that the client has begun to take.
///
/// A range without the tag of a copy is not served, as RFC 9110 §14.2 leaves it to a server: each
/// request makes a copy anew, and bytes of two of them make no database.
enum CopyFields {
    /// Tags that are looked at in `If-Match`.
    private static let tagLimit = 8

    /// - Returns: what is asked of the node for a body of which ranges are served.
    static func selection(_ headers: HTTPHeaders) -> CopySelection {
        var selection = CopySelection()
        let fields = headers["range"]
        let range = fields.count == 1 ? fields.first.flatMap { Self.range($0) } : nil
        let matching = tags(headers)
        let conditional = headers["if-range"]
        if let matching {
            selection.tags = matching
            selection.isRequired = true
            selection.range = range
            guard !conditional.isEmpty else { return selection }
        }
        guard conditional.count == 1, let tag = conditional.first.flatMap({ Self.tag($0) }),
            matching?.contains(tag) ?? true
        else {
            // No range, or one of something else.
            selection.range = nil
            return selection
        }
        guard let range else { return selection }
        selection.tags = [tag]
        selection.range = range
        return selection
    }

    /// - Returns: whether the client takes nothing but what has one of its tags.
    static func needsMatch(_ headers: HTTPHeaders) -> Bool { tags(headers) != nil }

    /// The tags of `If-Match`; nil: any copy will do. Weak ones match nothing.
    private static func tags(_ headers: HTTPHeaders) -> [String]? {
        let items = headers[canonicalForm: "if-match"]
        guard !items.isEmpty, !items.contains("*") else { return nil }
        return items.prefix(tagLimit).compactMap { Self.tag(String($0)) }
    }

    /// What stands between the quotes of a strong tag.
    static func tag(_ field: String) -> String? {
        let text = Array(field.utf8)[...].drop { isBlank($0) }
        let quote = UInt8(ascii: "\"")
        guard let end = text.lastIndex(where: { !isBlank($0) }), text.first == quote,
            text[end] == quote, text.startIndex < end
        else { return nil }
        let inner = text[text.index(after: text.startIndex)..<end]
        guard !inner.isEmpty, inner.count <= 200, !inner.contains(quote) else { return nil }
        return String(decoding: inner, as: UTF8.self)
    }

    /// One range of bytes; nil for several, for other units and for what is none: then the field is
    /// as if it were not there (RFC 9110 §14.2).
    static func range(_ text: String) -> CopyRange? {
        let unit = text.prefix { $0 != "=" }
        guard unit.lowercased() == "bytes", unit.endIndex < text.endIndex else { return nil }
        var set = Array(text[text.index(after: unit.endIndex)...].utf8)[...]
        while let first = set.first, isBlank(first) { set.removeFirst() }
        while let last = set.last, isBlank(last) { set.removeLast() }
        guard let dash = set.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let (before, after) = (set[..<dash], set[set.index(after: dash)...])
        if before.isEmpty { return number(after).map { .suffix($0) } }
        guard let first = number(before) else { return nil }
        if after.isEmpty { return .bytes(from: first, through: nil) }
        guard let last = number(after), first <= last else { return nil }
        return .bytes(from: first, through: last)
    }

    /// Digits alone; beyond all lengths there is no difference between numbers.
    private static func number(_ digits: some Sequence<UInt8>) -> UInt64? {
        var number: UInt64?
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
            let value = UInt64(digit - UInt8(ascii: "0"))
            let (tenfold, isTooLarge) = (number ?? 0).multipliedReportingOverflow(by: 10)
            let (sum, overflows) = tenfold.addingReportingOverflow(value)
            number = isTooLarge || overflows ? .max : sum
        }
        return number
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
}

extension AnswerDesk {
    /// A copy that has a tag, or why there is none.
    func copy(
        _ head: CopyHead, beginning part: ResultPart, servedBy server: PeerAddress?,
        _ pending: PendingReply
    ) -> Response {
        var response: Response
        switch head.extent {
        case .gone: return .goneCopy
        case .outside(let length):
            response = .plain(
                .rangeNotSatisfiable, "the copy has \(length) bytes, and none of those asked for")
            response.contentRange = "bytes */\(length)"
            return response
        case .whole:
            response = content(.bytes, at: head.logIndex, part, servedBy: server, pending)
        case .part(let range, let length):
            response = content(.bytes, at: head.logIndex, part, servedBy: server, pending)
            guard response.status == .ok else { return response }
            // Who has the last byte has them all.
            if range.upperBound < length { response.source?.timeOfEnd = nil }
            response.status = .partialContent
            response.contentRange =
                "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
        }
        guard response.source != nil else { return response }
        response.acceptedRanges = "bytes"
        response.copyTag = head.tag
        return response
    }
}

extension Response {
    /// For who wants this one and no other.
    static var goneCopy: Response {
        .plain(
            .preconditionFailed,
            "that copy is not kept here any more: take a new one, without If-Match")
    }
}
