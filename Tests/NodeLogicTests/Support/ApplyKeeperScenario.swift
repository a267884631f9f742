import PeerProtocol
import NodeLogic
import Raft
import Replication
import ScenarioTesting
import Service
import Time
import Wire

/// The language of the transcripts `apply_…`: what a database's thread is given, and what it does.
///
///     post apply 4 answers=(7,8) due=500 | post establish | post open 1 | post close 1
///     post prepare 3 | post switch 2 | post discard 3 | post giveup
///     post skip 3 | post retry
///     poison 3            the entry must not be applied until one of them
///     limit 20000         steps, from the next batch on
///     wal 9000            bytes of SQLite's log
///     file 4096           bytes of the database, where it is held
///     disk ok | full | broken        readers on | off        hold them back
///     run [at=MS]         until the thread waits or ends
///     stop
struct ApplyKeeperScenario: KeeperScenario {
    private var keeper = ApplyKeeper(
        ApplyKeeper.Limits(
            checkpointBytes: 8000, checkpointEntries: 10, checkpointInterval: .seconds(10),
            holdBytes: 16_000),
        generation: .first, applied: .zero, now: .zero)
    private var now = MonotonicTime.zero
    private var walBytes: Int64 = 0
    private var fileBytes: UInt64 = 4096
    private var disk = "ok"
    private var readersHold = false
    private var poison: LogIndex?
    private var steps: UInt64 = 0
    private var applied: UInt64 = 0
    var isAwake = true
    var output: [String] = []

    mutating func take(_ command: ScenarioCommand) {
        switch command.name {
        case "post": post(command)
        case "wal": walBytes = Int64(command.node)
        case "file": fileBytes = UInt64(command.node)
        case "disk": disk = command.words.last ?? "ok"
        case "poison": poison = LogIndex(UInt64(command.node))
        case "limit": steps = UInt64(command.node)
        case "readers": readersHold = command.words.last == "on"
        case "stop": keeper.stop()
        default:
            if let time = command["at"].flatMap({ Int64($0) }) {
                now = .zero + .milliseconds(time)
            }
            if !isAwake { keeper.woke(at: now) }
            advance()
        }
    }

    private mutating func post(_ command: ScenarioCommand) {
        let number = UInt64(command.second)
        switch command.words.first {
        case "apply":
            let first = applied + 1
            applied += number
            let deadline = MonotonicTime.zero + .milliseconds(Int64(command["due"] ?? "") ?? 1000)
            let answers = (command.list("answers") ?? []).enumerated().map {
                AppliedAnswer(
                    index: LogIndex(first + UInt64($0.offset)),
                    key: RequestKey(UInt64($0.element)), deadline: deadline)
            }
            keeper.post(
                .apply(
                    (first...applied).map {
                        Entry(index: LogIndex($0), term: Term(1), payload: .noop)
                    }, answers))
        case "establish":
            keeper.post(.establish(ClusterID(RandomID(high: 0, low: 1)), Membership()))
        case "skip": keeper.post(.decide([EntrySkip(index: number, hash: 1)]))
        case "retry": keeper.post(.tryAgain)
        case "giveup": keeper.post(.giveUpBatch)
        case "checkpoint": keeper.post(.checkpoint)
        case "open": keeper.post(.openSnapshot(SnapshotSendID(number)))
        case "close": keeper.post(.closeSnapshot(SnapshotSendID(number)))
        case "prepare": keeper.post(.prepare(SnapshotReceiptID(number), Self.mark))
        case "switch": keeper.post(.switchTo(Generation(number), Self.mark))
        default: keeper.post(.discard(SnapshotReceiptID(number)))
        }
    }

    private static let mark = SnapshotMark(
        position: LogPosition(index: LogIndex(90), term: Term(1)), membership: Membership(),
        membershipIndex: .zero)

    mutating func turn() -> KeeperTurn<ApplyStep> {
        switch keeper.next() {
        case .wait(let limit): .wait(limit)
        case .report(let reports): .say(reports.map { "report \(Self.text($0))" })
        case .answer(let answers): .say(answers.map { "answer \($0.key.rawValue): \($0.outcome)" })
        case .fail(let cause): .over("fail: \(cause)")
        case .end: .over("end")
        case let step: .work(step)
        }
    }

