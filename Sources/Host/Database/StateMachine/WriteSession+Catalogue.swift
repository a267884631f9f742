internal import CSQLite
internal import SQLite

/// Loading virtual tables from a dump of SQLite's shell (see `CatalogueRow`).
///
/// The connection doesn't know such a table until its transaction has ended, or it would protect the
/// shadow tables whose rows the dump brings. Then the file is opened anew.
extension WriteSession {
    func insert(_ row: CatalogueRow) throws(CatalogueRowError) {
        let stored = try row.stored()
        let name = stored.name.quotedText
        do throws(SQLiteError) {
            let existing = try connection.integer(
                "SELECT 1 FROM main.sqlite_schema WHERE name = \(name) COLLATE NOCASE")
            guard existing == nil else {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: "table \(stored.name) already exists")
            }
            let key = ByteText(stored.name.loweredASCII.utf8)
            var strange = try ShadowTables.strange(beside: [key], on: connection)
            // Those before it in the dump may read it.
            let others = guardian.virtualTables.union(guardian.catalogueNames)
            if ShadowTables.isName(stored.name, beside: others, isVirtual: true) {
                strange = stored.name
            }
            if let strange {
                throw SQLiteError(
                    extendedCode: SQLITE_ERROR, message: ShadowTables.refusal(strange))
            }
            try writeSchema(
                """
                INSERT INTO main.sqlite_schema(type, name, tbl_name, rootpage, sql)
                VALUES('table', \(name), \(name), 0, \(stored.sql.quotedText))
                """)
            hasNewCatalogueRows = true
            // The next row is looked for among them, and has less room.
            schema.wasChanged(
                isAddition: true, hasVirtualTables: guardian.mayHaveVirtualTables)
            guardian.catalogueNames.insert(key)
            // Nobody compiles a statement here that would make the table.
            try learnUnits()
            // What was compiled before was not asked about these names.
            compiler.forget()
        } catch {
            throw CatalogueRowError(error)
        }
    }

    /// Virtual tables that were put into the schema as rows are there from now on.
    func readCatalogueRows() {
        guard hasNewCatalogueRows else { return }
        hasNewCatalogueRows = false
        invalidateSchema()
    }

    /// Before the end of the transaction: makes all connections read the schema anew, and with it the
    /// statistics: SQLite's ANALYZE leaves those that others hold in memory as they are.
    func announceSchema() throws(SQLiteError) {
        let tables = guardian.catalogueNames
        if !tables.isEmpty, let name = try ShadowTables.overfull(beside: tables, on: connection) {
            throw SQLiteError(
                extendedCode: SQLITE_ERROR, message: ShadowTables.refusal(overfull: name))
        }
        let version = try connection.integer("PRAGMA main.schema_version") ?? 0
        try writeSchema("PRAGMA main.schema_version=\(Int32(truncatingIfNeeded: version &+ 1))")
    }

    private func writeSchema(_ sql: String) throws(SQLiteError) {
        guard csqlite_write_schema(connection.pointer, sql) == SQLITE_OK else {
            throw connection.lastError
        }
    }
}
