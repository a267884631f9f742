internal import CSQLite
internal import SQLite
package import Wire

/// A body that came whole and is read where it lies, for an import. Its file is gone with the object.
/// Thread-safe.
package final class KeptUpload: Sendable {
    private let path: String
    private let flag: LoadFlag

    /// - Parameter flag: ends what SQLite does with the file.
    init(path: String, unless flag: LoadFlag) {
        self.path = path
        self.flag = flag
    }

    deinit { DatabaseDirectory.drop(path) }

    /// Waits for the disk.
    /// - Returns: as many bytes from the offset on, fewer at the end; nil: the disk fails.
    package func read(at offset: Int, _ count: Int) -> [UInt8]? {
        LoadFile.bytes(of: path, at: offset, count)
    }

    /// The rows of a table of the SQLite file that the body is.
    /// - Throws: `KeptUploadFault` where it is none, or has no such table.
    package func table(_ name: String) throws(KeptUploadFault) -> ImportTable {
        do throws(DirectoryError) {
            try DatabaseDirectory(beside: path).checkHeader(path)
        } catch {
            throw KeptUploadFault(LoadRefusal(error))
        }
        do throws(SQLiteError) {
            return try ImportTable(path, name, unless: flag)
        } catch {
            throw KeptUploadFault(LoadRefusal(DirectoryError.judging(error, of: path)))
        }
    }
}

/// Why nothing more can be read of what is imported, in words for the client.
package struct KeptUploadFault: Error, Equatable {
    package var text: String
    /// This node lacks what it takes to keep it, for now: nothing is known of the body.
    package var isOfNode = false
    /// The disk has no room for it.
    package var isTooLarge = false

    init(text: String) { self.text = text }

    init(_ refusal: LoadRefusal) {
        switch refusal.content {
        case .unfit(let text): self.text = text
        case .tooLarge(let text):
            self.text = text
            isTooLarge = true
        case .unable(let text):
            self.text = text
            isOfNode = true
        case .sql, .image, .parcel, .busy: text = "the body can't be read"
        }
    }
}

/// The rows of a table of a database file, one after the other. Belongs to one thread at a time.
package final class ImportTable {
    /// Names of the columns that a row can be given, in their order.
    package let columns: [String]
    private let rows: PreparedStatement
    private let connection: Connection
    private let path: String
    /// SQLite asks it, and does not hold it.
    private let flag: LoadFlag
    /// A statement that is stepped behind its end begins anew.
    private var isOver = false

    /// What a value or a row may have, in bytes: more fits no entry of the log.
    private static let rowBytes: Int32 = 64 << 20

    init(_ path: String, _ name: String, unless flag: LoadFlag) throws(SQLiteError) {
        let connection = try LoadedSchema.connect(path, unless: flag)
        _ = sqlite3_limit(connection.pointer, SQLITE_LIMIT_LENGTH, Self.rowBytes)
        // No view, and no virtual table: they could run what the file says.
        let found = try connection.prepare(
            """
            SELECT name, sql FROM main.sqlite_schema
            WHERE type = 'table' AND rootpage > 0 AND name = ?1 COLLATE NOCASE
            """)
        try found.bind(name, at: 1)
        // A page of its own is no proof that a table is no virtual one.
        guard try found.step(), let exact = found.text(at: 0),
            !LoadedSchema.makesVirtualTable(found.text(at: 1) ?? "")
        else {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR, message: "the file has no table \"\(name)\"")
        }
        // A name that is not met would be taken for a text, and stand in place of each value.
        guard found.validText(at: 1) != nil else { throw .schemaNotUTF8(exact) }
        found.reset()
        var columns: [String] = []
        // The file may hold a table of the name that this has as a table.
        let described = try connection.prepare("PRAGMA main.table_xinfo(\(exact.quotedName))")
        while try described.step() {
            if described.integer(at: 6) == 0 { columns.append(described.text(at: 1) ?? "") }
        }
        described.reset()
        let names = columns.map(\.quotedName).joined(separator: ", ")
        rows = try connection.prepare("SELECT \(names) FROM main.\(exact.quotedName) NOT INDEXED")
        self.columns = columns
        self.path = path
        self.connection = connection
        self.flag = flag
    }

    /// - Returns: nil: there is no other.
    /// - Throws: `KeptUploadFault` where the file is damaged, or can't be read, or holds a text that is no UTF-8.
    package func next() throws(KeptUploadFault) -> [Value]? {
        do throws(SQLiteError) {
            guard !isOver, try rows.step() else {
                isOver = true
                return nil
            }
        } catch {
            throw KeptUploadFault(LoadRefusal(DirectoryError.judging(error, of: path)))
        }
        var values: [Value] = []
        for place in columns.indices {
            guard let value = value(at: place) else {
                throw KeptUploadFault(
                    text: "the column \"\(columns[place])\" holds a text that is not UTF-8")
            }
            values.append(value)
        }
        return values
    }

    /// - Returns: nil: it can't be sent.
    private func value(at place: Int) -> Value? {
        switch rows.type(at: place) {
        case SQLITE_INTEGER: .integer(rows.integer(at: place))
        case SQLITE_FLOAT: .real(rows.real(at: place))
        case SQLITE_TEXT:
            rows.validText(at: place).map { .text($0) }
        case SQLITE_BLOB: .blob(rows.blob(at: place))
        default: .null
        }
    }
}
