import HarnessBackends
import PluginABI

/// Plugins of role registry, one client at a time.
enum RegistryChecks {
    static let all: [Check] = [
        Check(
            "registry.absent", "A record that was never written is ABSENT.", rule: Rule.registry,
            needs: .registry, readsNothing),
        Check(
            "registry.create", "Only the first of two writes that expect nothing succeeds.",
            rule: Rule.registry, needs: .registry, createsOnce),
        Check(
            "registry.update", "A write succeeds with the current revision, and with no other.",
            rule: Rule.registry, needs: .registry, comparesRevisions),
        Check(
            "registry.update-absent", "A write that expects a revision makes no new record.",
            rule: Rule.registry, needs: .registry, doesNotResurrect),
        Check(
            "registry.erase", "A record is erased with its current revision, and with no other.",
            rule: Rule.registry, needs: .registry, comparesWhenErasing),
        Check(
            "registry.revisions", "Every write gives another revision, an equal one's too.",
            rule: Rule.header("rqd_record"), needs: .registry, changesRevisions),
        Check(
            "registry.list", "A list has the records that begin so, and no others.",
            rule: Rule.registry, needs: .registry, lists),
        Check(
            "registry.values", "Values of any bytes, up to 8 KiB, come back as they were.",
            rule: Rule.registry, needs: .registry, keepsValues),
        Check(
            "registry.names", "Names with escapes and slashes are told apart, up to 300 bytes.",
            rule: Rule.registry, needs: .registry, keepsNames),
        Check(
            "registry.keys", "Records under different keys never meet.", rule: Rule.registry,
            needs: .registry, keepsKeysApart),
        Check(
            "registry.fresh", "A write by one instance is seen by another at once.",
            rule: Rule.registry, needs: .registry, readsFresh),
    ]

    /// One instance, with calls that are judged by their status alone.
    struct Client {
        let bench: Bench
        let session: any Session

        init(_ bench: Bench, key: String? = nil) throws(Finding) {
            self.bench = bench
            session = try bench.instance(key: key)
        }

        func end() { session.destroy() }

        func read(_ name: String) throws(Finding) -> CallReport {
            try bench.call(session, .read(name))
        }

        func write(
            _ name: String, _ value: [UInt8], _ expected: [UInt8] = []
        ) throws(Finding) -> CallReport {
            try bench.call(session, .write(name, expected: expected, value: value))
        }

        func erase(_ name: String, _ expected: [UInt8]) throws(Finding) -> CallReport {
            try bench.call(session, .erase(name, expected: expected))
        }

        /// Writes what is not there yet and returns its revision; skips if that does not work.
        func make(_ name: String, _ value: [UInt8]) throws(Finding) -> [UInt8] {
            let report = try write(name, value)
            guard report.status == RQD_OK, let record = report.record else {
                throw .skipped("nothing can be written, see registry.create: \(report.outline)")
            }
            return record.revision
        }

        /// Removes what a check has made, from a real server as well.
        func clean(_ names: [String]) throws(Finding) {
            for name in names {
                guard let record = try read(name).record else { continue }
                _ = try erase(name, record.revision)
            }
            end()
        }
    }

    static func demand(
        _ report: CallReport, _ status: Int32, _ what: String
    ) throws(Finding) {
        guard report.status == status else {
            throw .failed(expected: "\(StatusName.of(status)) for \(what)", seen: report.outline)
        }
    }

    static func demandValue(
        _ client: Client, _ name: String, _ value: [UInt8], _ when: String
    ) throws(Finding) {
        let report = try client.read(name)
        guard report.status == RQD_OK, report.results.records.count == 1,
            let record = report.record, record.name == name, record.value == value
        else {
            let found = report.record.map { "\($0.name) = \(preview($0.value))" } ?? "no record"
            throw .failed(
                expected: "\(name) = \(preview(value)) \(when)",
                seen: "\(report.outline), \(found)")
        }
    }

