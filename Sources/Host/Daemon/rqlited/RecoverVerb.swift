import JSON
import NodeLogic
import Raft
import Replica
import Settings
import Telemetry

/// The verb `recover`: prints what the data of a stopped node say, or makes that node the only voter
/// of a cluster with the same data. Results go to standard output, failures to standard error.
struct RecoverVerb {
    private let command: RecoverCommand

    init(_ command: RecoverCommand) {
        self.command = command
    }

    /// - Returns: the exit code.
    func run() -> Int32 {
        do {
            if command.isForced { try force() } else { try look() }
            return 0
        } catch {
            StandardErrorSink().write(Array("\(error)\n".utf8))
            return 1
        }
    }

    private func look() throws {
        let facts = try ClusterRecovery.inspect(command.dataDirectory)
        if command.printsJSON {
            return say(
                .object([
                    .init("node_id", .string(facts.identity.id.rawValue)),
                    .init("incarnation", .string("\(facts.identity.incarnation)")),
                    .init("cluster_id", facts.cluster.map { .string("\($0)") } ?? .null),
                    .init("term", .integer(facts.term.rawValue)),
                    .init("last_term", .integer(facts.lastPosition.term.rawValue)),
                    .init("last_index", .integer(facts.lastPosition.index.rawValue)),
                    .init("commit_index", .integer(facts.commitIndex.rawValue)),
                    .init("members", .array(facts.membership.members.map(Self.document))),
                    .init("torn", facts.torn.map { .string($0) } ?? .null),
                    .init("quarantine", facts.distrust.map { .string($0) } ?? .null),
                ]))
        }
        var lines = [
            "node         \(facts.identity.id)",
            "incarnation  \(facts.identity.incarnation)",
            "cluster      \(facts.cluster.map { "\($0)" } ?? "none yet")",
            "term         \(facts.term)",
            "last entry   \(facts.lastPosition.recoveryText)",
            "commit       \(facts.commitIndex)",
        ]
        lines += facts.membership.members.map {
            "member       \($0.id) at \($0.address), \($0.suffrage)"
        }
        if let torn = facts.torn { lines.append("log          the next start will \(torn)") }
        if let cause = facts.distrust { lines.append("database     not to be trusted: \(cause)") }
        say(lines)
    }

    private func force() throws {
        let survivors = command.survivors.map {
            LogPosition(index: LogIndex($0.index), term: Term($0.term))
        }
        let outcome = try ClusterRecovery.force(
            in: command.dataDirectory, survivors: survivors)
        if command.printsJSON {
            return say(
                .object([
                    .init("node_id", .string(outcome.identity.id.rawValue)),
                    .init("cluster_id", .string("\(outcome.cluster)")),
                    .init("last_term", .integer(outcome.lastPosition.term.rawValue)),
                    .init("last_index", .integer(outcome.lastPosition.index.rawValue)),
                    .init("members", .array(outcome.membership.members.map(Self.document))),
                ]))
        }
        say([
            "node \(outcome.identity.id) is the only voter of cluster \(outcome.cluster) now, with "
                + "its log up to \(outcome.lastPosition.recoveryText)",
            "start it, and when it serves start the others with empty data directories and -join",
        ])
    }

    private static func document(_ member: Member) -> JSONValue {
        .object([
            .init("id", .string(member.id.rawValue)),
            .init("incarnation", .string("\(member.incarnation)")),
            .init("address", .string(member.address.rawValue)),
            .init("suffrage", .string(member.suffrage.description)),
        ])
    }

    private func say(_ document: JSONValue) { say([document.text(pretty: true)]) }

    private func say(_ lines: [String]) {
        // What nobody reads any more is no failure of the work done.
        _ = StandardOutput.write(lines.joined(separator: "\n") + "\n")
    }
}
