import Chance

/// Queries, and statements about virtual tables.
extension StatementMaker {
    mutating func select() -> String {
        let table = schema.readable(&dice)
        let other = schema.readable(&dice)
        let a = table.column(&dice)
        let b = table.column(&dice)
        switch dice.below(12) {
        case 0: return "SELECT * FROM \(table.name) WHERE \(condition(table)) LIMIT 20"
        case 1: return "SELECT \(a), count(*), sum(\(b)) FROM \(table.name) GROUP BY \(a)"
        case 2:
            return "SELECT x.\(a), y.\(other.column(&dice)) FROM \(table.name) x, \(other.name) y "
                + "WHERE x.\(b) = y.\(other.column(&dice)) LIMIT 15"
        case 3:
            return "SELECT \(a), row_number() OVER (ORDER BY \(b)), "
                + "sum(\(b)) OVER (PARTITION BY \(a) ORDER BY \(b) ROWS 2 PRECEDING) "
                + "FROM \(table.name) LIMIT 20"
        case 4: return "SELECT DISTINCT \(a) FROM \(table.name) ORDER BY 1 DESC LIMIT 9"
        case 5:
            return
                "SELECT \(a) FROM \(table.name) \(dice.pick("UNION", "EXCEPT", "INTERSECT", "UNION ALL")) "
                + "SELECT \(other.column(&dice)) FROM \(other.name) LIMIT 30"
        case 6:
            return "SELECT key, value, type FROM json_each((SELECT json_group_array(\(a)) FROM "
                + "(SELECT \(a) FROM \(table.name) WHERE typeof(\(a)) <> 'blob' LIMIT 5)))"
        case 7: return "SELECT group_concat(\(a)), max(\(b)), total(\(a)) FROM \(table.name)"
        case 8:
            return "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 9) "
                + "SELECT i, (SELECT count(*) FROM \(table.name) WHERE \(a) = i) FROM n"
        case 9: return "SELECT \(expression()), \(expression()) FROM \(table.name) LIMIT 12"
        case 10:
            return "SELECT \(a) FROM \(table.name) WHERE EXISTS (SELECT 1 FROM \(other.name) y "
                + "WHERE y.\(other.column(&dice)) = \(a)) LIMIT 9"
        default:
            return "SELECT lag(\(a)) OVER w, ntile(3) OVER w FROM \(table.name) "
                + "WINDOW w AS (ORDER BY \(b), \(a)) LIMIT 9"
        }
    }

    mutating func virtualTableStatement() -> String {
        if let table = schema.virtual(.rectangles, &dice), dice.chance(1, of: 3) {
            return rectangleStatement(table.name)
        }
        guard let table = schema.virtual(.fullText, &dice) else { return schemaChange() }
        return fullTextStatement(table.name)
    }

    private mutating func words() -> String {
        (0...dice.below(5)).map { _ in "w\(dice.below(12))" }.joined(separator: " ")
    }

    private mutating func fullTextStatement(_ name: String) -> String {
        switch dice.below(12) {
        case 0: return "DELETE FROM \(name) WHERE rowid = \(dice.below(20))"
        case 1: return "UPDATE \(name) SET w = '\(words())' WHERE rowid = \(dice.below(20))"
        case 2: return "SELECT rowid FROM \(name) WHERE \(name) MATCH 'w\(dice.below(12))'"
        case 3:
            return
                "INSERT INTO \(name)(\(name)) VALUES('\(dice.pick("optimize", "rebuild", "delete-all"))')"
        case 4:
            return
                "INSERT INTO \(name)(\(name), rank) VALUES('\(dice.pick("merge", "automerge", "crisismerge", "pgsz"))', "
                + "\(2 + dice.below(60)))"
        case 5:
            return
                "BEGIN; INSERT INTO \(name)(\(name), rank) VALUES('automerge', \(2 + dice.below(9))); "
                + "INSERT INTO \(name)(w) VALUES('\(words())'); \(dice.pick("ROLLBACK", "COMMIT"))"
        case 6:
            return "INSERT INTO \(name)(w) SELECT \(schema.ordinary(&dice).column(&dice)) FROM "
                + "\(schema.ordinary(&dice).name) LIMIT 30"
        case 7: return "REPLACE INTO \(name)(rowid, w) VALUES(\(rowid()), '\(words())')"
        case 8:
            return "BEGIN; INSERT INTO \(name)(w) VALUES('\(words())'); \(createIndex()); "
                + "INSERT INTO \(name)(w) VALUES('\(words())'); COMMIT"
        default: return "INSERT INTO \(name)(w) VALUES('\(words())'),('\(words())')"
        }
    }

    private mutating func rectangleStatement(_ name: String) -> String {
        let x = dice.below(40)
        let y = dice.below(40)
        switch dice.below(6) {
        case 0: return "DELETE FROM \(name) WHERE x0 > \(x)"
        case 1: return "UPDATE \(name) SET x1 = x1 + 2 WHERE id = \(dice.below(20))"
        case 2: return "SELECT id FROM \(name) WHERE x0 < \(x) AND y1 > \(y)"
        case 3:
            return "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 60) "
                + "INSERT INTO \(name) SELECT NULL, i % 9, i % 9 + \(x), i % 7, i % 7 + \(y) FROM n"
        default:
            return "INSERT \(dice.pick("", "OR REPLACE ", "OR IGNORE "))INTO \(name) "
                + "VALUES(\(rowid()), \(x), \(x + 3), \(y), \(y + dice.below(4) - 1))"
        }
    }
}
