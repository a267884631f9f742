/// The end of an object, behind what is there already (RFC 9110 §14).
enum DownloadRange {
    static func headers(from offset: Int64) -> [(name: String, value: String)] {
        offset > 0 ? [(name: "range", value: "bytes=\(offset)-")] : []
    }

    /// Of an answer that brings it: a server that knows no ranges sends all with another.
    static func status(from offset: Int64) -> Int { offset > 0 ? 206 : 200 }

    /// Whether all has come; also where there is nothing behind what was there.
    static func isGood(_ answer: StorageExchange.Answer, from offset: Int64) -> Bool {
        answer.status == status(from: offset) || offset > 0 && answer.status == 416
    }
}

/// What has come of an object, over one request or several. Belongs to one thread.
final class Download {
    private(set) var byteCount: Int64 = 0
    /// Whoever takes the bytes did not: no other request helps.
    private(set) var isRefused = false
    private let receive: ([UInt8]) throws(StorageFault) -> Void

    init(_ receive: @escaping ([UInt8]) throws(StorageFault) -> Void) { self.receive = receive }

    func take(_ bytes: [UInt8]) throws(StorageFault) {
        do throws(StorageFault) {
            try receive(bytes)
        } catch {
            isRefused = true
            throw error
        }
        byteCount += Int64(bytes.count)
    }
}
