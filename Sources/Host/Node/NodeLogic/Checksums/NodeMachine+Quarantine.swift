import PeerProtocol
import Raft
import Replication
import Service
import Time
import WriteAheadLog

/// A node whose database is not to be trusted: it serves nothing, hands leadership over, sends no
/// snapshot, and has another node's database put in the place of its own. Its log is as good as
/// before: it appends, acknowledges and votes (docs/decisions/0082-quarantine.md).
extension NodeMachine {
    /// Why this node serves nothing, for the operator; nil while its database is trusted.
    var quarantineText: String? {
        guard let cause = quarantine.cause else { return nil }
        let remedy =
            if replicated?.raft.membership.members.count ?? 0 < 2 {
                "No other node is there to seed it: restore a backup into a new data directory"
            } else if seedsNow {
                "The leader is asked to seed it"
            } else {
                "Let the leader seed it: " + options.command(posting: "/cluster/reseed")
            }
        return "\(cause.text). \(remedy)"
    }

    /// It applies nothing, or to a database that is not to be trusted.
    @inline(__always) var servesNothing: Bool { halt != nil || quarantine.cause != nil }

    private var seedsNow: Bool {
        isSeedingWanted
            || options.checksums.seedsItself
                && quarantine.maySeedItself(wallMilliseconds: wallMilliseconds)
    }

    /// - Parameters:
    ///   - text: what was found.
    ///   - index: the entry at which it was found.
    mutating func distrustDatabase(_ text: String, at index: LogIndex) {
        guard quarantine.cause == nil else { return }
        quarantine.cause = Quarantine.Cause(text: text, index: index, since: wallMilliseconds)
        emit(.log(.record([.quarantine(quarantine.encoded())], RecordID(newID()))))
        replicated?.distrustDatabase()
        snapshots.stoppedLeading(now: now)
        reviewQuarantine()
    }

    /// The database's thread met damage: nothing after the index is applied.
    mutating func databaseDamaged(_ text: String, after index: LogIndex) {
        replicated?.applyHalted(after: index)
        distrustDatabase(text, at: index.next)
    }

    /// An operator wants this node to be seeded, whatever is known of it. It gives up its own database when another node
    /// has agreed to give it one: there is no way back.
    mutating func reseed(_ pending: PendingRequest) {
        guard let raft = replicated?.raft, exclusion == .none else {
            return router.answer(pending, .failed(.notReady(waitingFor)))
        }
        func refuse(_ text: String) { router.answer(pending, .failed(.unsuitable(text))) }
        guard raft.membership.members.count > 1 else {
            return refuse("this node is alone: no other can seed it")
        }
        let others = raft.membership.voters.filter { $0.id != options.identity.id }
        guard raft.role != .leader || !others.isEmpty else {
            return refuse("this node is the only voter: no other can lead, and seed it")
        }
        // It serves nothing as it is.
        guard quarantine.cause == nil else {
            // At once, but not with each time that it is wanted.
            if !isSeedingWanted { askedForSeedAt = nil }
            return letSeed(pending)
        }
        guard raft.role != .leader else {
            return refuse(
                "this node leads, and who leads seeds the others: hand leadership over first "
                    + "(POST /leader)")
        }
        guard !isLogFull else { return refuse("this node's log has no room: it takes no snapshot") }
        guard let leader = raft.leader, let address = address(of: leader) else {
            return refuse("no leader is known, which could seed this node")
        }
        // Each question takes a connection, and has the leader begin anew.
        let isAsked = calls.values.contains { if case .reseed = $0 { true } else { false } }
        guard !isAsked else { return router.answer(pending, .failed(.busy)) }
        call(
            .reseed(pending), .seed, at: address,
            of: raft.membership[leader].map(NodeIdentity.init(member:)),
            timeout: min(Enquiries.time(until: pending.deadline, now: now), Self.seedPause))
    }

    /// What the leader says of it.
    mutating func reseedAnswered(_ pending: PendingRequest, _ result: PeerResult) {
        if let cause = Self.refusal(to: result) {
            let text = "the leader does not seed this node now: \(cause)"
            return router.answer(pending, .failed(.unsuitable(text)))
        }
        guard let raft = replicated?.raft, exclusion == .none, raft.role != .leader else {
            return router.answer(pending, .failed(.notReady(waitingFor)))
        }
        askedForSeedAt = now
        letSeed(pending)
    }

