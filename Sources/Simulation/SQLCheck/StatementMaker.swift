import Chance

/// Makes statements of every kind, seeded, for a schema that they change as they go.
struct StatementMaker {
    /// What a history may hold.
    struct Temper: Equatable, Sendable {
        /// Time and chance: what no other SQLite can repeat. Without it SQLite judges the values.
        var hasChance: Bool
        /// Rows at the ends of the range of rowids.
        var hasExtremes: Bool
        /// Full-text and R*Tree tables.
        var hasVirtualTables: Bool
        var foreignKeys: Bool
        /// Settings of a request, and statistics by hand.
        var hasSettings = false
    }

    let temper: Temper
    var dice: SplitMix64
    var schema = SchemaModel()

    init(temper: Temper, dice: SplitMix64) {
        self.temper = temper
        self.dice = dice
    }

    /// The first statements: something to begin with.
    mutating func opening() -> [String] {
        var texts = [createPlainTable(), createPlainTable(), createTable()]
        for table in schema.tables where table.shape != .view {
            texts.append(fill(table))
        }
        return texts
    }

    /// Any statement.
    mutating func statement() -> String {
        if temper.hasSettings, dice.chance(1, of: 8) { return settingStatement() }
        return switch dice.below(100) {
        case 0..<18: schemaChange()
        case 18..<22: maintenance()
        case 22..<24: undoneChange()
        case 24..<40: insert()
        case 40..<55: insertSelect()
        case 55..<61: upsert()
        case 61..<69: update()
        case 69..<74: delete()
        case 74..<86: select()
        case 86..<93 where temper.hasVirtualTables: virtualTableStatement()
        case 86..<90: fill(schema.ordinary(&dice))
        case 90..<92: broken()
        default: transaction()
        }
    }

    /// A statement that changes no schema, for within a transaction that SQLite judges.
    mutating func rowStatement() -> String {
        switch dice.below(6) {
        case 0: insert()
        case 1: insertSelect()
        case 2: upsert()
        case 3: update()
        case 4: delete()
        default: select()
        }
    }

    private mutating func transaction() -> String {
        var texts = ["BEGIN"]
        for _ in 0...dice.below(3) {
            texts.append(temper.hasChance ? step() : rowStatement())
            if dice.chance(1, of: 4) {
                texts += ["SAVEPOINT s", rowStatement(), dice.pick("ROLLBACK TO s", "RELEASE s")]
            }
        }
        texts.append(dice.pick("COMMIT", "COMMIT", "ROLLBACK"))
        return texts.joined(separator: "; ")
    }

    /// Within a transaction; the model need not know of changes that may be undone.
    private mutating func step() -> String {
        let before = schema
        switch dice.below(8) {
        case 0:
            let text = schemaChange()
            if dice.chance(1, of: 2) { schema = before }
            return text
        case 1: return dice.pick("ANALYZE", "REINDEX", "PRAGMA user_version=7", "PRAGMA optimize")
        default: return rowStatement()
        }
    }

    /// A change of the schema that is rolled back, in one of the ways there are.
    private mutating func undoneChange() -> String {
        let before = schema
        let change = schemaChange()
        let second = dice.chance(1, of: 2) ? "ANALYZE" : rowStatement()
        schema = before
        return switch dice.below(temper.hasChance ? 4 : 2) {
        case 0: "BEGIN; \(change); ROLLBACK"
        case 1: "SAVEPOINT a; \(change); ROLLBACK TO a; RELEASE a"
        case 2: "BEGIN; \(change); \(second); ROLLBACK"
        default: "BEGIN; SAVEPOINT b; \(change); ROLLBACK TO b; \(second); COMMIT"
        }
    }

    private mutating func maintenance() -> String {
        let table = schema.ordinary(&dice)
        return switch dice.below(12) {
        case 0: "VACUUM"
        case 1: "REINDEX"
        case 2: "REINDEX \(table.name)"
        case 3 where temper.hasChance: "PRAGMA optimize"
        case 4: "PRAGMA user_version=\(dice.below(9))"
        case 5: "ANALYZE \(table.name)"
        case 6: "ANALYZE \(dice.pick(schema.indexes, or: "nothing"))"
        case 7 where temper.hasChance: catalogue()
        default: "ANALYZE"
        }
    }

    /// What goes through the schema.
    private mutating func catalogue() -> String {
        let target = schema.ordinary(&dice)
        let source = dice.pick(
            "SELECT name FROM pragma_table_list", "SELECT sql FROM sqlite_schema",
            "SELECT tbl || coalesce(idx, '') || stat FROM sqlite_stat1",
            "SELECT \"table\" FROM pragma_foreign_key_check",
            "SELECT name FROM pragma_index_list('\(target.name)')",
            "SELECT rootpage FROM sqlite_schema", "SELECT seq FROM sqlite_sequence",
            "SELECT integrity_check FROM pragma_integrity_check")
        return "INSERT INTO \(target.name)(\(target.column(&dice))) \(source)"
    }

    private mutating func broken() -> String {
        dice.pick(
            "SELEC 1", "INSERT INTO nowhere VALUES(1)", "SELECT nothing FROM nowhere",
            "CREATE TABLE sqlite_x(a)", "INSERT INTO", "SELECT 'open", "DROP TABLE nowhere",
            "SELECT abs(-9223372036854775808)", "SELECT json('{')", "COMMIT",
            "SELECT count(*) OVER ()  FROM (VALUES(1),(2)) GROUP BY nothing", ";", "-- nothing",
            "CREATE TABLE bad(a, a)", "SELECT zeroblob(300000000)",
            "CREATE INDEX badi ON nowhere(a)", "ALTER TABLE nowhere ADD COLUMN x",
            "SELECT '\u{E9}', 'e\u{301}'", "SELECT 'e\u{301}', '\u{E9}'")
    }
}
