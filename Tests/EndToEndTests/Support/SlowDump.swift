import Foundation

extension Data {
    /// A dump that is too much for an entry of the log, so that the node that is asked makes a database of
    /// it first.
    /// - Parameter pauses: statements in it that take seconds each.
    static func slowDump(pauses: Int) -> Data {
        let row = "INSERT INTO t VALUES(1, '\(String(repeating: "x", count: 1 << 20))');\n"
        let pause =
            "INSERT INTO t SELECT max(i), 'slow' FROM (WITH RECURSIVE n(i) AS "
            + "(SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000000) SELECT i FROM n);\n"
        var text = "CREATE TABLE t(a, b);\n"
        for place in 0..<70 {
            // Not two of them in what is run at a time.
            if place % 6 == 0, place / 6 < pauses { text += pause }
            text += row
        }
        return Data(text.utf8)
    }
}
