import JSON
import PluginSupport
import Testing

@testable import EtcdPlugin

/// What goes to etcd's gateway and what comes back, as its documentation has it.
@Suite struct EtcdMessageTests {
    private let key = "L3JxbGl0ZS9sZWFkZXI="

    @Test func `A record is created only where there is none`() {
        let operation = EtcdOperation.write("/rqlite/leader", expected: nil, value: [0])
        #expect(operation.path == "/kv/txn")
        #expect(!operation.isRepeatable)
        #expect(
            operation.body == [
                "compare": [
                    [
                        "key": .string(key), "target": "CREATE", "result": "EQUAL",
                        "create_revision": 0,
                    ]
                ],
                "success": [["request_put": ["key": .string(key), "value": "AA=="]]],
                "failure": [["request_range": ["key": .string(key)]]],
            ])
    }

    @Test func `A record is erased only at its revision`() {
        let operation = EtcdOperation.erase(
            "/rqlite/leader", expected: EtcdRevision(modified: 7, created: 5))
        #expect(
            operation.body["compare"] == [
                [
                    "key": .string(key), "target": "MOD", "result": "EQUAL", "mod_revision": 7,
                ],
                [
                    "key": .string(key), "target": "CREATE", "result": "EQUAL",
                    "create_revision": 5,
                ],
            ])
        #expect(operation.body["success"] == [["request_delete_range": ["key": .string(key)]]])
    }

    @Test func `A prefix is a range up to its next text`() {
        let operation = EtcdOperation.list("/rqlite/nodes/", limit: 9, answerLimit: 1)
        #expect(operation.body["range_end"]?.string == Base64.encode(Array("/rqlite/nodes0".utf8)))
        #expect(operation.body["limit"] == 9)
    }

    @Test func `Records are read as the gateway writes them`() throws {
        let text = """
            {"header":{"cluster_id":"1","member_id":"2","revision":"9","raft_term":"3"},
            "kvs":[{"key":"L2E=","create_revision":"5","mod_revision":"7","version":"2"}],
            "count":"1"}
            """
        let answer = try #require(EtcdAnswer(try JSONValue(parsing: text)))
        #expect(answer.revision == 9)
        #expect(
            answer.records() == [
                .init(
                    key: Array("/a".utf8), value: [],
                    revision: EtcdRevision(modified: 7, created: 5))
            ])
    }

    @Test(arguments: [
        #"{"key":"L2E=","create_revision":"5"}"#, #"{"key":"?","mod_revision":1}"#, "7",
        #"{"key":"L2E=","create_revision":"5","mod_revision":"-7"}"#,
    ])
    func `A record that can't be read spoils the answer`(_ record: String) throws {
        let text = #"{"header":{"revision":"9"},"kvs":[\#(record)]}"#
        #expect(try #require(EtcdAnswer(try JSONValue(parsing: text))).records() == nil)
    }

    @Test(arguments: [
        "{}", "[]", "7", #"{"header":{}}"#, #"{"header":{"revision":"x"}}"#,
        #"{"header":{"revision":"9223372036854775807"}}"#,
    ])
    func `What has no header is no answer, nor what nothing can follow`(_ text: String) throws {
        #expect(EtcdAnswer(try JSONValue(parsing: text)) == nil)
    }

    @Test func `Revisions and tokens come and go as bytes`() {
        let revision = EtcdRevision(modified: .max, created: 1)
        #expect(EtcdRevision(revision.bytes) == revision)
        #expect(revision.bytes.count <= 64)
        for text in ["", "7", "7.", ".7", "7.x", "7.5.1"] {
            #expect(EtcdRevision(Array(text.utf8)) == nil)
        }
        #expect(
            EtcdToken(EtcdToken(store: 9, modified: 0).bytes) == EtcdToken(store: 9, modified: 0))
    }

    @Test func `A stream is cut into its lines`() {
        var lines = JSONLines()
        #expect(lines.take(Array("{\"a\":1}\n\n[".utf8)) == [["a": 1]])
        #expect(lines.take(Array("2]\n3\n".utf8)) == [[2], 3])
        #expect(!lines.isBroken)
        #expect(lines.take(Array("4\n<html>\n5\n".utf8)) == [4])
        #expect(lines.isBroken)
        #expect(lines.take(Array("6\n".utf8)).isEmpty)
    }

    @Test func `A line without end is too long at last`() {
        var lines = JSONLines()
        let part = [UInt8](repeating: 0x20, count: 1 << 19)
        for _ in 0..<2 { #expect(lines.take(part).isEmpty && !lines.isBroken) }
        #expect(lines.take([0x20]).isEmpty && lines.isBroken)
    }

    /// To look at all of it again with each piece would take many minutes.
    @Test(.timeLimit(.minutes(3)))
    func `A line costs its length, in however many pieces it comes`() {
        var lines = JSONLines()
        for _ in 0..<1 << 18 { _ = lines.take([0x20]) }
        #expect(lines.take([0x37, 0x0A, 0x38]) == [7])
        #expect(!lines.isBroken)
        var others = JSONLines()
        var found: [JSONValue] = []
        for byte in "[1]\n\n[2]\n".utf8 { found += others.take([byte]) }
        #expect(found == [[1], [2]])
    }

    @Test func `A watch ends with a change, with compaction, and with a refusal`() throws {
        func outcome(_ text: String) throws -> (isOver: Bool, refusal: String?) {
            let watch = EtcdWatch()
            return (!watch.take(try JSONValue(parsing: text)), watch.refusal)
        }
        #expect(try !outcome(#"{"result":{"header":{},"created":true}}"#).isOver)
        let change = try outcome(#"{"result":{"events":[{"type":"DELETE","kv":{}}]}}"#)
        #expect(change.isOver && change.refusal == nil)
        let compacted = try outcome(#"{"result":{"canceled":true,"compact_revision":"8"}}"#)
        #expect(compacted.isOver && compacted.refusal == nil)
        let denied = try outcome(#"{"result":{"canceled":true,"cancel_reason":"denied"}}"#)
        #expect(denied.isOver && denied.refusal == "denied")
        let error = try outcome(#"{"error":{"grpc_code":14,"message":"no leader"}}"#)
        #expect(error.isOver && error.refusal == "no leader")
    }
}
