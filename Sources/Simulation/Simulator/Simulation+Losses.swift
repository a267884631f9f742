import Chance
import NodeLogic
import Raft
import Replication
import Service

/// Losses that a cluster survives only while all else is well: they wait for such a moment.
extension Simulation {
    enum Loss {
        /// A whole disk, or some byte of it.
        case disk
        /// The log or the database.
        case parts
        /// What can't be read any more.
        case sector
        /// What was written since the copy of a whole directory.
        case time
        /// The disks of a quorum.
        case quorum
    }

    /// Lets the loss happen as soon as it may; not at all, if that takes too long.
    func attempt(_ loss: Loss, _ slot: Int, tries: Int = 25) {
        guard !isCalm, tries > 0, lostSlot == nil, quorumLoss == nil else { return }
        guard loss == .quorum ? mayLoseQuorum : nodes[slot].isUp && mayLose else {
            return schedule(.loss(loss, slot: slot, tries: tries - 1), in: random.within(50...300))
        }
        switch loss {
        case .disk: replaceOrCorrupt(slot)
        case .parts: loseParts(slot)
        case .sector: mayStayUnseen ? loseSector(slot) : replaceOrCorrupt(slot)
        case .time: ageDirectory(slot)
        case .quorum: loseQuorum()
        }
    }

    /// A disk is lost, or damaged by a bit that flips while its node is down. That is survivable
    /// for one voter at a time and where a majority remains without it.
    private func replaceOrCorrupt(_ slot: Int) {
        lose(slot)
        switch mayStayUnseen ? random.below(4) : 0 {
        case 0, 1:
            stop(slot, losingPower: random.chance(1, of: 2))
            replace(slot)
        case 2:
            faults.runningCorruptions += 1
            corrupt(slot)
        default:
            stop(slot, losingPower: false)
            corrupt(slot)
        }
    }

    /// Who has damage that nobody has seen yet has a voice when a silent voter is removed; once it is seen, no
    /// quorum may be left.
    private var mayStayUnseen: Bool { founding.reapTimeouts == ReapTimeouts() }

    /// Loses the disk of a follower whose acknowledgement committed what another, cut off, lacks,
    /// and then lets those two meet without the leader. Begins with the cut.
    func ambush(_ slot: Int) {
        guard lostSlot == nil,
            let leader = nodes.first(where: { $0.machine?.replicated?.raft.role == .leader }),
            leader.slot != slot
        else { return }
        network.heal()
        network.split({ $0 == slot }, isAsymmetric: false)
        faults.partitions += 1
        let others = nodes.indices.filter { $0 != slot && $0 != leader.slot }
        guard let lost = random.pick(others) else { return }
        schedule(.ambush(leader: leader.slot, lost: lost), in: random.within(100...1000))
    }

    func spring(leader: Int, lost: Int) {
        guard !isCalm, lostSlot == nil, nodes[lost].isUp, mayLose else { return }
        lose(lost)
        stop(lost, losingPower: true)
        replace(lost)
        network.heal()
        recoveryBegins = now + random.within(0...5000)
        if random.chance(1, of: 2) { stop(leader, losingPower: true) } else { pause(leader) }
    }

    func lose(_ slot: Int) {
        lostSlot = slot
        damage = .lost
        lostIncarnation = nodes[slot].identity.incarnation
        recoveryBegins = now + random.within(0...3000)
    }

    /// All memberships that may still hold have three voters or more: those in the logs, that of
    /// the node itself included, for others may be about to hear of it, and those on their way.
    /// With two voters and one disk lost no quorum is left, and no product could go on. Nor is a
    /// removal under way, by anybody.
    var mayLose: Bool {
        quorumLoss == nil && nobodyIsReaped
            && nodes.allSatisfy { node in
                node.isUp && !node.open.values.contains(.operator)
                    && node.machine?.status.pendingMembershipChanges == 0
                    && (node.machine?.replicated?.raft.membership).map(Self.canSpareOne) ?? false
                    && node.inbox.allSatisfy(Self.canSpareOne)
            }
            && queue.allSatisfy { event in
                switch event {
                case .arrive(let message, _, _, _): Self.canSpareOne(message)
                case .submit(_, _, .operator): false
                case .forward(_, _, let requests, _):
                    requests.allSatisfy {
                        if case .remove = $0.request.operation { false } else { true }
                    }
                default: true
                }
            }
    }

    /// A leader that removes silent members hears from all: else the one that is lost and the one that
    /// is removed may be two.
    private var nobodyIsReaped: Bool {
        founding.reapTimeouts == ReapTimeouts()
            || nodes.allSatisfy { node in
                node.machine?.replicated?.raft.progress.allSatisfy { $0.ticksSinceAnswer < 10 }
                    ?? true
            }
    }

    static func canSpareOne(_ membership: Membership) -> Bool {
        membership.voters.count >= 3
    }

    private static func canSpareOne(_ event: NodeEvent) -> Bool {
        guard case .messages(let messages) = event else { return true }
        return messages.allSatisfy(canSpareOne)
    }

    private static func canSpareOne(_ message: Message) -> Bool {
        guard case .appendEntries(let append) = message.body else { return true }
        return append.entries.allSatisfy { entry in
            if case .membership(let membership) = entry.payload {
                canSpareOne(membership)
            } else {
                true
            }
        }
    }

    private func corrupt(_ slot: Int) {
        let disk = nodes[slot].disk
        let files = disk.files(in: SimulatedNode.directory)
        guard let file = random.pick(files), let bytes = disk.bytes(of: file) else { return }
        // Not behind the data: nobody reads there.
        let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
        disk.corrupt(file, at: random.below(end), mask: UInt8(1 << random.below(8)))
        faults.corruptions += 1
    }

    func replace(_ slot: Int) {
        faults.replacements += 1
        damage = .lost
        endTruce()
        if settings.mutation == .ignoresIncarnations {
            lostIncarnation = nil
            nodes[slot].wipe(keeping: invariants.cluster)
        } else {
            nodes[slot].wipe()
        }
        Founding.instructToJoin(nodes[slot], founding.listed(nodes.map(\.address)))
        boots[slot] = RandomID(high: random.next(), low: random.next())
        schedule(.restart(slot: slot), in: random.within(20...600))
    }
}
