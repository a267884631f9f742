/// The archive in a bucket: objects whose keys go on behind that of the copy.
extension S3Storage {
    private var folder: String { ArchivePath.of(settings.path) }

    /// By `ListObjectsV2`, a thousand keys at a time.
    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String] {
        var names: [String] = []
        var token: String?
        var size = 0
        repeat {
            var query: [(name: String, value: String)] = [
                ("list-type", "2"), ("delimiter", "/"), ("prefix", self.folder + folder),
            ]
            if let token { query.append(("continuation-token", token)) }
            let page = Page()
            let answer = try exchange("GET", "", query: query).run(name, stop) {
                bytes throws(StorageFault) in page.bytes += bytes
            }
            guard answer.status == 200 else { throw fault("GET", answer) }
            size += page.bytes.count
            guard size <= ArchivePath.mostListedBytes else {
                throw StorageFault("\(name): the archive has too many objects to be listed")
            }
            let text = String(decoding: page.bytes, as: UTF8.self)
            names += Self.names(of: text)
            token =
                AnswerText.elements("IsTruncated", of: text).first == "true"
                ? AnswerText.elements("NextContinuationToken", of: text).first.map(Self.plain) : nil
        } while token != nil
        return names
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
    private static func plain(_ text: Substring) -> String {
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
            .reduce(String(text)) { $0.replacing($1.0, with: $1.1) }
    }

    func store(
        _ file: UploadFile, inArchive name: String, _ stop: StopFlag
    ) throws(StorageFault) {
        try put(file, folder + name, [], stop)
    }

    func fetch(
        fromArchive name: String, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        do throws(StorageFault) {
            try get(folder + name, timeout: nil, stop, receive)
        } catch {
            throw StorageFault("\(name): \(error)", isTransient: error.isTransient)
        }
    }

    /// Takes a body that comes piece by piece.
    private final class Page {
        var bytes: [UInt8] = []
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
