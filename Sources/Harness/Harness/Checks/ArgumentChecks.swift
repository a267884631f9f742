import PluginABI

/// What the host lends to the plugin. All of it lies in memory that is read-only, ends at a page that
/// nobody may touch, and is gone when the function returns: misuse is a crash.
enum ArgumentChecks {
    static let all: [Check] = [
        Check(
            "arguments.growth", "Larger structs, as later hosts have them, are taken.",
            rule: Rule.growth, needs: .direct, takesLargerStructs),
        Check(
            "arguments.bounds", "Texts are read by their length, and nothing is written to them.",
            rule: Rule.strings, needs: .direct, staysInBounds),
        Check(
            "arguments.copied", "What create was lent is not used after it has returned.",
            rule: Rule.memory, needs: .direct, copies),
        Check(
            "arguments.strange", "Any node id, key and instance name is taken.",
            rule: Rule.header("rqd_create_args"), takesStrangeTexts),
    ]

    @Sendable private static func takesLargerStructs(_ bench: Bench) throws(Finding) {
        // All structs of the harness are 64 bytes larger than those of the header.
        let creation = try bench.create()
        guard let session = creation.session else {
            throw .failed(
                expected: "an instance from arguments of a larger size", seen: creation.outline)
        }
        let report = try bench.call(session, bench.mainRequest)
        session.destroy()
        guard report.status == RQD_OK || report.status == RQD_ABSENT else {
            throw .failed(expected: "a call with larger structs works", seen: report.outline)
        }
    }

    @Sendable private static func staysInBounds(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        _ = try bench.call(session, bench.mainRequest)
        session.destroy()
        // A configuration that fills its page to the last byte, and one that is no text.
        for config in [bench.config, Array("{".utf8), [UInt8](repeating: 0x20, count: 4096)] {
            try bench.create(bench.arguments(config: config)).session?.destroy()
        }
    }

    @Sendable private static func copies(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        _ = try bench.call(session, bench.mainRequest)
        if session.offers(.describe) { _ = try bench.call(session, .describe) }
        if bench.role == RQD_ROLE_REGISTRY {
            let written = try bench.call(
                session, .write("copied", expected: [], value: Array("1".utf8)))
            _ = try bench.call(session, .read("copied"))
            if let revision = written.record?.revision {
                _ = try bench.call(session, .erase("copied", expected: revision))
            }
        }
        session.destroy()
    }

    @Sendable private static func takesStrangeTexts(_ bench: Bench) throws(Finding) {
        for key in ["a", "a/b/c", "ä ö/%2F?x=1&y#z", String(repeating: "k", count: 256)] {
            var arguments = bench.arguments(key: "\(bench.key)-\(key)")
            arguments.instance = "n\"\\{}%s"
            let creation = try bench.create(arguments)
            guard let session = creation.session else {
                throw .failed(
                    expected: "an instance with the key \"\(key)\", which is any text",
                    seen: creation.outline)
            }
            let report = try bench.call(session, bench.mainRequest)
            session.destroy()
            guard report.status == RQD_OK || report.status == RQD_ABSENT else {
                throw .failed(
                    expected: "calls with the key \"\(key)\" work", seen: report.outline)
            }
        }
    }
}
