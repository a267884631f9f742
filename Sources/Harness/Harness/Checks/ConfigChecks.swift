import Chance
import Glibc
import HarnessBackends
import PluginABI

/// Configurations, good and bad.
enum ConfigChecks {
    static let all: [Check] = [
        Check(
            "config.accepted", "Every example of the manifest is accepted.",
            rule: Rule.manifest, accepts),
        Check(
            "config.rejected", "Every bad example of the manifest is refused, with CONFIG.",
            rule: Rule.create, rejects),
        Check(
            "config.explained", "A refusal names what is wrong, as the manifest says.",
            rule: Rule.create, explains),
        Check(
            "config.empty", "No configuration is answered: by an instance, or with CONFIG.",
            rule: Rule.header("rqd_create_args"), takesEmpty),
        Check(
            "config.huge", "One of 1 MiB is answered.", rule: Rule.limits, takesHuge),
        Check(
            "config.deep", "One that is nested 200,000 levels deep is answered.",
            rule: Rule.limits, takesDeep),
        Check(
            "config.binary", "Bytes that are not UTF-8 are answered, with words that are.",
            rule: Rule.header("rqd_create_args"), takesBinary),
        Check(
            "config.damaged", "Examples with bytes cut off, doubled or changed are answered.",
            rule: Rule.create, timeout: 60, takesDamaged),
        Check(
            "config.offline", "Making an instance asks no server.", rule: Rule.create,
            needs: .fakeServer, asksNobody),
    ]

    @Sendable private static func accepts(_ bench: Bench) throws(Finding) {
        var examples = bench.manifest.accept.map { bench.filled($0.config) }
        if bench.manifest.config != nil || bench.job.config != nil { examples.append(bench.config) }
        guard !examples.isEmpty else {
            throw .warning(
                expected: "a manifest with configurations that must be accepted", seen: "none")
        }
        for config in examples {
            let creation = try bench.create(bench.arguments(config: config))
            guard let session = creation.session else {
                throw .failed(
                    expected: "an instance from \(Self.text(config))", seen: creation.outline)
            }
            session.destroy()
        }
    }

    private static func text(_ config: [UInt8]) -> String {
        let text = String(decoding: config.prefix(200), as: UTF8.self)
        return config.count > 200 ? "\(text)… (\(config.count) bytes)" : text
    }

    @Sendable private static func rejects(_ bench: Bench) throws(Finding) {
        try eachRejection(bench) { (example, creation) throws(Finding) in
            guard creation.status == RQD_CONFIG else {
                throw .failed(
                    expected: "CONFIG (3) for \(text(example.config))", seen: creation.outline)
            }
        }
    }

    @Sendable private static func explains(_ bench: Bench) throws(Finding) {
        try eachRejection(bench) { (example, creation) throws(Finding) in
            guard creation.status != RQD_OK else { return }
            let message = creation.results.messageText
            guard !message.isEmpty, message.contains(example.mentions) else {
                throw .failed(
                    expected: "a message with \"\(example.mentions)\" for \(text(example.config))",
                    seen: message.isEmpty ? "no message" : message)
            }
        }
    }

    private static func eachRejection(
        _ bench: Bench, _ body: (Manifest.Example, Creation) throws(Finding) -> Void
    ) throws(Finding) {
        guard !bench.manifest.reject.isEmpty else {
            throw .warning(
                expected: "a manifest with configurations that must be rejected", seen: "none")
        }
        for example in bench.manifest.reject {
            let creation = try bench.create(bench.arguments(config: bench.filled(example.config)))
            creation.session?.destroy()
            try body(example, creation)
        }
    }