    private mutating func letSeed(_ pending: PendingRequest) {
        isSeedingWanted = true
        distrustDatabase(
            "an operator asked for another one", at: replicated?.raft.commitIndex ?? .zero)
        say(.warning, "an operator lets this node be seeded", [:])
        router.answer(pending, .done)
    }

    /// With each tick.
    mutating func reviewQuarantine() {
        troubles.set(.quarantined, quarantineText)
        tellTroubles()
        guard quarantine.cause != nil, exclusion == .none, let replicated else { return }
        // No offer is taken while the log has no room.
        guard replicated.raft.role != .leader, seedsNow, !isLogFull, !replicated.isSeeding,
            !replicated.isInstalling, !snapshots.isReceiving,
            askedForSeedAt.map({ now - $0 >= Self.seedPause }) ?? true,
            let leader = replicated.raft.leader, let address = address(of: leader)
        else { return }
        askedForSeedAt = now
        call(.seed, .seed, at: address, timeout: .seconds(5))
    }

    private static var seedPause: Duration { .seconds(5) }

    // MARK: Seeding

    /// A member asks this node for its database.
    mutating func seedAsked(_ id: PeerQuestionID, _ caller: PeerCaller) {
        let raft = replicated?.raft
        guard let raft, raft.role == .leader else {
            return emit(.answerPeer(id, .failed("this node does not lead")))
        }
        guard quarantine.cause == nil else {
            return emit(.answerPeer(id, .failed("this node's own database is not to be trusted")))
        }
        guard isMember(caller) else { return refuseStranger(id, caller) }
        snapshots.wanted(by: caller.identity.id, now: now)
        // The scrub shows whether all is well then.
        checksums.beginAnew()
        emit(.answerPeer(id, .seeding))
    }

    func isMember(_ caller: PeerCaller) -> Bool {
        replicated?.raft.membership[caller.identity.id]?.incarnation
            == caller.identity.incarnation
    }

    private mutating func refuseStranger(_ id: PeerQuestionID, _ caller: PeerCaller) {
        emit(.answerPeer(id, .failed("node \(caller.identity.id) is no member")))
    }

    /// A member asks what this node found.
    mutating func checksumsAsked(_ id: PeerQuestionID, _ caller: PeerCaller) {
        guard isMember(caller) else { return refuseStranger(id, caller) }
        emit(.answerPeer(id, .checksums(checksums.readings)))
    }

    mutating func seedAnswered(_ result: PeerResult) {
        guard let cause = Self.refusal(to: result) else { return }
        say(.warning, "no snapshot to be seeded with", ["cause": cause])
    }

    /// Why the node that was asked seeds nobody; nil: it does.
    private static func refusal(to result: PeerResult) -> String? {
        switch result {
        case .success(.seeding): nil
        case .success(.failed(let text)): text
        case .success: "it gave no answer to the question"
        case .failure(let failure): "\(failure)"
        }
    }

    /// A received snapshot lies ready as the file of a generation, for the database alone: one durable
    /// record in the log switches to it, and ends the quarantine.
    mutating func recordSeed(_ generation: Generation, _ mark: SnapshotMark) {
        var trusted = Quarantine()
        trusted.lastSeeding = isSeedingWanted ? quarantine.lastSeeding : wallMilliseconds
        let id = RecordID(newID())
        seeds[id] = (generation, mark)
        emit(
            .log(
                .record(
                    [.generation(generation.rawValue), .quarantine(trusted.encoded())], id)))
        trustedNext = trusted
    }

    /// - Returns: whether the record was one of a seed.
    mutating func recordedSeed(_ id: RecordID) -> Bool {
        guard let (generation, mark) = seeds.removeValue(forKey: id) else { return false }
        emit(.database(.switchTo(generation, mark)))
        return true
    }

    /// Another node's database took the place of this node's own.
    mutating func databaseReplaced(at index: LogIndex) {
        checksums.replaced(at: index)
        guard quarantine.cause != nil else { return }
        let trusted = trustedNext
        trustedNext = nil
        if let trusted {
            quarantine = trusted
        } else {
            // With the log, because it was too far behind.
            quarantine.cause = nil
            quarantine.lastSeeding = wallMilliseconds
            emit(.log(.record([.quarantine(quarantine.encoded())], RecordID(newID()))))
        }
        isSeedingWanted = false
        askedForSeedAt = nil
        say(
            .warning, "this node's database was replaced: it can be trusted",
            ["raft.index": "\(index)"])
        reviewQuarantine()
    }
}
