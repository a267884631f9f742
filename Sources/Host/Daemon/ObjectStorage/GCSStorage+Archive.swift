internal import JSON
internal import Notation

extension GCSStorage: BucketStorage {
    var path: String { settings.name }

    func list(
        archive folder: String, _ stop: StopFlag
    ) throws(StorageFault) -> [String] {
        let prefix = PercentEncoding.encode(archive + folder)
        // Of each object Google would tell two KB, of which the name is needed.
        let fields = "kind,items(name),nextPageToken,prefixes"
        return try pages(stop) { token throws(StorageFault) in
            let next = token.map { "&pageToken=\(PercentEncoding.encode($0))" } ?? ""
            return try exchange(
                "GET", "\(bucket)?delimiter=%2F&fields=\(fields)&prefix=\(prefix)\(next)",
                stop: stop)
        } refusal: {
            fault("the listing", $0)
        } read: { bytes throws(StorageFault) in
            let document: JSONValue
            do throws(JSONError) {
                document = try JSONValue(parsing: bytes)
            } catch {
                throw StorageFault("\(name): the listing is no JSON: \(error)", isTransient: true)
            }
            guard document.members != nil else {
                throw StorageFault("\(name): the listing is no JSON object", isTransient: true)
            }
            let objects = (document["items"]?.array ?? []).compactMap { $0["name"]?.string }
            let folders = (document["prefixes"]?.array ?? []).compactMap(\.string)
            return (
                (objects + folders).map(ArchivePath.child), document["nextPageToken"]?.string
            )
        }
    }
}
