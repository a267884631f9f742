import PluginABI
import PluginSupport
import Testing

@testable import MDNSPlugin

/// Messages of multicast DNS, also hostile ones.
@Suite struct MDNSMessageTests {
    private static let service = MDNSName(["_rqlite", "_tcp", "local"].map { Array($0.utf8) })

    private static func name(_ labels: String...) -> MDNSName {
        MDNSName(labels.map { Array($0.utf8) })
    }

    /// A head with so many answers, then `rest`.
    private static func answer(_ rest: [UInt8], count: UInt8 = 1) -> [UInt8] {
        [0, 7, 0x84, 0, 0, 0, 0, count, 0, 0, 0, 0] + rest
    }

    /// Behind a name: type, class with the bit of caches, seconds, length, data.
    private static func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
        [0, type, 0x80, 1, 0, 0, 0, 120, 0, UInt8(data.count)] + data
    }

    @Test func `A question is what RFC 1035 says`() {
        let bytes = MDNSMessage.question(.init(name: Self.service, kind: .pointer), id: 0x1234)
        #expect(
            bytes == [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7] + Array("_rqlite".utf8) + [4]
                + Array("_tcp".utf8) + [5] + Array("local".utf8) + [0, 0, 12, 0, 1])
    }

    @Test func `Names are compressed, compared without case, and hold any bytes`() throws {
        // The service at 12, the instance "A.b c" before it by a pointer, then its place.
        let service = Self.service.bytes
        let instance: [UInt8] = [5] + Array("A.b c".utf8) + [0xC0, 12]
        let pointer = service + Self.record(12, instance)
        let place = 12 + service.count + 10
        let srv =
            [0xC0, UInt8(place)]
            + Self.record(33, [0, 1, 0, 2, 0x0F, 0xA2, 1] + Array("h".utf8) + [0xC0, 25])
        let bytes = Self.answer(pointer + srv, count: 2)
        let records = try #require(MDNSMessage.records(of: bytes, id: 7))
        let name = Self.name("a.B C", "_RQLITE", "_tcp", "LOCAL")
        #expect(
            records == [
                .init(name: Self.service, timeToLive: 120, data: .pointer(name)),
                .init(
                    name: name, timeToLive: 120,
                    data: .service(
                        priority: 1, weight: 2, port: 4002, target: Self.name("h", "local"))),
            ])
        #expect(Self.name("a.b c") != Self.name("a", "b c"))
        #expect(name.instance == "a.B C")
        #expect(Self.name("a\n\u{7F}b").description == "a??b")
    }

    @Test func `Addresses are written as texts, and what is of other kinds is left out`() throws {
        let root: [UInt8] = [0]
        let bytes = Self.answer(
            root + Self.record(1, [10, 0, 0, 1]) + root
                + Self.record(28, [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1])
                + root + Self.record(16, [3, 1, 2, 3]), count: 3)
        let records = try #require(MDNSMessage.records(of: bytes, id: 7))
        #expect(records.map(\.data) == [.address("10.0.0.1"), .address("2001:db8::1")])
    }

    @Test(
        arguments: [
            [], [0, 7], [0, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0],
            // Pointers to themselves, forward, and behind the end.
            answer([0xC0, 12] + record(1, [10, 0, 0, 1])),
            answer([0xC0, 14, 0xC0, 12] + record(1, [10, 0, 0, 1])),
            answer([0xC0, 200] + record(1, [10, 0, 0, 1])), answer([0xFF, 0xFF]),
            // A label that is too long, and one that ends behind the message.
            answer([64] + [UInt8](repeating: 65, count: 64) + [0] + record(1, [10, 0, 0, 1])),
            answer([63, 65]), answer([5, 65, 65]),
            // Data that is too short, too long, or not of its length.
            answer([0] + record(1, [10, 0, 0])), answer([0] + record(1, [10, 0, 0, 1, 2])),
            answer([0] + record(28, [10, 0, 0, 1])), answer([0] + record(33, [0, 0, 0])),
            answer([0] + record(12, [0, 0])), answer([0, 0, 1, 0x80, 1, 0, 0, 0, 1, 0xFF, 0xFF]),
            // A question, another id, an error, another operation.
            [0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [0, 8, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0, 7, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0], [0, 7, 0xA4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            // More counted than there are.
            [0, 7, 0x84, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            [UInt8](repeating: 0x84, count: 9001),
        ] as [[UInt8]])
    func `What is malformed is no answer`(bytes: [UInt8]) {
        #expect(MDNSMessage.records(of: bytes, id: 7) == nil)
    }

    @Test func `A chain of pointers costs no more than a name`() {
        // Each of 4,000 pointers leads to the one before: within bounds, but none of a name.
        var bytes = Self.answer([0])
        for _ in 0..<4000 {
            let last = bytes.count == 13 ? 12 : bytes.count - 2
            bytes += [0xC0 | UInt8(last >> 8), UInt8(last & 255)]
        }
        bytes[7] = 1
        #expect(MDNSMessage.records(of: bytes, id: 7) == nil)
    }

    @Test func `What was heard is put together, whatever its order, and the rest asked for`() {
        let (one, host) = (Self.name("one", "_rqlite", "_tcp", "local"), Self.name("h", "local"))
        func record(_ name: MDNSName, _ data: MDNSMessage.Data, _ seconds: UInt32 = 10)
            -> MDNSMessage.Record
        {
            .init(name: name, timeToLive: seconds, data: data)
        }
        let place = MDNSMessage.Data.service(priority: 0, weight: 0, port: 4002, target: host)
        var browse = MDNSBrowse(Self.service)
        #expect(browse.missing.isEmpty && browse.isEmpty)
        browse.take([record(Self.name("other", "local"), .pointer(Self.name("x", "local")))])
        browse.take([record(Self.service, .pointer(Self.name("gone")), 0)])
        #expect(browse.isEmpty)
        browse.take([record(Self.service, .pointer(one)), record(Self.service, .pointer(one))])
        #expect(browse.missing == [.init(name: one, kind: .service)])
        browse.take([record(host, .address("fe80::1"))])
        browse.take([record(one, place)])
        #expect(
            browse.missing == [
                .init(name: host, kind: .address4), .init(name: host, kind: .address6),
            ])
        #expect(browse.found.isEmpty)
        browse.take([record(host, .address("10.0.0.1")), record(host, .address("10.0.0.1"))])
        #expect(browse.missing.isEmpty)
        #expect(browse.found.map(\.host) == ["10.0.0.1"] && browse.found[0].port == 4002)
        #expect(browse.found[0].timeToLive == 10)
        #expect(browse.found[0].source == "multicast DNS: one")
        // One without a port, one that leads nowhere.
        browse.take([
            record(Self.service, .pointer(Self.name("two"))),
            record(
                Self.name("two"), .service(priority: 0, weight: 0, port: 0, target: host)),
            record(Self.service, .pointer(Self.name("three"))),
            record(
                Self.name("three"),
                .service(priority: 0, weight: 0, port: 1, target: MDNSName([]))),
        ])
        #expect(browse.found.count == 1 && browse.missing.isEmpty)
    }

    @Test func `Many instances at one target with many addresses are not multiplied`() {
        func record(_ name: MDNSName, _ data: MDNSMessage.Data) -> MDNSMessage.Record {
            .init(name: name, timeToLive: 10, data: data)
        }
        let host = Self.name("h", "local")
        var browse = MDNSBrowse(Self.service)
        for number in 1...100 {
            let instance = Self.name("i\(number)", "_rqlite", "_tcp", "local")
            let place = MDNSMessage.Data.service(
                priority: 0, weight: 0, port: UInt16(number), target: host)
            browse.take([
                record(Self.service, .pointer(instance)), record(instance, place),
                record(host, .address("10.0.0.\(number)")),
            ])
        }
        #expect(browse.isComplete)
        #expect(browse.found.count == Int(RQD_MAX_ADDRESSES) + 1)
        #expect(browse.found.isExcessive)
    }
}
