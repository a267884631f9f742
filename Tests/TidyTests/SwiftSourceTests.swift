import Testing

@Suite struct SwiftSourceTests {
    private func code(_ text: String) -> String {
        SwiftSource(path: "x.swift", text: text).code.joined(separator: "\n")
            .replacing(/[ ]+/, with: " ")
    }

    @Test func `Comments and strings are no code`() {
        #expect(code("a // try!\nb /* x /* y */ z */ c") == "a \nb c")
        #expect(code(#"a "fatalError(\"" b"#) == "a b")
        #expect(code(#"a "x \(f("}", (1)) ) y" b"#) == "a b")
        #expect(code("a \"\"\"\n { \" \"\"\n\"\"\" b") == "a \n \n b")
        #expect(code("a #\"\\(\" \\ \"# b") == "a b")
        #expect(code("func `no { body` () {}") == "func () {}")
    }

    @Test func `What a function closes is known by its name`() {
        let source = SwiftSource(
            path: "x.swift",
            text: """
                init() throws {
                    // close(a)
                    if f() { close(b) }
                    enclose(c)
                    Glibc.close(d)
                }
                deinit { close(b) }
                """)
        #expect(source.functions.map(source.descriptorsClosed) == [["b", "d"], ["b"]])
        #expect(source.functions.map { source.opens($0, with: "deinit") } == [false, true])
    }

    @Test func `Functions are measured from keyword to brace`() {
        let source = SwiftSource(
            path: "x.swift",
            text: """
                protocol P {
                    func without(a: Int)
                    func also() -> Int
                }
                func one() { }
                struct S {
                    init(
                        a: @escaping () -> Void = { x() }
                    ) {
                        call { "}" }
                    }
                    func three(
                    ) {
                    }
                }
                """)
        #expect(
            source.functions == [
                .init(line: 5, length: 1), .init(line: 7, length: 5), .init(line: 12, length: 3),
            ])
    }

    @Test func `Imports are found behind their access level`() {
        let source = SwiftSource(
            path: "x.swift", text: "package import A\n@testable import B\nimport C\nlet x = 1")
        #expect(source.imports == ["A", "B", "C"])
    }

    @Test func `A ban meets whole words only`() {
        let ban = Ban(pattern: "exit(", scope: ["Sources/"], instead: "")
        #expect(ban.lines(in: Array("a\n    exit(1)\nexit(".utf8)) == [2, 3])
        #expect(ban.lines(in: Array("onExit.exit(1) atexit(f)".utf8)).isEmpty)
        let random = Ban(pattern: ".random(", scope: [], instead: "")
        #expect(random.lines(in: Array("Int.random(in: 1)".utf8)) == [1])
    }
}
