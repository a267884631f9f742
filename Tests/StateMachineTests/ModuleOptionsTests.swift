import Testing
import Wire

@testable import StateMachine

/// What modules do for their options shows in no step.
@Suite struct ModuleOptionsTests {
    private static let ones = String(repeating: "1,", count: 40) + "1"
    private static let porters = String(repeating: "Porter ", count: 40) + "ascii"

    @Test(arguments: [
        ("fts4(a, prefix='1,2,3')", true), ("fts4(a, prefix='2,2', \"porter\")", true),
        ("fts4(a, prefix=2)", true), ("fts4(a, prefix=\"\(ones)\")", false),
        ("fts4(a, /* a */ PREFIX='\(ones)')", false), ("fts4(a, prefix=1(\(ones)))", false),
        ("fts4(a, prefix=1[\(ones)])", false),
        ("fts4(a, prefix='\((1...200).map(String.init).joined(separator: ","))')", true),
        ("fts5(a, tokenize='porter ascii', prefix='1 2')", true),
        ("fts5(a, tokenize = 'porter porter ascii')", true),
        ("fts5(a, tokenize='\(porters)')", false), ("fts5(a, token = \"\(porters)\")", false),
    ])
    func `A full-text table has each prefix once, and few tokenizers in one another`(
        module: String, isTaken: Bool
    ) throws {
        let database = try Database()
        let create = "CREATE VIRTUAL TABLE f USING \(module)"
        func isRefused(_ outcome: StatementOutcome?) -> Bool {
            guard case .failed(let text)? = outcome else { return false }
            return text.contains("names each length once") || text.contains("in one another")
        }
        #expect(isRefused(try database.execute(create).first) == !isTaken)
        let stored = create.replacing("'", with: "''")
        let other = try Database()
        let dump = try other.execute(
            "BEGIN", "PRAGMA writable_schema=ON",
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('table','f','f',0,'\(stored)')",
            "ROLLBACK")
        #expect(dump.count == 4)
        #expect(isRefused(dump.count > 2 ? dump[2] : nil) == !isTaken)
    }
}
