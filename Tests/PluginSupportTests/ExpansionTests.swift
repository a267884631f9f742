import PluginSupport
import Testing

/// Variables in configurations.
@Suite struct ExpansionTests {
    private func expand(_ text: String) -> String {
        let variables = [
            "NAME": "db.local", "PORT": "4002", "QUOTE": "a\"b\\c\nd", "a-b": "odd", "_X1": "x",
            "OBJECT": "{\"a\":1}",
        ]
        return String(
            decoding: Expansion.expand(Array(text.utf8)) { variables[$0] }.text, as: UTF8.self)
    }

    @Test(arguments: [
        ("{\"name\":\"$NAME\",\"port\":$PORT}", "{\"name\":\"db.local\",\"port\":4002}"),
        ("${NAME}s $NAME.x $NAMES.", "db.locals db.local.x ."),
        ("$_X1 ${a-b} ${NAME:-x}", "x odd "),
        ("a$5b$*c$-d$?e$!f$@g$#h", "abcdefgh"),
        ("$$ $$NAME ${$}", "$ $NAME "),
        ("x${}y ${NAME", "xy NAME"),
        ("$ $. $é $", "$ $. $é $"),
        ("", ""),
    ])
    func `The rules are rqlite's, and two dollars are one`(_ text: String, _ expected: String) {
        #expect(expand(text) == expected)
    }

    @Test func `A value can't break out of the string it stands in`() {
        #expect(expand("{\"p\":\"$QUOTE\"}") == "{\"p\":\"a\\\"b\\\\c\\u000ad\"}")
        #expect(expand("[\"\\\"$QUOTE\", $OBJECT]") == "[\"\\\"a\\\"b\\\\c\\u000ad\", {\"a\":1}]")
        #expect(expand("[\"\\\\\", $OBJECT]") == "[\"\\\\\", {\"a\":1}]")
        #expect(expand("\"a\\") == "\"a\\")
    }
}
