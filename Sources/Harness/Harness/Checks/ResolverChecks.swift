import PluginABI

/// Plugins of role resolver.
enum ResolverChecks {
    static let all: [Check] = [
        Check(
            "resolver.addresses", "It gives the addresses that the manifest expects.",
            rule: Rule.resolver, needs: .resolver, givesExpected),
        Check(
            "resolver.change", "It sees a change the next time it is asked.",
            rule: Rule.resolver, needs: .resolver, seesChange),
    ]

    @Sendable private static func givesExpected(_ bench: Bench) throws(Finding) {
        let expected = Set(bench.manifest.expect)
        guard !expected.isEmpty, bench.job.backendURL == nil else {
            throw .skipped("the manifest expects no addresses")
        }
        let session = try bench.instance()
        let report = try bench.working(session)
        session.destroy()
        let found = Set(report.results.addresses.map(\.text))
        guard found == expected else {
            throw .failed(expected: "\(expected.sorted())", seen: "\(found.sorted())")
        }
    }

    @Sendable private static func seesChange(_ bench: Bench) throws(Finding) {
        let session = try bench.instance()
        let before = Set(try bench.working(session).results.addresses.map(\.text))
        guard try bench.change() else {
            throw .skipped("the manifest says nothing of how to change what it finds")
        }
        let report = try bench.call(session, bench.mainRequest)
        session.destroy()
        let found = Set(report.results.addresses.map(\.text))
        let expected = Set(bench.manifest.expectChanged)
        guard expected.isEmpty ? found != before : found == expected else {
            throw .failed(
                expected: expected.isEmpty
                    ? "other addresses than \(before.sorted()) after the change"
                    : "\(expected.sorted()) after the change",
                seen: "\(report.outline) with \(found.sorted())")
        }
    }
}
