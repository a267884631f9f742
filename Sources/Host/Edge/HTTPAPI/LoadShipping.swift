import NIOCore
import Service
import Wire

/// How a database that is too large for one request comes to the leader: part by part, each asked for
/// when the one before is in the log and kept, and then the end, with which they take effect. Nothing
/// that a client sees changes before.
///
/// A part may be asked for again, whatever became of it: the log keeps it once. The end is asked for
/// once, for nobody could tell what became of the first. It has no clock of its own, and asks nobody.
struct LoadShipping {
    enum Step: Equatable {
        /// Ask for the part of that number.
        case part(UInt32)
        /// Ask for it again, after a pause.
        case again(UInt32)
        case end
        /// The answer is the client's; what was kept is to be forgotten.
        case over
    }

    let parts: UInt32
    /// How long the same part is asked for again and again.
    private let patience: TimeAmount
    /// Parts that are kept.
    private(set) var kept: UInt32 = 0
    private(set) var isEnding = false
    /// When the last one was kept.
    private var progress: NIODeadline

    init(parts: UInt32, patience: TimeAmount, now: NIODeadline) {
        self.parts = parts
        self.patience = patience
        progress = now
    }

    /// The answer to what was asked for last, unless that was the end.
    mutating func answered(_ outcome: Outcome, now: NIODeadline) -> Step {
        switch outcome {
        case .results(let result) where result.error == nil:
            kept += 1
            progress = now
            guard kept == parts else { return .part(kept) }
            isEnding = true
            return .end
        case .failed(let error) where Self.passes(error) && now < progress + patience:
            return .again(kept)
        default: return .over
        }
    }

    /// It may go better a moment later.
    private static func passes(_ error: ServiceError) -> Bool {
        switch error {
        case .noLeader, .notReady, .leadershipLost, .timedOut, .busy, .forwardingFailed, .diskFull:
            true
        default: false
        }
    }

    /// How long the end may take, beside what the client allows: about a second for each four MiB,
    /// which a slow disk manages.
    static func endTime(of byteCount: UInt64) -> Duration {
        .seconds(Int64(clamping: byteCount >> 22))
    }
}

extension LoadParcel {
    func end(_ action: LoadEnd.Action, isBoot: Bool) -> ClientRequest.Operation {
        .loadEnd(
            LoadEnd(
                id: id, action: action, onlyEmpty: onlyEmpty, parts: parts, byteCount: byteCount),
            isBoot: isBoot)
    }
}
