import SQLite
import Testing

@Suite struct SQLTokenizerTests {
    private func words(_ sql: String) -> [String] {
        let bytes = Array(sql.utf8)
        return bytes.withUnsafeBytes { buffer in
            var tokens = SQLTokenizer(buffer)
            var found: [String] = []
            while let token = tokens.next() {
                switch token {
                case .semicolon: found.append(";")
                case .word(let range): found.append(tokens.lowercased(range))
                case .quoted(let range): found.append("<\(tokens.lowercased(range))>")
                case .other(let byte): found.append(String(UnicodeScalar(byte)))
                }
            }
            return found
        }
    }

    @Test(
        arguments: [
            ("-- c\n PRAGMA/**/main . [Sync]=1", ["pragma", "main", ".", "<sync>", "=", "1"]),
            ("SELECT ';--', \"a\"\"b\"; x", ["select", "<;-->", ",", "<a\"\"b>", ";", "x"]),
            ("\u{FEFF}begin", ["begin"]),
            ("/* never closed ; begin", []),
            ("'never closed", ["<never closed>"]),
            ("a - b / c", ["a", "-", "b", "/", "c"]),
            ("x\0; begin", ["x"]),
            ("größe$1", ["größe$1"]),
            // A parameter's name may end with anything in parentheses.
            (
                "SELECT $a(/*), :b('), @c(;)d; #e(\"), $f::g([) x",
                [
                    "select", "$a(/*)", ",", ":", "b(')", ",", "@", "c(;)", "d", ";", "#", "e(\")",
                    ",", "$f::g([)", "x",
                ]
            ),
            (
                ": a, :::b /* : */ ?1 $(x)",
                [":", "a", ",", ":", "::b", "?", "1", "$", "(", "x", ")"]
            ),
            ("@a(b /* c", ["@", "a(b"]),
        ])
    func `Texts fall apart as in SQLite`(sql: String, expected: [String]) {
        #expect(words(sql) == expected)
    }
}
