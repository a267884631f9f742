import Foundation
import Histories

/// What a client made of the answer to one request.
struct NemesisAnswer {
    var outcome: Attempt.Outcome
    /// The rows of the first statement, where it was a query that succeeded.
    var rows: [JSON] = []
    /// What the node said, where it did not do what it was asked.
    var words = ""

    /// Texts by which a node says that it can't know, or may yet do it.
    private static let doubts = [
        "leadership lost while committing log", "timed out waiting for", "forwarding to ",
    ]
    /// Texts by which it says that nothing was done.
    private static let refusals = [
        "not leader", "leader not found", "store not ready", "too many requests",
        "database or disk is full", "leadership transfer in progress", "stale read",
        "timeout waiting for fsm",
    ]

    /// - Parameter answer: nil where none came.
    init(_ answer: HTTPAnswer?, statements: Int) {
        guard let answer else {
            outcome = .unknown
            words = "no answer"
            return
        }
        let document = try? answer.json()
        let results = document?["results"].array ?? []
        if answer.status == 200, document?["error"].string == nil, results.count == statements,
            results.allSatisfy({ $0["error"].string == nil })
        {
            outcome = .done
            rows = results.first?["values"].array ?? []
            return
        }
        let error = document?["error"].string ?? answer.text
        words = String("HTTP \(answer.status): \(error)".prefix(160))
        let isRefused =
            results.isEmpty && !Self.doubts.contains(where: error.contains)
            && Self.refusals.contains(where: error.contains)
        outcome = isRefused ? .refused : .unknown
    }

    /// Nobody took the connection.
    static var notSent: NemesisAnswer {
        var answer = NemesisAnswer(nil, statements: 0)
        answer.outcome = .refused
        answer.words = "no connection"
        return answer
    }
}
