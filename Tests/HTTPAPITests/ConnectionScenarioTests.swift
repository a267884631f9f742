import ScenarioTesting
import Testing

@testable import HTTPAPI

/// Every file in Scenarios is a transcript of one connection; `REWRITE=1 swift test --filter
/// ConnectionScenarioTests` writes what the commands print now, and the diff is to be reviewed.
@Suite struct ConnectionScenarioTests {
    private static let folder = ScenarioFolder()

    @Test func `There are scenarios`() {
        #expect(Self.folder.names.count >= 14)
    }

    @Test(arguments: ConnectionScenarioTests.folder.names)
    func `A scenario prints what is written`(name: String) throws {
        var runner = ConnectionScenario()
        for difference in try Self.folder.play(name, { runner.run($0) }) {
            Issue.record("\(difference)")
        }
    }
}

/// Plays commands to one connection's machine. Answers are words. Work that is said to begin has begun by
/// the next command, unless that is `away`.
///
///     head [answer=WORD] [limit=N] [window=N] [announced=N] [expects=yes] [http=1.0] [close=yes] [method=HEAD]
///     body N | taken N | end | refuse WORD | answer N WORD | slices N WORD
///     sliced more|starved|last|failed | ready
///     writable yes|no | drain | away | began | returned | closed | state
///     tick AFTER-SECONDS [received=N] [taken=N] [unsent=N] [midhead=yes]
struct ConnectionScenario {
    typealias Machine = HTTPConnectionMachine<String>

    private var machine: Machine
    private var now = Duration.zero
    private var isBeginning = false

    init() {
        var limits = HTTPLimits()
        limits.pipelinedRequests = 2
        limits.connectionBodyBytes = 1000
        machine = Machine(limits, now: .zero)
    }

    mutating func run(_ commands: [String]) -> [String] {
        var lines: [String] = []
        for text in commands {
            let command = ScenarioCommand(text)
            let hasBegun = isBeginning && command.name != "away"
            isBeginning = false
            if hasBegun {
                machine.workBegan()
                lines += effects()
            }
            lines += perform(command)
            lines += effects()
        }
        return lines.isEmpty ? ["nothing"] : lines
    }

    private mutating func effects() -> [String] {
        machine.takeEffects().map { effect in
            if case .work = effect { isBeginning = true }
            return describe(effect)
        }
    }

    private mutating func perform(_ command: ScenarioCommand) -> [String] {
        let word = command.words.first ?? ""
        switch command.name {
        case "head": return machine.headReceived(head(command), at: now) ? [] : ["not taken"]
        case "body": return machine.bodyReceived(Int(word) ?? 0) ? [] : ["dropped"]
        case "taken": machine.bodyTaken(Int(word) ?? 0, at: now)
        case "end": machine.endReceived(at: now)
        case "refuse": machine.refuse(.malformed(word))
        case "answer": machine.answered(id(word), command.words[1])
        case "slices": machine.answeredInSlices(id(word), command.words[1])
        case "sliced": machine.sliced(slice(word))
        case "ready": machine.sliceReady()
        case "writable": machine.writabilityChanged(word == "yes")
        case "drain": machine.isDraining = true
        case "away": machine.workWentAway()
        case "began": machine.workBegan()
        case "returned": machine.workReturned()
        case "closed": machine.closed()
        case "state":
            return [
                "reads=\(machine.wantsInput) answers=\(machine.isAnswering) "
                    + "closing=\(machine.isClosing)"
            ]
        case "tick":
            now += .seconds(Int(word) ?? 0)
            machine.tick(
                HTTPTraffic(
                    received: command["received"].flatMap { Int($0) } ?? 0,
                    taken: command["taken"].flatMap { Int($0) } ?? 0,
                    unsent: command["unsent"].flatMap { Int($0) } ?? 0,
                    isMidHead: command["midhead"] != nil), at: now)
        default: return ["unknown command \(command.name)"]
        }
        return []
    }

    private func slice(_ word: String) -> HTTPSlice {
        switch word {
        case "more": .more
        case "starved": .starved
        case "last": .last
        default: .failed
        }
    }

    private func id(_ word: String) -> Machine.ExchangeID {
        Machine.ExchangeID(number: Int(word) ?? -1)
    }

    private func head(_ command: ScenarioCommand) -> Machine.Head {
        Machine.Head(
            framing: ResponseFraming(
                isHTTP10: command["http"] == "1.0", keepAlive: command["close"] == nil,
                omitsBody: command["method"] == "HEAD"),
            plan: command["answer"].map { .answer($0) } ?? .work,
            bodyLimit: command["limit"].flatMap { Int($0) } ?? 500,
            bodyWindow: command["window"].flatMap { Int($0) },
            announcedBody: command["announced"].flatMap { Int($0) },
            expectsContinue: command["expects"] != nil)
    }

    private func describe(_ effect: Machine.Effect) -> String {
        switch effect {
        case .work(let id): "work \(id.number)"
        case .write(let answer, let framing): "write \(answer)\(describe(framing))"
        case .refuse(let refusal, let framing): "refuse \(refusal)\(describe(framing))"
        case .begin(let answer, let framing): "begin \(answer)\(describe(framing))"
        case .slice: "make a slice"
        case .writeContinue: "write 100 Continue"
        case .goOnLater: "go on later"
        case .cancel(let ids): "cancel \(ids.map { "\($0.number)" }.joined(separator: " "))"
        case .closeWhenWritten(let lingers): "close when written\(lingers ? ", lingering" : "")"
        case .close(let end): "close: \(end)"
        }
    }

    private func describe(_ framing: ResponseFraming) -> String {
        (framing.keepAlive ? "" : ", last") + (framing.isChunked ? ", chunked" : "")
            + (framing.omitsBody ? ", without body" : "")
    }
}
