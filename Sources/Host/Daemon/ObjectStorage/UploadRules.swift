/// How uploads in parts go. Only tests use others than these.
struct UploadRules: Sendable {
    /// What is larger goes in parts: less is lost with a connection that breaks.
    var threshold: Int64 = 256 << 20
    /// Of each part but the last, unless there would be too many.
    var partBytes: Int64 = 64 << 20
    /// Of one request, in all.
    var tries = 6
    /// Behind the first try; behind each other, twice the one before.
    var pause = Duration.seconds(1)
    /// For taking back what was begun: the node may be about to stop.
    var abortTime = Duration.seconds(5)

    /// S3's: parts of one upload, and bytes of one part
    /// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
    static let mostParts: Int64 = 10_000
    static let mostPartBytes: Int64 = 5 << 30

    /// Of one object (https://cloud.google.com/storage/quotas).
    static let mostBytesAtGoogle: Int64 = 5 << 40

    /// - Returns: which bytes each part has; nil: it is too much for S3.
    func parts(of size: Int64) -> [Range<Int64>]? {
        let needed = (size + Self.mostParts - 1) / Self.mostParts
        // Whole MiB, where it is the number of parts that counts.
        let length = needed <= partBytes ? partBytes : ((needed + (1 << 20) - 1) >> 20) << 20
        guard length <= Self.mostPartBytes else { return nil }
        return stride(from: 0, to: size, by: Int(length)).map { $0..<min($0 + length, size) }
    }

    /// Tries again what failed for a moment, with pauses between; gives up where the node stops.
    func repeated<Value>(
        _ stop: StopFlag, atMost tries: Int = .max, _ body: () throws(StorageFault) -> Value
    ) throws(StorageFault) -> Value {
        var pause = pause
        for _ in 1..<max(min(self.tries, tries), 1) {
            do throws(StorageFault) {
                return try body()
            } catch {
                guard error.isTransient, !stop.isRaised else { throw error }
            }
            stop.pause(pause)
            pause *= 2
        }
        return try body()
    }
}
