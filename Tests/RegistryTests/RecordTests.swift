import Chance
import Cluster
import Raft
import Registry
import Simulator
import Testing
import Wire

/// The records of nodes, the names of records, revisions, and what is kept on disk.
@Suite struct RecordTests {
    private static let record = NodeRecord(
        identity: NodeIdentity(
            id: NodeID("n/1"), incarnation: Incarnation(RandomID(high: 1, low: 2))),
        cluster: ClusterID(RandomID(high: 3, low: 4)), address: PeerAddress("h:4002"),
        apiURL: "https://h:4001", suffrage: .nonvoter, expect: 3)

    private static let value = BootstrapValue(
        cluster: ClusterID(RandomID(high: 7, low: 7)),
        members: ["1", "2", "3"].map {
            Member(
                id: NodeID($0), incarnation: Incarnation(RandomID(high: 0, low: 9)),
                address: PeerAddress("h\($0):4002"), suffrage: .voter)
        })

    @Test func `A node's record is read back`() throws {
        var bare = Self.record
        bare.cluster = nil
        bare.apiURL = nil
        bare.expect = 0
        bare.suffrage = .voter
        for record in [Self.record, bare] {
            #expect(try NodeRecord(parsing: record.encoded()) == record)
        }
        #expect(
            String(decoding: bare.encoded(), as: UTF8.self)
                == #"{"id":"n/1","incarnation":"00000000000000010000000000000002","#
                + #""addr":"h:4002","suffrage":"voter"}"#)
    }

    @Test(arguments: [
        (#"{"id":"1"}"#, "member suffrage is missing"),
        (#"{"suffrage":"learner"}"#, "member suffrage is neither voter nor nonvoter"),
        (#"{"suffrage":"voter","id":"1","incarnation":"2"}"#, "hexadecimal"),
        ("7", "it is no JSON object"), ("{", "JSON ends"),
    ])
    func `A record that can't be read says why`(text: String, reason: String) {
        let error = #expect(throws: RecordError.self) {
            try NodeRecord(parsing: Array(text.utf8))
        }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
    }

    @Test func `What nobody could read of a node is known before it is written`() {
        #expect(Self.record.flaw == nil)
        for place in ["b\u{FC}cher:1", "a@h:1", "h:0", String(repeating: "h", count: 300) + ":1"] {
            var record = Self.record
            record.address = PeerAddress(place)
            #expect(record.flaw?.description.hasPrefix("member addr ") == true, "\(place)")
        }
        var record = Self.record
        record.identity.id = NodeID("1\r")
        #expect(record.flaw?.description == "member id has a control character")
    }

    @Test func `No noise ends the process`() {
        var dice = SplitMix64(seed: 5)
        let bytes = Self.record.encoded()
        for _ in 0..<20_000 {
            var noise = bytes
            for _ in 0...dice.below(4) {
                noise[dice.below(noise.count)] = UInt8(truncatingIfNeeded: dice.next())
            }
            _ = try? NodeRecord(parsing: Array(noise.prefix(1 + dice.below(noise.count))))
        }
    }

    @Test func `Names are percent-encoded and never a path`() {
        #expect(RecordName.node(NodeID("node-1.a_b~")) == "nodes/node-1.a_b~")
        #expect(RecordName.node(NodeID("h1:4002")) == "nodes/h1%3A4002")
        #expect(RecordName.node(NodeID("a/../b c")) == "nodes/a%2F..%2Fb%20c")
        #expect(RecordName.node(NodeID("..")) == "nodes/%2E%2E")
        #expect(RecordName.node(NodeID("ü\n")) == "nodes/%C3%BC%0A")
        #expect(RecordName.node(NodeID("")) == nil)
        #expect(RecordName.node(NodeID(String(repeating: "x", count: 255)))?.utf8.count == 261)
        #expect(RecordName.node(NodeID(String(repeating: "ü", count: 60))) == nil)
    }

    @Test func `A revision is read as it is written`() {
        for bytes: [UInt8] in [Array("42".utf8), [0], [0xFF, 0x20, 0x0A], Array("0x12".utf8)] {
            let revision = Revision(bytes)
            #expect(Revision(revision.description) == revision)
        }
        #expect(Revision(Array("42".utf8)).description == "42")
        #expect(Revision([0x20, 0xAB]).description == "0x20ab")
        for text in ["", "0x", "0x1", "0xzz", "0x+1", String(repeating: "7", count: 65)] {
            #expect(Revision(text) == nil, "\(text)")
        }
    }

    @Test func `A claim is read back from the disk`() throws {
        let claim = RegistryState.Claim(nonce: RandomID(high: 1, low: 1), value: Self.value)
        let states = [
            RegistryState(), RegistryState(claim: claim),
            RegistryState(claim: nil, founding: Self.value),
            RegistryState(claim: claim, founding: Self.value),
        ]
        for state in states {
            #expect(try RegistryState(decoding: state.encoded()) == state)
        }
    }

    @Test func `Damage of a claim is noticed`() {
        let claim = RegistryState.Claim(nonce: RandomID(high: 1, low: 1), value: Self.value)
        let bytes = RegistryState(claim: claim).encoded()
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(throws: WireError.self) { try RegistryState(decoding: damaged) }
            #expect(throws: WireError.self) { try RegistryState(decoding: Array(bytes[..<index])) }
        }
        #expect(throws: WireError.self) { try RegistryState(decoding: bytes + [0]) }
        #expect(throws: WireError.unsupportedVersion(found: 2, supported: 1)) {
            try RegistryState(decoding: [2] + bytes.dropFirst())
        }
    }
}
