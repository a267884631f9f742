import HTTPPlugin
import JSON
import Testing

/// Places in documents, by the examples of RFC 6901 and beyond them.
@Suite struct JSONPointerTests {
    private static let document: JSONValue = [
        "foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "m~n": 8, " ": 7, "k\"l": 6,
        "deep": [["x": ["y": "z"]]], "none": .null, "01": 1,
    ]

    @Test(
        arguments: [
            ("/foo", ["bar", "baz"]), ("/foo/0", "bar"), ("/", 0), ("/a~1b", 1), ("/c%d", 2),
            ("/m~0n", 8), ("/ ", 7), ("/k\"l", 6), ("/deep/0/x/y", "z"), ("/none", .null),
            ("/01", 1),
        ] as [(String, JSONValue)])
    func `A pointer leads where the RFC says`(text: String, value: JSONValue) throws {
        #expect(try #require(JSONPointer(text)).value(in: Self.document) == value)
    }

    @Test(arguments: [
        "/foo/2", "/foo/00", "/foo/01", "/foo/-", "/foo/-1", "/foo/+0", "/foo/99999999999999999999",
        "/foo/0/x", "/nothing", "/foo/", "/none/x", "/deep/x",
    ])
    func `A pointer that leads nowhere finds nothing`(text: String) throws {
        #expect(try #require(JSONPointer(text)).value(in: Self.document) == nil)
    }

    @Test(arguments: ["foo", "~", "/~", "/a~2", "/a~", "#/foo"])
    func `What is no pointer is none`(text: String) {
        #expect(JSONPointer(text) == nil)
    }

    @Test func `The empty pointer is the document`() {
        #expect(JSONPointer("") == .whole)
        #expect(JSONPointer.whole.value(in: Self.document) == Self.document)
    }
}
