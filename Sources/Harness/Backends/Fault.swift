/// One way for a server to misbehave. In text, as `silent`, `slow:10` or `status:503`.
package enum Fault: Equatable, Sendable, CustomStringConvertible {
    /// Does what it should.
    case none
    /// Takes requests and never answers.
    case silent
    /// Gives the right answer after so many seconds.
    case slow(Int)
    /// Sends the right answer byte by byte, so slowly that no deadline lives to see its end.
    case dribble
    /// Breaks the connection by a reset as soon as the request is there; nothing is executed.
    case reset
    /// Answers with a status of HTTP (or a response code of DNS) and a short text; nothing is
    /// executed.
    case status(Int)
    /// A page of HTML with status 200, as a proxy or a captive portal sends it.
    case html
    /// Bytes that are no message of the protocol at all.
    case garbage
    /// The first half of the right answer, then the end of the connection.
    case truncated
    /// An answer without end: 1 MiB after the other, until the other side has had enough.
    case giant
    /// Executes requests that change something and breaks the connection instead of answering them;
    /// answers all others. Whoever asked can't know the outcome.
    case dropAfterExecution

    package init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1)
        switch (parts.first, parts.count) {
        case ("none", 1): self = .none
        case ("silent", 1): self = .silent
        case ("dribble", 1): self = .dribble
        case ("reset", 1): self = .reset
        case ("html", 1): self = .html
        case ("garbage", 1): self = .garbage
        case ("truncated", 1): self = .truncated
        case ("giant", 1): self = .giant
        case ("drop-after-execution", 1): self = .dropAfterExecution
        case ("slow", 2):
            guard let seconds = Int(parts[1]), (0...3600).contains(seconds) else { return nil }
            self = .slow(seconds)
        case ("status", 2):
            guard let code = Int(parts[1]) else { return nil }
            self = .status(code)
        default: return nil
        }
    }

    package var description: String {
        switch self {
        case .none: "none"
        case .silent: "silent"
        case .slow(let seconds): "slow:\(seconds)"
        case .dribble: "dribble"
        case .reset: "reset"
        case .status(let code): "status:\(code)"
        case .html: "html"
        case .garbage: "garbage"
        case .truncated: "truncated"
        case .giant: "giant"
        case .dropAfterExecution: "drop-after-execution"
        }
    }
}

/// A fault, and for how long.
package struct FaultPlan: Sendable {
    package var fault: Fault
    /// Requests it applies to before all is well again; nil: all.
    package var remaining: Int?

    package init(_ fault: Fault, times: Int? = nil) {
        self.fault = fault
        remaining = times
    }

    /// The fault for the next request.
    mutating func next() -> Fault {
        guard let remaining else { return fault }
        guard remaining > 0 else { return .none }
        self.remaining = remaining - 1
        return fault
    }
}
