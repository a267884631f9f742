import NodeLogic
import Telemetry
import Time

/// Writes the lines of the node's machine. A warning that repeats, such as that a follower does not
/// answer, is written at once and then as its number (`RepeatLimiter`); all others always.
struct NoteLog {
    private let logger: Logger
    private var limiter = RepeatLimiter()
    private let start: MonotonicTime
    private var flushedAt: MonotonicTime

    init(_ logger: Logger, now: MonotonicTime) {
        self.logger = logger
        start = now
        flushedAt = now
    }

    mutating func write(_ note: NodeNote, at now: MonotonicTime) {
        guard note.level == .warning else { return logger.write(note) }
        let details = note.details.map { "\($0.name)=\($0.value)" }
        let subject = ([note.text] + details).joined(separator: " ")
        switch limiter.admit(subject, at: now - start) {
        case .leaveOut: break
        case .write(let repeats):
            logger.write(note, repeats: repeats)
        }
    }

    /// Says once in a second how often lines were left out that no other followed.
    /// - Returns: whether a second has passed.
    @discardableResult
    mutating func flush(at now: MonotonicTime) -> Bool {
        guard now - flushedAt >= .seconds(1) else { return false }
        flushedAt = now
        for (subject, repeats) in limiter.due(at: now - start) {
            logger.warning(
                "said again, and left out here", ["message": subject, "repeats": repeats])
        }
        return true
    }
}
