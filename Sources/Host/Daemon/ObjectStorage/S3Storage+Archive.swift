extension S3Storage: BucketStorage {
    var path: String { settings.path }

    /// By `ListObjectsV2`, a thousand keys at a time.
    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String] {
        try pages(stop) { token throws(StorageFault) in
            var query: [(name: String, value: String)] = [
                ("list-type", "2"), ("delimiter", "/"), ("prefix", archive + folder),
            ]
            if let token { query.append(("continuation-token", token)) }
            return try exchange("GET", "", query: query)
        } refusal: {
            fault("GET", $0)
        } read: { bytes throws(StorageFault) in
            try Self.page(String(decoding: bytes, as: UTF8.self), of: name)
        }
    }

    /// A page of a listing. What is there and is not seen counts as missing, so a page is whole, and is the
    /// last one only if it says so: storages that don't know `ListObjectsV2` answer as the first version
    /// has it, without a token.
    static func page(
        _ document: String, of place: String
    ) throws(StorageFault) -> (names: [String], next: String?) {
        guard document.contains("</ListBucketResult>") else {
            throw StorageFault(
                "\(place): the listing is none of S3's, or not whole", isTransient: true)
        }
        switch AnswerText.elements("IsTruncated", of: document).first {
        case nil, "false": return (names(of: document), nil)
        default:
            let next = AnswerText.elements("NextContinuationToken", of: document).first
            guard let next, !next.isEmpty else {
                throw StorageFault(
                    "\(place): the listing goes on and has no token: the storage does not know "
                        + "ListObjectsV2, without which there is no archive")
            }
            return (names(of: document), plain(next))
        }
    }

    /// What the listing's document names: the last part of each key is of letters that XML leaves as
    /// they are.
    static func names(of document: String) -> [String] {
        let keys = AnswerText.elements("Key", of: document)
        let folders = AnswerText.elements("CommonPrefixes", of: document).flatMap {
            AnswerText.elements("Prefix", of: String($0))
        }
        return (keys + folders).map { ArchivePath.child(String($0)) }
    }

    /// XML's own characters, where tokens hold some.
    static func plain(_ text: Substring) -> String {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .reduce(String(text)) { $0.replacing($1.0, with: $1.1) }
    }
}

extension AnswerText {
    /// What stands in all XML elements of a name that have no attributes.
    static func elements(_ name: String, of text: String) -> [Substring] {
        var found: [Substring] = []
        var rest = text[...]
        while let begin = rest.firstRange(of: "<\(name)>") {
            rest = rest[begin.upperBound...]
            guard let end = rest.firstRange(of: "</\(name)>") else { break }
            found.append(rest[..<end.lowerBound])
            rest = rest[end.upperBound...]
        }
        return found
    }
}
