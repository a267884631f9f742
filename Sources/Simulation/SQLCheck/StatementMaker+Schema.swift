import Chance

/// Statements that make, change and drop objects of the schema.
extension StatementMaker {
    mutating func schemaChange() -> String {
        switch dice.below(30) {
        case 0..<6: createTable()
        case 6..<14: createIndex()
        case 14..<18: dropIndex()
        case 18..<20: createTrigger()
        case 20..<22: createView()
        case 22..<24: alter()
        case 24..<26: dropTable()
        case 26: dropTrigger()
        case 27 where temper.hasVirtualTables: createVirtualTable()
        case 27: createAs()
        default: createIndex()
        }
    }

    /// Two columns or more to join by.
    mutating func createPlainTable() -> String {
        let name = schema.name("t", &dice)
        let columns = ["a", "b", "c", "d"]
        schema.drop(name)
        let hasKey = dice.chance(1, of: 2)
        schema.tables.append(
            .init(
                name: name, columns: columns, key: hasKey ? "id" : nil, shape: .rows))
        return "CREATE TABLE \(name)(\(hasKey ? "id INTEGER PRIMARY KEY, " : "")a, b, c, d)"
    }

    mutating func createTable() -> String {
        let name = schema.name("t", &dice)
        let shape: SchemaModel.Shape =
            switch dice.below(6) {
            case 0: .withoutRowid
            case 1: .strict
            case 2: .autoincrement
            default: .rows
            }
        var columns = ["a", "b", "c"]
        var parts: [String] = []
        let key: String? = shape == .autoincrement || dice.chance(1, of: 2) ? "id" : nil
        if shape == .withoutRowid {
            parts.append("k \(dice.pick("TEXT", "INTEGER", "BLOB")) PRIMARY KEY")
            columns.append("k")
        } else if let key {
            let words = shape == .autoincrement ? " AUTOINCREMENT" : dice.pick("", " DESC", "")
            parts.append("\(key) INTEGER PRIMARY KEY\(words)")
        }
        for column in ["a", "b", "c"] {
            parts.append("\(column) \(columnRules(isStrict: shape == .strict))")
        }
        if dice.chance(1, of: 3) {
            let type = shape == .strict ? "ANY" : ""
            parts.append(
                "g \(type) AS (\(dice.pick("a || b", "abs(length(c))", "coalesce(a, b)"))) "
                    + dice.pick("STORED", "VIRTUAL"))
        }
        if dice.chance(1, of: 4) {
            parts.append(
                "CHECK(\(dice.pick("a IS NOT b", "length(c) < 9000", "typeof(a) <> 'real'")))")
        }
        if dice.chance(1, of: 4) { parts.append("UNIQUE(a, b)\(conflict())") }
        if dice.chance(1, of: 3) { parts.append(foreignKey()) }
        if !schema.tables.contains(where: { $0.name == name }) {
            schema.tables.append(
                .init(
                    name: name, columns: columns, key: shape == .withoutRowid ? nil : key,
                    shape: shape))
        }
        let suffix =
            switch shape {
            case .withoutRowid: " WITHOUT ROWID"
            case .strict: " STRICT"
            default: ""
            }
        let clause = dice.chance(1, of: 6) ? "IF NOT EXISTS " : ""
        return "CREATE TABLE \(clause)\(name)(\(parts.joined(separator: ", ")))\(suffix)"
    }

    private mutating func conflict() -> String {
        dice.chance(1, of: 2)
            ? "" : " ON CONFLICT \(dice.pick("REPLACE", "IGNORE", "FAIL", "ROLLBACK"))"
    }

    private mutating func columnRules(isStrict: Bool) -> String {
        var text =
            isStrict
            ? dice.pick("ANY", "TEXT", "INTEGER", "ANY")
            : dice.pick("", "INTEGER", "TEXT", "REAL", "NUMERIC", "BLOB", "TEXT COLLATE NOCASE")
        switch dice.below(10) {
        case 0: text += " UNIQUE\(conflict())"
        case 1: text += " NOT NULL\(conflict())"
        case 2: text += " DEFAULT \(dice.pick("1", "'x'", "(1 + 2)", "NULL", "-0.5"))"
        case 3 where temper.hasChance:
            text +=
                " DEFAULT "
                + dice.pick(
                    "CURRENT_TIMESTAMP", "(random())", "(hex(randomblob(4)))", "CURRENT_DATE",
                    "(strftime('%f', 'now'))", "(changes())")
        default: break
        }
        return text
    }

    private mutating func foreignKey() -> String {
        let parent = schema.ordinary(&dice)
        let column = parent.key ?? parent.column(&dice)
        let action = dice.pick("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")
        let event = dice.pick("DELETE", "UPDATE")
        return "FOREIGN KEY(\(dice.pick("a", "b"))) REFERENCES \(parent.name)(\(column)) "
            + "ON \(event) \(action)\(dice.pick("", "", " DEFERRABLE INITIALLY DEFERRED"))"
    }

    mutating func createIndex() -> String {
        let table = schema.ordinary(&dice)
        let name = schema.name("i", &dice)
        schema.indexes.append(name)
        var columns = [table.column(&dice)]
        if dice.chance(1, of: 2) { columns.append(table.column(&dice)) }
        if dice.chance(1, of: 6) {
            columns = [dice.pick("length(\(columns[0]))", "lower(\(columns[0]))", "a || b")]
        }
        let parts = columns.map { $0 + dice.pick("", "", " DESC", " COLLATE NOCASE") }
        let filter = dice.chance(1, of: 7) ? " WHERE \(columns[0]) IS NOT NULL" : ""
        let unique = dice.chance(1, of: 10) ? "UNIQUE " : ""
        return "CREATE \(unique)INDEX \(name) ON \(table.name)(\(parts.joined(separator: ", ")))"
            + filter
    }