    private static func preview(_ value: [UInt8]) -> String {
        value.count <= 24
            ? "\"\(String(decoding: value, as: UTF8.self))\"" : "\(value.count) bytes"
    }

    private static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Sendable private static func readsNothing(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let report = try client.read("nothing")
        client.end()
        try demand(report, RQD_ABSENT, "a read of what is not there")
        guard report.results.records.isEmpty else {
            throw .failed(expected: "no record beside ABSENT", seen: "one")
        }
    }

    @Sendable private static func createsOnce(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let first = try client.write("leader", bytes("one"))
        try demand(first, RQD_OK, "a write that expects nothing, where nothing is")
        guard first.results.records.count == 1, first.record?.name == "leader" else {
            throw .failed(
                expected: "one record, with the new revision",
                seen: "\(first.results.records.map(\.name))")
        }
        try demandValue(client, "leader", bytes("one"), "after it was written")
        try demand(
            client.write("leader", bytes("two")), RQD_CONFLICT,
            "a write that expects nothing, where a record is")
        try demandValue(client, "leader", bytes("one"), "after the refused write")
        try client.clean(["leader"])
    }

    @Sendable private static func comparesRevisions(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let old = try client.make("leader", bytes("one"))
        let second = try client.write("leader", bytes("two"), old)
        try demand(second, RQD_OK, "a write with the current revision")
        try demandValue(client, "leader", bytes("two"), "after it was updated")
        try demand(
            client.write("leader", bytes("three"), old), RQD_CONFLICT,
            "a write with the revision before")
        try demandValue(client, "leader", bytes("two"), "after the refused write")
        let read = try client.read("leader").record?.revision
        guard read == second.record?.revision else {
            throw .failed(
                expected: "read gives the revision that write gave",
                seen: "\(read ?? []), not \(second.record?.revision ?? [])")
        }
        try client.clean(["leader"])
    }

    @Sendable private static func doesNotResurrect(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let revision = try client.make("leader", bytes("one"))
        try demand(client.erase("leader", revision), RQD_OK, "an erase with the current revision")
        let report = try client.write("leader", bytes("two"), revision)
        guard report.status == RQD_ABSENT || report.status == RQD_CONFLICT else {
            throw .failed(
                expected: "ABSENT (1) for a write with the revision of an erased record",
                seen: report.outline)
        }
        try demand(client.read("leader"), RQD_ABSENT, "a read after that")
        guard report.status == RQD_ABSENT else {
            throw .failed(expected: "ABSENT (1), for there is no record", seen: report.outline)
        }
        client.end()
    }

    @Sendable private static func comparesWhenErasing(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let old = try client.make("leader", bytes("one"))
        let new = try client.write("leader", bytes("two"), old).record?.revision ?? []
        try demand(
            client.erase("leader", old), RQD_CONFLICT, "an erase with the revision before")
        try demandValue(client, "leader", bytes("two"), "after the refused erase")
        try demand(client.erase("leader", new), RQD_OK, "an erase with the current revision")
        try demand(client.read("leader"), RQD_ABSENT, "a read after the erase")
        try demand(client.erase("leader", new), RQD_ABSENT, "an erase of what is not there")
        client.end()
    }

    @Sendable private static func changesRevisions(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        var seen = [try client.make("leader", bytes("same"))]
        for _ in 1...3 {
            let report = try client.write("leader", bytes("same"), seen[seen.count - 1])
            try demand(report, RQD_OK, "a write of an equal value")
            seen.append(report.record?.revision ?? [])
        }
        _ = try client.erase("leader", seen[seen.count - 1])
        seen.append(try client.make("leader", bytes("same")))
        guard Set(seen).count == seen.count else {
            throw .failed(
                expected: "five writes, the last after an erase, give five revisions",
                seen: "\(seen.map { String(decoding: $0, as: UTF8.self) })")
        }
        try client.clean(["leader"])
    }

