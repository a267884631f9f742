import Raft
import Replication
import WriteAheadLog

/// What goes wrong, when, and how it ends.
extension Simulation {
    /// How bad the network and the disks of this history are at best.
    func chooseWeather() {
        network.lossRate = [0, 0, 10, 50, 200][random.below(5)]
        network.duplicationRate = [0, 10, 100][random.below(3)]
        network.longDelayRate = [0, 0, 10, 100][random.below(4)]
        network.delay = [1...5, 1...20, 1...60][random.below(3)]
        for node in nodes {
            node.syncDelay = [1...3, 1...10, 5...40][random.below(3)]
            node.applyDelay = [0...1, 0...5, 5...60][random.below(3)]
        }
    }

    func causeFault() {
        guard !isCalm else { return }
        schedule(.fault, in: random.within(50...1200))
        let slot = random.below(nodes.count)
        switch random.below(17) {
        case 0...2: partition(slot)
        case 3: beginFlapping(slot)
        case 4: stop(slot, losingPower: false)
        case 5: stopOrderly(slot)
        case 6, 7: stop(slot, losingPower: true)
        case 8: cutPowerEverywhere()
        case 9, 10: crashInsideWrite(slot)
        case 11: plan(.ioError, slot)
        case 12: fillOrSlow(slot)
        case 13: pause(slot)
        case 14: jumpClock(slot)
        case 15: replaceOrCorrupt(slot)
        default: ambush(slot)
        }
    }

    // MARK: Network

    private func partition(_ slot: Int) {
        network.heal()
        let isAsymmetric = random.chance(1, of: 3)
        let other = random.below(nodes.count)
        let isMinority = random.chance(1, of: 2)
        network.split({ $0 == slot || isMinority && $0 == other }, isAsymmetric: isAsymmetric)
        if isAsymmetric { faults.asymmetricPartitions += 1 } else { faults.partitions += 1 }
        schedule(.heal(.partition), in: random.within(100...4000))
    }

    private func beginFlapping(_ slot: Int) {
        faults.flaps += 1
        flap(slot, random.below(nodes.count), 6)
    }

    func flap(_ sender: Int, _ receiver: Int, _ remaining: Int) {
        guard !isCalm else { return }
        network.setCut(remaining % 2 == 0 && remaining > 0, from: sender, to: receiver)
        guard remaining > 0 else { return }
        schedule(
            .flap(from: sender, to: receiver, remaining: remaining - 1),
            in: random.within(50...600))
    }

    func heal(_ ailment: Ailment) {
        switch ailment {
        case .partition: if !isCalm { network.heal() }
        case .slowDisk(let slot): nodes[slot].syncDelay = 1...10
        case .hungDisk(let slot): nodes[slot].isDiskHung = false
        case .fullDisk(let slot): nodes[slot].disk.capacity = nil
        }
    }

    // MARK: Processes

    func stop(_ slot: Int, losingPower: Bool) {
        guard nodes[slot].isUp else { return }
        if losingPower {
            faults.powerCuts += 1
            boots[slot] = RandomID(high: random.next(), low: random.next())
        } else {
            faults.processCrashes += 1
        }
        nodes[slot].stop(losingPower: losingPower)
        nodes[slot].output = []
        pausedUntil[slot] = now
        schedule(.restart(slot: slot), in: random.within(20...3000))
    }

    private func stopOrderly(_ slot: Int) {
        if nodes[slot].isUp, nodes[slot].finishLog() { faults.orderlyStops += 1 }
        stop(slot, losingPower: random.chance(1, of: 4))
    }

    private func cutPowerEverywhere() {
        for slot in nodes.indices { stop(slot, losingPower: true) }
    }

    private func crashInsideWrite(_ slot: Int) {
        guard nodes[slot].isUp else { return }
        plan(.death, slot)
    }

    private func plan(_ fault: SimulatedDisk.Fault, _ slot: Int) {
        let disk = nodes[slot].disk
        disk.plan(fault, atStep: disk.stepCount + random.below(12))
    }

