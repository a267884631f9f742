/// What copy of the database a client wants.
///
///     u8 form | u8 flags (1 vacuum, 2 compress) | optional list of table names
package struct BackupRequest: Equatable, Sendable {
    /// As what the copy comes. The names are those of rqlite's parameter `fmt`.
    package enum Form: UInt8, Sendable {
        /// A database file in WAL mode, or a vacuumed one in mode DELETE.
        case binary = 0
        /// A database file in mode DELETE.
        case delete = 1
        /// The SQL that makes the database anew.
        case sql = 2
    }

    /// File or text.
    package var form: Form
    /// The file holds no free pages. For `binary` alone.
    package var vacuum: Bool
    /// The bytes come as one gzip stream.
    package var compress: Bool
    /// Tables whose rows a text has, by the bytes of their names; nil: all.
    package var tables: [String]?
    /// For who asks this node itself: the copy gets a tag, and is kept for a while. It never travels.
    package var selection: CopySelection?
    /// For the daemon's archive alone: a file in WAL mode with the daemon's own table in it, as it stands
    /// between two entries of the log; its tag is an `ArchiveMark`. It never travels.
    package var isForArchive = false
    /// For who puts the file in the place of another copy: of a database that is damaged there is none. It never travels.
    package var isChecked = false

    package init(
        form: Form = .binary, vacuum: Bool = false, compress: Bool = false, tables: [String]? = nil,
        selection: CopySelection? = nil
    ) {
        self.form = form
        self.vacuum = vacuum
        self.compress = compress
        self.tables = tables
        self.selection = selection
    }

    package func encode(into writer: inout ByteWriter) {
        writer.write(form.rawValue)
        writer.write(UInt8((vacuum ? 1 : 0) | (compress ? 2 : 0)))
        writer.write(tables) { writer, names in writer.write(names) { $0.write($1) } }
    }

    /// - Throws: `WireError` for an unknown form or flag, and for bytes that are missing.
    package init(from reader: inout ByteReader) throws(WireError) {
        let raw = try reader.readByte()
        guard let form = Form(rawValue: raw) else {
            throw .invalid(field: "form of a backup", value: UInt64(raw))
        }
        let flags = try reader.readByte()
        guard flags & ~3 == 0 else { throw .invalid(field: "backup flags", value: UInt64(flags)) }
        self.init(
            form: form, vacuum: flags & 1 != 0, compress: flags & 2 != 0,
            tables: try reader.readOptional { (r) throws(WireError) in
                try r.readList(elementSize: 4) { (r) throws(WireError) in try r.readText() }
            })
    }
}

/// Where a copy for the archive stands, in the place of a tag.
package struct ArchiveMark: Equatable, Sendable {
    /// As a cluster's ID is written.
    package var cluster: String
    package var index: UInt64
    /// Of the entry at the index.
    package var term: UInt64
    /// The clock of the log there, milliseconds since 1970.
    package var milliseconds: Int64

    package init(cluster: String, index: UInt64, term: UInt64, milliseconds: Int64) {
        self.cluster = cluster
        self.index = index
        self.term = term
        self.milliseconds = milliseconds
    }

    package var text: String { "\(cluster) \(index) \(term) \(milliseconds)" }

    /// Nil for anything but `text`.
    package init?(_ text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 4, let index = UInt64(parts[1]), let term = UInt64(parts[2]),
            let milliseconds = Int64(parts[3])
        else { return nil }
        self.init(
            cluster: String(parts[0]), index: index, term: term, milliseconds: milliseconds)
    }
}
