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
