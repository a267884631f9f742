internal import CSQLite
internal import SQLite
internal import Wire

/// Which writes are remembered by their keys. A ring of rows in the daemon's table holds them: the
/// newest takes the place of the oldest. So it is a part of the database, goes with each snapshot, and
/// follows from the log alone. Here is where each is found; belongs to the thread that applies.
final class RepeatMemory {
    /// How many are remembered: some 20 MiB of the database.
    static let capacity = 16_384
    /// For how long at most, by the log's clock, in milliseconds: a day.
    static let age: Int64 = 24 * 3600 * 1000

    private struct Place {
        var record: RepeatRecord
        var slot: Int
    }

    /// How one change is taken back.
    private struct Undo {
        var slot: Int
        /// What stood in the slot; nil: the ring grew.
        var evicted: Digest?
        var evictedPlace: Place?
        var name: Digest
        var namePlace: Place?
    }

    private let capacity: Int
    private var places: [Digest: Place] = [:]
    /// The name in each slot.
    private var slots: [Digest] = []
    private var next: UInt64 = 0
    private var undos: [Undo] = []

    init(capacity: Int = RepeatMemory.capacity) { self.capacity = capacity }

    /// Learns what the database holds.
    func load(on connection: borrowing Connection) throws(SQLiteError) {
        forget()
        var newest: UInt64?
        for bytes in try MetadataTable.readRepeats(on: connection) {
            var reader = ByteReader(bytes)
            let record: RepeatRecord
            do throws(WireError) {
                record = try RepeatRecord(from: &reader)
            } catch {
                throw .damagedRepeat("\(error)")
            }
            guard record.isPossible else {
                throw .damagedRepeat("number \(record.number) of \(record.milliseconds) ms")
            }
            let slot = slots.count
            slots.append(record.key.name)
            newest = max(newest ?? 0, record.number)
            // Of two under one name the later counts.
            if let other = places[record.key.name], other.record.number > record.number { continue }
            places[record.key.name] = Place(record: record, slot: slot)
        }
        next = newest.map { $0 + 1 } ?? 0
        // The slot of a number follows from it, as long as the ring has the size that it had.
        guard slots.count <= capacity, UInt64(slots.count) == min(next, UInt64(capacity)) else {
            throw .damagedRepeat("\(slots.count) records, the next has number \(next)")
        }
    }

    /// Nothing is remembered: another database took this one's place.
    func forget() {
        places = [:]
        slots = []
        next = 0
        undos = []
    }

    var count: Int { places.count }

    /// The write under this name, unless it is too long ago.
    /// - Parameter now: the log's clock, in milliseconds.
    func find(_ name: Digest, at now: Int64) -> RepeatRecord? {
        guard let place = places[name], now - place.record.milliseconds <= Self.age else {
            return nil
        }
        return place.record
    }

    /// - Parameter limit: statements of the write.
    /// - Returns: what was answered to a write that `find` found.
    func answer(
        to record: RepeatRecord, atMost limit: Int, on connection: borrowing Connection
    ) throws(SQLiteError) -> KeptAnswer {
        let slot = Int(record.number % UInt64(capacity))
        let bytes = try MetadataTable.readRepeat(slot, on: connection)
        var reader = ByteReader(bytes)
        do throws(WireError) {
            let found = try RepeatRecord(from: &reader)
            guard found == record else { throw .invalid(field: "number", value: found.number) }
            return try KeptAnswer(from: &reader, atMost: limit)
        } catch {
            throw .damagedRepeat("\(error)")
        }
    }

    /// Whether the next one takes room in the database.
    var grows: Bool { slots.count < capacity }

    /// Remembers a write, in the open transaction. Undone by `rollBack` until `commit`.
    func remember(
        _ key: RepeatKey, at index: UInt64, milliseconds: Int64, _ answer: KeptAnswer.Encoded,
        on connection: borrowing Connection
    ) throws(SQLiteError) {
        let record = RepeatRecord(
            key: key, index: index, milliseconds: milliseconds, number: next)
        let slot = Int(next % UInt64(capacity))
        try MetadataTable.writeRepeat(
            record.encoded(with: answer), slot, isNew: grows, on: connection)
        var undo = Undo(slot: slot, name: key.name)
        if slot < slots.count {
            let evicted = slots[slot]
            undo.evicted = evicted
            if let place = places[evicted], place.slot == slot {
                undo.evictedPlace = place
                places[evicted] = nil
            }
            slots[slot] = key.name
        } else {
            slots.append(key.name)
        }
        undo.namePlace = places[key.name]
        places[key.name] = Place(record: record, slot: slot)
        next += 1
        undos.append(undo)
    }

    /// What was remembered is durable as the database is.
    func commit() { undos.removeAll(keepingCapacity: true) }

    /// The transaction was rolled back.
    func rollBack() {
        while let undo = undos.popLast() {
            places[undo.name] = undo.namePlace
            if let evicted = undo.evicted {
                slots[undo.slot] = evicted
                if let place = undo.evictedPlace { places[evicted] = place }
            } else {
                slots.removeLast()
            }
            next -= 1
        }
    }
}

extension SQLiteError {
    static func damagedRepeat(_ cause: String) -> SQLiteError {
        SQLiteError(
            extendedCode: SQLITE_CORRUPT,
            message: "what the daemon's table remembers of writes can't be read: \(cause)")
    }
}
