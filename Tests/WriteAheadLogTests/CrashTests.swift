import Chance
import Raft
import Simulator
import Testing

@testable import WriteAheadLog

/// What survives crashes is a prefix of the calls, and never less than was synced.
@Suite struct CrashTests {
    /// A log under a workload, with every state it could have on the disk.
    private struct Subject: ~Copyable {
        let disk: SimulatedDisk
        var workload: Workload
        var log: SimulatedLog
        var bootNumber: UInt64 = 1
        /// States after each call since the last start; the last may be of a call that failed.
        var states: [Workload]
        /// The latest of them known to be durable, and to be written.
        var synced = 0
        var written = 0

        init(seed: UInt64) throws {
            disk = SimulatedDisk(seed: seed)
            workload = Workload(seed: seed)
            log = try openLog(disk, bootID: RandomID(high: 0, low: 1))
            states = [workload]
        }

        /// - Returns: false once a call failed.
        mutating func run(_ count: Int) -> Bool {
            for _ in 0..<count {
                let call = workload.next()
                if case .append = call, workload.oracle == states[states.count - 1].oracle {
                    continue
                }
                states.append(workload)
                do throws(LogError) { try log.perform(call) } catch { return false }
                written = states.count - 1
                switch call {
                case .append, .compact: break
                case .sync, .markClean, .reset: synced = written
                }
            }
            return true
        }

        /// - Parameter deathDuringStart: fails the first attempt to start at that step.
        mutating func restart(powerLost: Bool, deathDuringStart: Int? = nil) throws {
            stop(powerLost: powerLost)
            if let step = deathDuringStart {
                disk.plan(.death, atStep: disk.stepCount + step)
                do { _ = try open() } catch { #expect(error.isFatal) }
                stop(powerLost: powerLost)
            }
            log = try open()
            let found = try Oracle(reading: &log)
            let allowed = states[(powerLost ? synced : written)...]
            let match = allowed.first { $0.oracle == found }
            let state = try #require(
                match,
                "found \(found.base) to \(found.last), term \(found.hardState.term)")
            #expect(log.torn?.isDamage != true)
            #expect(!log.state.mustCatchUpBeforeVoting)
            workload.resume(from: state)
            states = [state]
            synced = 0
            written = 0
        }

        private mutating func stop(powerLost: Bool) {
            if powerLost {
                disk.crash()
                bootNumber += 1
            } else {
                disk.kill()
            }
        }

        private func open() throws(LogError) -> SimulatedLog {
            try openLog(disk, bootID: RandomID(high: 0, low: bootNumber))
        }
    }

    @Test(arguments: [false, true], 0..<2 as Range<UInt64>)
    func `The process or the machine may stop at every step`(
        powerLost: Bool, seed: UInt64
    ) throws {
        var reference = try Subject(seed: seed)
        let start = reference.disk.stepCount
        let calls = 35
        let finished = reference.run(calls)
        #expect(finished)
        let end = reference.disk.stepCount
        try #require(end > start + 20)
        for step in start..<end {
            var subject = try Subject(seed: seed)
            subject.disk.plan(.death, atStep: step)
            let survived = subject.run(calls)
            #expect(!survived, "step \(step) of seed \(seed)")
            try subject.restart(powerLost: powerLost)
        }
    }

    @Test func `Crashes follow each other, also during recovery`() throws {
        var faults = SimulatedDisk.FaultCounts()
        var cuts = 0
        for seed in 100..<200 as Range<UInt64> {
            var dice = SplitMix64(seed: seed)
            var subject = try Subject(seed: seed)
            for _ in 0..<4 {
                if dice.below(2) == 0 {
                    subject.disk.plan(.death, atStep: subject.disk.stepCount + dice.below(30))
                }
                _ = subject.run(5 + dice.below(20))
                try subject.restart(
                    powerLost: dice.below(3) > 0,
                    deathDuringStart: dice.below(3) == 0 ? dice.below(8) : nil)
                if subject.log.torn != nil { cuts += 1 }
            }
            faults.lostSectors += subject.disk.faults.lostSectors
            faults.tornSectors += subject.disk.faults.tornSectors
            faults.lostNameChanges += subject.disk.faults.lostNameChanges
        }
        #expect(faults.lostSectors > 100 && faults.tornSectors > 30)
        #expect(faults.lostNameChanges > 50)
        #expect(cuts > 50)
    }

    @Test func `What a failed sync lost is not believed after a restart`() throws {
        for seed in 0..<20 as Range<UInt64> {
            let disk = SimulatedDisk(seed: seed)
            var log = try openLog(disk)
            try log.append(LogBatch(hardState: vote, entries: entries(1...5)))
            disk.plan(.ioError, atStep: disk.stepCount)
            #expect(throws: LogError.self) { try log.sync() }
            disk.kill()
            var found = try openLog(disk)
            let state = found.state
            let tail = try found.tail(after: .zero)
            disk.crash()
            var again = try openLog(disk, bootID: nextBoot)
            #expect(again.state.hardState == state.hardState)
            #expect(try again.tail(after: .zero) == tail)
        }
    }

    @Test func `After a failed sync every call fails`() throws {
        let disk = SimulatedDisk(seed: 1)
        var log = try openLog(disk)
        try log.append(LogBatch(entries: entries(1...5)))
        disk.plan(.ioError, atStep: disk.stepCount)
        let failure = try #require(throws: LogError.self) { try log.sync() }
        guard case .syncFailed(let cause) = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(cause.operation == .sync && cause.code == 5)
        #expect(failure.isFatal)
        #expect(throws: failure) { try log.sync() }
        #expect(throws: failure) { try log.append(LogBatch(entries: entries(6...6))) }
        #expect(throws: failure) { try log.compact(through: position(1)) }
        #expect(throws: failure) { try log.markClean() }
        #expect(throws: failure) {
            try log.reset(
                to: SnapshotMark(
                    position: position(9), membership: membership("n1"),
                    membershipIndex: LogIndex(1)), generation: 2)
        }
    }

    @Test func `After an I/O error on a write every call fails`() throws {
        let disk = SimulatedDisk(seed: 1)
        var log = try openLog(disk)
        disk.plan(.ioError, atStep: disk.stepCount)
        let failure = try #require(throws: LogError.self) {
            try log.append(LogBatch(entries: entries(1...5)))
        }
        guard case .failed = failure else {
            Issue.record("\(failure)")
            return
        }
        #expect(throws: failure) { try log.append(LogBatch(entries: entries(1...5))) }
    }
}
