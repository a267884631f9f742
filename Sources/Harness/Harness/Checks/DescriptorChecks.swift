import JSON
import PluginABI

/// What the entry returns, to this host and to others, and the texts in it.
enum DescriptorChecks {
    static let all: [Check] = [
        Check(
            "descriptor.returned", "The entry returns a descriptor of full size.",
            rule: Rule.plugin, needs: .direct, isReturned),
        Check(
            "descriptor.functions", "create, destroy and get_interface are there.",
            rule: Rule.plugin, needs: .direct, hasFunctions),
        Check(
            "descriptor.modes", "Its list of modes can be read.", rule: Rule.plugin,
            needs: .direct, hasModes),
        Check(
            "descriptor.note", "It says what the note says.", rule: Rule.plugin, needs: .direct,
            equalsNote),
        Check(
            "descriptor.constant", "It is the same each time, and never changes.",
            rule: Rule.plugin, needs: .direct, isConstant),
        Check(
            "version.newer-minor", "A host of a newer minor version is served as well.",
            rule: Rule.growth, needs: .direct, servesNewerMinor),
        Check(
            "version.other-major", "A host of another major version is refused.",
            rule: Rule.entry, needs: .direct, refusesOtherMajor),
        Check(
            "texts.valid", "All texts are UTF-8 within their limits; id and version are given.",
            rule: Rule.plugin, needs: .direct, textsAreValid),
        Check(
            "texts.id", "The id is a reversed domain name.", rule: Rule.plugin, needs: .direct,
            idIsDomain),
        Check(
            "texts.schema", "The configuration's schema is a JSON object, or empty.",
            rule: Rule.plugin, needs: .direct, schemaIsJSON),
    ]

    @Sendable private static func isReturned(_ bench: Bench) throws(Finding) {
        _ = try bench.plugin().table()
    }

    @Sendable private static func hasFunctions(_ bench: Bench) throws(Finding) {
        let table = try bench.table()
        let missing = [
            ("create", table.create == nil), ("destroy", table.destroy == nil),
            ("get_interface", table.get_interface == nil),
        ].filter(\.1).map(\.0)
        guard missing.isEmpty else {
            throw .failed(
                expected: "three functions", seen: "\(missing.joined(separator: ", ")): null")
        }
    }

    private static func modes(_ table: rqd_plugin) throws(Finding) -> [PluginModes.Mode] {
        let expected = "1 to \(RQD_MAX_MODES) modes, each with name and role"
        guard (1...RQD_MAX_MODES).contains(table.mode_count), let pointers = table.modes else {
            throw .failed(
                expected: expected,
                seen: "mode_count is \(table.mode_count), modes is "
                    + (table.modes == nil ? "null" : "not null"))
        }
        var modes: [PluginModes.Mode] = []
        for index in 0..<Int(table.mode_count) {
            guard let mode = pointers[index],
                mode.pointee.size >= UInt32(MemoryLayout<rqd_mode>.size)
            else {
                throw .failed(
                    expected: expected,
                    seen: "mode \(index) is null, or smaller than \(MemoryLayout<rqd_mode>.size)")
            }
            let name = try LoadedPlugin.text(
                mode.pointee.name, "the name of mode \(index)", limit: RQD_MAX_MODE)
            modes.append(PluginModes.Mode(name: name, role: mode.pointee.role))
        }
        return modes
    }

    @Sendable private static func hasModes(_ bench: Bench) throws(Finding) {
        _ = try modes(bench.table())
    }

    @Sendable private static func equalsNote(_ bench: Bench) throws(Finding) {
        let table = try bench.table()
        guard let note = try bench.notes().first else { throw .skipped("there is no note") }
        let own = [table.abi_major, table.abi_minor, table.abi_minor_needed]
        let noted = [0, 4, 8].map { note.word(at: $0) ?? 0 }
        guard own == noted else {
            throw .failed(
                expected: "the note's versions: \(noted)", seen: "the descriptor's: \(own)")
        }
        let has = try modes(table).map { "\($0.name), role \($0.role)" }.sorted()
        let says = PluginModes.read(bench.job.plugin).map { "\($0.name), role \($0.role)" }.sorted()
        guard has == says else {
            throw .failed(expected: "the note's modes: \(says)", seen: "the descriptor's: \(has)")
        }
    }

    @Sendable private static func isConstant(_ bench: Bench) throws(Finding) {
        let plugin = try bench.plugin()
        _ = try bench.table()
        guard let descriptor = plugin.descriptor else { return }
        func content() -> [UInt8] {
            Array(UnsafeRawBufferPointer(start: descriptor, count: MemoryLayout<rqd_plugin>.size))
        }
        let before = content()
        let again = plugin.entry(RQD_ABI_MAJOR, RQD_ABI_MINOR)
        guard again == descriptor else {
            throw .failed(
                expected: "the entry returns one descriptor", seen: "another one the second time")
        }
        if let session = try bench.create().session {
            _ = try bench.call(session, bench.mainRequest)
            session.destroy()
        }
        guard content() == before else {
            throw .failed(
                expected: "a descriptor that does not change",
                seen: "it did, between load and destroy")
        }
    }

    @Sendable private static func servesNewerMinor(_ bench: Bench) throws(Finding) {
        let plugin = try bench.plugin()
        _ = try bench.table()
        guard plugin.entry(RQD_ABI_MAJOR, RQD_ABI_MINOR + 7) != nil else {
            throw .failed(
                expected: "a descriptor for host \(RQD_ABI_MAJOR).\(RQD_ABI_MINOR + 7)",
                seen: "null: it would stop working with the host's next release")
        }
    }

    @Sendable private static func refusesOtherMajor(_ bench: Bench) throws(Finding) {
        let plugin = try bench.plugin()
        for major in [RQD_ABI_MAJOR + 1, 0, UInt32.max] where plugin.entry(major, 0) != nil {
            throw .failed(
                expected: "null for a host of ABI \(major).0", seen: "a descriptor, unread")
        }
    }

    @Sendable private static func textsAreValid(_ bench: Bench) throws(Finding) {
        let table = try bench.table()
        for (name, text, isNeeded) in [
            ("id", table.id, true), ("version", table.version, true),
            ("vendor", table.vendor, false), ("url", table.url, false),
            ("license", table.license, false),
        ] {
            let value = try LoadedPlugin.text(text, name)
            guard !isNeeded || !value.isEmpty else {
                throw .failed(expected: "\(name) is not empty", seen: "it is")
            }
        }
    }

    @Sendable private static func idIsDomain(_ bench: Bench) throws(Finding) {
        let id = try LoadedPlugin.text(bench.table().id, "id")
        let labels = id.split(separator: ".", omittingEmptySubsequences: false)
        let isDomain =
            labels.count >= 2
            && labels.allSatisfy { label in
                !label.isEmpty
                    && label.utf8.allSatisfy { byte in
                        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                    }
            }
        guard isDomain else {
            throw .failed(expected: "an id like org.example.mdns", seen: "\"\(id)\"")
        }
    }

    @Sendable private static func schemaIsJSON(_ bench: Bench) throws(Finding) {
        let schema = try LoadedPlugin.text(
            bench.table().config_schema, "config_schema", limit: RQD_MAX_SCHEMA)
        guard !schema.isEmpty else { return }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: schema)
        } catch {
            throw .failed(expected: "JSON", seen: "config_schema: \(error)")
        }
        guard value.members != nil else {
            throw .failed(expected: "a JSON object", seen: "config_schema is another value")
        }
    }
}
