import PeerProtocol
import Raft
import Replication
import Time
import Wire

/// Checksums through the log: what the machine does for `ChecksumDesk`.
extension NodeMachine {
    private mutating func makeChecksumSituation() -> ChecksumDesk.Situation? {
        guard let log = replicated?.summary(), let membership = replicated?.raft.membership
        else { return nil }
        let own = options.identity.id
        let mayPropose =
            servesAsLeader(log) && quarantine.cause == nil && !shutdown.hasBegun
        // Whoever can't read a marker could apply nothing after it.
        let isUnderstood =
            mayPropose
            && membership.members.allSatisfy { member in
                member.id == own
                    || acquaintances[member.id].map {
                        $0.identity.incarnation == member.incarnation
                            && $0.versions.protocolVersion.includes(.checksums)
                    } ?? false
            }
        return ChecksumDesk.Situation(
            own: own, membership: membership, mayPropose: mayPropose,
            commitIndex: log.raft.commitIndex, isUnderstood: isUnderstood)
    }

    /// With each tick.
    mutating func reviewChecksums() {
        guard let situation = makeChecksumSituation() else { return }
        if let marker = checksums.due(situation, now: now) {
            propose([(.own, LogCommand.checksum(marker).encoded())])
        }
        for member in checksums.toAsk(situation, now: now) {
            call(
                .checksums(member.id), .checksums, at: address(of: member.id) ?? member.address,
                of: NodeIdentity(member: member), timeout: .seconds(2))
        }
        if checksums.isVerdictDue { judgeChecksums(situation) }
        reviewEngines()
        reviewQuarantine()
    }

    /// The database's thread took a reading.
    mutating func take(_ taken: TakenChecksum) {
        if let damage = taken.damage {
            say(
                .error, "SQLite finds the database damaged",
                ["raft.index": "\(taken.reading.index)", "cause": damage])
        }
        checksums.taken(taken.reading, taken.marker, next: taken.next, now: now)
    }

    mutating func checksumsAnswered(_ id: NodeID, _ result: PeerResult) {
        guard case .success(.checksums(let readings)) = result else { return }
        checksums.answered(id, readings)
    }

    private mutating func judgeChecksums(_ situation: ChecksumDesk.Situation) {
        let alike = { [acquaintances, options] (id: NodeID) in
            id == options.identity.id
                || acquaintances[id].map { $0.versions.engine == options.engine } ?? false
        }
        guard let verdict = checksums.verdict(situation, tracesAlike: alike) else { return }
        if let matter = verdict.ownDeviation {
            distrustDatabase(
                "at log entry \(verdict.index) a majority of the voters agrees in "
                    + "\(matter.rawValue), and this node differs", at: verdict.index)
        }
        troubles.set(
            .scrubFailed,
            verdict.isDamaged && quarantine.cause == nil
                ? "at log entry \(verdict.index), and no node's database is known to be whole. Make a "
                    + "backup, and restore it into a new data directory" : nil)
        troubles.set(
            .memberDiffers,
            checksums.deviants.map { ($0.id.rawValue, "since log entry \($0.index)") },
            isKnown: { _ in true })
        troubles.set(
            .nodesDiffer,
            checksums.undecided.map {
                "\($0). Find out which node is wrong, and let it be seeded by another. "
                    + reseedCommands
            })
        tellTroubles()
    }

    /// For each member that may be the one that is wrong.
    private var reseedCommands: String {
        let members = replicated?.raft.membership.members ?? []
        return members.map { member in
            let isOwn = member.id == options.identity.id
            guard let url = isOwn ? options.apiURL : acquaintances[member.id]?.apiURL else {
                return "Node \(member.id): POST /cluster/reseed at its HTTP address"
            }
            let command = options.command(posting: "/cluster/reseed", at: url)
            return "Node \(member.id): \(command)"
        }.joined(separator: " ")
    }

    /// Nodes whose SQLite is another one may come to other rows.
    private mutating func reviewEngines() {
        let members = replicated?.raft.membership.members ?? []
        var list: [(subject: String, reason: String)] = []
        for member in members where member.id != options.identity.id {
            guard let engine = acquaintances[member.id]?.versions.engine, engine != options.engine
            else { continue }
            list.append(
                (
                    member.id.rawValue,
                    options.engineDifferences(options.engine, engine).joined(separator: "; ")
                ))
        }
        troubles.set(.otherEngine, list) { id in acquaintances[NodeID(id)] != nil }
        tellTroubles()
    }
}
