import Raft
import ScenarioTesting

/// Messages that no member sends.
extension ScenarioRunner {
    /// The message that a command `forge` describes: its kind is the third word, and every number
    /// that is not named is what an honest sender might say. `max` is the last number there is.
    static func forgery(_ command: ScenarioCommand, term: Term) -> Message {
        let kind = command.words.count > 2 ? command.words[2] : ""
        let previous = position(command["previous"]) ?? .zero
        let body: Message.Body =
            switch kind {
            case "vote", "preVote":
                .voteRequest(
                    .init(
                        isPreVote: kind == "preVote", isTransfer: kind == "vote",
                        lastLog: position(command["log"]) ?? .zero))
            case "append":
                .appendEntries(
                    .init(
                        previous: previous,
                        entries: position(command["entry"]).map {
                            [Entry(index: $0.index, term: $0.term, payload: .noop)]
                        } ?? [],
                        commitIndex: LogIndex(number(command["commit"]) ?? 0),
                        round: number(command["round"]) ?? 0))
            case "matched":
                .appendAnswer(
                    .init(
                        result: .matched(through: LogIndex(number(command["through"]) ?? 0)),
                        round: number(command["round"]) ?? 0))
            case "timeoutNow": .timeoutNow
            case "termIsBehind": .termIsBehind
            default: preconditionFailure("no message \(kind)")
            }
        return Message(
            cluster: testCluster, from: identity(command.node), to: nodeID(command.second),
            term: number(command["term"]).map { Term($0) } ?? term, body: body)
    }

    private static func number(_ text: String?) -> UInt64? {
        text.flatMap { $0 == "max" ? .max : UInt64($0) }
    }

    /// `term:index`.
    private static func position(_ text: String?) -> LogPosition? {
        let parts = (text ?? "").split(separator: ":").compactMap { number(String($0)) }
        guard parts.count == 2 else { return nil }
        return LogPosition(index: LogIndex(parts[1]), term: Term(parts[0]))
    }
}
