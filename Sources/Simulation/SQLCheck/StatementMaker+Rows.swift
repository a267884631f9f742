import Chance

/// Statements that change rows.
extension StatementMaker {
    /// Makes a table larger than others, so that the planner has something to choose.
    mutating func fill(_ table: SchemaModel.Table) -> String {
        guard table.shape != .view, !table.isVirtual else { return select() }
        let count = dice.pick([3, 12, 40, 150], or: 3)
        let columns = Array(table.columns.prefix(3 + dice.below(2)))
        let values = columns.map { _ in
            dice.pick("i % 7", "i % 13", "i", "i * 1.5", "'v' || (i % 5)", "NULL", "i / 3")
        }
        return "WITH RECURSIVE n(i) AS (SELECT \(dice.below(50)) UNION ALL SELECT i + 1 FROM n "
            + "LIMIT \(count)) INSERT \(dice.pick("", "OR IGNORE ", "OR REPLACE "))"
            + "INTO \(table.name)(\(columns.joined(separator: ", "))) "
            + "SELECT \(values.joined(separator: ", ")) FROM n"
    }

    mutating func insert() -> String {
        let table = schema.ordinary(&dice)
        var columns = table.columns
        if let key = table.key, dice.chance(temper.hasExtremes ? 3 : 1, of: 4) {
            columns.insert(key, at: 0)
        }
        while columns.count > 1, dice.chance(1, of: 3) { columns.removeLast() }
        let rows = (0...dice.below(4)).map { _ in
            "("
                + columns.map { $0 == table.key ? rowid() : value() }.joined(separator: ", ") + ")"
        }
        if temper.hasExtremes, dice.chance(1, of: 5), table.key == nil {
            return "INSERT INTO \(table.name)(rowid, \(table.column(&dice))) "
                + "VALUES(\(rowid()), \(value()))"
        }
        if dice.chance(1, of: 12) {
            return "INSERT INTO \(table.name) DEFAULT VALUES\(returning())"
        }
        return "INSERT \(onConflict())INTO \(table.name)(\(columns.joined(separator: ", "))) "
            + "VALUES\(rows.joined(separator: ", "))\(returning())"
    }

