internal import CSQLite
internal import SQLite

/// A virtual table as SQLite's shell dumps it: not as a statement that creates it, which would make
/// its shadow tables anew, but as a row of the schema, beside shadow tables with their rows:
///
///     PRAGMA writable_schema=ON;
///     INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)
///       VALUES('table','words','words',0,'CREATE VIRTUAL TABLE words USING fts5(w)');
///
/// Exactly this form is carried out, by the daemon. Everything else that would write the schema by
/// hand stays refused.
struct CatalogueRow: Equatable, Sendable {
    var name: String
    var sql: String
    /// Bytes it takes of the text, up to where the next statement begins.
    var end: Int

    /// Nil when the statement has another form.
    init?(_ text: UnsafeRawBufferPointer) {
        var reader = Reader(text)
        guard reader.skip("INSERT", "INTO"),
            ["sqlite_schema", "sqlite_master"].contains(reader.name()),
            reader.skip(UInt8(ascii: "(")),
            reader.names(5) == ["type", "name", "tbl_name", "rootpage", "sql"],
            reader.skip(UInt8(ascii: ")")), reader.skip("VALUES"), reader.skip(UInt8(ascii: "(")),
            reader.text() == "table", reader.skip(UInt8(ascii: ",")),
            let name = reader.text(), reader.skip(UInt8(ascii: ",")),
            reader.text().map({ SQLText($0) }) == SQLText(name),
            reader.skip(UInt8(ascii: ",")), reader.skip("0"),
            reader.skip(UInt8(ascii: ",")), let sql = reader.text(),
            reader.skip(UInt8(ascii: ")")), reader.endsStatement()
        else { return nil }
        self.name = name
        self.sql = sql
        end = reader.tokens.offset
    }

    /// Takes one token after the other, as long as they are the expected ones.
    private struct Reader {
        private let bytes: UnsafeRawBufferPointer
        var tokens: SQLTokenizer

        init(_ bytes: UnsafeRawBufferPointer) {
            self.bytes = bytes
            tokens = SQLTokenizer(bytes)
        }

        mutating func skip(_ keywords: StaticString...) -> Bool {
            for keyword in keywords {
                guard case .word(let range)? = tokens.next(), tokens.isKeyword(range, keyword)
                else { return false }
            }
            return true
        }

        mutating func skip(_ character: UInt8) -> Bool {
            tokens.next() == .other(character)
        }

        mutating func name() -> String {
            switch tokens.next() {
            case .word(let range), .quoted(let range): tokens.lowercased(range)
            default: ""
            }
        }

        mutating func names(_ count: Int) -> [String] {
            (0..<count).map { index in
                index > 0 && !skip(UInt8(ascii: ",")) ? "" : name()
            }
        }

        /// A text between single quotes.
        mutating func text() -> String? {
            guard case .quoted(let range)? = tokens.next(),
                bytes[range.lowerBound - 1] == UInt8(ascii: "'")
            else { return nil }
            return String(
                decoding: SQLTokenizer.undoubled(bytes[range], UInt8(ascii: "'")), as: UTF8.self)
        }

        mutating func endsStatement() -> Bool {
            let token = tokens.next()
            return token == nil || token == .semicolon
        }
    }

    /// What SQLite would store for the table, found by making it in a database of its own. So a row
    /// that no connection could read never gets into the schema.
    func stored() throws(CatalogueRowError) -> (name: String, sql: String) {
        if let refusal = sql.withContiguousUTF8({ SchemaRules.refusal(of: $0) }) {
            throw CatalogueRowError(text: refusal)
        }
        do throws(SQLiteError) {
            let scratch = try SessionSetup.connect(
                ":memory:", access: .create, functions: FunctionContext(chance: .engine))
            let guardian = Guard()
            guardian.install(on: scratch)
            let compiler = StatementCompiler(connection: scratch, guardian: guardian)
            let outcome = compiler.compile(sql, from: 0)
            if case .failed(let error) = outcome, error.code == SQLITE_NOMEM { throw error }
            // Nothing bounds what runs here: of any other statement it would be as much as its sender likes.
            guard case .statement(let statement) = outcome, statement.isLast,
                !statement.compiled.isReadOnly, statement.compiled.facts.newVirtualTable != nil
            else { throw CatalogueRow.malformed(name) }
            try statement.compiled.statement.run()
            let rows = try scratch.prepare(
                "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0")
            guard try rows.step(), let found = rows.text(at: 0), let sql = rows.text(at: 1),
                SQLText(found) == SQLText(name)
            else { throw CatalogueRow.malformed(name) }
            return (found, sql)
        } catch {
            throw CatalogueRowError(error)
        }
    }

    private static func malformed(_ name: String) -> SQLiteError {
        SQLiteError(
            extendedCode: SQLITE_ERROR,
            message: "the schema row of \(name) makes no virtual table of this name")
    }
}

/// Why a row doesn't become part of the schema, in words for the client.
struct CatalogueRowError: Error, Equatable {
    var text: String
    /// What SQLite said, which may be about the machine.
    var cause: SQLiteError?

    init(text: String) { self.text = text }

    init(_ cause: SQLiteError) {
        text = cause.message
        self.cause = cause
    }
}

extension String {
    fileprivate func withContiguousUTF8<Result>(_ body: (UnsafeRawBufferPointer) -> Result)
        -> Result
    {
        var copy = self
        return copy.withUTF8 { body(UnsafeRawBufferPointer($0)) }
    }
}
