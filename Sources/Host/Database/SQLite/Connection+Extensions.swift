internal import CSQLite
internal import Glibc

/// Loadable extensions: code of others that gives a connection more functions, collations and modules.
extension Connection {
    /// Loads a shared object by its standard entry point. SQL itself can't load any, before and after.
    /// - Throws: `SQLiteError` with what the dynamic loader or the extension said.
    package func loadExtension(_ path: String) throws(SQLiteError) {
        try configure(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, true)
        var text: UnsafeMutablePointer<CChar>?
        let rc = sqlite3_load_extension(pointer, path, nil, &text)
        let message = text.map { String(cString: $0) } ?? "SQLite gives no reason"
        sqlite3_free(text)
        try configure(SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false)
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, message: message) }
    }

    /// A function as `PRAGMA function_list` shows it.
    package struct ListedFunction: Hashable, Sendable {
        /// In lower case.
        package let name: String
        /// How many it takes; nil: any number.
        package let argumentCount: Int?
        /// The rest of the row: whether it is built in, kind, encoding.
        package let form: String
        /// It gives the same result for the same arguments, always (`SQLITE_DETERMINISTIC`).
        package let isDeterministic: Bool
    }

    /// All functions that the connection knows, each as often as it is listed.
    package func functions() throws(SQLiteError) -> [ListedFunction: Int] {
        let rows = try prepare("PRAGMA function_list")
        var found: [ListedFunction: Int] = [:]
        while try rows.step() {
            let form = [1, 2, 3].map { rows.text(at: $0) ?? "" }.joined(separator: "|")
            found[
                ListedFunction(
                    name: (rows.text(at: 0) ?? "").loweredASCII,
                    argumentCount: rows.integer(at: 4) < 0 ? nil : Int(rows.integer(at: 4)),
                    form: form,
                    isDeterministic: rows.integer(at: 5) & Int64(SQLITE_DETERMINISTIC) != 0),
                default: 0] += 1
        }
        return found
    }

    /// The modules of virtual tables that the connection knows, as they were registered.
    package func modules() throws(SQLiteError) -> [String] {
        let rows = try prepare("PRAGMA module_list")
        var names: [String] = []
        while try rows.step() { names.append(rows.text(at: 0) ?? "") }
        return names.sorted()
    }

    /// Forgets all modules but these.
    package func dropModules(except names: [String]) throws(SQLiteError) {
        let copies = names.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        // SQLite reads up to the nil.
        var kept = copies.map { $0.map { UnsafePointer($0) } } + [nil]
        let rc = sqlite3_drop_modules(pointer, &kept)
        guard rc == SQLITE_OK else { throw SQLiteError(extendedCode: rc, connection: pointer) }
    }
}
