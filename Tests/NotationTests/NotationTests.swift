import Notation
import Testing

/// Texts in paths, queries and configurations.
@Suite struct NotationTests {
    @Test(arguments: [
        ("", ""), ("aZ09-._~", "aZ09-._~"), ("a b/c", "a%20b%2Fc"), ("ü%", "%C3%BC%25"),
        ("+=&?#", "%2B%3D%26%3F%23"), ("\0\u{7F}", "%00%7F"),
    ])
    func `All but what is unreserved is encoded, byte by byte`(text: String, expected: String) {
        #expect(PercentEncoding.encode(text) == expected)
    }

    @Test func `Slashes of a path stay, and a query is made of pairs`() {
        #expect(PercentEncoding.encode("/a b/c?", keepingSlashes: true) == "/a%20b/c%3F")
        #expect(PercentEncoding.encodeAll("..a") == "%2E%2E%61")
        #expect(PercentEncoding.query([]) == "")
        #expect(PercentEncoding.query([("a", "1"), ("b c", "&")]) == "?a=1&b%20c=%26")
    }

    @Test(arguments: [
        ("A.b", "A", 1), ("A_b2$", "A_b2", 4), ("{x y}z", "x y", 5), ("5x", "5", 1),
        ("$A", "$", 1), ("{}x", "", 2), ("{x", "", 1), ("-", "-", 1),
    ])
    func `A name ends where Go's rules say`(text: String, name: String, length: Int) throws {
        // Whatever stands before it.
        let bytes = Array("xy$\(text)".utf8)
        let found = try #require(VariableName.read(bytes.dropFirst(3)))
        #expect(String(decoding: found.name, as: UTF8.self) == name)
        #expect(found.length == length)
    }

    @Test(arguments: ["", " A", "\"", "é", "."])
    func `A dollar sign before anything else stands for itself`(text: String) {
        #expect(VariableName.read(Array(text.utf8)[...]) == nil)
    }
}
