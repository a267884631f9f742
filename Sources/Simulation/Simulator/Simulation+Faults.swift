import Chance
import NodeLogic
import PeerProtocol
import Raft
import Replication
import Service
import WriteAheadLog

/// What goes wrong, when, and how it ends.
extension Simulation {
    /// How bad the network and the disks of this history are at best.
    func chooseWeather() {
        network.lossRate = [0, 0, 10, 50, 200][random.below(5)]
        network.duplicationRate = [0, 10, 100][random.below(3)]
        network.longDelayRate = [0, 0, 10, 100][random.below(4)]
        network.delay = [1...5, 1...20, 1...60][random.below(3)]
        if random.chance(1, of: 3) { network.bandwidth = [20, 50, 200][random.below(3)] }
        chunkPause = [0, 20, 200][random.below(3)]
        registry.failureRate = [0, 50, 300][random.below(3)]
        for node in nodes {
            node.syncDelay = [1...3, 1...10, 5...40][random.below(3)]
            node.databaseDelay = [0...1, 0...5, 5...60][random.below(3)]
        }
    }

    func causeFault() {
        guard !isCalm else { return }
        schedule(.fault, in: random.within(50...1200))
        guard !isTruce else { return }
        let slot = random.below(nodes.count)
        let kind = random.below(25)
        lastFault += 1
        if let chosen = settings.faults, !chosen.contains(lastFault) { return }
        tell("fault \(lastFault) of kind \(kind) at \(nodes[slot].id)")
        switch kind {
        case 0...2: partition(slot)
        case 3: beginFlapping(slot)
        case 4: stop(slot, losingPower: false)
        case 5: stopOrderly(slot)
        case 6, 7: stop(slot, losingPower: true)
        case 8: cutPowerEverywhere()
        case 9, 10: crashInsideWrite(slot)
        case 11: plan(random.chance(1, of: 3) ? .noDescriptors : .ioError, slot)
        case 12: fillOrSlow(slot)
        case 13: pause(slot)
        case 14: jumpClock(slot)
        case 15: attempt(.disk, slot)
        case 16: jumpWallClock(slot)
        case 17: move(slot)
        case 18: loseRegistry()
        case 20: attempt(.parts, slot)
        case 21: failReads(slot)
        case 22: keepCopies()
        case 24: attempt(.time, slot)
        case 23: if random.chance(1, of: 2) { attempt(.quorum, slot) }
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
        guard !isCalm, !isTruce else { return }
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
        case .registry: registry.isDown = false
        }
    }

    // MARK: Processes

    func stop(_ slot: Int, losingPower: Bool) {
        guard nodes[slot].isUp else { return }
        if !losingPower { faults.processCrashes += 1 }
        end(slot, losingPower: losingPower)
    }

    /// The process ends: who waited for it learns that their connections are gone.
    func end(_ slot: Int, losingPower: Bool) {
        let node = nodes[slot]
        tell("\(node.id) ends\(losingPower ? " without power" : "")")
        if losingPower {
            faults.powerCuts += 1
            boots[slot] = RandomID(high: random.next(), low: random.next())
        }
        breakStreams(of: node)
        for key in node.open.keys.sorted() {
            switch node.open[key] {
            case .client(let operation):
                schedule(.clientHears(operation, .unknown), in: random.within(1...10))
            case .node(let sender, let run, let remote):
                loseForward(remote, of: sender, run, node.address)
            case .operator, nil: break
            }
        }
        node.stop(losingPower: losingPower)
        pausedUntil[slot] = now
        schedule(.restart(slot: slot), in: random.within(20...3000))
    }

    // MARK: Orderly ends

    func stopOrderly(_ slot: Int) {
        let node = nodes[slot]
        guard node.isUp, !node.isEnding else { return }
        node.isEnding = true
        node.post(.leave)
        settle(slot)
        schedule(.overdue(slot: slot, run: node.run), in: 6000)
    }

    func left(_ node: SimulatedNode) {
        guard node.isEnding else { return }
        node.post(.stop)
    }

    func stopped(_ node: SimulatedNode) {
        if node.finishLog() { faults.orderlyStops += 1 }
        end(node.slot, losingPower: random.chance(1, of: 4))
    }

    /// Whoever asked the node to end does not wait for ever.
    func overdue(_ slot: Int, _ run: Int) {
        guard nodes[slot].run == run, nodes[slot].isUp else { return }
        guard pausedSince(now - 6000, slot) else {
            return invariants.broke("\(nodes[slot].id) does not come to its end")
        }
        stop(slot, losingPower: false)
    }

