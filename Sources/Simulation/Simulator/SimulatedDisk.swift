import Chance
package import WriteAheadLog

/// A disk in memory that forgets, on command, what was not synced; one seed decides all of it.
///
/// What a program reads is its own writes, as from a page cache. On `crash()` the machine loses
/// power: of every sector any number of the writes since the last sync survives, the last of them
/// perhaps only in part, and of the changes to directories any subset. On `kill()` only the process
/// ends: all it wrote stays in the cache. Either way its open files turn stale.
package final class SimulatedDisk: Disk {
    /// How often each fault was reached: a test that counts on one asserts it here.
    package struct FaultCounts: Equatable, Sendable {
        /// Losses of power.
        package var crashes = 0
        /// Sectors written and not synced that a crash took back.
        package var lostSectors = 0
        /// Sectors of which a crash left a part.
        package var tornSectors = 0
        /// New, renamed and removed names that a crash took back.
        package var lostNameChanges = 0
        /// Operations that failed because a test asked for it.
        package var injectedErrors = 0
        /// Operations that failed because `capacity` was reached.
        package var refusedForSpace = 0
        /// Bytes that were damaged in place.
        package var corruptedBytes = 0
        package var failedReads = 0

        package init() {}
    }

    /// What happens to a step instead of success.
    package enum Fault: Equatable, Sendable {
        /// The step fails; a failed sync also forgets which pages were dirty, as Linux does: what
        /// was not durable by then is read back until the crash that loses it.
        case ioError
        case noSpace
        /// The next file that is made, or directory that is opened for a change of its names, finds
        /// no descriptor.
        case noDescriptors
        /// The process dies in the middle of the step: a write leaves a beginning of its bytes.
        case death
    }

    /// Since the disk was made.
    package private(set) var faults = FaultCounts()
    /// Changes of the disk so far.
    package private(set) var stepCount = 0
    /// Bytes that all files together may claim.
    package var capacity: Int?

    private var random: SplitMix64
    private var names: [Name] = []
    private var durableNames: [Name] = []
    private var nameChanges: [NameChange] = []
    private var planned: [(step: Int, fault: Fault)] = []
    private var isDead = false
    /// Sectors that can't be read until they are written again.
    private var badSectors: [(path: String, sector: Int)] = []
    private var failingReads = 0
    fileprivate private(set) var epoch = 0

    /// Bytes that a crash keeps or loses together.
    package static let sectorSize = 512

    /// - Parameter seed: what a crash takes and keeps follows from it.
    package init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    // MARK: Faults

    /// Lets the step with this number, counted from 0 by `stepCount`, go wrong.
    package func plan(_ fault: Fault, atStep step: Int) {
        planned.append((step, fault))
    }

    /// What was planned and did not happen yet won't.
    package func forgetPlans() {
        planned = []
        failingReads = 0
    }

    /// The process ends without a trace of it on the machine: the page cache stays.
    package func kill() {
        epoch += 1
        isDead = false
        planned = []
    }

    /// The power fails.
    package func crash() {
        kill()
        faults.crashes += 1
        for change in nameChanges {
            if random.chance(1, of: 2) {
                change.apply(to: &durableNames)
            } else {
                faults.lostNameChanges += 1
            }
        }
        nameChanges = []
        names = durableNames
        for name in names { lose(&name.content.state) }
    }

    /// Inverts bits of one byte, on the medium and in the cache.
    package func corrupt(_ path: String, at offset: Int, mask: UInt8 = 0xFF) {
        guard let content = content(path), offset < content.state.cached.count else { return }
        faults.corruptedBytes += 1
        content.state.cached[offset] ^= mask
        if offset < content.state.durable.count { content.state.durable[offset] ^= mask }
    }

    /// The next read fails; the one after it goes well.
    package func failNextRead() { failingReads = 1 }

    /// The sector with this byte can't be read any more, until it is written again.
    package func spoilSector(of path: String, at offset: Int) {
        badSectors.append((path, offset / Self.sectorSize))
    }

    /// A sector was spoilt, and not written since.
    package var hasBadSectors: Bool { !badSectors.isEmpty }

    /// Paths of the files in a directory.
    package func files(in directory: String) -> [String] {
        names.map(\.path).filter { $0.hasPrefix(directory + "/") }.sorted()
    }

    /// What a program would read.
    package func bytes(of path: String) -> [UInt8]? { content(path)?.state.cached }

    /// A disk with the same content, of which all is durable; its faults are its own.
    package func copy(seed: UInt64) -> SimulatedDisk {
        let copy = SimulatedDisk(seed: seed)
        copy.names = names.map {
            let content = Content()
            content.state.cached = $0.content.state.cached
            content.state.durable = content.state.cached
            return Name(path: $0.path, content: content)
        }
        copy.durableNames = copy.names
        return copy
    }

    /// Makes of a file's pending writes what a power failure leaves.
    private func lose(_ state: inout Content.State) {
        var survived = state.durable
        if state.pendingSize > survived.count, random.chance(1, of: 2) {
            survived.append(
                contentsOf: repeatElement(0, count: state.pendingSize - survived.count))
        }
        var kept: [(sector: Int, remaining: Int)] = []
        for write in state.pending {
            var start = write.offset
            let end = min(write.offset + write.bytes.count, survived.count)
            while start < end {
                let sector = start / Self.sectorSize
                let stop = min(end, (sector + 1) * Self.sectorSize)
                keep(
                    write.bytes[start - write.offset..<stop - write.offset], at: start,
                    of: &survived, budget: budget(of: sector, in: &kept))
                start = stop
            }
        }
        state = Content.State(cached: survived, durable: survived)
    }

    private enum SectorFate { case kept, torn, lost }

    /// Once a write to a sector is lost, so are the later ones to it.
    private func budget(
        of sector: Int, in kept: inout [(sector: Int, remaining: Int)]
    ) -> SectorFate {
        let place: Int
        if let known = kept.firstIndex(where: { $0.sector == sector }) {
            place = known
        } else {
            place = kept.count
            kept.append((sector, random.chance(1, of: 3) ? .max : random.below(3)))
        }
        guard kept[place].remaining > 0 else { return .lost }
        kept[place].remaining -= 1
        return kept[place].remaining == 0 && random.chance(1, of: 2) ? .torn : .kept
    }

    private func keep(
        _ bytes: ArraySlice<UInt8>, at offset: Int, of survived: inout [UInt8], budget: SectorFate
    ) {
        var count = bytes.count
        switch budget {
        case .kept: break
        case .torn:
            faults.tornSectors += 1
            count = random.below(count)
        case .lost:
            faults.lostSectors += 1
            return
        }
        survived.replaceSubrange(offset..<offset + count, with: bytes.prefix(count))
    }

    // MARK: Disk

    /// Directories need no names of their own here.
    package func createDirectory(_ path: String) throws(DiskError) {}

    /// Fails with `missing`.
    package func openFile(_ path: String) throws(DiskError) -> SimulatedFile {
        guard let content = content(path) else { throw error(.open, path, .missing) }
        return SimulatedFile(disk: self, path: path, content: content)
    }

    /// Empty. Its name outlives a crash once the directory is synced.
    package func createFile(_ path: String) throws(DiskError) -> SimulatedFile {
        _ = try step(.create, path)
        let content = Content()
        change(NameChange(removed: nil, added: Name(path: path, content: content)))
        return SimulatedFile(disk: self, path: path, content: content)
    }

    /// A file of the new name is gone then. Outlives a crash once the directory is synced.
    package func rename(_ path: String, to newPath: String) throws(DiskError) {
        guard let content = content(path) else { throw error(.rename, path, .missing) }
        _ = try step(.rename, path)
        change(NameChange(removed: path, added: Name(path: newPath, content: content)))
    }

    /// Outlives a crash once the directory is synced.
    package func remove(_ path: String) throws(DiskError) {
        guard content(path) != nil else { throw error(.remove, path, .missing) }
        _ = try step(.remove, path)
        change(NameChange(removed: path, added: nil))
    }

    /// Names of files right below, sorted.
    package func list(_ directory: String) throws(DiskError) -> [String] {
        let prefix = directory + "/"
        return names.filter { $0.path.hasPrefix(prefix) }
            .map { String($0.path.dropFirst(prefix.count)) }
            .filter { !$0.contains("/") }.sorted()
    }

    /// Makes changes of names below it outlive a crash.
    package func syncDirectory(_ path: String) throws(DiskError) {
        _ = try step(.syncDirectory, path)
        let prefix = path + "/"
        var rest: [NameChange] = []
        for change in nameChanges {
            if change.path.hasPrefix(prefix) {
                change.apply(to: &durableNames)
            } else {
                rest.append(change)
            }
        }
        nameChanges = rest
    }

    // MARK: Inside

    private func content(_ path: String) -> Content? {
        names.first { $0.path == path }?.content
    }

    private func change(_ change: NameChange) {
        change.apply(to: &names)
        nameChanges.append(change)
    }

    /// Counts a step. A planned fault throws, except that the death of the process in a write
    /// returns how many of its `count` bytes were written before.
    fileprivate func step(
        _ operation: DiskError.Operation, _ path: String, count: Int = 0
    ) throws(DiskError) -> Int {
        guard !isDead else { throw error(operation, path, .dead) }
        let number = stepCount
        stepCount += 1
        guard let place = planned.firstIndex(where: { $0.step == number }) else { return count }
        if planned[place].fault == .noDescriptors, operation != .create, operation != .rename {
            planned[place].step += 1
            return count
        }
        let fault = planned.remove(at: place).fault
        faults.injectedErrors += 1
        switch fault {
        case .ioError: throw error(operation, path, .ioError)
        case .noSpace: throw error(operation, path, .noSpace)
        case .noDescriptors: throw error(operation, path, .noDescriptors)
        case .death:
            isDead = true
            if operation == .write { return random.below(count + 1) }
            throw error(operation, path, .dead)
        }
    }

    fileprivate func checkSectors(_ path: String, _ range: Range<Int>) throws(DiskError) {
        guard failingReads == 0 else {
            failingReads -= 1
            faults.failedReads += 1
            throw error(.read, path, .ioError)
        }
        guard !badSectors.isEmpty, !range.isEmpty else { return }
        let sectors = range.lowerBound / Self.sectorSize...(range.upperBound - 1) / Self.sectorSize
        guard badSectors.contains(where: { $0.path == path && sectors.contains($0.sector) })
        else { return }
        faults.failedReads += 1
        throw error(.read, path, .ioError)
    }

    /// A drive puts a spare sector in the place of a bad one when it is written.
    fileprivate func spare(_ path: String, _ range: Range<Int>) {
        guard !badSectors.isEmpty else { return }
        badSectors.removeAll {
            $0.path == path && range.lowerBound <= $0.sector * Self.sectorSize
                && ($0.sector + 1) * Self.sectorSize <= range.upperBound
        }
    }

    fileprivate func checkDeath(
        _ operation: DiskError.Operation, _ path: String
    ) throws(DiskError) {
        if isDead { throw error(operation, path, .dead) }
    }

    /// Bytes that all files together claim.
    package var usedBytes: Int { names.reduce(0) { $0 + $1.content.state.cached.count } }

    /// Refuses growth of a file past the capacity of the disk.
    fileprivate func claim(_ bytes: Int, for path: String) throws(DiskError) {
        guard let capacity, usedBytes + bytes > capacity else { return }
        faults.refusedForSpace += 1
        throw error(.preallocate, path, .noSpace)
    }

    fileprivate enum Cause: Int32 {
        case missing = 2
        case ioError = 5
        case noDescriptors = 24
        case noSpace = 28
        case dead = 130
    }

    fileprivate func error(
        _ operation: DiskError.Operation, _ path: String, _ cause: Cause
    ) -> DiskError {
        DiskError(
            operation, path, code: cause.rawValue, isNoSpace: cause == .noSpace,
            isOutOfDescriptors: cause == .noDescriptors, reason: "simulated: \(cause)")
    }
}

