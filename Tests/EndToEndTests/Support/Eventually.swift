import Foundation

/// What did not come to be in time, with the last state seen.
struct NotInTime: Error, CustomStringConvertible {
    var what: String
    var limit: Duration
    var last: String

    var description: String { "not within \(limit): \(what); last seen: \(last)" }
}

/// Asks again until the answer is there. A real process tells nobody when its state changes, so
/// this is the one place of the end-to-end tests that pauses between questions.
@discardableResult
func eventually<Value>(
    _ what: String, within limit: Duration = .seconds(15),
    every pause: Duration = .milliseconds(20),
    _ question: () async throws -> Value?
) async throws -> Value {
    let start = ContinuousClock.now
    var last = "nothing"
    while true {
        do {
            if let value = try await question() { return value }
            last = "not yet"
        } catch {
            last = "\(error)"
        }
        guard ContinuousClock.now - start < stretched(limit) else {
            throw NotInTime(what: what, limit: limit, last: last)
        }
        try await Task.sleep(for: pause)
    }
}