    private func pausedSince(_ time: Int, _ slot: Int) -> Bool { pausedUntil[slot] > time }

    private func cutPowerEverywhere() {
        for slot in nodes.indices { stop(slot, losingPower: true) }
        if random.chance(1, of: 3) { permuteAddresses() }
    }

    private func crashInsideWrite(_ slot: Int) {
        guard nodes[slot].isUp else { return }
        plan(.death, slot)
    }

    private func plan(_ fault: SimulatedDisk.Fault, _ slot: Int) {
        let disk = nodes[slot].disk
        disk.plan(fault, atStep: disk.stepCount + random.below(12))
    }

    /// The process ended by itself: an error of its disk, death in the middle of a step, or a
    /// cluster that it did not find in time.
    func died(_ node: SimulatedNode, _ reason: String) {
        guard node.isUp else { return }
        if reason.contains("dead") {
            faults.crashesInsideWrites += 1
        } else if reason.contains("sync") {
            faults.failedSyncs += 1
        } else if reason.contains("can't be read back"), lostSlot == node.slot {
            faults.damageRefusals += 1
        } else if isDoubled(node, reason) {
            faults.copiesRefused += 1
        } else if reason.hasPrefix("clustering failure") {
            faults.formationFailures += 1
        } else if !reason.contains("ioError") {
            invariants.broke("\(node.id) died: \(reason)")
        }
        stop(node.slot, losingPower: random.chance(1, of: 3))
    }

    func restart(_ slot: Int) {
        let node = nodes[slot]
        guard !node.isUp, !absent.contains(slot), !retired.contains(slot), !isWithheld(slot) else {
            return
        }
        guard now >= startsFrom[slot] else {
            return schedule(.restart(slot: slot), in: startsFrom[slot] - now)
        }
        do throws(SimulatedNode.StartFailure) {
            try node.start(at: now, boot: boots[slot])
            tell("\(node.id) starts at \(node.address)")
            startedDamaged(slot)
            settle(slot)
        } catch {
            node.output = []
            node.disk.kill()
            switch error {
            case .disk(let error) where lostSlot == slot && node.disk.hasBadSectors:
                refuse(slot, "\(error)")
            case .disk: schedule(.restart(slot: slot), in: random.within(20...500))
            case .broken(let text): invariants.broke("\(node.id) can't start: \(text)")
            case .refused(let reason):
                if reason.contains("damaged") { faults.damageRefusals += 1 }
                refuse(slot, reason)
            }
        }
    }

    // MARK: Addresses

    /// Some nodes come back where others were.
    func permuteAddresses() {
        var addresses = nodes.map(\.address)
        for place in addresses.indices.reversed() {
            addresses.swapAt(place, random.below(place + 1))
        }
        for node in nodes where node.address != addresses[node.slot] {
            faults.moves += 1
            node.address = addresses[node.slot]
        }
        tellAddresses()
    }

    /// A node, or two, come back elsewhere.
    private func move(_ slot: Int) {
        let other = random.below(nodes.count)
        stop(slot, losingPower: false)
        if other != slot, random.chance(1, of: 2) {
            stop(other, losingPower: false)
            let address = nodes[slot].address
            nodes[slot].address = nodes[other].address
            nodes[other].address = address
            faults.moves += 2
        } else {
            lastAddress += 1
            nodes[slot].address = PeerAddress("1.0.0.\(lastAddress):4002")
            faults.moves += 1
        }
        tellAddresses()
    }

    /// Discovery tells, in its own time, where nodes are now.
    func tellAddresses() {
        let addresses = founding.listed(nodes.map(\.address))
        for node in nodes where !node.candidates.isEmpty {
            node.candidates = addresses
            guard node.isUp else { continue }
            schedule(
                .candidates(slot: node.slot, run: node.run, addresses),
                in: random.within(100...3000))
        }
    }

    func pause(_ slot: Int) {
        faults.pauses += 1
        pausedUntil[slot] = now + random.within(100...3000)
    }

    private func jumpClock(_ slot: Int) {
        faults.clockJumps += 1
        nodes[slot].clockJump += random.within(1...1500)
    }

    private func jumpWallClock(_ slot: Int) {
        faults.wallJumps += 1
        nodes[slot].wallOffset += random.within(-36_000_000...36_000_000)
    }

    private func loseRegistry() {
        registry.isDown = true
        schedule(.heal(.registry), in: random.within(500...5000))
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
}
