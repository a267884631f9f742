internal import JSON
internal import Notation

/// The archive in a bucket: objects whose names go on behind that of the copy.
extension GCSStorage {
    private var folder: String { ArchivePath.of(settings.name) }

    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String] {
        var names: [String] = []
        var token: String?
        var size = 0
        repeat {
            var target =
                "\(bucket)?delimiter=%2F&prefix=\(PercentEncoding.encode(self.folder + folder))"
            if let token { target += "&pageToken=\(PercentEncoding.encode(token))" }
            let page = Page()
            let answer = try exchange("GET", target, stop: stop).run(name, stop) {
                bytes throws(StorageFault) in page.bytes += bytes
            }
            guard answer.status == 200 else { throw fault("the listing", answer) }
            size += page.bytes.count
            guard size <= ArchivePath.mostListedBytes else {
                throw StorageFault("\(name): the archive has too many objects to be listed")
            }
            let document: JSONValue
            do throws(JSONError) {
                document = try JSONValue(parsing: page.bytes)
            } catch {
                throw StorageFault("\(name): the listing is no JSON: \(error)", isTransient: true)
            }
            names += (document["items"]?.array ?? []).compactMap { $0["name"]?.string }
                .map(ArchivePath.child)
            names += (document["prefixes"]?.array ?? []).compactMap(\.string)
                .map(ArchivePath.child)
            token = document["nextPageToken"]?.string
        } while token != nil
        return names
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