    /// Which row gets which rowid is the planner's choice.
    mutating func insertSelect() -> String {
        let target = schema.ordinary(&dice)
        let first = schema.readable(&dice)
        let second = schema.readable(&dice)
        let column = target.column(&dice)
        let other = target.column(&dice)
        let columns = column == other ? column : "\(column), \(other)"
        let x = first.column(&dice)
        let y = second.column(&dice)
        let values = column == other ? "x.\(x)" : "x.\(x), y.\(second.column(&dice))"
        let source =
            switch dice.below(8) {
            case 0..<3: "\(first.name) x, \(second.name) y WHERE x.\(x) = y.\(y)"
            case 3:
                "\(first.name) x LEFT JOIN \(second.name) y ON x.\(first.column(&dice)) = y.\(y)"
            case 4:
                "\(first.name) x, \(second.name) y WHERE x.\(x) > \(dice.below(9)) "
                    + "AND y.\(y) = \(dice.below(9))"
            case 5:
                "\(first.name) x, \(second.name) y WHERE (x.\(x) = \(dice.below(9)) "
                    + "OR x.\(first.column(&dice)) = y.\(y))"
            case 6:
                "\(first.name) x JOIN \(second.name) y USING(\(x))"
            default:
                "\(first.name) x, (SELECT DISTINCT \(y) AS \(y) FROM \(second.name)) y "
                    + "WHERE x.\(x) = y.\(y)"
            }
        return "INSERT \(onConflict())INTO \(target.name)(\(columns)) "
            + "SELECT \(source.contains(") y") ? "x.\(x), 1" : values) FROM \(source) "
            + "LIMIT \(1 + dice.below(40))"
    }

    mutating func upsert() -> String {
        let table = schema.ordinary(&dice)
        let column = table.column(&dice)
        let change =
            if let key = table.key, dice.chance(1, of: 3) {
                "\(key) = \(rowid())"
            } else {
                "\(table.column(&dice)) = \(dice.pick("excluded.\(column)", value(), expression()))"
            }
        let target = dice.pick("", "(\(table.key ?? column))", "(a, b)", "")
        let action = dice.pick("NOTHING", "UPDATE SET \(change)", "UPDATE SET \(change)")
        let key = table.key.map { "\($0), " } ?? ""
        return "INSERT INTO \(table.name)(\(key)\(column)) VALUES"
            + (0...dice.below(2)).map { _ in
                "(\(key.isEmpty ? "" : "\(rowid()), ")\(value()))"
            }.joined(separator: ", ")
            + " ON CONFLICT\(target) DO \(action)\(returning())"
    }

    mutating func update() -> String {
        let table = schema.ordinary(&dice)
        let column = table.column(&dice)
        let other = schema.readable(&dice)
        if let key = table.key, dice.chance(1, of: temper.hasExtremes ? 3 : 8) {
            return "UPDATE \(onConflict())\(table.name) SET \(key) = "
                + "\(dice.pick(rowid(), "\(key) + 1", "-\(key)")) WHERE \(condition(table))"
        }
        return switch dice.below(3) {
        case 0:
            "UPDATE \(onConflict())\(table.name) SET \(column) = y.\(other.column(&dice)) "
                + "FROM \(other.name) y WHERE \(table.name).\(column) = y.\(other.column(&dice))"
        case 1:
            "UPDATE \(onConflict())\(table.name) SET \(column) = \(expression()) "
                + "WHERE \(condition(table))\(returning())"
        default:
            "UPDATE \(onConflict())\(table.name) SET \(column) = \(value()), "
                + "\(table.column(&dice)) = \(value()) WHERE \(condition(table))"
        }
    }

    mutating func delete() -> String {
        let table = schema.ordinary(&dice)
        return switch dice.below(6) {
        case 0: "DELETE FROM \(table.name)"
        case 1:
            "DELETE FROM \(table.name) WHERE \(table.column(&dice)) IN (SELECT "
                + "\(table.column(&dice)) FROM \(table.name) LIMIT 3)"
        default: "DELETE FROM \(table.name) WHERE \(condition(table))\(returning())"
        }
    }

    mutating func condition(_ table: SchemaModel.Table) -> String {
        let column = table.column(&dice)
        return dice.pick(
            "\(column) = \(value())", "\(column) > \(dice.below(12))", "\(column) IS NULL",
            "\(column) IN (\(dice.below(9)), \(dice.below(9)), 'v1')",
            "\(column) BETWEEN 2 AND 6", "\(column) LIKE 'v%'",
            "\(table.column(&dice)) < \(column)",
            "\(column) = 1 OR \(table.column(&dice)) = 2")
    }

    private mutating func onConflict() -> String {
        dice.pick("", "", "", "OR REPLACE ", "OR IGNORE ", "OR FAIL ", "OR ROLLBACK ", "OR ABORT ")
    }

    private mutating func returning() -> String {
        dice.chance(1, of: 4) ? " RETURNING *, \(dice.pick("1", "typeof(a)", "a || b"))" : ""
    }

    // MARK: Values

    /// A rowid that is asked for.
    mutating func rowid() -> String {
        if temper.hasExtremes, dice.chance(1, of: 2) {
            return dice.pick(
                "9223372036854775807", "NULL", "NULL", "9223372036854775806",
                "-9223372036854775808", "4611686018427387904")
        }
        return dice.pick("NULL", "\(dice.below(30))", "\(dice.below(30))")
    }

    mutating func value() -> String {
        if dice.chance(3, of: 4) { return "\(dice.below(14))" }
        if temper.hasChance, dice.chance(1, of: 4) { return chanceExpression() }
        return dice.pick(
            "NULL", "''", "x''", "'v1'", "'V1'", "1.5", "-0.0", "1e308", "9e999", "'1'", "' 1 '",
            "9223372036854775807", "-9223372036854775808", "x'00ff'", "'\u{E9}'", "'e\u{301}'",
            "zeroblob(\(dice.pick("3", "5000")))", "'[1,{\"a\":2}]'", "0.1 + 0.2", "1 / 3.0",
            "printf('%.3f', 2.0005)", "'%_\\'", "char(0)", "1e-7")
    }

    /// What no other SQLite gives again.
    mutating func chanceExpression() -> String {
        dice.pick(
            "random()", "hex(randomblob(4))", "datetime('now')", "julianday('now')",
            "last_insert_rowid()", "changes()", "total_changes()", "abs(random() % 9)",
            "strftime('%s', 'now', '+1 day')")
    }

    mutating func expression() -> String {
        if temper.hasChance, dice.chance(1, of: 8) { return chanceExpression() }
        return dice.pick(
            "a", "b", "a + 1", "a || b", "length(a)", "upper(b)", "coalesce(a, b, 0)", "a % 5",
            "abs(b)", "typeof(a)", "substr(b, 1, 2)", "CASE WHEN a > 3 THEN b ELSE a END",
            "json_array(a, b)", "hex(a)", "quote(a)", "round(a, 1)", "a IS b", "min(a, b)",
            "printf('%s-%d', a, b)", "a << 2", "CAST(a AS TEXT)", "instr(b, 'v')", "nullif(a, b)",
            "unicode(b)", "a * 9223372036854775807", "sqrt(abs(b))", "a COLLATE NOCASE = b")
    }
}
