import NodeLogic
import Raft
import Replication
import ScenarioTesting
import WriteAheadLog

/// The language of the transcripts `log_…`: what a log's thread is given, and what it does with a
/// disk that is well, full or broken.
///
///     post write 1 | post record 2 | post fetch | post compact 9 | post reset 12
///     disk ok | full | sync-fails | no-descriptors
///     run            until the thread waits or ends
///     quiet          its time passes and nothing was posted
///     stop
struct LogKeeperScenario: KeeperScenario {
    private var keeper = LogKeeper()
    private var disk = "ok"
    var output: [String] = []
    var isAwake = true

    mutating func take(_ command: ScenarioCommand) {
        switch command.name {
        case "post": post(command.words)
        case "disk": disk = command.words.last ?? "ok"
        case "quiet":
            keeper.woke(isQuiet: true)
            advance()
        case "stop": keeper.stop()
        default:
            if !isAwake { keeper.woke(isQuiet: false) }
            advance()
        }
    }

    private mutating func post(_ words: [String]) {
        let number = words.count > 1 ? UInt64(words[1]) ?? 0 : 0
        switch words.first {
        case "write":
            keeper.post(
                .write(
                    LogWrite(
                        ticket: PersistTicket(number), hardState: nil, entries: [],
                        commitIndex: .zero)))
        case "record": keeper.post(.record([.caughtUp], RecordID(number)))
        case "fetch": keeper.post(.fetch(Self.fetch))
        case "compact": keeper.post(.compact(through: LogIndex(number)))
        default: keeper.post(.reset(Self.mark(number), Generation(2)))
        }
    }

    private static let fetch = Effects.LogFetch(
        id: 1, peer: NodeID("2"), from: LogIndex(1), byteLimit: 100)

    private static func mark(_ index: UInt64) -> SnapshotMark {
        SnapshotMark(
            position: LogPosition(index: LogIndex(index), term: Term(1)),
            membership: Membership(), membershipIndex: .zero)
    }

    mutating func turn() -> KeeperTurn<LogStep> {
        switch keeper.next() {
        case .wait(let limit): .wait(limit)
        case .report(let reports): .say(reports.map { "report \(Self.text($0))" })
        case .fail(let error): .over("fail: \(error)")
        case .end: .over("end")
        case let step: .work(step)
        }
    }

    mutating func carryOut(_ step: LogStep) {
        let isFull = disk == "full" || disk == "no-descriptors"
        let name: String
        switch step {
        case .append(_, let report):
            name = "append \(Self.text(report))"
            if isFull { keeper.failed(lack) } else { keeper.appended(report) }
        case .sync:
            name = "sync"
            if disk == "sync-fails" {
                keeper.failed(.syncFailed(error(.sync)))
            } else {
                keeper.synced()
            }
        case .fetch(let fetch):
            name = "fetch"
            switch disk {
            case "read-fails": keeper.failed(.failed(error(.read)))
            case "no-descriptors": keeper.failed(lack)
            default: keeper.fetched([], for: fetch)
            }
        case .compact(let index):
            name = "compact through \(index)"
            keeper.compacted(Self.mark(isFull ? 3 : index.rawValue).position, isFull ? lack : nil)
        case .reset(let mark, let generation):
            name = "reset to \(mark.position.index)"
            if isFull { keeper.failed(lack) } else { keeper.reset(mark, generation) }
        default:
            name = "mark clean"
            keeper.marked()
        }
        output.append(name)
    }

    private var lack: LogError {
        disk == "full"
            ? .diskFull(error(.preallocate, isNoSpace: true))
            : .outOfDescriptors(error(.create))
    }

    private func error(
        _ operation: DiskError.Operation, isNoSpace: Bool = false
    ) -> DiskError {
        DiskError(operation, "/log/1", code: 0, isNoSpace: isNoSpace, reason: "simulated")
    }

    private static func text(_ report: LogReport) -> String {
        switch report {
        case .written(let ticket): "written \(ticket.rawValue)"
        case .fetched: "fetched"
        case .compacted(let base): "begins after \(base.index)"
        case .recorded(let id): "recorded \(id.rawValue)"
        case .reset(let mark, _): "reset to \(mark.position.index)"
        case .full(let isFull): isFull ? "full" : "room again"
        }
    }
}