    @Sendable private static func lists(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let names = ["leader", "nodes/1", "nodes/2%2F3", "nodesx"]
        for name in names { _ = try client.make(name, bytes("v:\(name)")) }
        for (prefix, expected) in [
            ("nodes/", ["nodes/1", "nodes/2%2F3"]), ("", names), ("nothing/", []),
            ("nodes/1", ["nodes/1"]),
        ] {
            let report = try bench.call(client.session, .list(prefix))
            try demand(report, RQD_OK, "a list of \"\(prefix)\"")
            let found = report.results.records
            guard found.map(\.name).sorted() == expected.sorted() else {
                throw .failed(
                    expected: "a list of \"\(prefix)\" has \(expected)",
                    seen: "\(found.map(\.name).sorted())")
            }
            for record in found where record.value != bytes("v:\(record.name)") {
                throw .failed(
                    expected: "each record with its value",
                    seen: "\(record.name) = \(preview(record.value))")
            }
        }
        try client.clean(names)
    }

    @Sendable private static func keepsValues(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let largest = (0..<Int(RQD_MAX_VALUE)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let values: [[UInt8]] = [
            Array(0...255), [0], bytes("null\u{0}inside"), largest, bytes("{\"a\":\"ä\\n\"}"),
            bytes(" \r\n"),
        ]
        for (index, value) in values.enumerated() {
            let name = "value-\(index)"
            try demand(client.write(name, value), RQD_OK, "a value of \(value.count) bytes")
            try demandValue(client, name, value, "as it was written")
        }
        try client.clean(values.indices.map { "value-\($0)" })
    }

    @Sendable private static func keepsNames(_ bench: Bench) throws(Finding) {
        let client = try Client(bench)
        let long = "nodes/" + String(repeating: "n", count: Int(RQD_MAX_NAME) - 6)
        let names = [
            "nodes/a%2Fb", "nodes/a/b", "nodes/a%20b", "nodes/%C3%A4", "nodes/A", "nodes/a", long,
        ]
        for name in names {
            let report = try client.write(name, bytes(name))
            try demand(report, RQD_OK, "a new record named \(name)")
        }
        for name in names { try demandValue(client, name, bytes(name), "under its own name") }
        try client.clean(names)
    }

    @Sendable private static func keepsKeysApart(_ bench: Bench) throws(Finding) {
        let one = try Client(bench, key: "\(bench.key)-1")
        let two = try Client(bench, key: "\(bench.key)-12")
        let short = try Client(bench, key: "\(bench.key)-1/nodes")
        _ = try one.make("leader", bytes("one"))
        _ = try one.make("nodes/1", bytes("one"))
        try demand(two.read("leader"), RQD_ABSENT, "a read under another key")
        try demand(two.write("leader", bytes("two")), RQD_OK, "a new record under another key")
        try demandValue(one, "leader", bytes("one"), "whatever stands under another key")
        let report = try bench.call(one.session, .list(""))
        guard Set(report.results.records.map(\.name)) == ["leader", "nodes/1"] else {
            throw .failed(
                expected: "a list of the key's own records",
                seen: "\(report.results.records.map(\.name))")
        }
        short.end()
        try two.clean(["leader"])
        try one.clean(["leader", "nodes/1"])
    }

    @Sendable private static func readsFresh(_ bench: Bench) throws(Finding) {
        let one = try Client(bench)
        let two = try Client(bench)
        var revision = try one.make("leader", bytes("0"))
        for round in 1...10 {
            try demandValue(two, "leader", bytes("\(round - 1)"), "as the other wrote it")
            let report = try one.write("leader", bytes("\(round)"), revision)
            revision = report.record?.revision ?? []
        }
        try demandValue(two, "leader", bytes("10"), "as the other wrote it")
        two.end()
        try one.clean(["leader"])
    }
}
