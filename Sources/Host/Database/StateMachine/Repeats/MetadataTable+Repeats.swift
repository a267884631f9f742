internal import CSQLite
internal import SQLite
internal import Wire

/// The rows of the daemon's table beside the first: in `progress` of row 0 stands the answer so far to
/// a write that is partly applied, and in those with negative numbers
/// what is remembered of writes; see `RepeatRecord`.
extension MetadataTable {
    private static let answerSoFar: Int64 = 0

    private static func id(of slot: Int) -> Int64 { -1 - Int64(slot) }

    /// The row of the answer so far is there from the first on, and has room: so no unit of a write
    /// takes a page for it.
    static func makeRoomForAnswers(on connection: borrowing Connection) throws(SQLiteError) {
        do {
            let row = try prepare(
                "SELECT 1 FROM main.@ WHERE id = \(answerSoFar)", on: connection)
            guard try !row.step() else { return }
        }
        try insert(
            [UInt8](repeating: 0, count: RepeatRecord.byteCount), answerSoFar, on: connection)
    }

    /// In the open transaction.
    static func writeAnswerSoFar(_ record: [UInt8], on connection: borrowing Connection)
        throws(SQLiteError)
    {
        try overwrite(answerSoFar, with: record, on: connection)
    }

    static func readAnswerSoFar(on connection: borrowing Connection) throws(SQLiteError)
        -> [UInt8]
    {
        try record(answerSoFar, on: connection)
    }

    /// What stands before the answers, in the order of the slots.
    static func readRepeats(on connection: borrowing Connection) throws(SQLiteError) -> [[UInt8]] {
        let rows = try prepare(
            "SELECT substr(progress, 1, 56) FROM main.@ WHERE id < 0 ORDER BY id DESC",
            on: connection)
        var records: [[UInt8]] = []
        while try rows.step() { records.append(rows.blob(at: 0)) }
        return records
    }

    static func readRepeat(_ slot: Int, on connection: borrowing Connection) throws(SQLiteError)
        -> [UInt8]
    {
        try record(id(of: slot), on: connection)
    }

    /// In the open transaction.
    /// - Parameter isNew: nothing stands in the slot yet.
    static func writeRepeat(
        _ record: [UInt8], _ slot: Int, isNew: Bool, on connection: borrowing Connection
    ) throws(SQLiteError) {
        let id = id(of: slot)
        if isNew {
            try insert(record, id, on: connection)
        } else {
            try overwrite(id, with: record, on: connection)
        }
    }

    private static func insert(
        _ record: [UInt8], _ id: Int64, on connection: borrowing Connection
    ) throws(SQLiteError) {
        let insert = try prepare(
            "INSERT INTO main.@ VALUES(?, \(format), NULL, 0, x'', 0, ?)", on: connection)
        try insert.bind(id, at: 1)
        try insert.bind(record, at: 2)
        try insert.run()
    }

    private static func overwrite(
        _ id: Int64, with record: [UInt8], on connection: borrowing Connection
    ) throws(SQLiteError) {
        let code = record.withUnsafeBytes {
            csqlite_overwrite_progress(connection.pointer, id, $0.baseAddress, Int32($0.count))
        }
        try check(code, on: connection)
    }

    private static func record(_ id: Int64, on connection: borrowing Connection)
        throws(SQLiteError) -> [UInt8]
    {
        let row = try prepare("SELECT progress FROM main.@ WHERE id = ?", on: connection)
        try row.bind(id, at: 1)
        guard try row.step() else { throw .damagedRepeat("there is no row \(id)") }
        return row.blob(at: 0)
    }
}