extension SimulatedDisk {
    fileprivate final class Content {
        struct State {
            var cached: [UInt8] = []
            var durable: [UInt8] = []
            var pending: [(offset: Int, bytes: [UInt8])] = []
            /// A size not synced yet.
            var pendingSize = 0

            mutating func makeDurable() {
                if durable.count < cached.count {
                    durable.append(
                        contentsOf: repeatElement(0, count: cached.count - durable.count))
                }
                for write in pending {
                    durable.replaceSubrange(
                        write.offset..<write.offset + write.bytes.count, with: write.bytes)
                }
                pending = []
                pendingSize = 0
            }
        }
        var state = State()
    }

    fileprivate struct Name {
        var path: String
        var content: Content
    }

    /// A creation, renaming or removal, which is durable with its directory.
    fileprivate struct NameChange {
        var removed: String?
        var added: Name?

        var path: String { added?.path ?? removed ?? "" }

        func apply(to names: inout [Name]) {
            names.removeAll { $0.path == removed || $0.path == added?.path }
            if let added { names.append(added) }
        }
    }
}

/// An open file on a `SimulatedDisk`.
package struct SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let path: String
    private let content: SimulatedDisk.Content
    private let epoch: Int

    fileprivate init(disk: SimulatedDisk, path: String, content: SimulatedDisk.Content) {
        self.disk = disk
        self.path = path
        self.content = content
        epoch = disk.epoch
    }

    private func check(_ operation: DiskError.Operation) throws(DiskError) {
        guard epoch == disk.epoch else { throw disk.error(operation, path, .dead) }
        try disk.checkDeath(operation, path)
    }

    /// In bytes, as reads see it.
    package func size() throws(DiskError) -> Int {
        try check(.stat)
        return content.state.cached.count
    }

    /// The file claims `count` bytes at least; the new ones read as zero.
    package func preallocate(_ count: Int) throws(DiskError) {
        try check(.preallocate)
        _ = try disk.step(.preallocate, path)
        let growth = count - content.state.cached.count
        guard growth > 0 else { return }
        try disk.claim(growth, for: path)
        content.state.cached.append(contentsOf: repeatElement(0, count: growth))
        content.state.pendingSize = count
    }

    /// Outlives a crash once it is synced; until then each sector may be lost on its own.
    package func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
        try check(.write)
        let count = try disk.step(.write, path, count: bytes.count)
        let growth = offset + count - content.state.cached.count
        if growth > 0 {
            try disk.claim(growth, for: path)
            content.state.cached.append(contentsOf: repeatElement(0, count: growth))
            content.state.pendingSize = content.state.cached.count
        }
        let written = Array(bytes.prefix(count))
        disk.spare(path, offset..<offset + count)
        content.state.cached.replaceSubrange(offset..<offset + count, with: written)
        content.state.pending.append((offset, written))
        try check(.write)
    }

    /// Gives how many bytes were read: fewer at the end of the file.
    package func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) throws(DiskError) -> Int {
        try check(.read)
        let count = max(0, min(buffer.count, content.state.cached.count - offset))
        try disk.checkSectors(path, offset..<offset + count)
        content.state.cached.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        return count
    }

    /// All that was written outlives a crash, or the call fails.
    package func syncData() throws(DiskError) { try makeDurable() }
    /// As `syncData`: the size is kept with the data here.
    package func sync() throws(DiskError) { try makeDurable() }

    private func makeDurable() throws(DiskError) {
        try check(.sync)
        do throws(DiskError) {
            _ = try disk.step(.sync, path)
        } catch {
            // The pages are clean now though the medium never got them.
            if error.code == SimulatedDisk.Cause.ioError.rawValue { content.state.pending = [] }
            throw error
        }
        content.state.makeDurable()
    }
}