    mutating func carryOut(_ step: ApplyStep) {
        guard disk != "broken" else {
            output.append("fails")
            return keeper.failed(.failed("the disk is broken"))
        }
        switch step {
        case .apply(let entries, let answers): apply(entries, answers)
        case .establish:
            output.append("establish")
            keeper.established()
        case .checkpoint:
            let patience = keeper.patience
            output.append(
                patience > .zero ? "checkpoint, waits \(patience) for reads" : "checkpoint")
            guard disk != "full" else { return keeper.notCheckpointed(.noRoom) }
            keeper.checkpointed(
                through: LogIndex(readersHold ? 0 : applied), isHeldBack: readersHold)
        case .openSnapshot(let id):
            let patience = keeper.openingPatience
            output.append(
                "open snapshot \(id.rawValue)"
                    + (patience > .zero ? ", wait \(patience) for reads" : ""))
            keeper.opened(
                id,
                disk == "full"
                    ? .failure(.noRoom)
                    : .success(readersHold ? nil : (mark: Self.mark, byteCount: fileBytes)))
        case .closeSnapshot(let id, let isHeld):
            output.append("close snapshot \(id.rawValue)\(isHeld ? ", held" : "")")
            keeper.closed(id)
        case .prepare(let id, let mark, let generation):
            output.append("prepare \(id.rawValue) as db-\(generation)")
            keeper.prepared(
                mark, disk == "full" ? .failure(.init("no room")) : .success(generation))
        case .switchTo(let generation, let mark):
            output.append("switch to db-\(generation)")
            keeper.switched(to: generation, mark)
        case .decide(let skips):
            output += skips.map { "skip \($0.index)" }
            poison = nil
        case .tryAgain:
            output.append("try again")
            poison = nil
        case .discard(let id): output.append("discard \(id.rawValue)")
        case .removeReplaced(let generation): output.append("remove db-\(generation)")
        default: output.append("\(step)")
        }
    }

    private mutating func apply(_ entries: [Entry], _ answers: [AppliedAnswer]) {
        let first = entries.first?.index ?? .zero
        let last = entries.last?.index ?? .zero
        let waiting = answers.map { "\($0.key.rawValue)" }.joined(separator: ",")
        output.append("apply \(first)…\(last) for (\(waiting))")
        guard disk != "full" else { return keeper.stopped(.noRoom, after: .zero, answers) }
        if steps > 0 { keeper.limited(to: WriteLimits.initial.applying(.init(steps: steps))) }
        if let poison, poison >= first, poison <= last {
            let suspect = SuspectEntry(
                index: poison, hash: 1, place: .start, ends: 2, statement: "S")
            return keeper.stopped(
                .halted(.suspected(suspect)), after: poison.previous,
                answers.filter { $0.index >= poison })
        }
        if disk == "damaged" {
            return keeper.stopped(.damaged("malformed"), after: .zero, answers)
        }
        keeper.applied(through: last, walBytes: walBytes, at: now)
    }

    private static func text(_ report: DatabaseReport) -> String {
        switch report {
        case .applied(let index): "applied through \(index)"
        case .gaveUp(let index): "gave up after \(index)"
        case .clockAhead(let clock): "clock at \(clock)"
        case .checksum(let taken): "checksum at \(taken.reading.index)"
        case .damaged(let text, let index): "damaged after \(index): \(text)"
        case .checkpointed(let index): "checkpointed through \(index)"
        case .checkpointEnded(let index?): "asked checkpoint ended through \(index)"
        case .checkpointEnded(nil): "asked checkpoint found no room"
        case .full(let isFull): isFull ? "full" : "room again"
        case .readersHoldCheckpoint: "readers hold the checkpoint"
        case .snapshotOpened(let id, .success(let opened)):
            "snapshot \(id.rawValue) of db-\(opened.generation) opened"
        case .snapshotOpened(let id, .failure(let failure)):
            "snapshot \(id.rawValue) not opened: \(failure)"
        case .holdOutgrown(let id): "hold of snapshot \(id.rawValue) outgrown"
        case .prepared(_, .success(let generation)): "prepared db-\(generation)"
        case .prepared(_, .failure(let failure)): "not prepared: \(failure)"
        case .switched(_, let generation): "switched to db-\(generation)"
        case .established: "established"
        case .halted(let cause, let index): "\(cause.state) after \(index)"
        case .limits(let limits): "at most \(limits.steps) steps"
        }
    }
}
