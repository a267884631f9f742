import Chance

/// Statements under settings that a request makes for itself, and statistics that a client writes.
extension StatementMaker {
    mutating func settingStatement() -> String {
        switch dice.below(14) {
        case 0: return "PRAGMA recursive_triggers=ON; \(rowStatement()); \(rowStatement())"
        case 1: return "PRAGMA ignore_check_constraints=ON; \(insert()); \(insertSelect())"
        case 2:
            return "PRAGMA foreign_keys=\(dice.pick("ON", "OFF")); \(rowStatement()); \(delete())"
        case 3:
            return "BEGIN; PRAGMA defer_foreign_keys=ON; \(delete()); \(insert()); "
                + dice.pick("COMMIT", "ROLLBACK")
        case 4: return "PRAGMA full_column_names=ON; \(select())"
        case 5:
            return "PRAGMA legacy_alter_table=ON; \(schemaChange()); \(insertSelect())"
        case 6..<9: return "PRAGMA case_sensitive_like=ON; \(sensitive())"
        case 9: return "PRAGMA case_sensitive_like=ON; \(sensitive()); ANALYZE; \(sensitive())"
        default: return statistics()
        }
    }

    private mutating func sensitive() -> String {
        let table = schema.readable(&dice)
        let target = schema.ordinary(&dice)
        let column = table.column(&dice)
        let pattern = dice.pick("'v%'", "'V%'", "'_1'", "b", "'%1' ESCAPE '!'", "NULL")
        return switch dice.below(5) {
        case 0: "DELETE FROM \(target.name) WHERE \(target.column(&dice)) LIKE \(pattern)"
        case 1: "CREATE INDEX \(schema.name("i", &dice)) ON \(target.name)(a LIKE 'V%')"
        case 2:
            "INSERT INTO \(target.name)(\(target.column(&dice))) SELECT \(column) LIKE \(pattern) "
                + "FROM \(table.name) LIMIT 9"
        default:
            "INSERT INTO \(target.name)(\(target.column(&dice))) SELECT \(column) "
                + "FROM \(table.name) WHERE \(column) LIKE \(pattern) LIMIT 9"
        }
    }

    private mutating func statistics() -> String {
        let table = schema.ordinary(&dice)
        let index = dice.pick(schema.indexes, or: "nothing")
        let numbers = dice.pick(
            "1000000 1", "10 10", "1000 500 2", "0", "7 3 1 unordered", "9 sz=4", "x", "-1 -1")
        let change =
            switch dice.below(6) {
            case 0: "DELETE FROM sqlite_stat1"
            case 1: "UPDATE sqlite_stat1 SET stat = '\(numbers)' WHERE rowid % 2"
            case 2: "DELETE FROM sqlite_stat1 WHERE idx = '\(index)'"
            default: "INSERT INTO sqlite_stat1 VALUES('\(table.name)', '\(index)', '\(numbers)')"
            }
        return switch dice.below(4) {
        case 0: "BEGIN; \(change); \(insertSelect()); \(dice.pick("COMMIT", "ROLLBACK"))"
        case 1: "\(change); \(insertSelect())"
        default: change
        }
    }
}
