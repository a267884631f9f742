import Foundation
import Testing

/// `docs/clustering.md` as an operator would follow it: every block of shell commands is run as it
/// stands, on machines that are addresses in a network namespace. Nothing is replaced: the page's
/// variables `$HOST1`, `$HOST2`, … are set, and its names are in the namespace's DNS.
@Suite(.serialized, .enabled(if: Namespace.isPossible)) struct ClusteringGuideTests {
    @Test func `The commands of each section do what the page says`() async throws {
        let sections = try ClusteringGuide.sections()
        #expect(sections.count >= 5)
        for section in sections {
            let site = try GuideSite(for: section.commands)
            defer { site.stop() }
            do {
                for command in section.commands {
                    if command.hasPrefix("rqlited ") {
                        try site.startNode(command)
                    } else {
                        try await site.runUntilItSucceeds(command)
                    }
                }
            } catch {
                Issue.record("\(section.title): \(error)\n\(site.logs)")
            }
            try await site.expectClusters(section.title)
        }
    }
}
