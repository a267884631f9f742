import HarnessBackends
import PluginABI
import Threads
import Time

/// What came after 1.0, of plugins that offer it.
enum GrowthChecks {
    static let all: [Check] = [
        Check(
            "registry.pages", "Pages hold every record of a prefix once, in order.",
            rule: Rule.header("rqd_pages"), needs: [.registry, .direct], areWhole),
        Check(
            "calls.update", "A node's state is taken, or refused, in time.",
            rule: Rule.header("rqd_node_watch"), needs: .direct, isTaken),
    ]

    /// What skips a check says nothing against a plugin.
    static let noPages = "the plugin does not offer rqd.pages/1"
    static let noNode = "the plugin does not offer rqd.node/1"

    @Sendable private static func areWhole(_ bench: Bench) throws(Finding) {
        let session = try bench.directInstance()
        guard session.offers(.page("", after: "", most: 1)) else { throw .skipped(noPages) }
        // In the order of bytes, which is not that of letters.
        let names = ["nodes/10", "nodes/2", "nodes/B", "nodes/a", "nodes/\u{e4}"]
        var revisions: [(name: String, revision: [UInt8])] = []
        for name in names.reversed() + ["leader", "nodes0"] {
            let made = try bench.call(session, .write(name, expected: [], value: [1]))
            guard let record = made.record else {
                throw .skipped("nothing can be written, see registry.create: \(made.outline)")
            }
            revisions.append((name, record.revision))
        }
        for most in [UInt32(1), 2, 5, RQD_MAX_RECORDS] {
            var found: [String] = []
            while true {
                let page = try bench.call(
                    session, .page("nodes/", after: found.last ?? "", most: most))
                let part = page.results.records.map(\.name)
                found += part
                guard page.status == RQD_OK, part.count <= Int(most) else {
                    throw .failed(
                        expected: "OK, and at most \(most) records",
                        seen: "\(page.outline), \(part.count) records")
                }
                if part.count < Int(most) || found.count > names.count { break }
            }
            guard found == names else {
                throw .failed(expected: "\(names) in pages of \(most)", seen: "\(found)")
            }
        }
        for record in revisions {
            _ = try bench.call(session, .erase(record.name, expected: record.revision))
        }
        session.destroy()
    }

    @Sendable private static func isTaken(_ bench: Bench) throws(Finding) {
        let states: [UInt32] = [
            0, RQD_NODE_JOINED, RQD_NODE_JOINED | RQD_NODE_VOTER | RQD_NODE_LEADS | RQD_NODE_READY,
            RQD_NODE_JOINED | 0x8000_0000, RQD_NODE_LEAVING,
        ]
        for isSilent in [false, true] {
            // One each, for behind its goodbye it is called no more.
            let session = try bench.directInstance()
            guard session.offers(.update(0, changed: 0)) else { throw .skipped(noNode) }
            var told: UInt32 = 0
            if isSilent { try bench.fakeServer?.misbehave(.silent) }
            for state in states {
                let deadline = MonotonicTime.now.nanoseconds + Bench.second / 2
                let request = Request.update(state, changed: state ^ told)
                let report = try bench.finish(
                    session.begin(request, deadline: deadline), request, due: deadline)
                guard ![RQD_ABSENT, RQD_CONFLICT].contains(report.status) else {
                    throw .failed(
                        expected: "any status but ABSENT and CONFLICT", seen: report.outline)
                }
                if report.status == RQD_OK { told = state }
            }
            session.destroy()
        }
    }
}
