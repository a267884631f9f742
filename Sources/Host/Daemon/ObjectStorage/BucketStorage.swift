/// A bucket: its archive is made of objects whose names go on behind that of the copy.
protocol BucketStorage: StoragePlace {
    associatedtype Metadatum

    /// Of the copy in the bucket.
    var path: String { get }

    /// How often a request is tried.
    var rules: UploadRules { get }

    /// Puts an object there, whole or not at all.
    func put(
        _ file: UploadFile, _ path: String, _ metadata: [Metadatum], _ stop: StopFlag
    ) throws(StorageFault)

    /// Brings an object.
    /// - Parameters:
    ///   - offset: bytes of it that are there already.
    ///   - timeout: for all of it; nil: as long as something moves.
    func get(
        _ path: String, from offset: Int64, timeout: Duration?, _ stop: StopFlag,
        _ receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault)
}

extension BucketStorage {
    var archive: String { ArchivePath.of(path) }

    func store(
        _ file: UploadFile, inArchive name: String, _ stop: StopFlag
    ) throws(StorageFault) {
        try put(file, archive + name, [], stop)
    }

    /// What breaks off goes on where it was, for an object of an archive never changes, and whoever takes it knows its
    /// hash. Failures are counted anew whenever some of it has come.
    func fetch(
        fromArchive name: String, _ stop: StopFlag,
        receive: @escaping ([UInt8]) throws(StorageFault) -> Void
    ) throws(StorageFault) {
        let download = Download(receive)
        var failures = 0
        while true {
            let before = download.byteCount
            do throws(StorageFault) {
                return try get(archive + name, from: before, timeout: nil, stop) {
                    bytes throws(StorageFault) in try download.take(bytes)
                }
            } catch {
                failures = download.byteCount > before ? 1 : failures + 1
                let mayPass = error.isTransient && !download.isRefused && !stop.isRaised
                guard mayPass, failures < rules.tries else {
                    throw StorageFault(
                        "\(name): \(error)", isTransient: error.isTransient,
                        isUnseen: error.isUnseen)
                }
            }
            stop.pause(rules.pause * (1 << (failures - 1)))
        }
    }

    /// Goes through a listing page by page. Where it is refused, or there is no key to ask with, the fault is `isUnseen`.
    /// - Parameters:
    ///   - question: asks for the page behind a token; nil: for the first.
    ///   - refusal: what an answer is that brings no page.
    ///   - read: the names on a page, and the token of the next.
    func pages(
        _ stop: StopFlag, question: (String?) throws(StorageFault) -> StorageExchange,
        refusal: (StorageExchange.Answer) -> StorageFault,
        read: ([UInt8]) throws(StorageFault) -> (names: [String], next: String?)
    ) throws(StorageFault) -> [String] {
        var listing = BucketListing(of: name)
        var token: String?
        repeat {
            let page = ListedPage(of: name)
            let exchange: StorageExchange
            do throws(StorageFault) {
                exchange = try question(token)
            } catch {
                throw error.unseen
            }
            let answer = try exchange.run(name, stop) {
                bytes throws(StorageFault) in try page.add(bytes)
            }
            guard answer.status == 200 else { throw refusal(answer).unseen }
            let (found, next) = try read(page.bytes)
            try listing.add(found)
            token = next
        } while token != nil
        return listing.names
    }
}

/// What a listing brings, within `ArchivePath.mostListedBytes`. Only what is kept of a page counts: what storages
/// tell beside it is many times as much.
struct BucketListing {
    private let place: String
    private(set) var names: [String] = []
    private var size = 0

    /// - Parameter place: for texts.
    init(of place: String) { self.place = place }

    mutating func add(_ found: [String]) throws(StorageFault) {
        // A page counts, too: without any names they would have no end.
        size += found.reduce(1024) { $0 + $1.utf8.count }
        guard size <= ArchivePath.mostListedBytes else {
            throw StorageFault("\(place): the archive has too many objects to be listed")
        }
        names += found
    }
}

/// Takes a body that comes piece by piece, whose end a storage alone knows.
final class ListedPage {
    private let place: String
    private(set) var bytes: [UInt8] = []

    /// Some ten times what a thousand long names take, which are the most that storages put on a page.
    private static let mostBytes = 32 << 20

    /// - Parameter place: for texts.
    init(of place: String) { self.place = place }

    func add(_ more: [UInt8]) throws(StorageFault) {
        guard bytes.count + more.count <= Self.mostBytes else {
            throw StorageFault(
                "\(place): a page of the listing has more than \(Self.mostBytes) bytes")
        }
        bytes += more
    }
}
