internal import Gzip
internal import ObjectStorage

/// Takes an object's bytes and hands on what is behind the header, unpacked. Belongs to one thread.
final class ArchiveReader {
    private var gzip: GzipReader
    private var skipped = 0
    private let sink: ([UInt8]) throws(StorageFault) -> Void
    /// Kept until the hash of all bytes is known, which says more.
    private var fault: StorageFault?

    init(limit: Int = .max, _ sink: @escaping ([UInt8]) throws(StorageFault) -> Void) {
        gzip = GzipReader(limit: limit)
        self.sink = sink
    }

    func add(_ bytes: [UInt8]) {
        guard fault == nil else { return }
        let head = min(bytes.count, ArchiveHeader.size - skipped)
        skipped += head
        do throws(GzipError) {
            try gzip.add(Array(bytes[head...])) { part throws(GzipError) in
                guard fault == nil else { return }
                do throws(StorageFault) { try sink(part) } catch { fault = error }
            }
        } catch {
            fault = StorageFault("it can't be unpacked: \(error)")
        }
    }

    func end(_ name: String) throws(StorageFault) {
        if let fault { throw StorageFault("\(name): \(fault)") }
        do throws(GzipError) {
            try gzip.end()
        } catch {
            throw StorageFault("\(name) can't be unpacked: \(error)")
        }
    }
}
