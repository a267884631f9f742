import NodeLogic
import ScenarioTesting

/// What the languages of the transcripts `log_…` and `apply_…` share: a keeper is given work, and asked
/// what to do until it waits or ends.
protocol KeeperScenario {
    /// What the keeper has its thread do.
    associatedtype Step

    var output: [String] { get set }
    /// It was not told to wait.
    var isAwake: Bool { get set }

    /// A command of the transcript.
    mutating func take(_ command: ScenarioCommand)
    /// What the keeper says next.
    mutating func turn() -> KeeperTurn<Step>
    /// Does what the keeper said, and tells it what came of that.
    mutating func carryOut(_ step: Step)
}

/// One answer of a keeper to the question what to do.
enum KeeperTurn<Step> {
    case wait(Duration?)
    /// It reports, in these lines.
    case say([String])
    /// It asks nothing more.
    case over(String)
    case work(Step)
}

extension KeeperScenario {
    mutating func run(_ commands: [String]) -> [String] {
        output = []
        for line in commands { take(ScenarioCommand(line)) }
        return output.isEmpty ? ["ok"] : output
    }

    /// Until the keeper waits or ends.
    mutating func advance() {
        // A keeper that repeats itself without a wait would spin.
        for _ in 0..<50 {
            switch turn() {
            case .wait(let limit):
                output.append(limit.map { "wait \($0)" } ?? "wait")
                isAwake = false
                return
            case .say(let lines): output += lines
            case .over(let text):
                output.append(text)
                return
            case .work(let step): carryOut(step)
            }
        }
        output.append("spins")
    }
}