    /// The process ended by itself: an error of its disk, or death in the middle of a step.
    func died(_ node: SimulatedNode, _ reason: String) {
        guard node.isUp else { return }
        if reason.contains("dead") {
            faults.crashesInsideWrites += 1
        } else if reason.contains("sync") {
            faults.failedSyncs += 1
        } else if reason.contains("can't be read back"), lostSlot == node.slot {
            faults.damageRefusals += 1
        } else if !reason.contains("ioError") {
            invariants.broke("\(node.id) died: \(reason)")
        }
        stop(node.slot, losingPower: random.chance(1, of: 3))
    }

    func restart(_ slot: Int) {
        let node = nodes[slot]
        guard !node.isUp, !absent.contains(slot) else { return }
        do throws(SimulatedNode.StartFailure) {
            try node.start(
                at: now, boot: boots[slot], bootstrap: node.wasReplaced ? nil : founding(slot))
            settle(slot)
        } catch {
            node.output = []
            node.disk.kill()
            switch error {
            case .disk: schedule(.restart(slot: slot), in: random.within(20...500))
            case .broken(let text): invariants.broke("\(node.id) can't start: \(text)")
            case .damaged where lostSlot == slot:
                faults.damageRefusals += 1
                replace(slot)
            case .damaged: invariants.broke("\(node.id) refuses undamaged data")
            }
        }
    }

    private func founding(_ slot: Int) -> Membership? {
        bootstrap.contains(nodes[slot].id) ? bootstrap : nil
    }

    private func pause(_ slot: Int) {
        faults.pauses += 1
        pausedUntil[slot] = now + random.within(100...3000)
    }

    private func jumpClock(_ slot: Int) {
        faults.clockJumps += 1
        nodes[slot].nextTick += random.within(-1500...1500)
    }

    // MARK: Disks

    private func fillOrSlow(_ slot: Int) {
        let node = nodes[slot]
        switch random.below(4) {
        case 0, 1:
            node.disk.capacity = node.disk.usedBytes
            schedule(.heal(.fullDisk(slot)), in: random.within(500...4000))
        case 2:
            faults.hungDisks += 1
            node.isDiskHung = true
            schedule(.heal(.hungDisk(slot)), in: random.within(300...6000))
        default:
            faults.slowDisks += 1
            node.syncDelay = 100...900
            schedule(.heal(.slowDisk(slot)), in: random.within(500...4000))
        }
    }

    /// A disk is lost, or damaged by a bit that flips while its node is down. That is survivable
    /// for one voter at a time and where a majority remains without it.
    private func replaceOrCorrupt(_ slot: Int) {
        guard lostSlot == nil, nodes[slot].isUp, mayLose else { return }
        lose(slot)
        if random.chance(1, of: 2) {
            stop(slot, losingPower: random.chance(1, of: 2))
            replace(slot)
        } else {
            stop(slot, losingPower: false)
            corrupt(slot)
        }
    }

    /// Loses the disk of a follower whose acknowledgement committed what another, cut off, lacks,
    /// and then lets those two meet without the leader. Begins with the cut.
    private func ambush(_ slot: Int) {
        guard lostSlot == nil,
            let leader = nodes.first(where: { $0.replicated?.raft.role == .leader }),
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

    private func lose(_ slot: Int) {
        lostSlot = slot
        lostIncarnation = nodes[slot].identity.incarnation
        recoveryBegins = now + random.within(0...3000)
    }

    /// All memberships that may still hold have three voters or more: those in the logs, that of
    /// the node itself included, for others may be about to hear of it, and those on their way.
    /// With two voters and one disk lost no quorum is left, and no product could go on.
    private var mayLose: Bool {
        nodes.allSatisfy { node in
            node.isUp && !node.hasOperatorRequest
                && (node.replicated?.raft.membership).map(Self.canSpareOne) ?? true
                && node.inbox.allSatisfy(Self.canSpareOne)
        }
            && queue.allSatisfy { event in
                if case .deliver(_, let event) = event { Self.canSpareOne(event) } else { true }
            }
    }

    private static func canSpareOne(_ membership: Membership) -> Bool {
        membership.members.isEmpty || membership.voters.count >= 3
    }

    private static func canSpareOne(_ event: CoreEvent) -> Bool {
        guard case .message(let message) = event, case .appendEntries(let append) = message.body
        else { return true }
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
        nodes[slot].wipe()
        boots[slot] = RandomID(high: random.next(), low: random.next())
        schedule(.restart(slot: slot), in: random.within(20...600))
    }
}
