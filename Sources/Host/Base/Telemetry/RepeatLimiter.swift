/// Decides which of the lines that repeat are written: the first at once, those that follow within
/// the interval only as their number. A value without a clock; `RepeatLog` gives it the time.
///
/// How many subjects are remembered is bounded, for they may come from outside: of more than
/// `capacity` the one that was written longest ago is forgotten, and its next line counts as new.
package struct RepeatLimiter: Sendable {
    /// What becomes of one line.
    package enum Admission: Equatable, Sendable {
        /// It is written; `repeats` of the same kind were left out before it.
        case write(repeats: Int)
        case leaveOut
    }

    private struct Subject {
        /// Since the start of whoever asks.
        var writtenAt: Duration
        var leftOut = 0
    }

    private let interval: Duration
    private let capacity: Int
    private var subjects: [String: Subject] = [:]

    /// - Parameters:
    ///   - interval: a subject is written once in it.
    ///   - capacity: how many subjects are remembered.
    package init(interval: Duration = .seconds(10), capacity: Int = 256) {
        self.interval = interval
        self.capacity = max(1, capacity)
    }

    /// - Parameters:
    ///   - subject: lines of one subject are the same to the reader, and so are those that differ behind what a line
    ///     shows.
    ///   - now: since the start of the caller; never goes back.
    package mutating func admit(_ subject: String, at now: Duration) -> Admission {
        let subject = subject.asFarAsShown
        if let known = subjects[subject], now - known.writtenAt < interval {
            subjects[subject]?.leftOut += 1
            return .leaveOut
        }
        let repeats = subjects[subject]?.leftOut ?? 0
        makeRoom(for: subject)
        subjects[subject] = Subject(writtenAt: now)
        return .write(repeats: repeats)
    }

    /// The subjects whose interval is over and of which lines were left out: their number has to be
    /// said, for no other line may follow. In the order of their names; each counts as written now.
    package mutating func due(at now: Duration) -> [(subject: String, repeats: Int)] {
        var due: [(subject: String, repeats: Int)] = []
        for (name, subject) in subjects where now - subject.writtenAt >= interval {
            if subject.leftOut > 0 {
                due.append((name, subject.leftOut))
                subjects[name] = Subject(writtenAt: now)
            } else {
                subjects[name] = nil
            }
        }
        return due.sorted { $0.subject < $1.subject }
    }

    private mutating func makeRoom(for subject: String) {
        guard subjects[subject] == nil, subjects.count >= capacity else { return }
        let oldest = subjects.min {
            ($0.value.writtenAt, $0.key) < ($1.value.writtenAt, $1.key)
        }
        if let oldest { subjects[oldest.key] = nil }
    }
}
