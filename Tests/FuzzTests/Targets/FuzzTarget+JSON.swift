import JSON
import Wire

@testable import HTTPAPI

/// The bodies of requests: as statements, and as a document.
extension FuzzTarget {
    static let json = FuzzTarget(name: "json", largestInput: 16_384) { bytes throws(Complaint) in
        try JSONCheck.statements(bytes)
        try JSONCheck.document(bytes)
    } seeds: {
        let texts = [
            "one": #"["SELECT 1"]"#,
            "parameters":
                #"[["INSERT INTO t VALUES(?,?,?,?)", 1, -2.5e3, null, "é\u00e9\ud83d\ude00"]]"#,
            "names": #"[["SELECT :a, $b", {"a": true, "b": "x"}], "SELECT 2"] "#,
            "blob": #"[["INSERT INTO t VALUES(?)", [1, 2, 255]]]"#,
            "numbers": #"[["SELECT ?", 9223372036854775807, -9223372036854775808, 1e308, 0.1]]"#,
            "document": #"{"a":[{"b":{"c":[1,2,{"d":"\t\n\"\\\/"}]}},false],"e":1.0E+2}"#,
            "deep": String(repeating: "[", count: 70) + String(repeating: "]", count: 70),
        ]
        return texts.sorted { $0.key < $1.key }.map { FuzzSeed($0.key, Array($0.value.utf8)) }
    }
}

private enum JSONCheck {
    /// What is taken is no larger than its text, and travels.
    static func statements(_ bytes: [UInt8]) throws(Complaint) {
        let parsed = bytes.withUnsafeBytes { body -> Result<[Statement], StatementParser.Fault> in
            do throws(StatementParser.Fault) {
                return .success(try StatementParser.parse(body))
            } catch {
                return .failure(error)
            }
        }
        switch parsed {
        case .failure(let fault): try Complaint.unless(!fault.text.isEmpty, "a fault says nothing")
        case .success(let statements):
            try Complaint.unless(!statements.isEmpty, "no statements were taken")
            let command = Command(kind: .request, statements: statements)
            let encoded = LogCommand.command(command).encoded()
            // A value of one byte, as 1, takes nine.
            try Complaint.unless(
                encoded.count <= 16 * bytes.count + 64,
                "\(bytes.count) bytes became \(encoded.count)")
            do throws(WireError) {
                let again = try LogCommand(decoding: encoded)
                guard again.encoded() != encoded else { return }
            } catch {
                throw Complaint("\(statements) can't be read again: \(error)")
            }
            throw Complaint("\(statements) are others when they are read again")
        }
    }

    /// What is read is written so that it reads the same, also indented.
    static func document(_ bytes: [UInt8]) throws(Complaint) {
        let value: JSONValue
        do throws(JSONError) { value = try JSONValue(parsing: bytes) } catch {
            return try Complaint.unless(
                (0...bytes.count).contains(error.offset), "fault at \(error.offset)")
        }
        for isPretty in [false, true] {
            var written: [UInt8] = []
            value.write(to: &written, pretty: isPretty)
            do throws(JSONError) {
                let again = try JSONValue(parsing: written)
                guard again != value else { continue }
            } catch {
                throw Complaint("what was written can't be read: \(error)")
            }
            throw Complaint("\(value) was written as another")
        }
    }
}