    private mutating func dropIndex() -> String {
        let name = dice.pick(schema.indexes, or: "nothing")
        schema.indexes.removeAll { $0 == name }
        return "DROP INDEX \(dice.pick("", "IF EXISTS "))\(name)"
    }

    private mutating func dropTable() -> String {
        let table = schema.readable(&dice)
        // Something must be left.
        guard schema.tables.count > 3 else { return createPlainTable() }
        schema.drop(table.name)
        return "DROP \(table.shape == .view ? "VIEW" : "TABLE") \(table.name)"
    }

    private mutating func dropTrigger() -> String {
        let name = dice.pick(schema.triggers, or: "nothing")
        schema.triggers.removeAll { $0 == name }
        return "DROP TRIGGER \(name)"
    }

    private mutating func createView() -> String {
        let first = schema.readable(&dice)
        let second = schema.ordinary(&dice)
        let name = schema.name("v", &dice)
        let column = first.column(&dice)
        schema.tables.append(.init(name: name, columns: ["a", "b"], key: nil, shape: .view))
        return switch dice.below(3) {
        case 0:
            "CREATE VIEW \(name)(a, b) AS SELECT \(column), count(*) FROM \(first.name) GROUP BY 1"
        case 1:
            "CREATE VIEW \(name)(a, b) AS SELECT x.\(column), y.\(second.column(&dice)) "
                + "FROM \(first.name) x JOIN \(second.name) y ON x.\(column) = y.\(second.column(&dice))"
        default: "CREATE VIEW \(name)(a, b) AS SELECT \(column), \(expression()) FROM \(first.name)"
        }
    }

    private mutating func createTrigger() -> String {
        let table = schema.readable(&dice)
        let target = schema.ordinary(&dice)
        let name = schema.name("r", &dice)
        schema.triggers.append(name)
        let event = dice.pick("INSERT", "UPDATE", "DELETE")
        let time = table.shape == .view ? "INSTEAD OF" : dice.pick("AFTER", "BEFORE", "AFTER")
        let row = event == "DELETE" ? "old" : "new"
        let column = table.column(&dice)
        var body = [
            dice.pick(
                "INSERT INTO \(target.name)(\(target.column(&dice))) VALUES(\(row).\(column))",
                "UPDATE \(target.name) SET \(target.column(&dice)) = \(row).\(column) "
                    + "WHERE \(target.column(&dice)) = \(dice.below(20))",
                "DELETE FROM \(target.name) WHERE \(target.column(&dice)) = \(row).\(column)",
                "INSERT OR IGNORE INTO \(target.name)(\(target.column(&dice))) "
                    + "SELECT \(row).\(column) FROM \(target.name) LIMIT 2")
        ]
        if dice.chance(1, of: 3) {
            body.append(
                "SELECT RAISE(\(dice.pick("IGNORE", "ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'"))) "
                    + "WHERE \(row).\(column) = \(dice.below(9))")
        }
        if temper.hasChance, dice.chance(1, of: 4) {
            body.append(
                "INSERT INTO \(target.name)(\(target.column(&dice))) VALUES(\(chanceExpression()))")
        }
        let filter = dice.chance(1, of: 3) ? " WHEN \(row).\(column) > 3" : ""
        return "CREATE TRIGGER \(name) \(time) \(event) ON \(table.name)\(filter) BEGIN "
            + body.joined(separator: "; ") + "; END"
    }

    private mutating func alter() -> String {
        let table = schema.ordinary(&dice)
        switch dice.below(5) {
        case 0:
            let name = schema.name("t", &dice)
            if let place = schema.tables.firstIndex(where: { $0.name == table.name }) {
                schema.tables[place].name = name
            }
            return "ALTER TABLE \(table.name) RENAME TO \(name)"
        case 1:
            return "ALTER TABLE \(table.name) RENAME COLUMN \(table.column(&dice)) TO "
                + dice.pick("a", "b", "e")
        case 2: return "ALTER TABLE \(table.name) DROP COLUMN \(table.column(&dice))"
        default:
            return "ALTER TABLE \(table.name) ADD COLUMN e \(columnRules(isStrict: false))"
        }
    }

    private mutating func createAs() -> String {
        let source = schema.readable(&dice)
        let name = schema.name("t", &dice)
        if !schema.tables.contains(where: { $0.name == name }) {
            schema.tables.append(.init(name: name, columns: ["a", "b"], key: nil, shape: .rows))
        }
        return "CREATE TABLE \(name) AS SELECT \(source.column(&dice)) AS a, "
            + "\(expression()) AS b FROM \(source.name) LIMIT 30"
    }

    private mutating func createVirtualTable() -> String {
        if dice.chance(1, of: 3) {
            let name = schema.name("rt", &dice)
            schema.tables.append(
                .init(
                    name: name, columns: ["x0", "x1", "y0", "y1"], key: "id", shape: .rectangles))
            return "CREATE VIRTUAL TABLE \(name) USING rtree(id, x0, x1, y0, y1)"
        }
        let name = schema.name("ft", &dice)
        let module = dice.chance(1, of: 8) ? "fts4" : "fts5"
        schema.tables.append(
            .init(name: name, columns: ["w"], key: "rowid", shape: .fullText))
        let option =
            module == "fts5" ? dice.pick("", ", prefix='2'", ", content=''", ", detail=none") : ""
        return "CREATE VIRTUAL TABLE \(name) USING \(module)(w\(option))"
    }
}