    /// An instance, or CONFIG with a message in UTF-8.
    private static func answer(
        _ bench: Bench, _ config: [UInt8], _ what: String, hasAddress: Bool = false
    ) throws(Finding) {
        var arguments = bench.arguments(config: config)
        arguments.emptyConfigHasAddress = hasAddress
        let creation = try bench.create(arguments)
        let isMade = creation.session != nil
        creation.session?.destroy()
        let wrong = creation.results.malformed + creation.results.overLimit
        let isExplained =
            creation.status == RQD_CONFIG && !creation.results.messageText.isEmpty && wrong.isEmpty
        guard isMade || isExplained else {
            throw .failed(
                expected: "an instance, or CONFIG (3) with a message, for \(what)",
                seen: creation.outline + wrong.map { "; it gave \($0)" }.joined())
        }
    }

    @Sendable private static func takesEmpty(_ bench: Bench) throws(Finding) {
        try answer(bench, [], "length 0 at address 0")
        try answer(bench, [], "length 0 at some address", hasAddress: true)
        try answer(bench, Array(" \n".utf8), "white space alone")
    }

    @Sendable private static func takesHuge(_ bench: Bench) throws(Finding) {
        let limit = Int(RQD_MAX_CONFIG)
        let blank = [UInt8](repeating: UInt8(ascii: " "), count: max(limit - bench.config.count, 0))
        try answer(bench, bench.config + blank, "a valid one with much white space")
        let text = Array("{\"".utf8) + [UInt8](repeating: UInt8(ascii: "x"), count: limit - 4)
        try answer(bench, text + Array("\"}".utf8), "a name of 1 MiB")
    }

    /// On a thread like the host's: deep recursion ends where its stack does.
    @Sendable private static func takesDeep(_ bench: Bench) throws(Finding) {
        // Shared with one thread, while this one waits for it.
        nonisolated(unsafe) let bench = bench
        for opening in ["[", "{\"a\":"] {
            let bytes = Array(String(repeating: opening, count: 200_000).utf8)
            let config = Array(bytes.prefix(Int(RQD_MAX_CONFIG)))
            try OnThread.run { () throws(Finding) in
                try answer(bench, config, "200,000 times \(opening)")
            }
        }
    }

    @Sendable private static func takesBinary(_ bench: Bench) throws(Finding) {
        for bytes: [UInt8] in [
            [0xFF, 0xFE, 0x00, 0x80], Array("{\"\u{0}\":1}".utf8),
            Array("{\"".utf8) + [0xC3, 0x28, 0xFF] + Array("\":1}".utf8), [0xEF, 0xBB, 0xBF],
        ] { try answer(bench, bytes, "the bytes \(bytes)") }
    }

    @Sendable private static func takesDamaged(_ bench: Bench) throws(Finding) {
        let examples =
            ([bench.config] + bench.manifest.accept.map { bench.filled($0.config) })
            .filter { !$0.isEmpty }.prefix(4)
        guard !examples.isEmpty else { throw .skipped("the manifest has no configuration") }
        var chance = SplitMix64(seed: bench.job.seed)
        // A process for each takes its time.
        let (step, rounds) = bench.job.isIsolated ? (40, 5) : (1, 100)
        for example in examples {
            for length in stride(from: 1, to: min(example.count, 256), by: step) {
                try answer(bench, Array(example.prefix(length)), "\(length) bytes of an example")
            }
            for _ in 0..<rounds {
                let damaged = chance.damage(example)
                try answer(bench, damaged, "the damaged \(text(damaged)), seed \(bench.job.seed)")
            }
        }
    }

    @Sendable private static func asksNobody(_ bench: Bench) throws(Finding) {
        let server = try bench.fake()
        let before = try server.requestCount()
        try server.misbehave(.silent)
        let session = try bench.instance()
        session.destroy()
        let count = try server.requestCount() - before
        guard count == 0 else {
            throw .failed(
                expected: "no request before the first call", seen: "\(count) from create")
        }
        try server.goDown()
        let creation = try bench.create()
        creation.session?.destroy()
        guard creation.status == RQD_OK else {
            throw .failed(
                expected: "an instance although the server is down", seen: creation.outline)
        }
    }
}
