import Raft
import Registry
import Testing

/// The record `leader`: what this program writes and what it makes of anything else.
@Suite struct LeaderEntryTests {
    private static func id(_ low: UInt64) -> RandomID { RandomID(high: 0xABCD, low: low) }

    private static let entry = LeaderEntry(
        id: NodeID("1"), apiURL: "http://h1:4001", address: PeerAddress("h1:4002"),
        cluster: ClusterID(id(1)), state: .formed, nonce: id(2), term: Term(7),
        founders: ["a", "b"].map {
            Member(
                id: NodeID($0), incarnation: Incarnation(id(3)), address: PeerAddress("[::1]:9"),
                suffrage: .voter)
        })

    private func parse(_ text: String) -> LeaderContent {
        LeaderContent(parsing: Array(text.utf8))
    }

    @Test func `rqlite's members come first and in its order`() {
        var entry = Self.entry
        entry.founders = []
        entry.term = .zero
        #expect(
            String(decoding: entry.encoded(), as: UTF8.self)
                == #"{"id":"1","api_addr":"http://h1:4001","addr":"h1:4002","#
                + #""cluster":"000000000000abcd0000000000000001","state":"formed","#
                + #""nonce":"000000000000abcd0000000000000002"}"#)
    }

    @Test func `What is written is read back`() {
        var bare = Self.entry
        bare.apiURL = nil
        bare.founders = []
        bare.term = .zero
        bare.state = .forming
        var odd = Self.entry
        odd.id = NodeID("ü \"quoted\" <b>\u{2028}")
        for entry in [Self.entry, bare, odd] {
            #expect(LeaderContent(parsing: entry.encoded()) == .entry(entry))
        }
    }

    @Test func `Members of a newer version are skipped`() throws {
        var text = String(decoding: Self.entry.encoded(), as: UTF8.self)
        text.removeLast()
        text += #","zone":{"name":["x",1,null]},"weight":1e3}"#
        #expect(parse(text) == .entry(Self.entry))
    }

    @Test func `White space and another order don't matter`() {
        let text = """
            { "state" : "forming", "nonce": "000000000000abcd0000000000000002",
              "addr":"h1:4002", "cluster":"000000000000ABCD0000000000000001", "id":"1" }
            """
        guard case .entry(let entry) = parse(text) else {
            Issue.record("\(parse(text))")
            return
        }
        #expect(entry.state == .forming)
        #expect(entry.cluster == ClusterID(Self.id(1)))
        #expect(entry.founders.isEmpty)
    }

    @Test func `An entry of rqlite is told apart`() {
        #expect(
            parse(#"{"id":"1","api_addr":"http://h:4001","addr":"h:4002"}"#)
                == .foreign(id: "1", apiURL: "http://h:4001", address: "h:4002"))
        #expect(parse(#"{"addr":"h:4002"}"#) == .foreign(id: "", apiURL: "", address: "h:4002"))
    }

    @Test(arguments: [
        ("", "JSON ends"), ("[]", "no JSON object"), ("null", "no JSON object"),
        ("{}", "member addr is missing"), (#"{"addr":7}"#, "member addr is no string"),
        (#"{"addr":"h:1","state":"formed","id":"1"}"#, "member cluster is missing"),
        (#"{"cluster":"12","state":"formed","id":"1","addr":"h:1"}"#, "hexadecimal"),
        (#"{"cluster":null,"state":"x","id":"1","addr":"h:1"}"#, "neither forming nor formed"),
        (#"{"state":"formed"}"#, "member id is missing"),
        (#"{"state":"formed","id":""}"#, "member id is missing"),
        (#"{"state":"formed","id":"\u0000","addr":"h:1"}"#, "control character"),
        (#"{"state":"formed","id":"1","addr":"h"}"#, "host:port"),
        (#"{"state":"formed","id":"1","addr":":1"}"#, "host:port"),
        (#"{"state":"formed","id":"1","addr":"h:0"}"#, "host:port"),
        (#"{"state":"formed","id":"1","addr":"h:70000"}"#, "host:port"),
        (#"{"state":"formed","id":"1","addr":"::1:5"}"#, "host:port"),
        (#"{"state":"formed","id":"1","addr":"http://h:5"}"#, "host:port"),
    ])
    func `What can't be read says why`(text: String, reason: String) {
        guard case .unreadable(let why) = parse(text) else {
            Issue.record("\(text) was read: \(parse(text))")
            return
        }
        #expect(why.contains(reason), "\(why)")
    }

    @Test(arguments: [
        (#""term":-1"#, "member term is no whole number"),
        (#""term":1.5"#, "member term is no whole number"),
        (#""members":{}"#, "member members is no list"),
        (#""members":[7]"#, "members. is no JSON object"),
        (#""members":[{"id":"1"}]"#, "member members.incarnation is missing"),
    ])
    func `A defect deep inside is named`(member: String, reason: String) {
        let text =
            #"{"id":"1","addr":"h:1","cluster":"000000000000abcd0000000000000001","#
            + #""state":"formed","nonce":"000000000000abcd0000000000000002",\#(member)}"#
        guard case .unreadable(let why) = parse(text) else {
            Issue.record("\(text) was read")
            return
        }
        #expect(why.contains(reason), "\(why)")
    }

    @Test func `Founders are named once each`() {
        var entry = Self.entry
        entry.founders = [entry.founders[0], entry.founders[0]]
        #expect(
            LeaderContent(parsing: entry.encoded())
                == .unreadable("member members names a node twice"))
    }

    @Test func `More than a registry holds is not read`() {
        let text = #"{"addr":"h:1","x":""# + String(repeating: "y", count: 8 << 10) + #""}"#
        #expect(parse(text) == .unreadable("\(text.utf8.count) bytes, over the limit of 8192"))
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        guard case .unreadable = parse(#"{"addr":"h:1","x":\#(deep)}"#) else {
            Issue.record("64 levels were read")
            return
        }
    }

    @Test func `No damage of a byte ends the process`() {
        let bytes = Self.entry.encoded()
        for index in bytes.indices {
            for byte: UInt8 in [0, 0x20, 0x22, 0x2C, 0x5C, 0x7B, 0x7D, 0x80, 0xFF] {
                var damaged = bytes
                damaged[index] = byte
                _ = LeaderContent(parsing: damaged)
            }
            _ = LeaderContent(parsing: Array(bytes[..<index]))
        }
    }
}
